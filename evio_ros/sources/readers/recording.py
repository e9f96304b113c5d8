"""Base of all recordings: geometry, time order, seeking."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from evio_ros.errors import SourceError
from evio_ros.events import EventBatch, SensorSize
from evio_ros.sources.base import SourceStatistics
from evio_ros.sources.raw_columns import FARTHEST_TRIGGER_US, OUTSIDE, RawColumns, Triggers
from evio_ros.sources.time_order import TimeOrder, is_continuous

__all__ = ["LARGEST_SIDE", "REORDER_WINDOW_US", "STANDARD_SIZES", "Recording"]

REORDER_WINDOW_US = 10_000
STANDARD_SIZES = (
    SensorSize(128, 128),
    SensorSize(240, 180),
    SensorSize(304, 240),
    SensorSize(346, 260),
    SensorSize(320, 320),
    SensorSize(640, 480),
    SensorSize(1280, 720),
)
LARGEST_SIDE = 1 << 12
"""Maximum number of pixels on a side; that of EVT3 is half as many."""
_NAMING_SIZE = "--size WIDTHxHEIGHT, or ?size= after the path,"
_GEOMETRY_REMEDY = (
    "convert x and y to pixels first; if only few of them are wrong, "
    f"{_NAMING_SIZE} sets the sensor's geometry"
)
_SAMPLED_PIECES = 16
_MOST_STRAY = 32
"""Maximum number of events outside the header's geometry in the first piece to accept it."""

_FULLY_READ_EVENTS = 1 << 21
"""The span of a longer recording is determined from its two ends and samples between them."""


@dataclass(frozen=True, slots=True)
class _Span:
    """What is needed of a whole recording before seeking in it.

    Attributes:
        start_us, end_us: time of the first event, and just after the last, in µs, as given by
            `batches`.
        is_plain: whether time never goes back, so that a time can be found by bisection.
    """

    start_us: int
    end_us: int
    is_plain: bool


class Recording(ABC):
    """A recording; implements `evio_ros.sources.base.SeekableSource`.

    A format's class reads raw columns piece by piece and finds a time; this class does the rest.
    The class of a format with large files also gives sample times and the last events, so that the
    recording need not be read to find its end.

    Args:
        path: name of the recording, for messages.
        size: geometry given by the user; None for the recording's, or a guess.

    Attributes:
        path: name of the recording.
        size: geometry of the sensor.
        size_is_declared: False if the geometry was guessed from the events.
        size_fault: why the geometry is impossible, and what to do; "" if it is possible.
        remarks: what the user should know from opening the recording, one sentence each.
        details: how ambiguous properties were read, by name: time_unit, polarity, stream or topic,
            and streams or topics for all available ones.
        statistics: what was read and dropped since the recording was opened.

    Raises:
        SourceError: if the recording cannot be read.
    """

    format_name: str
    keeps: ClassVar[str]
    loses: ClassVar[str]
    """What is read and what is left out, for docs/formats.md."""
    is_live = False
    options: ClassVar[tuple[str, ...]] = ()
    """Options of the class besides path and size, of `evio_ros.sources.registry.OPTIONS`."""
    _events_at: int | None = None
    """Offset of the events in bytes, for messages."""

    def __init__(self, path: str, size: SensorSize | None) -> None:
        self.path = path
        self.statistics = SourceStatistics()
        self.remarks: list[str] = []
        self.details: dict[str, str | list[str]] = {}
        self.size_fault = ""
        self._skip_before_us: int | None = None
        self._triggers_read: list[Triggers] | None = None
        try:
            declared = self._prepare()
            self.size_is_declared = True
            self.size = size or self._plausible_size(declared)
            if self.size in (size, declared):
                self._note_impossible_size(
                    self.size, f"the geometry {self.size} has more pixels than sensors have"
                )
            self._choose_epoch()
            # What was sampled for the geometry is read and counted again.
            self.statistics.invalid = self.statistics.lost_packets = 0
            self.statistics.repeated_packets = self.statistics.reordered = 0
        except BaseException:
            self.close()
            raise
        self._order = TimeOrder(self.size, REORDER_WINDOW_US, self.statistics)

    @abstractmethod
    def _prepare(self) -> SensorSize | None:
        """Check the recording, go to its first event; returns its declared geometry."""

    @abstractmethod
    def _read_piece(self) -> RawColumns | None:
        """Read the next events in the file's order; None at the end."""

    @abstractmethod
    def _go_to(self, t_us: int | None) -> None:
        """Go to or shortly before time `t_us`; None for the first event."""

    def _choose_epoch(self) -> None:  # noqa: B027 - most formats need nothing here
        """Choose the origin of times that wrap, once the geometry is known."""

    def _sampled_times(self) -> NDArray[np.int64] | None:
        """Raw times in µs sampled from the whole recording, in the file's order; None for none."""
        return None

    def _last_pieces(self) -> Iterator[RawColumns]:
        """The recording's last events, some thousands; called only if times are sampled."""
        raise NotImplementedError

    def _independent(self) -> Self:
        """A copy that reads the same recording from its beginning, with its own position."""
        other = copy(self)
        other.statistics = SourceStatistics()
        other._go_to(None)
        return other

    @property
    def start_us(self) -> int:
        """Sensor time of the first event in µs; ignores outliers.

        Raises:
            SourceError: if there are no events.
        """
        return self._span.start_us

    @property
    def end_us(self) -> int:
        """Sensor time just after the last event in µs; ignores outliers.

        Raises:
            SourceError: if there are no events, or the recording cannot be read to its end.
        """
        return self._span.end_us

    @abstractmethod
    def close(self) -> None:
        """Release the recording; can be called repeatedly."""

    @property
    def _piece_triggers(self) -> Triggers:
        """External triggers of the last piece read, at raw times; empty for formats without any."""
        return Triggers.empty()

    @property
    def _piece_gaps(self) -> list[range]:
        """Spans of raw time, before or in the last piece, whose events are known to be lost."""
        return []

    def read_triggers(self) -> Triggers:
        """Read the whole recording for edges of external triggers, in order of time.

        Triggers whose time is far from all events, as from a corrupt word, are left out.
        """
        reader = self._independent()
        reader._skip_before_us = None
        reader._order = TimeOrder(self.size, REORDER_WINDOW_US, reader.statistics)
        reader.take_triggers()
        parts = [reader.take_triggers() for _ in reader.batches()]
        together = Triggers.concatenate([*parts, reader.take_triggers()])
        near_us = FARTHEST_TRIGGER_US
        inside = (together.t >= self.start_us - near_us) & (together.t < self.end_us + near_us)
        together = together.select(inside)
        return together.select(np.argsort(together.t, kind="stable"))

    def raw_pieces(self) -> Iterator[RawColumns]:
        """Yield all events from the beginning: unchecked, in the file's order."""
        self._go_to(None)
        while (columns := self._read_piece()) is not None:
            if len(columns):
                yield columns

    def batches(self) -> Iterator[EventBatch]:
        """Yield batches from the present position on; see `EventSource.batches`."""
        while (columns := self._read_piece()) is not None:
            self._note_triggers()
            for gap in self._piece_gaps:
                shift_us = self._order.shift_us
                self.statistics.note_gap(gap.start + shift_us, gap.stop + shift_us)
            yield from self._from_seek_time(self._order.push(columns))
        yield from self._from_seek_time(self._order.flush())

    def take_triggers(self) -> Triggers:
        """External triggers that `batches` has passed since the last call.

        They are kept from the first call on, and discarded by `seek`. They may be up to a piece
        ahead of the batches; after a restart of the clock, their times are shifted like the
        events'.
        """
        taken, self._triggers_read = self._triggers_read, []
        return Triggers.concatenate(taken or [])

    def _note_triggers(self) -> None:
        found = self._piece_triggers
        self.statistics.triggers += len(found)
        if len(found) and self._triggers_read is not None:
            shifted = Triggers(found.t + self._order.shift_us, found.edge, found.channel)
            self._triggers_read.append(shifted)

    def seek(self, t_us: int) -> None:
        """Continue with the first event at or after `t_us`; running iterators continue there."""
        # If time goes back in the file, only reading from its beginning finds a time.
        from_beginning = not self._span.is_plain or t_us <= self._span.start_us
        self._go_to(None if from_beginning else t_us)
        self._order.restart(at_beginning=from_beginning)
        self._skip_before_us = t_us
        if self._triggers_read is not None:
            self._triggers_read = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _from_seek_time(self, batches: Iterator[EventBatch]) -> Iterator[EventBatch]:
        for batch in batches:
            batch = self._before_end(batch)
            if not len(batch):
                continue
            if self._skip_before_us is not None:
                first = int(np.searchsorted(batch.t, self._skip_before_us))
                self.statistics.events -= first
                if first == len(batch):
                    continue
                self._skip_before_us = None
                batch = batch.slice(first, len(batch))
            yield batch

    def _before_end(self, batch: EventBatch) -> EventBatch:
        """The batch without outliers that only the events before the sought time would reveal."""
        span = self.__dict__.get("_span")
        if span is None or batch.t[-1] < span.end_us:
            return batch
        kept = batch.between(int(batch.t[0]), span.end_us)
        self.statistics.events -= len(batch) - len(kept)
        self.statistics.outliers += len(batch) - len(kept)
        return kept

    @cached_property
    def _span(self) -> _Span:
        """Read the recording, or only its two ends if the samples between them are in order."""
        reader, statistics = self._independent(), SourceStatistics()
        order = TimeOrder(self.size, REORDER_WINDOW_US, statistics)
        start_us = end_us = None
        events, may_sample = 0, True
        while (columns := reader._read_piece()) is not None:
            events += len(columns)
            for batch in order.push(columns):
                start_us = int(batch.t[0]) if start_us is None else start_us
                end_us = int(batch.t[-1]) + 1
            if may_sample and events > _FULLY_READ_EVENTS and start_us is not None:
                may_sample = False
                sampled_end_us = self._sampled_end(statistics)
                if sampled_end_us is not None:
                    return _Span(start_us, sampled_end_us, is_plain=True)
        for batch in order.flush():
            start_us = int(batch.t[0]) if start_us is None else start_us
            end_us = int(batch.t[-1]) + 1
        if start_us is None or end_us is None:
            raise SourceError(self.path, "has no events", self._events_at)
        dropped = statistics.late or statistics.outliers
        return _Span(start_us, end_us, is_plain=not dropped and not order.shift_us)

    def _first_accepted(self) -> tuple[int | None, bool]:
        """Time of the first event that is not from an earlier run, and whether any were."""
        reader, statistics = self._independent(), SourceStatistics()
        first = reader._read_piece()
        if first is not None and len(first) and is_continuous(first.t, REORDER_WINDOW_US):
            return int(first.t[0]), False
        reader._go_to(None)
        order = TimeOrder(self.size, REORDER_WINDOW_US, statistics)
        for _ in range(_SAMPLED_PIECES):
            columns = reader._read_piece()
            batches = order.flush() if columns is None else order.push(columns)
            batch = next(batches, None)
            if batch is not None or columns is None:
                break
        first_us = None if batch is None else int(batch.t[0])
        return first_us, bool(statistics.outliers or statistics.late)

    def _sampled_end(self, head: SourceStatistics) -> int | None:
        """The recording's end, if its beginning, samples and last events are all in order."""
        if head.late or head.outliers or head.clock_restarts:
            return None
        times = self._sampled_times()
        if times is None or np.any(np.diff(times) < -REORDER_WINDOW_US):
            return None
        statistics, end_us = SourceStatistics(), None
        order = TimeOrder(self.size, REORDER_WINDOW_US, statistics)
        order.restart(at_beginning=False)
        for columns in self._last_pieces():
            for batch in order.push(columns):
                end_us = int(batch.t[-1]) + 1
        for batch in order.flush():
            end_us = int(batch.t[-1]) + 1
        return None if order.shift_us else end_us

    def _plausible_size(self, declared: SensorSize | None) -> SensorSize:
        """The declared geometry, or a guess if there is none or the events contradict it.

        A minority outside it does not contradict it if no usual sensor has them either: they are
        from a damaged part of the recording. In fixed point, three quarters or more are outside.
        """
        share = 0.0 if declared is None else self._share_outside(declared)
        if declared is not None and not share:
            return declared
        guessed = self._guess_size()
        if declared is not None and share < 0.5 and not _is_usual(guessed):
            return declared
        self.size_is_declared = False
        if declared is None:
            reason = "the header gives no geometry"
        else:
            reason = f"the header's geometry {declared} excludes {share:.0%} of the first events"
        self.remarks.append(
            f"{reason}; {guessed} is guessed from the events ({_NAMING_SIZE} sets another one)"
        )
        self._note_impossible_size(guessed, self._fixed_point_remark(declared, guessed))
        return guessed

    def _note_impossible_size(self, size: SensorSize, reason: str) -> None:
        """Record an impossible geometry, so that no memory is allocated for its pixels."""
        if max(size.width, size.height) > LARGEST_SIDE:
            self.remarks.append(reason)
            self.size_fault = f"{reason}; {_GEOMETRY_REMEDY}"

    def _fixed_point_remark(self, declared: SensorSize | None, guessed: SensorSize) -> str:
        reach = f"coordinates reach {guessed.width - 1} and {guessed.height - 1}"
        if declared is None:
            return f"{reach}, more than sensors have; they may be in fixed point"
        factor = 1 << max(round(np.log2(guessed.width / declared.width)), 1)
        return f"{reach}; they may be in fixed point, with {factor} steps per pixel of {declared}"

    def _share_outside(self, size: SensorSize) -> float:
        """Share of the first events outside a geometry; 0 if they may be a few outliers."""
        first = next(self.raw_pieces(), None)
        self._go_to(None)
        if first is None:
            return 0.0
        known = _representable(first)
        outside = int(np.count_nonzero((known.x >= size.width) | (known.y >= size.height)))
        return outside / len(first) if outside > max(_MOST_STRAY, 0.01 * len(first)) else 0.0

    def _guess_size(self) -> SensorSize:
        """The smallest usual sensor that contains the events at the recording's beginning.

        A few events beyond all usual sensors are ignored, as are impossible coordinates such as
        negative ones. If x fits the height of a usual sensor and y its width, the picture is
        rotated, or x and y are exchanged; the events are not changed, but a remark is added.
        """
        largest = STANDARD_SIZES[-1]
        reach = inner_reach = (1, 1)
        events = stray = 0
        for columns in map(_representable, islice(self.raw_pieces(), _SAMPLED_PIECES)):
            reach = _extent(columns, reach)
            if reach[0] > largest.width or reach[1] > largest.height:
                inside = (columns.x < largest.width) & (columns.y < largest.height)
                stray += len(columns) - int(np.count_nonzero(inside))
                columns = columns.select(inside)
            inner_reach = _extent(columns, inner_reach)
            events += len(columns)
        self._go_to(None)
        are_few = stray <= min(_MOST_STRAY, 0.01 * events)
        size = SensorSize(*(inner_reach if are_few else reach))
        if size.height > size.width and _is_usual(size):
            turned = SensorSize(size.height, size.width)
            self.remarks.append(f"x and y fit a {turned} sensor if they are exchanged")
            return size
        for usual in STANDARD_SIZES:
            if size.width <= usual.width and size.height <= usual.height:
                return usual
        return size


def _is_usual(size: SensorSize) -> bool:
    """Whether it is a usual sensor's geometry, upright or turned by a right angle."""
    return size in STANDARD_SIZES or SensorSize(size.height, size.width) in STANDARD_SIZES


def _representable(columns: RawColumns) -> RawColumns:
    """The events without those whose coordinates uint16 cannot hold."""
    known = (columns.x < OUTSIDE) & (columns.y < OUTSIDE)
    return columns if known.all() else columns.select(known)


def _extent(columns: RawColumns, before: tuple[int, int]) -> tuple[int, int]:
    """Width and height that contain the events and the previous ones."""
    if not len(columns):
        return before
    return max(before[0], int(columns.x.max()) + 1), max(before[1], int(columns.y.max()) + 1)
