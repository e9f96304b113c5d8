"""Writing text files; the format is described in `evio_ros.sources.readers.csv_text`."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
from numba import njit

from evio_ros.atomic_file import atomic_file
from evio_ros.events import EventBatch
from evio_ros.sources.writers.event_writer import EventWriter

__all__ = ["CsvWriter", "TextWriter"]

_PIECE_EVENTS = 1 << 16
NEWLINE, ZERO, MINUS, POINT = b"\n0-."
_LONGEST_LINE = 27 + 6 + 6 + 2 + 1


@njit(cache=True, nogil=True)
def _format(t, x, y, polarity, decimals, delimiter, text):
    """Format lines, t with a point before its last `decimals` digits; returns the length."""
    digits = np.empty(32, np.uint8)
    end = 0
    for i in range(t.size):
        for place in range(4):
            value = t[i]
            if place > 0:
                value = np.int64(x[i]) if place == 1 else np.int64(y[i])
            if place == 3:
                value = np.int64(polarity[i])
            if value < 0:
                text[end] = MINUS
                end += 1
                value = -value
            after_point = decimals if place == 0 else 0
            length = 0
            while True:
                digits[length] = ZERO + value % 10
                length += 1
                value //= 10
                if value == 0 and length > after_point:
                    break
                if length == after_point:
                    digits[length] = POINT
                    length += 1
                    after_point = -1
            for k in range(length):
                text[end] = digits[length - 1 - k]
                end += 1
            text[end] = NEWLINE if place == 3 else delimiter
            end += 1
    return end


class CsvWriter(EventWriter):
    """Writes a CSV file: a line with the geometry, the header t,x,y,p, then times in µs."""

    format_name = "CSV"
    unit, decimals, delimiter, names = "us", 0, ",", "t,x,y,p"

    def _open(self, stack: ExitStack) -> None:
        self._file = stack.enter_context(atomic_file(self.path))
        geometry = f"width={self.size.width} height={self.size.height}"
        self._file.write(f"# {geometry} t_unit={self.unit}\n{self.names}\n")

    def _write(self, batch: EventBatch) -> None:
        for first in range(0, len(batch), _PIECE_EVENTS):
            part = batch.slice(first, first + _PIECE_EVENTS)
            text = np.empty(len(part) * _LONGEST_LINE, np.uint8)
            length = _format(
                part.t,
                part.x,
                part.y,
                part.polarity.view(np.uint8),
                self.decimals,
                ord(self.delimiter),
                text,
            )
            self._file.write(text[:length].tobytes())


class TextWriter(CsvWriter):
    """Writes lines `t x y p` as in the data sets of the University of Zurich, with t in s.

    The geometry and the columns' names are comments, which most tools ignore.
    """

    format_name = "text"
    unit, decimals, delimiter, names = "s", 6, " ", "# t x y p"
