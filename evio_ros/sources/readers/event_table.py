"""Events in arrays of other libraries in any arrangement: columns, records or a matrix."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from evio_ros.errors import EventError
from evio_ros.sources.readers.column_layout import (
    ROLES,
    Layout,
    is_pixel_pair,
    layout_by_values,
    named_columns,
    role_of,
)
from evio_ros.sources.time_unit import TIME_UNITS, TimeUnit

__all__ = [
    "EventTable",
    "SortedTable",
    "column_table",
    "columns_of",
    "matrix_table",
    "record_table",
    "unnamed_table",
]

_SAMPLED_ROWS = 4096
_NUMBERS, _DATES = "iufb", "mM"
"""Kinds of numpy dtypes: numbers; dates and time spans."""


class _Array(Protocol):
    """The required interface of an array, which may be in a file, such as a dataset of h5py."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        ...

    @property
    def dtype(self) -> np.dtype:
        """Type of the elements."""
        ...

    def __getitem__(self, part: Any) -> NDArray[Any]: ...


class EventTable(Protocol):
    """Any arrangement of events."""

    @property
    def event_count(self) -> int:
        """Number of events."""
        ...

    @property
    def unit(self) -> TimeUnit | None:
        """Unit of time in a column's name: s, ms, us or ns; None if there is none."""
        ...

    @property
    def reason(self) -> str:
        """Which columns were chosen, if by their values; "" otherwise."""
        ...

    @property
    def has_seconds(self) -> bool:
        """Whether times consist of a column of whole seconds and one of the rest."""
        ...

    def read(self, part: slice) -> tuple[NDArray[Any], ...]:
        """Columns t, x, y, p of a range of events, in the array's own types."""
        ...


@dataclass(frozen=True, slots=True)
class Column:
    """One column of an array with one or two axes.

    Attributes:
        array: the array.
        place: index of the column, or of the row if `is_turned`; None for a flat array.
        is_turned: whether the events are along the second axis.
    """

    array: _Array
    place: int | None = None
    is_turned: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of values, as a tuple."""
        return (self.array.shape[1 if self.is_turned else 0],)

    @property
    def dtype(self) -> np.dtype:
        """Type of the values."""
        return self.array.dtype

    def __getitem__(self, part: Any) -> NDArray[Any]:
        if self.place is None:
            return self.array[part]
        block = self.array[:, part].T if self.is_turned else self.array[part]
        return block[:, self.place]


def columns_of(array: _Array | Column, count: int) -> list[Column]:
    """The columns of an array that has `count` of them; empty if it has another number."""
    shape = array.shape
    if len(shape) == 1 and count == 1:
        return [Column(array)]
    if len(shape) == 2 and count in shape:
        is_turned = shape[1] != count
        return [Column(array, k, is_turned) for k in range(count)]
    return []


@dataclass(frozen=True, slots=True)
class _ColumnTable:
    """Arrays for each of t, x, y and p, and possibly a fifth for whole seconds."""

    columns: tuple[Column, ...]
    unit: TimeUnit | None = None
    reason: str = ""

    @property
    def event_count(self) -> int:
        """Number of events."""
        return int(self.columns[0].shape[0])

    @property
    def has_seconds(self) -> bool:
        """Whether there is a column of whole seconds."""
        return len(self.columns) > len(ROLES)

    def read(self, part: slice) -> tuple[NDArray[Any], ...]:
        """Columns t, x, y, p of a range of events."""
        t, x, y, p, *seconds = (column[part] for column in self.columns)
        return _with_seconds(t, seconds, self.unit), x, y, p


@dataclass(frozen=True, slots=True)
class _RecordTable:
    """One array of records; `paths` lead to the fields of t, x, y and p, and of whole seconds."""

    array: _Array
    paths: tuple[tuple[str | int, ...], ...]
    unit: TimeUnit | None = None
    reason: str = ""

    @property
    def event_count(self) -> int:
        """Number of events."""
        return int(self.array.shape[0])

    @property
    def has_seconds(self) -> bool:
        """Whether there is a field of whole seconds."""
        return len(self.paths) > len(ROLES)

    def read(self, part: slice) -> tuple[NDArray[Any], ...]:
        """Columns t, x, y, p of a range of events."""
        records = self.array[part].reshape(-1)
        t, x, y, p, *seconds = (_field(records, path) for path in self.paths)
        return _with_seconds(t, seconds, self.unit), x, y, p


@dataclass(frozen=True, slots=True)
class _MatrixTable:
    """One array of numbers with a row for each event, or a column if `is_flat`."""

    array: _Array
    layout: Layout
    is_flat: bool

    @property
    def event_count(self) -> int:
        """Number of events."""
        return int(self.array.shape[1 if self.is_flat else 0])

    @property
    def unit(self) -> TimeUnit | None:
        """Unit of time in a column's name; None if there is none."""
        return self.layout.unit

    @property
    def reason(self) -> str:
        """Which columns were chosen."""
        return self.layout.reason

    @property
    def has_seconds(self) -> bool:
        """Whether there is a column of whole seconds."""
        return self.layout.seconds is not None

    def read(self, part: slice) -> tuple[NDArray[Any], ...]:
        """Columns t, x, y, p of a range of events."""
        rows = self.array[:, part].T if self.is_flat else self.array[part]
        t, x, y, p, *seconds = (rows[:, place] for place in self.layout.all_places)
        return _with_seconds(t, seconds, self.layout.unit), x, y, p


@dataclass(frozen=True, slots=True)
class SortedTable:
    """The events of another table in order of time, in memory.

    Attributes:
        columns: t, x, y, p.
        unit, reason, has_seconds: those of the other table.
    """

    columns: tuple[NDArray[Any], ...]
    unit: TimeUnit | None
    reason: str
    has_seconds: bool

    @classmethod
    def of(cls, table: EventTable) -> SortedTable:
        """Read and sort all events of a table."""
        columns = table.read(slice(0, table.event_count))
        order = np.argsort(columns[0], kind="stable")
        ordered = tuple(column[order] for column in columns)
        return cls(ordered, table.unit, table.reason, table.has_seconds)

    @property
    def event_count(self) -> int:
        """Number of events."""
        return len(self.columns[0])

    def read(self, part: slice) -> tuple[NDArray[Any], ...]:
        """Columns t, x, y, p of a range of events."""
        return tuple(column[part] for column in self.columns)


def _with_seconds(
    t: NDArray[Any], seconds: list[NDArray[Any]], unit: TimeUnit | None
) -> NDArray[Any]:
    """Times as numbers in `unit`, combined with the column of whole seconds if there is one."""
    if t.dtype.kind in _DATES:
        t = t.astype(np.int64)
    if not seconds or unit is None:
        return t
    return t.astype(np.int64) + seconds[0].astype(np.int64) * round(1e6 / TIME_UNITS[unit])


def _field(records: NDArray[Any], path: tuple[str | int, ...]) -> NDArray[Any]:
    """A field, or a part of it."""
    for step in path:
        records = records[step] if isinstance(step, str) else records[:, step]
    return records


def column_table(arrays: Mapping[str, _Array | Column]) -> _ColumnTable | None:
    """Make a table from arrays with suitable names; None if one of the four is missing.

    One array may contain x and y. Arrays may be a single column or row, as in MATLAB.

    Raises:
        EventError: if they are not numeric, or differ in length.
    """
    named: dict[str, _Array | Column] = dict(arrays)
    if named_columns(named) is None:
        pairs = [name for name in named if is_pixel_pair(name)]
        if pairs and len(columns := columns_of(arrays[pairs[0]], 2)) == 2:
            named |= zip("xy", columns, strict=True)
    names = list(named)
    layout = named_columns(names)
    if layout is None:
        return None
    chosen = [names[place] for place in layout.all_places]
    columns = [column for name in chosen for column in _flat(named[name])]
    if len(columns) < len(chosen) or len({column.shape for column in columns}) > 1:
        shapes = {name: named[name].shape for name in chosen}
        raise EventError(f"columns differ in length or are not flat: {shapes}")
    unit = _checked(chosen, [column.dtype for column in columns]) or layout.unit
    return _ColumnTable(tuple(columns), unit)


def unnamed_table(arrays: Mapping[str, _Array]) -> _ColumnTable | None:
    """Make a table from flat arrays of equal length, by their values; None if that is not
    plausible.

    Args:
        arrays: in their order; those of other shapes are ignored.
    """
    flat = [
        Column(array)
        for array in arrays.values()
        if len(array.shape) == 1 and array.dtype.kind in _NUMBERS and array.shape[0] > 1
    ]
    if len(flat) < len(ROLES) or len({column.shape for column in flat}) > 1:
        return None
    rows = slice(0, _SAMPLED_ROWS)
    sample = np.stack([np.asarray(column[rows], np.float64) for column in flat], axis=1)
    layout = layout_by_values(sample)
    if layout is None:
        return None
    chosen = tuple(flat[place] for place in layout.all_places)
    return _ColumnTable(chosen, layout.unit, layout.reason)


def _flat(array: _Array | Column) -> list[Column]:
    """An array as one column; empty if it has several."""
    return [array] if isinstance(array, Column) else columns_of(array, 1)


def record_table(array: _Array) -> _RecordTable | None:
    """Make a table from an array of records with suitable fields; None if it has none.

    Raises:
        EventError: if a field is not numeric, or the array is not flat.
    """
    if array.dtype.names is None:
        return None
    fields = dict(_fields_of(array.dtype))
    names = list(fields)
    layout = named_columns(names) or _block_layout(array, fields)
    if layout is None:
        return None
    if len(array.shape) not in (1, 2) or array.shape[1:] not in ((), (1,)):
        raise EventError(f"the array of records is not flat but {array.shape}")
    chosen = [names[place] for place in layout.all_places]
    unit = _checked(chosen, [fields[name][1] for name in chosen]) or layout.unit
    return _RecordTable(array, tuple(fields[name][0] for name in chosen), unit, layout.reason)


_Fields = dict[str, tuple[tuple[str | int, ...], np.dtype]]
"""Names of a record's fields, their paths, and their types."""


def _block_layout(array: _Array, fields: _Fields) -> Layout | None:
    """The layout of records written by pandas, whose columns have lost their names."""
    if not any(name.startswith("values_block_") for name in fields):
        return None
    if any(kind.kind not in _NUMBERS for _, kind in fields.values()):
        return None
    records = array[0:_SAMPLED_ROWS].reshape(-1)
    sample = [np.asarray(_field(records, path), np.float64) for path, _ in fields.values()]
    return layout_by_values(np.stack(sample, axis=1))


def _fields_of(kind: np.dtype) -> Iterator[tuple[str, tuple[tuple[str | int, ...], np.dtype]]]:
    """Names, paths and types of a record's fields; one of them may contain x and y."""
    for name in kind.names or ():
        field = kind[name]
        if is_pixel_pair(name) and field.subdtype is not None and field.shape == (2,):
            for place, side in enumerate("xy"):
                yield side, ((name, place), field.subdtype[0])
        elif field.subdtype is not None and len(field.shape) == 1 and field.shape[0] <= 16:
            for place in range(field.shape[0]):
                yield f"{name} {place}", ((name, place), field.subdtype[0])
        elif field.names is not None:
            for inner in field.names:
                known = inner if role_of(inner) else f"{name}_{inner}"
                yield known, ((name, inner), field[inner])
        else:
            yield name, ((name,), field)


def matrix_table(array: _Array, names: list[str] | None = None) -> _MatrixTable | None:
    """Make a table from a matrix whose columns, or rows, can be t, x, y and p; None otherwise.

    Args:
        array: numbers, (n, k) or (k, n).
        names: of the k columns, if known.
    """
    if len(array.shape) != 2 or array.dtype.kind not in _NUMBERS or 0 in array.shape:
        return None
    rows, columns = array.shape
    for is_flat in (False, True) if columns <= rows else (True, False):
        width, count = (rows, columns) if is_flat else (columns, rows)
        if not len(ROLES) <= width <= 16:
            continue
        if names is not None and len(names) == width:
            layout = named_columns(names)
            if layout is not None:
                return _MatrixTable(array, layout, is_flat)
        layout = layout_by_values(_sample_rows(array, count, is_flat))
        if layout is not None:
            return _MatrixTable(array, layout, is_flat)
    return None


def _sample_rows(array: _Array, count: int, is_flat: bool) -> NDArray[np.float64]:
    """Rows at the beginning, in the middle and at the end, float64 (n, k)."""
    starts = {0, max(count // 2, 0), max(count - _SAMPLED_ROWS // 4, 0)}
    parts = []
    done = 0
    for start in sorted(starts):
        first = max(start, done)
        done = min(first + (_SAMPLED_ROWS if not start else _SAMPLED_ROWS // 4), count)
        part = array[:, first:done].T if is_flat else array[first:done]
        parts.append(np.asarray(part, np.float64))
    return np.concatenate(parts)


def _checked(names: list[str], kinds: list[np.dtype]) -> TimeUnit | None:
    """Check the types of t, x, y, p; returns the unit of numpy dates, None for plain numbers.

    Raises:
        EventError: if a column is not numeric.
    """
    numbers = list(zip(names, kinds, strict=True))
    unit = _unit_of_dates(kinds[0]) if kinds[0].kind in _DATES else None
    for name, kind in numbers[1:] if unit else numbers:
        if kind.kind not in _NUMBERS:
            raise EventError(f"{name} is of type {kind}, which is not numeric")
    return unit


def _unit_of_dates(kind: np.dtype) -> TimeUnit:
    name, step = np.datetime_data(kind)
    for unit in TIME_UNITS:
        if (name, step) == (unit, 1):
            return unit
    raise EventError(f"times are of type {kind}; supported units are {', '.join(TIME_UNITS)}")
