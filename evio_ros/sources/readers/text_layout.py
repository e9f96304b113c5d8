"""The layout of a text file, determined from its first lines.

Comments begin with #, % or //. They, or a first line of two numbers, may give the geometry; a
comment or the first other line may name the columns. Otherwise their values decide.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from evio_ros.events import SensorSize
from evio_ros.sources.readers.column_layout import (
    ROLES,
    Layout,
    layout_by_values,
    named_columns,
    role_of,
    unit_named,
)
from evio_ros.sources.readers.event_file import FEWEST_ZEROS
from evio_ros.sources.time_unit import TimeUnit

__all__ = ["TextLayout", "find_text_layout", "geometry_in"]

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
COMMENTS = (b"#", b"%", b"//")
_DELIMITERS = (";", "\t", ",", "|", ":", " ")
_MOST_COMMENTS = 1000
_LONGEST_LINE = 1 << 12
_MOST_FIELDS = 64
_MOST_ROWS = 1500
_FEWEST_SIGNS = 8
"""Minimum number of lines to conclude that polarities are 1 and 2."""
_LEAST_READABLE = 0.9
_LEAST_READABLE_NAMED = 0.5
"""Minimum share of the first lines that must be numbers, without and with names of the columns."""
_SIDE = r"\b(?:sensor[ _]?|image[ _]?)?(width|height|size[ _]?x|size[ _]?y)\b\W{0,5}(\d{1,9})"
_SIDE_NAMES = {"sizex": "width", "sizey": "height"}
_BOTH_SIDES = r"\b(width|height)\W+(?:width|height)\b\W{0,5}(\d{1,9})\s*[x\u00d7,; ]\s*(\d{1,9})"
_PAIR = (
    r"\b(?:geometry|resolution|sensor|sensor[ _]?size|size)\b\W{0,5}"
    r"(\d{1,9})\s*[x\u00d7,; ]\s*(\d{1,9})"
)
_UNIT = r"\b(?:t_unit|time[ _]unit)s?\b\W{1,3}(\w+)"
_ALONE = r"\W*(\d{1,5})\s*[x\u00d7,;\s]\s*(\d{1,5})\W*"
_PAIR_ALONE = r"\d{2,}(?:[\s,;]+|[x\u00d7])\d{2,}"
_TRUTHS = {
    **dict.fromkeys(("true", "on", "t", "pos", "positive", "+"), 1.0),
    **dict.fromkeys(("false", "off", "f", "neg", "negative"), 0.0),
    "-": -1.0,
}


@dataclass(frozen=True, slots=True)
class TextLayout:
    """Layout of a text file.

    Attributes:
        offset: start of the first line of numbers, in bytes.
        delimiter: separator of the fields; a space for any blanks.
        point: decimal separator.
        fields: number of fields in a line.
        columns: which fields are t, x, y and p.
        size: geometry in the file; None if it has none.
        unit: unit of time in the file; None if it has none.
        sample: float64 (n, fields), the first lines.
        time_is_fractional: whether times are written with a point or an exponent.
    """

    offset: int
    delimiter: str
    point: str
    fields: int
    columns: Layout
    size: SensorSize | None
    unit: TimeUnit | None
    sample: NDArray[np.float64]
    time_is_fractional: bool

    @property
    def places(self) -> NDArray[np.int64]:
        """For each field 0 to 3 for t, x, y or p, 4 for whole seconds, or -1; int64 (k,)."""
        places = np.full(self.fields, -1, np.int64)
        places[list(self.columns.places)] = np.arange(4)
        if self.columns.seconds is not None:
            places[self.columns.seconds] = 4
        return places

    @property
    def largest_sign(self) -> int:
        """The largest polarity: 2 if polarities are 1 and 2, otherwise 1."""
        signs = self.sample[:, self.columns.places[3]]
        return 2 if len(signs) >= _FEWEST_SIGNS and set(signs.tolist()) == {1.0, 2.0} else 1

    @property
    def times(self) -> NDArray[np.float64]:
        """Times of the first lines, float64 (n,), in the file's unit."""
        times = self.sample[:, self.columns.places[0]]
        return times[np.isfinite(times)]


@lru_cache(maxsize=2)
def find_text_layout(start: bytes) -> TextLayout | None:
    """Find the layout of a text file with events. Recent results are cached.

    Args:
        start: the file's first bytes; a last line without its end is ignored if there are others.

    Returns:
        The layout; None if the file is not text with events.

    Raises:
        EventError: if the file gives an impossible geometry.
    """
    if start.endswith(bytes(FEWEST_ZEROS)):
        start = start.rstrip(b"\0")
    if b"\0" in start:
        return None
    offset, size, names, starts_cut = 0, None, [], False
    for offset, line in _lines(start):
        text = line.decode("utf-8", "replace").strip()
        if line.lstrip().startswith(COMMENTS):
            size = size or geometry_in(text)
            names.append(text.lstrip("#%/ \t"))
        elif len(line) > _LONGEST_LINE:
            return None
        elif size is None and re.fullmatch(_PAIR_ALONE, text):
            size = geometry_in(text)
        elif text and not _is_row(text):
            if any(part.isalpha() for part in re.split(r"\W+", text)):
                names.append(text)
            elif offset:
                return None
            else:
                # The first line may be incomplete, if the file is a part of another one.
                starts_cut = True
        elif text:
            break
    else:
        return None
    # Width and height may be in separate lines.
    size = size or geometry_in("\n".join(names))
    layout = _layout_of_rows(start, offset, names, size)
    return replace(layout, offset=0) if starts_cut and layout is not None else layout


def geometry_in(text: str) -> SensorSize | None:
    """The geometry in a text such as `640x480`, `geometry:640,480` or `width=640 height=480`.

    Returns:
        The geometry; None if there is none, or if it is 0x0, which a tool left unset.

    Raises:
        EventError: if it is impossible.
    """
    width, height = _sides_in(text)
    return SensorSize(width, height) if width or height else None


def _sides_in(text: str) -> tuple[int, int]:
    """Width and height in a text, 0 if there are none."""
    both = re.search(_BOTH_SIDES, text.lower())
    if both:
        width, height = both.groups()[1:] if both[1] == "width" else both.groups()[:0:-1]
        return int(width), int(height)
    found = [(re.sub(r"[ _]", "", name), side) for name, side in re.findall(_SIDE, text.lower())]
    sides = {_SIDE_NAMES.get(name, name): side for name, side in found}
    if len(sides) == 2:
        return int(sides["width"]), int(sides["height"])
    pair = re.search(_PAIR, text.lower()) or re.fullmatch(_ALONE, text)
    return (int(pair[1]), int(pair[2])) if pair else (0, 0)


def _lines(start: bytes) -> Iterator[tuple[int, bytes]]:
    """Offsets and lines, up to the maximum length of a header."""
    offset = len(_BYTE_ORDER_MARK) if start.startswith(_BYTE_ORDER_MARK) else 0
    for _ in range(_MOST_COMMENTS):
        if offset >= len(start):
            return
        end = start.find(b"\n", offset)
        end = len(start) if end < 0 else end
        yield offset, start[offset:end]
        offset = end + 1


def _is_row(text: str) -> bool:
    """Whether a line is a row of at least four numbers."""
    return any(
        _row(text, delimiter, ".") or _row(text, delimiter, ",") for delimiter in _DELIMITERS
    )


def _fields(text: str, delimiter: str) -> list[str]:
    text = text.strip("\"'()[]{} \t\r")
    if delimiter == " ":
        return text.split()
    return [field.strip("\"'()[]{} \t") for field in text.split(delimiter)]


def _row(text: str, delimiter: str, point: str) -> list[float] | None:
    """The numbers of a row, NaN for other fields; None if it has fewer than four numbers."""
    if point == delimiter:
        return None
    fields = _fields(text, delimiter)
    if not 4 <= len(fields) <= _MOST_FIELDS:
        return None
    row = [_value(field, point) for field in fields]
    return row if sum(value == value for value in row) >= 4 else None


def _value(field: str, point: str) -> float:
    if not re.fullmatch(r"[-+\w.,]+", field, re.ASCII):
        return np.nan
    truth = _TRUTHS.get(field.lower())
    if truth is not None:
        return truth
    if "_" in field or (point == "." and "," in field):
        return np.nan
    try:
        return float(field.replace(point, "."))
    except ValueError:
        return np.nan


def _layout_of_rows(
    start: bytes, offset: int, names: list[str], size: SensorSize | None
) -> TextLayout | None:
    lines = start[offset:].split(b"\n")
    if len(lines) > 1:
        lines = lines[:-1]
    texts = [text for line in lines if (text := line.decode("ascii", "replace").strip())]
    texts = [text for text in texts if not text.encode().startswith(COMMENTS)][:_MOST_ROWS]
    if not texts:
        return None
    for delimiter in _DELIMITERS:
        for point in (".", ","):
            first = _row(texts[0], delimiter, point)
            if first is None:
                continue
            rows = [_row(text, delimiter, point) for text in texts]
            sample = np.array([row for row in rows if row and len(row) == len(first)])
            written = _with_fractions(texts[0], delimiter, point)
            columns = _columns(names, sample, delimiter, written)
            if columns is None:
                if first == list(range(len(first))) and texts[0] not in names:
                    # Some tools number the columns in a separate line.
                    rest = start.find(b"\n", offset) + 1
                    return _layout_of_rows(start, rest, [texts[0]], size) if rest else None
                continue
            least = _LEAST_READABLE if columns.reason else _LEAST_READABLE_NAMED
            if len(sample) >= least * len(texts):
                fractional = columns.places[0] in written
                unit = columns.unit or _unit_in(names)
                return TextLayout(
                    offset, delimiter, point, len(first), columns, size, unit, sample, fractional
                )
    return None


def _unit_in(lines: list[str]) -> TimeUnit | None:
    """The unit of time in a line such as `t_unit=us`."""
    found = (re.search(_UNIT, line.lower()) for line in lines)
    return next((unit for name in found if name and (unit := unit_named(name[1]))), None)


def _with_fractions(text: str, delimiter: str, point: str) -> set[int]:
    """Numbers of the fields that are written with a point or an exponent."""
    fields = [field.lower() for field in _fields(text, delimiter)]
    return {
        k
        for k, field in enumerate(fields)
        if re.fullmatch(r"[-+]?\d*(\.|e)[\d.e+-]*", field.replace(point, "."))
    }


def _columns(
    names: list[str], sample: NDArray[np.float64], delimiter: str, fractions: set[int]
) -> Layout | None:
    """The layout by the last line that names the columns, or by the values."""
    fields = sample.shape[1]
    # Some tools end each line with a delimiter.
    filled = fields - bool(np.isnan(sample[:, -1]).all())
    partly: list[str] | None = None
    for text in reversed(names):
        for named in _split_names(text, delimiter):
            if len(named) not in (filled, fields):
                continue
            layout = named_columns(named)
            if layout is not None:
                return layout
            is_header = delimiter != " " or "\t" in text  # and not a sentence
            if is_header and len(named) > len(ROLES) and not _may_be_events(named):
                return None
            partly = partly or (named + [""] * (fields - len(named)))
    return layout_by_values(sample, partly, fractions)


def _may_be_events(names: list[str]) -> bool:
    """Whether any name is that of x, y or p, or is no name; tables of other things have none."""
    said = [role_of(name) for name in names]
    is_named = all(any(map(str.isalpha, name)) for name in names)
    return not is_named or any(one is not None and one.role != "t" for one in said)


def _split_names(text: str, delimiter: str) -> Iterator[list[str]]:
    """A line's parts, if they are names; text before a colon may not be one of them."""
    for line in (text, text.partition(":")[2]):
        # A unit in brackets belongs to the name before it.
        joined = re.sub(r"\s+(?=[\[(<{])", "", line)
        yield _fields(joined, delimiter) if delimiter != " " else joined.split()
        yield [part for part in re.split(r"[,;|\s]+", joined) if part]
