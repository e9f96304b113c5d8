"""The interface of all sources of events, and counters of what a source had to put right."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol, Self, runtime_checkable

from evio_ros.errors import SourceError
from evio_ros.events import EventBatch, SensorSize
from evio_ros.sources.raw_columns import Triggers

__all__ = [
    "ClockRestart",
    "EventSource",
    "SeekableSource",
    "SourceStatistics",
    "TriggerSource",
    "refuse_impossible_size",
]


@dataclass(frozen=True, slots=True)
class ClockRestart:
    """A place where a sensor's clock started anew; time goes on after it as after a gap.

    Attributes:
        t_us: time of the first event after it, as it is given out.
        gap_us: time without events before it, by the clock of the receiver; None where
            nothing tells it, and `evio_ros.sources.event_clock.NOMINAL_GAP_US` stands for it.
        last_us: time of the last event before it.
    """

    t_us: int
    gap_us: int | None
    last_us: int

    def covers(self, start_us: int, end_us: int) -> bool:
        """Whether all of start_us <= t < end_us is in the gap, of which nothing is known."""
        return self.last_us < start_us and end_us <= self.t_us


@dataclass(slots=True)
class SourceStatistics:
    """What a source has read and what it had to put right or leave out, in events or bytes.

    Attributes:
        events: events given out.
        reordered: events whose time stamp was out of order and put right within the bounded window.
        late: events dropped because they were too far out of order to be put right.
        outliers: events dropped because their time is far ahead of what many others agree on, or
            because few others are near them.
        outside: events dropped because their coordinates are outside the geometry.
        invalid: words, records or lines dropped because the format knows no such thing.
        truncated_bytes: bytes at the end of the file that do not make a whole record.
        lost_packets: packets that never came, told by a gap in their numbers.
        repeated_packets: packets left out because they are the same as the one before.
        overflows: times that a camera's or the computer's buffer was full, so that events are lost.
        device_errors: errors of a camera or its connection after which it was opened again.
        clock_restarts: times that the sensor's clock started anew.
        triggers: edges of external triggers.
        restarts: where the clock started anew, in order of time.
        gaps: spans of time whose events are known to be missing, in order and apart; those of
            events that are still to be given out among them.
    """

    events: int = 0
    reordered: int = 0
    late: int = 0
    outside: int = 0
    invalid: int = 0
    truncated_bytes: int = 0
    lost_packets: int = 0
    repeated_packets: int = 0
    overflows: int = 0
    device_errors: int = 0
    outliers: int = 0
    clock_restarts: int = 0
    triggers: int = 0
    restarts: list[ClockRestart] = field(default_factory=list)
    gaps: list[range] = field(default_factory=list)

    def note_gap(self, start_us: int, end_us: int) -> None:
        """Take note that the events of a span are missing, unless it is known or empty."""
        place = bisect_right(self.gaps, start_us, key=lambda gap: gap.stop)
        is_known = place < len(self.gaps) and self.gaps[place].start < end_us
        if start_us < end_us and not is_known:
            self.gaps.insert(place, range(start_us, end_us))

    @property
    def dropped(self) -> int:
        """Events that were read but not given out."""
        return self.late + self.outliers + self.outside + self.invalid

    def faults(self) -> dict[str, int]:
        """What was put right, left out or lost, by its name in the diagnostics of nodes."""
        return {
            "events_out_of_order": self.reordered,
            "events_dropped_late": self.late,
            "events_dropped_outliers": self.outliers,
            "events_dropped_outside": self.outside,
            "words_invalid": self.invalid,
            "bytes_truncated": self.truncated_bytes,
            "packets_lost": self.lost_packets,
            "packets_repeated": self.repeated_packets,
            "overflows": self.overflows,
            "device_errors": self.device_errors,
            "clock_restarts": self.clock_restarts,
        }


@runtime_checkable
class EventSource(Protocol):
    """A stream of events in order of time; a context manager."""

    @property
    def size(self) -> SensorSize:
        """Geometry of the sensor."""
        ...

    @property
    def is_live(self) -> bool:
        """True for a camera, whose events are lost unless they are read in time."""
        ...

    @property
    def statistics(self) -> SourceStatistics:
        """Counters since the source was opened."""
        ...

    def batches(self) -> Iterator[EventBatch]:
        """Yield batches from the present position on, in order of time, none of them empty."""
        ...

    def close(self) -> None:
        """Release files and devices; may be called twice."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


@runtime_checkable
class SeekableSource(EventSource, Protocol):
    """A source that has a beginning and an end and can be read from any time."""

    @property
    def start_us(self) -> int:
        """Sensor time of the first event in µs."""
        ...

    @property
    def end_us(self) -> int:
        """Sensor time just after the last event in µs."""
        ...

    def seek(self, t_us: int) -> None:
        """Continue with the first event at or after `t_us`; iterators in use end or follow."""
        ...


@runtime_checkable
class TriggerSource(Protocol):
    """A source that may hold edges of external triggers."""

    def take_triggers(self) -> Triggers:
        """External triggers that `batches` has come by since the last call; kept from the first."""
        ...


@runtime_checkable
class SizedSource(Protocol):
    """A source whose geometry may be none that a sensor has, as where it was guessed."""

    path: str
    size_fault: str
    """Why, and what to do; empty where the geometry can be a sensor's."""


def refuse_impossible_size(source: object) -> None:
    """Refuse a source of more pixels than sensors have before memory is taken for each of them.

    Raises:
        SourceError: with what is wrong and what to do.
    """
    if isinstance(source, SizedSource) and source.size_fault:
        raise SourceError(source.path, source.size_fault)
