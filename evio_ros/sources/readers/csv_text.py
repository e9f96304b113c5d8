"""Events as text: CSV with a header line, or plain lines `t x y p` without one.

CSV: columns t (µs) or t_s (seconds), x, y and p in any order, others are left alone; lines that
begin with # come before the header and may hold `width=640 height=480`. Plain text, as public data
sets have it: t in seconds, x, y, p, parted by blanks. Seconds are read digit by digit, so that no
microsecond is lost to rounding.
"""

from __future__ import annotations

import re

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.errors import EventError, SourceError
from evio_ros.events import SensorSize
from evio_ros.sources.raw_columns import RawColumns
from evio_ros.sources.readers.event_file import EventFile
from evio_ros.sources.readers.file_start import FileStart
from evio_ros.sources.readers.recording import REORDER_WINDOW_US

__all__ = ["CsvFile"]

MICROSECONDS = ("t", "ts", "t_us", "time", "time_us", "timestamp", "timestamp_us")
SECONDS = ("t_s", "time_s", "timestamp_s")
NAMES = {
    0: (*MICROSECONDS, *SECONDS),
    1: ("x",),
    2: ("y",),
    3: ("p", "pol", "polarity", "on"),
}
PIECE_BYTES = 1 << 20
LONGEST_LINE = 1 << 12
MOST_COLUMNS = 64
PLAIN_LINE = re.compile(rb"\d+\.\d+[ \t]+\d+[ \t]+\d+[ \t]+(-1|0|1)[ \t]*")
SHORTEST_LINE = 8
MOST_DIGITS = 18
OUTSIDE = (1 << 16) - 1
"""Stands for a coordinate that uint16 cannot hold; it is outside any usual geometry."""
TAB, NEWLINE, RETURN, SPACE, COMMA, MINUS, POINT, ZERO, NINE = b"\t\n\r ,-.09"


@njit(cache=True, nogil=True)
def _number(text, position):
    """Read a decimal number.

    Returns its digits as an integer, how many of them are after the point (further ones than 6 are
    rounded off), and where it ends; that is where it began if there is none or it is too long.
    """
    start, number, digits, fraction = position, np.int64(0), 0, -1
    negative = position < text.size and text[position] == MINUS
    if negative:
        position += 1
    while position < text.size and digits <= MOST_DIGITS:
        byte = text[position]
        if byte == POINT and fraction < 0:
            fraction = 0
        elif NINE >= byte >= ZERO:
            digits += 1
            if fraction < 6:
                number = number * 10 + (byte - ZERO)
            elif fraction == 6 and byte >= ZERO + 5:
                number += 1
            if fraction >= 0:
                fraction += 1
        else:
            break
        position += 1
    if digits == 0 or digits > MOST_DIGITS:
        return number, 0, start
    return -number if negative else number, max(min(fraction, 6), 0), position


@njit(cache=True, nogil=True)
def _blanks(text, position):
    """Where blanks end."""
    while position < text.size:
        byte = text[position]
        if byte != SPACE and byte != TAB and byte != RETURN:
            break
        position += 1
    return position


@njit(cache=True, nogil=True)
def _line(text, position, places, seconds, values):
    """Read one line; returns where the next begins, or -1 where it is no event."""
    for field in range(places.size):
        # A call costs as much as a field, so blanks are looked for where there are some.
        if position < text.size and text[position] <= SPACE:
            position = _blanks(text, position)
        place = places[field]
        if place < 0:
            while position < text.size and text[position] != COMMA and text[position] != NEWLINE:
                position += 1
        else:
            values[place], fraction, end = _number(text, position)
            if end == position or (fraction and (place or not seconds)):
                return -1
            if place == 0 and seconds:
                values[0] *= 10 ** (6 - fraction)
            position = end
        before = position
        if position < text.size and text[position] <= SPACE:
            position = _blanks(text, position)
        if position < text.size and text[position] == COMMA:
            position += 1
        elif field < places.size - 1 and position == before:
            return -1
    at_end = position >= text.size or text[position] == NEWLINE
    return position + 1 if at_end else -1


@njit(cache=True, nogil=True)
def _parse(text, places, seconds, t, x, y, polarity):
    """Parse lines that end in a newline; `places` tells which of t, x, y, p a field is, or -1.

    Returns the number of events, the bytes used, and the offset of the first bad line or -1.
    """
    values = np.zeros(4, np.int64)
    count, position = 0, 0
    while position < text.size:
        if text[position] <= SPACE:
            start = _blanks(text, position)
            if start == text.size or text[start] == NEWLINE:
                position = start + 1
                continue
        end = _line(text, position, places, seconds, values)
        if end < 0 or not -1 <= values[3] <= 1:
            return count, position, position
        t[count] = values[0]
        x[count] = values[1] if 0 <= values[1] < OUTSIDE else OUTSIDE
        y[count] = values[2] if 0 <= values[2] < OUTSIDE else OUTSIDE
        polarity[count] = values[3] > 0
        count += 1
        position = end
    return count, min(position, text.size), -1


class CsvFile(EventFile):
    """A recording in a text file.

    Args:
        path: name of the file.
        size: geometry; None for the file's, or where it has none, a guess.
    """

    format_name = "CSV"

    @classmethod
    def recognises(cls, start: FileStart) -> bool:
        """Whether the file begins with a header line of the four columns, or with a plain event."""
        lines = start.data.split(b"\n")
        for line in lines[: 1 + MOST_COLUMNS]:
            if not line.startswith(b"#"):
                plain = PLAIN_LINE.fullmatch(line.rstrip(b"\r")) is not None
                return plain or _places(line) is not None
        return False

    def _prepare(self) -> SensorSize | None:
        size, offset = None, 0
        start = bytes(self._read_at(0, min(self._file_bytes(), 1 << 16)))
        while start[offset : offset + 1] == b"#":
            end = start.find(b"\n", offset)
            if end < 0:
                raise SourceError(self.path, "the comments do not end", offset)
            size = size or self._size_in(start[offset:end], offset)
            offset = end + 1
        line = start[offset:].split(b"\n", 1)[0]
        places = _places(line)
        if places is None:
            self._places, self._seconds = np.arange(4), True
        else:
            self._places, self._seconds = places
            offset += len(line) + 1
        self._data_offset, self._next = offset, offset
        self._end = self._file_bytes()
        if self._end <= offset:
            raise SourceError(self.path, "has a header but no events", offset)
        return size

    def _read_piece(self) -> RawColumns | None:
        if self._next >= self._end:
            return None
        columns, self._next = self._read_lines(self._next)
        return columns

    def _go_to(self, t_us: int | None) -> None:
        low, high = self._data_offset, self._end if t_us is not None else self._data_offset
        while high - low > LONGEST_LINE:
            middle = self._line_after((low + high) // 2)
            if middle >= high:
                break
            if self._time_after(middle) < t_us - REORDER_WINDOW_US:  # type: ignore[operator]
                low = middle
            else:
                high = middle
        self._next = low

    def _read_lines(self, first: int) -> tuple[RawColumns, int]:
        """Events of the whole lines of one piece, and the offset after them."""
        length = min(PIECE_BYTES, self._end - first)
        data = bytes(self._read_at(first, length))
        if first + length < self._end:
            length = data.rfind(b"\n") + 1
            if not length:
                raise SourceError(self.path, "a line is longer than a megabyte", first)
        columns = RawColumns.empty(length // SHORTEST_LINE + 1)
        count, _, bad = _parse(
            np.frombuffer(data, np.uint8, length),
            self._places,
            self._seconds,
            columns.t,
            columns.x,
            columns.y,
            columns.polarity,
        )
        if bad >= 0:
            line = data[bad : bad + LONGEST_LINE].split(b"\n", 1)
            # A last line without its end may have been cut off.
            if first + bad + len(line[0]) >= self._end:
                self.statistics.truncated_bytes = len(line[0])
            else:
                shown = line[0][:40].decode("ascii", "replace")
                raise SourceError(self.path, f"is no event: {shown!r}", first + bad)
        return columns.select(slice(0, count)), first + length

    def _line_after(self, offset: int) -> int:
        """Where the next line begins at or after an offset."""
        if offset <= self._data_offset:
            return self._data_offset
        length = min(LONGEST_LINE, self._end - offset + 1)
        end = bytes(self._read_at(offset - 1, length)).find(b"\n")
        return offset + end if end >= 0 else self._end

    def _time_after(self, offset: int) -> int:
        length = min(LONGEST_LINE, self._end - offset)
        line = bytes(self._read_at(offset, length)).split(b"\n", 1)[0] + b"\n"
        columns = RawColumns.empty(len(line) // SHORTEST_LINE + 1)
        count, _, _ = _parse(
            np.frombuffer(line, np.uint8),
            self._places,
            self._seconds,
            columns.t,
            columns.x,
            columns.y,
            columns.polarity,
        )
        if not count:
            raise SourceError(self.path, f"is no event: {line[:40]!r}", offset)
        return int(columns.t[0])

    def _size_in(self, line: bytes, offset: int) -> SensorSize | None:
        found = dict(re.findall(rb"(width|height)\s*[=:]\s*(\d{1,9})", line.lower()))
        if len(found) < 2:
            return None
        try:
            return SensorSize(int(found[b"width"]), int(found[b"height"]))
        except EventError as error:
            raise SourceError(self.path, f"the geometry is impossible: {error}", offset) from None


def _places(line: bytes) -> tuple[NDArray[np.int64], bool] | None:
    """For each field of a header line which of t, x, y, p it is or -1, and whether t is seconds."""
    if len(line) > LONGEST_LINE:
        return None
    names = [name.strip().strip('"') for name in line.decode("ascii", "replace").lower().split(",")]
    places = [next((k for k, known in NAMES.items() if name in known), -1) for name in names]
    if sorted(place for place in places if place >= 0) != [0, 1, 2, 3]:
        return None
    return np.array(places[:MOST_COLUMNS], np.int64), names[places.index(0)] in SECONDS
