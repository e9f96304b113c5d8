"""Events as text: one event per line, columns in any order, with any separator.

The layout is determined from the first lines by `evio_ros.sources.readers.text_layout`: from header
and comments, or from the values. Numbers are read digit by digit, so that no microsecond is lost to
rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evio_ros.errors import EventError, SourceError
from evio_ros.events import SensorSize
from evio_ros.sources.codecs.number_text import PADDING_BYTES, parse_lines
from evio_ros.sources.polarity import PolarityConvention
from evio_ros.sources.raw_columns import RawColumns
from evio_ros.sources.readers.disorder import (
    MOST_SORTED,
    are_nearly_constant,
    are_unsorted,
    sorting_remark,
)
from evio_ros.sources.readers.event_file import EventFile
from evio_ros.sources.readers.file_start import FileStart
from evio_ros.sources.readers.recording import REORDER_WINDOW_US
from evio_ros.sources.readers.text_layout import TextLayout, find_text_layout
from evio_ros.sources.time_unit import TimeUnit, guess_time_unit

__all__ = ["CsvFile"]

_START_BYTES = 1 << 16
_PIECE_BYTES = 1 << 20
_SORTED_PIECE = 1 << 16
_LINE_BYTES = 1 << 12
"""Bytes read at a time to find the end of a line, far more than a line of an event has."""
_SAMPLES = 64
_SHORTEST_LINE = 8
_FEWEST_TIMES = 64
"""Minimum number of lines for a guess of the unit of time: of fewer, fractions are s, integers
us."""
_UNIT_SAMPLE = 1 << 18
"""Number of lines from which the unit of time is determined; they are read twice."""
_FRACTION_DIGITS = 7
_MOST_DIGITS = 18
"""Digits of the largest power of ten in int64."""
_POLARITY_SAMPLE_BYTES = 1 << 16
_TIME_EXPONENTS: dict[TimeUnit, int] = {"s": 6, "ms": 3, "us": 0, "ns": -3}
"""Powers of ten that convert each unit to µs."""
_NEWLINE = ord("\n")
_SHOWN_BYTES = 40
_BAD_LINE = "the line at byte"


class _BadLines(NamedTuple):
    """Lines that are not events: their number, and the starts of the first and the last of them."""

    lines: int
    first: int
    last: int


class CsvFile(EventFile):
    """A recording in a text file.

    Args:
        path: name of the file.
        size: geometry; None for the file's, or a guess if it has none.
        time_unit: unit of the times; None for the file's, or a guess.

    Raises:
        SourceError: if the file is not text with events, or gives an impossible geometry.
    """

    format_name = "CSV"
    keeps = "events, geometry"
    loses = "all other columns and comments"
    options: ClassVar[tuple[str, ...]] = ("time_unit",)
    _sorted: RawColumns | None = None
    """All events in order of time if the file has them unsorted; `_next` is then an index of it."""
    _sorted_bad = 0
    """Number of lines between these that are not events."""

    def __init__(
        self, path: str, size: SensorSize | None = None, time_unit: TimeUnit | None = None
    ) -> None:
        self._wanted_unit = time_unit
        super().__init__(path, size)

    @classmethod
    def recognises(cls, start: FileStart) -> bool:
        """Whether the file begins with lines of four numbers that can be events."""
        try:
            return find_text_layout(start.data) is not None
        except EventError:
            # It is text with an impossible geometry, which the reader refuses.
            return True

    def _prepare(self) -> SensorSize | None:
        self._end = self._data_end(0)
        start = bytes(self._read_at(0, min(self._end, _START_BYTES)))
        try:
            layout = find_text_layout(start)
        except EventError as error:
            raise SourceError(self.path, f"the geometry is impossible: {error}", 0) from None
        if layout is None:
            raise SourceError(self.path, "is not text with events", 0)
        self._set_layout(layout)
        return layout.size

    def _set_layout(self, layout: TextLayout) -> None:
        self._layout, self._places = layout, layout.places
        self._largest_sign = layout.largest_sign
        self._buffer = bytearray(_PIECE_BYTES + PADDING_BYTES)
        self._data_offset, self._next = layout.offset, layout.offset
        self._events_at = layout.offset
        if layout.columns.reason:
            self.remarks.append(layout.columns.reason)
        self._time_exponent = 0
        self._convention = self._polarity_convention()
        # If times are in two columns, the one of whole seconds gives the other's unit.
        wanted = None if layout.columns.seconds is not None else self._wanted_unit
        unit = wanted or layout.unit or self._guess_unit(layout)
        self._time_exponent = _TIME_EXPONENTS[unit]
        self._next = layout.offset
        self._sort_if_unsorted()
        self.details.update(time_unit=unit, polarity=self._convention.name)
        if not self._convention.is_known:
            self.remarks.append(self._convention.remark)

    def _sort_if_unsorted(self) -> None:
        """Read and sort all events if they are unsorted, as some tools write them."""
        try:
            columns, polarity, after = self._read_numbers(self._data_offset)
            is_part = after < self._end
            if len(columns) and is_part and are_nearly_constant(polarity):
                columns, polarity = self._read_all()
                is_part = False
            if not are_unsorted(columns.t, [polarity, columns.x, columns.y]):
                return
            if is_part:
                columns, polarity = self._read_all()
        except SourceError:  # reported when that line is read
            return
        if len(columns) > MOST_SORTED:
            return
        order = np.argsort(columns.t, kind="stable")
        polarity = polarity[order]
        middle = len(order) // 2
        samples = (polarity[first : first + _SORTED_PIECE] for first in (0, middle))
        self._convention = PolarityConvention(np.concatenate(list(samples)))
        on = self._convention.on_events(polarity)
        self._sorted, self._next = replace(columns.select(order), polarity=on), 0
        self.remarks.append(sorting_remark(len(order)))

    def _read_all(self) -> tuple[RawColumns, NDArray[np.int64]]:
        """All events, and polarities as numbers; stops soon after the maximum to sort."""
        parts, polarities = [], []
        place, count = self._data_offset, 0
        bad_before = self.statistics.invalid
        while place < self._end and count <= MOST_SORTED:
            columns, polarity, place = self._read_numbers(place)
            parts.append(columns)
            polarities.append(polarity)
            count += len(columns)
        self._sorted_bad = self.statistics.invalid - bad_before
        return RawColumns.concatenate(parts), np.concatenate(polarities)

    def _polarity_convention(self) -> PolarityConvention:
        """The convention of polarities at the beginning and in the middle."""
        middle = self._line_after((self._data_offset + self._end) // 2)
        values = []
        for first in {self._data_offset, middle}:
            length = min(_POLARITY_SAMPLE_BYTES, self._end - first)
            text = bytes(self._read_at(first, length)) if length > 0 else b""
            whole = len(text) if first + length == self._end else text.rfind(b"\n") + 1
            values.append(self._parse_columns(whole)[1])
        return PolarityConvention(np.concatenate(values))

    def _guess_unit(self, layout: TextLayout) -> TimeUnit:
        usual: TimeUnit = "s" if layout.time_is_fractional else "us"
        if len(layout.times) < _FEWEST_TIMES:
            return usual
        unit, reason = guess_time_unit(self._first_times(layout))
        if unit != usual or layout.columns.reason:
            self.remarks.append(reason)
        return unit

    def _first_times(self, layout: TextLayout) -> NDArray[Any]:
        """Times of the first lines, in the file's unit; as many as are needed for the rate."""
        # The parser gives whole numbers: if there are fractions, in units of the seventh decimal,
        # or of the last for which there is room.
        digits = 0
        if layout.time_is_fractional:
            whole_digits = len(str(int(np.median(np.abs(layout.times)))))
            digits = min(max(_MOST_DIGITS - whole_digits, 0), _FRACTION_DIGITS)
        self._time_exponent = digits
        parts: list[NDArray[np.int64]] = []
        while sum(map(len, parts)) < _UNIT_SAMPLE and self._next < self._end:
            columns, self._next = self._read_lines(self._next)
            parts.append(columns.t)
        times = np.concatenate(parts)
        return times * 10.0**-digits if layout.time_is_fractional else times

    def _sampled_times(self) -> NDArray[np.int64] | None:
        if self._sorted is not None:
            return None
        places = np.linspace(self._data_offset, max(self._end - _LINE_BYTES, 0), _SAMPLES)
        times = map(self._time_after, sorted({self._line_after(int(place)) for place in places}))
        return np.array([time for time in times if time is not None], np.int64)

    def _last_pieces(self) -> Iterator[RawColumns]:
        first = self._line_after(max(self._end - _PIECE_BYTES, self._data_offset))
        yield self._independent()._read_lines(first)[0]

    def _read_piece(self) -> RawColumns | None:
        if self._sorted is not None:
            self.statistics.invalid += 0 if self._next else self._sorted_bad
            piece = self._sorted.select(slice(self._next, self._next + _SORTED_PIECE))
            self._next += len(piece)
            return piece if len(piece) else None
        if self._next >= self._end:
            return None
        columns, self._next = self._read_lines(self._next)
        return columns

    def _go_to(self, t_us: int | None) -> None:
        if self._sorted is not None:
            self._next = 0 if t_us is None else int(np.searchsorted(self._sorted.t, t_us))
            return
        low, high = self._data_offset, self._end if t_us is not None else self._data_offset
        while high - low > _LINE_BYTES:
            middle = self._line_after((low + high) // 2)
            if middle >= high:
                break
            time_us = self._time_after(middle)
            if time_us is not None and time_us < t_us - REORDER_WINDOW_US:  # type: ignore[operator]
                low = middle
            else:
                high = middle
        self._next = low

    def _read_lines(self, first: int) -> tuple[RawColumns, int]:
        """Events of the whole lines of one piece, and the offset after them."""
        columns, polarity, after = self._read_numbers(first)
        return replace(columns, polarity=self._convention.on_events(polarity)), after

    def _read_numbers(self, first: int) -> tuple[RawColumns, NDArray[np.int64], int]:
        """The same as `_read_lines`, with polarities as numbers."""
        length = min(_PIECE_BYTES, self._end - first)
        text = self._read_at(first, length)
        if first + length < self._end:
            length = self._buffer.rfind(b"\n", 0, length) + 1
            if not length:
                return self._skip_line(first, bytes(text[:_SHOWN_BYTES]))
        columns, polarity, bad = self._parse_columns(length)
        if bad.lines:
            self._note_bad_lines(bad, bytes(text[:length]), first, len(columns))
        return columns, polarity, first + length

    def _skip_line(self, first: int, start: bytes) -> tuple[RawColumns, NDArray[np.int64], int]:
        """Skip and count a line that is longer than a piece; results as for `_read_numbers`.

        Args:
            first: where the line begins, in bytes.
            start: its first bytes.
        """
        after = self._line_after(first + 1)
        if after == self._end and bytes(self._read_at(after - 1, 1)) != b"\n":
            self.statistics.truncated_bytes = after - first
        else:
            self._note_bad_lines(_BadLines(1, 0, 0), start, first, 0)
        return RawColumns.empty(0), np.empty(0, np.int64), after

    def _note_bad_lines(self, bad: _BadLines, text: bytes, offset: int, events: int) -> None:
        """Count lines that are not events, and add a remark on the first.

        Args:
            bad: the lines.
            text: the piece that contains them.
            offset: where the piece begins, in bytes.
            events: number of events in the piece.

        Raises:
            SourceError: if most of the first lines are not events.
        """
        count = bad.lines
        if offset + len(text) == self._end and text.find(b"\n", bad.last) < 0:
            # A last line without its end is truncated.
            self.statistics.truncated_bytes = len(text) - bad.last
            count -= 1
        if not count:
            return
        shown = text[bad.first : bad.first + _SHOWN_BYTES].split(b"\n", 1)[0].strip()
        named = f"not an event: {shown.decode('utf-8', 'replace')!r}"
        if offset == self._data_offset and count > events:
            reason = f"{count} of the first {count + events} lines are not events; one is {named}"
            raise SourceError(self.path, reason, offset + bad.first)
        self.statistics.invalid += count
        if not any(_BAD_LINE in remark for remark in self.remarks):
            self.remarks.append(f"{_BAD_LINE} {offset + bad.first} is {named}")

    def _parse_columns(self, length: int) -> tuple[RawColumns, NDArray[np.int64], _BadLines]:
        """Parse the first bytes of the buffer.

        Args:
            length: number of bytes.

        Returns:
            Events, polarities as numbers, int64 (n,), whose meaning may still be unknown, and the
            lines that are not events.
        """
        text = np.frombuffer(self._buffer, np.uint8)
        after, text[length] = text[length], _NEWLINE
        columns = RawColumns.empty(length // _SHORTEST_LINE + 2)
        polarity = np.empty(len(columns), np.int64)
        count, *bad = parse_lines(
            text,
            length,
            self._places,
            ord(self._layout.delimiter),
            ord(self._layout.point),
            self._time_exponent,
            columns.t,
            columns.x,
            columns.y,
            polarity,
            self._largest_sign,
        )
        text[length] = after
        part = slice(0, count)
        return columns.select(part), polarity[part], _BadLines(*bad)

    def _line_after(self, offset: int) -> int:
        """Start of the first line at or after an offset."""
        if offset <= self._data_offset:
            return self._data_offset
        for start in range(offset - 1, self._end, _LINE_BYTES):
            length = min(_LINE_BYTES, self._end - start)
            end = bytes(self._read_at(start, length)).find(b"\n")
            if end >= 0:
                return start + end + 1
        return self._end

    def _time_after(self, offset: int) -> int | None:
        """Time of the first event from the start of a line on, in µs; None if there is none."""
        while offset < self._end:
            length = min(_LINE_BYTES, self._end - offset)
            whole = bytes(self._read_at(offset, length)).rfind(b"\n") + 1
            if not whole and offset + length < self._end:
                offset = self._line_after(offset + length)
                continue
            columns, _, _ = self._parse_columns(whole or length)
            if len(columns):
                return int(columns.t[0])
            offset += whole or length
        return None
