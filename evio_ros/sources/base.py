"""The interface of all sources of events, and counters of what a source repaired or left out."""

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
    """A restart of the sensor's clock; after it, sensor time continues as after a gap.

    Attributes:
        t_us: sensor time of the first event after the restart, in µs, as given by the source.
        gap_us: time without events before it in µs, by the receiver's clock; None if unknown, in
            which case `evio_ros.sources.event_clock.NOMINAL_GAP_US` is used.
        last_us: sensor time of the last event before the restart, in µs.
    """

    t_us: int
    gap_us: int | None
    last_us: int

    def covers(self, start_us: int, end_us: int) -> bool:
        """Whether the gap contains all of start_us <= t < end_us."""
        return self.last_us < start_us and end_us <= self.t_us


@dataclass(slots=True)
class SourceStatistics:
    """What a source has read, repaired and left out.

    Attributes:
        events: events given by the source.
        reordered: events that were out of order and were sorted within the bounded window.
        late: events dropped because they were too far out of order to be sorted.
        outliers: events dropped because their time contradicts that of many others, or because
            few others are near them.
        outside: events dropped because their coordinates are outside the geometry.
        invalid: words, records or lines dropped because the format does not define them.
        truncated_bytes: bytes at the end of the file that do not make a whole record.
        lost_packets: packets that are missing, by a gap in their numbers.
        repeated_packets: packets dropped because they equal the previous one.
        overflows: number of times that a buffer of the camera or computer was full and lost events.
        device_errors: errors of a camera or its connection after which it was reopened.
        clock_restarts: number of restarts of the sensor's clock.
        triggers: edges of external triggers.
        restarts: the first restarts of the clock, in order of time.
        gaps: spans of sensor time in µs whose events are known to be missing, in order and
            disjoint; may include spans that `batches` has not reached yet.
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
        """Record that the events of a span are missing; known or empty spans are ignored."""
        place = bisect_right(self.gaps, start_us, key=lambda gap: gap.stop)
        is_known = place < len(self.gaps) and self.gaps[place].start < end_us
        if start_us < end_us and not is_known:
            self.gaps.insert(place, range(start_us, end_us))

    @property
    def dropped(self) -> int:
        """Number of events that were read but dropped."""
        return self.late + self.outliers + self.outside + self.invalid

    def faults(self) -> dict[str, int]:
        """What was repaired, dropped or lost, by its name in the nodes' diagnostics."""
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
        """Whether the source is a camera, whose events are lost unless they are read in time."""
        ...

    @property
    def statistics(self) -> SourceStatistics:
        """Counters since the source was opened."""
        ...

    def batches(self) -> Iterator[EventBatch]:
        """Yield batches from the present position on, in order of time; none is empty."""
        ...

    def close(self) -> None:
        """Release files and devices; can be called repeatedly."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


@runtime_checkable
class SeekableSource(EventSource, Protocol):
    """A source with a beginning and an end that can be read from any time on."""

    @property
    def start_us(self) -> int:
        """Sensor time of the first event in µs."""
        ...

    @property
    def end_us(self) -> int:
        """Sensor time just after the last event, in µs."""
        ...

    def seek(self, t_us: int) -> None:
        """Continue with the first event at or after `t_us`; iterators in use end or follow."""
        ...


@runtime_checkable
class TriggerSource(Protocol):
    """A source that may contain edges of external triggers."""

    def take_triggers(self) -> Triggers:
        """External triggers that `batches` passed since the last call; kept from the first."""
        ...


@runtime_checkable
class SizedSource(Protocol):
    """A source whose geometry may be impossible for a sensor, for example a guessed one."""

    path: str
    size_fault: str
    """Why the geometry is impossible, and what to do; "" if it is possible."""


def refuse_impossible_size(source: object) -> None:
    """Refuse a source with more pixels than sensors have, before memory is allocated for them.

    Args:
        source: any source; only a `SizedSource` can be refused.

    Raises:
        SourceError: with the reason and what to do.
    """
    if isinstance(source, SizedSource) and source.size_fault:
        raise SourceError(source.path, source.size_fault)
