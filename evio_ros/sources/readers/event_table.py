"""Events in arrays of other libraries, in whatever arrangement: columns, records or a matrix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from evio_ros.errors import EventError
from evio_ros.sources.readers.column_layout import (
    ROLES,
    Layout,
    layout_by_values,
    named_columns,
    role_of,
)
from evio_ros.sources.time_unit import TimeUnit

__all__ = ["EventTable", "column_table", "matrix_table", "record_table"]

_SAMPLED_ROWS = 4096
_NUMBERS = "iufb"


class _Array(Protocol):
    """What is needed of an array that may lie in a file; h5py's datasets are such."""

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
        """Unit of time that a name holds: s, ms, us or ns."""
        ...

    @property
    def reason(self) -> str:
        """What was taken for what, where the values had to tell."""
        ...

    def read(self, part: slice) -> tuple[NDArray[Any], ...]:
        """Columns t, x, y, p of a range of events, of the array's own types."""
        ...


@dataclass(frozen=True, slots=True)
class _ColumnTable:
    """An array for each of t, x, y and p; one of two columns may hold x and y."""

    arrays: tuple[_Array, ...]
    unit: TimeUnit | None = None
    reason: str = ""

    @property
    def event_count(self) -> int:
        """Number of events."""
        return int(self.arrays[0].shape[0])

    def read(self, part: slice) -> tuple[NDArray[Any], ...]:
        """Columns t, x, y, p of a range of events."""
        columns = [array[part] for array in self.arrays]
        if len(columns) == len(ROLES):
            return tuple(columns)
        t, xy, p = columns
        return t, xy[:, 0], xy[:, 1], p


@dataclass(frozen=True, slots=True)
class _RecordTable:
    """One array of records; `names` are the fields of t, x, y and p."""

    array: _Array
    names: tuple[str, ...]
    unit: TimeUnit | None = None
    reason: str = ""

    @property
    def event_count(self) -> int:
        """Number of events."""
        return int(self.array.shape[0])

    def read(self, part: slice) -> tuple[NDArray[Any], ...]:
        """Columns t, x, y, p of a range of events."""
        records = self.array[part].reshape(-1)
        return tuple(records[name] for name in self.names)


@dataclass(frozen=True, slots=True)
class _MatrixTable:
    """One array of numbers with a row for each event, or a column where `is_flat` is set."""

    array: _Array
    layout: Layout
    is_flat: bool

    @property
    def event_count(self) -> int:
        """Number of events."""
        return int(self.array.shape[1 if self.is_flat else 0])

    @property
    def unit(self) -> TimeUnit | None:
        """Unit of time that a name holds."""
        return self.layout.unit

    @property
    def reason(self) -> str:
        """What was taken for what."""
        return self.layout.reason

    def read(self, part: slice) -> tuple[NDArray[Any], ...]:
        """Columns t, x, y, p of a range of events."""
        rows = self.array[:, part].T if self.is_flat else self.array[part]
        return tuple(rows[:, place] for place in self.layout.places)


def column_table(arrays: Mapping[str, _Array]) -> _ColumnTable | None:
    """The table that arrays of the right names make; None where one of the four is missing.

    Raises:
        EventError: where they are of no numbers, differ in length or are not flat.
    """
    names = list(arrays)
    layout = named_columns(names)
    if layout is not None:
        chosen = [names[place] for place in layout.places]
    else:
        pairs = [name for name in names if name.lower().split("_")[-1] in ("xy", "xys")]
        said = {name: role_of(name) for name in reversed(names)}
        roles = {found.role: name for name, found in said.items() if found is not None}
        units = [found.unit for found in said.values() if found is not None and found.unit]
        if not pairs or not {"t", "p"} <= roles.keys():
            return None
        chosen = [roles["t"], pairs[0], roles["p"]]
        layout = Layout((0, 1, 1, 2), units[0] if units else None)
    shapes = {name: arrays[name].shape for name in chosen}
    wanted = [(2,) if len(chosen) == 3 and k == 1 else () for k in range(len(chosen))]
    rows = {shape[:1] for shape in shapes.values()}
    if len(rows) > 1 or [shape[1:] for shape in shapes.values()] != wanted:
        raise EventError(f"columns differ in length or are not flat: {shapes}")
    for name in chosen:
        _check_numbers(name, arrays[name].dtype)
    return _ColumnTable(tuple(arrays[name] for name in chosen), layout.unit)


def record_table(array: _Array) -> _RecordTable | None:
    """The table that an array of records with the right fields makes.

    Raises:
        EventError: where a field is of no numbers, or the array is not flat.
    """
    names = array.dtype.names or ()
    layout = named_columns(names)
    if layout is None:
        return None
    if len(array.shape) not in (1, 2) or array.shape[1:] not in ((), (1,)):
        raise EventError(f"records are not flat but {array.shape}")
    chosen = tuple(names[place] for place in layout.places)
    for name in chosen:
        _check_numbers(name, array.dtype[name])
    return _RecordTable(array, chosen, layout.unit)


def matrix_table(array: _Array, names: list[str] | None = None) -> _MatrixTable | None:
    """The table that a matrix makes whose columns, or rows, can be t, x, y and p.

    Args:
        array: numbers, (n, k) or (k, n).
        names: of the k columns, where something tells them.
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


def _check_numbers(name: str, dtype: np.dtype) -> None:
    if dtype.kind not in _NUMBERS:
        raise EventError(f"{name} is of {dtype}, not of numbers")
