"""Conversion of events from and to other libraries: structured arrays, Polars frames, columns.

Input is checked: a missing field, a wrong dtype, a time without a unit and a value out of range
raise an error that names them. Polars is imported only to create a frame.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from evio_ros.errors import EventError, EvioError
from evio_ros.events import EventBatch, SensorSize

if TYPE_CHECKING:
    import polars

    EventForm = (
        EventBatch
        | NDArray[np.void]
        | polars.DataFrame
        | polars.LazyFrame
        | Mapping[str, ArrayLike]
    )

__all__ = [
    "METAVISION_EVENT",
    "TONIC_EVENT",
    "EventForm",
    "events_from",
    "events_from_array",
    "events_from_columns",
    "events_from_polars",
    "events_to_array",
    "events_to_columns",
    "events_to_polars",
]

METAVISION_EVENT = np.dtype([("x", "<u2"), ("y", "<u2"), ("p", "<i2"), ("t", "<i8")], align=True)
"""dtype of the event arrays of Metavision and OpenEB (`metavision_sdk_base.EventCD`)."""

TONIC_EVENT = np.dtype([("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "?")])
"""dtype of the event arrays of Tonic (`tonic.io.events_struct`)."""

_TimeUnit = Literal["s", "ms", "us", "ns"]

_MICROSECONDS: dict[_TimeUnit, tuple[int, int]] = {
    "s": (1_000_000, 1),
    "ms": (1_000, 1),
    "us": (1, 1),
    "ns": (1, 1_000),
}
"""Microseconds in each unit, as numerator and denominator."""

_COLUMN_NAMES = {
    "t": ("t", "ts", "timestamp", "timestamps"),
    "x": ("x", "xs"),
    "y": ("y", "ys"),
    "p": ("p", "ps", "pol", "polarity"),
}
"""Names of each column in other libraries, by its name here."""


def events_from(
    data: EventForm, size: SensorSize | None = None, time_unit: _TimeUnit | None = None
) -> EventBatch:
    """Events in any form supported by this module, chosen by the type of `data`.

    Args:
        data: an `EventBatch`, which is returned as it is; a structured array, see
            `events_from_array`; a Polars frame, see `events_from_polars`; or a mapping from the
            names in `_COLUMN_NAMES` to columns, see `events_from_columns`.
        size: geometry of the sensor; not needed for an `EventBatch`.
        time_unit: unit of the times, see `events_from_columns`.

    Raises:
        EventError: if `data` is of another type, `size` is missing or differs from that of the
            `EventBatch`, or the conversion fails.
    """
    if isinstance(data, EventBatch):
        if size is not None and size != data.size:
            raise EventError(f"size: {size} was given for events of a {data.size} sensor")
        return data
    if isinstance(data, np.ndarray):
        convert: Callable[..., EventBatch] = events_from_array
    elif _is_polars(data):
        convert = events_from_polars
    elif isinstance(data, Mapping):
        convert = _events_from_mapping
    else:
        raise EventError(
            f"a {type(data).__name__} holds no events: supported are EventBatch, structured numpy "
            "arrays, Polars frames and mappings of columns t, x, y, p"
        )
    if size is None:
        raise EventError("size: give the sensor's geometry, as size=SensorSize(width, height)")
    return convert(data, size, time_unit)


def events_from_array(
    array: NDArray[np.void], size: SensorSize, time_unit: _TimeUnit | None = None
) -> EventBatch:
    """Events of a structured array, such as Metavision's (x, y, p, t) and Tonic's (x, y, t, p).

    Args:
        array: shape (n,), with the fields t, x, y and p, or their other names in `_COLUMN_NAMES`,
            in any order and of any width; other fields are ignored. The array is copied.
        size: geometry of the sensor.
        time_unit: unit of the times, see `events_from_columns`.

    Raises:
        EventError: if the array is not structured, a field is missing or has a wrong dtype, a value
            is out of range, or time goes back.
    """
    if not isinstance(array, np.ndarray) or array.dtype.names is None:
        raise EventError(
            "not a structured array with fields t, x, y, p; for separate columns there is "
            "events_from_columns"
        )
    return _events_from_named(array.dtype.names, array.__getitem__, size, time_unit)


def events_from_polars(
    frame: polars.DataFrame | polars.LazyFrame, size: SensorSize, time_unit: _TimeUnit | None = None
) -> EventBatch:
    """Events of a Polars frame, such as `evlib.load_events` returns.

    Args:
        frame: columns t (a Duration, or numbers), x, y and polarity, or their other names in
            `_COLUMN_NAMES`, in any order; a lazy frame is collected.
        size: geometry of the sensor.
        time_unit: unit of times that are not a Duration, see `events_from_columns`.

    Raises:
        EventError: if a column is missing, holds nulls or has a wrong dtype, a value is out of
            range, or time goes back.
    """
    if not _is_polars(frame):
        raise EventError(f"a {type(frame).__name__} is not a Polars frame")
    collected: Any = frame.collect() if hasattr(frame, "collect") else frame

    def column(name: str) -> NDArray[Any]:
        series = collected[name]
        if series.null_count():
            raise EventError(f"{name} has {series.null_count()} nulls of {len(series)} values")
        values: NDArray[Any] = series.to_numpy()
        return values

    return _events_from_named(collected.columns, column, size, time_unit)


def events_from_columns(
    t: ArrayLike,
    x: ArrayLike,
    y: ArrayLike,
    polarity: ArrayLike,
    size: SensorSize,
    time_unit: _TimeUnit | None = None,
) -> EventBatch:
    """Events of four columns of equal length n: arrays, lists or anything numpy can convert.

    Args:
        t: (n,) sensor times, never decreasing: integers, timedelta64 or, with `time_unit`, floats.
            They are rounded to whole microseconds.
        x, y: (n,) integers, column and row of the pixel, 0 at the top left.
        polarity: (n,) bool, or integers 0 and 1, or -1 and 1; 1 is ON (brighter).
        size: geometry of the sensor.
        time_unit: unit of `t`; None for microseconds, or for the unit of a timedelta64.

    Returns:
        A batch; columns that already have its dtypes are views, the others copies.

    Raises:
        EventError: if a dtype or shape is wrong, floats have no unit or are not finite, a value is
            out of range, or time goes back.
    """
    return EventBatch(
        size,
        _times(_column("t", t), time_unit),
        _coordinates("x", _column("x", x), size.width),
        _coordinates("y", _column("y", y), size.height),
        _polarity(_column("polarity", polarity)),
    )


def events_to_array(events: EventBatch, dtype: DTypeLike = METAVISION_EVENT) -> NDArray[np.void]:
    """A structured array (n,) of the events.

    Args:
        events: the events.
        dtype: any of the fields t, x, y and p, or of the other names that `events_from_array`
            takes; integers or bool. Times are in microseconds, polarities 0 and 1.

    Raises:
        EventError: if a field has another name, or is too narrow for a value.
    """
    element: np.dtype[Any] = np.dtype(dtype)
    if element.names is None:
        raise EventError(f"dtype: {element} has no fields")
    columns = events_to_columns(events)
    array: NDArray[np.void] = np.empty(len(events), element)
    for field in element.names:
        name = next((name for name, known in _COLUMN_NAMES.items() if field in known), None)
        if name is None:
            raise EventError(f"dtype: events have no column {field}")
        array[field] = _narrowed(field, columns[name], element[field])
    return array


def events_to_polars(events: EventBatch) -> polars.DataFrame:
    """A Polars frame as in evlib: x, y Int16, t a Duration in us, polarity Int8 -1 and 1.

    Raises:
        EvioError: if Polars is not installed.
        EventError: if a coordinate is above 32767.
    """
    try:
        import polars
    except ImportError:
        raise EvioError("Polars is not installed: pip install 'evio_ros[polars]'") from None
    narrow = np.dtype(np.int16)
    return polars.DataFrame(
        {
            "x": _narrowed("x", events.x, narrow),
            "y": _narrowed("y", events.y, narrow),
            "t": events.t.view("timedelta64[us]"),
            "polarity": np.where(events.polarity, np.int8(1), np.int8(-1)),
        }
    )


def events_to_columns(events: EventBatch) -> dict[str, NDArray[Any]]:
    """Read-only views of the columns t (int64, µs), x, y (uint16) and p (bool), by name."""
    return {"t": events.t, "x": events.x, "y": events.y, "p": events.polarity}


def _is_polars(data: object) -> bool:
    """Whether `data` is a Polars frame, without importing Polars."""
    kind = type(data)
    return kind.__module__.partition(".")[0] == "polars" and kind.__name__.endswith("Frame")


def _events_from_mapping(
    columns: Mapping[str, ArrayLike], size: SensorSize, time_unit: _TimeUnit | None
) -> EventBatch:
    return _events_from_named(tuple(columns), columns.__getitem__, size, time_unit)


def _events_from_named(
    names: tuple[str, ...] | list[str],
    column: Callable[[str], ArrayLike],
    size: SensorSize,
    time_unit: _TimeUnit | None,
) -> EventBatch:
    """Events of columns looked up by their names."""
    found = []
    for known in _COLUMN_NAMES.values():
        present = [each for each in known if each in names]
        if len(present) != 1:
            problem = f"both {' and '.join(present)}" if present else f"no {' or '.join(known)}"
            raise EventError(f"{problem} among the columns {', '.join(map(str, names))}")
        found.append(column(present[0]))
    t, x, y, polarity = found
    return events_from_columns(t, x, y, polarity, size, time_unit)


def _column(name: str, values: ArrayLike) -> NDArray[Any]:
    try:
        column = np.asarray(values)
    except ValueError as error:
        raise EventError(f"{name} cannot be made an array: {error}") from None
    if column.ndim != 1:
        raise EventError(f"{name} has {column.ndim} dimensions, not 1")
    # An empty list has numpy's default dtype, float64, which must not be refused.
    return np.empty(0, np.int64) if not len(column) else column


def _times(t: NDArray[Any], unit: _TimeUnit | None) -> NDArray[np.int64]:
    """Whole microseconds."""
    if unit is not None and unit not in _MICROSECONDS:
        raise EventError(f"time_unit: {unit!r} is not one of {', '.join(_MICROSECONDS)}")
    if t.dtype.kind == "m":
        t, unit = _without_unit(t, unit)
    if t.dtype.kind == "f" and unit is None:
        raise EventError(f"t is {t.dtype} without a unit: give time_unit='s', 'ms', 'us' or 'ns'")
    if t.dtype.kind not in "iuf":
        raise EventError(f"t is {t.dtype}, not integers, timedelta64 or floats with a unit")
    factor, divisor = _MICROSECONDS[unit or "us"]
    _refuse_too_large(t, factor / divisor)
    if t.dtype.kind == "f":
        _refuse_coarse(t, factor / divisor)
        return np.rint(t.astype(np.float64) * factor / divisor).astype(np.int64)
    whole = np.ascontiguousarray(t, np.int64)
    if divisor > 1:
        return (whole + divisor // 2) // divisor
    return whole * factor if factor > 1 else whole


def _without_unit(t: NDArray[Any], unit: _TimeUnit | None) -> tuple[NDArray[np.int64], _TimeUnit]:
    """The numbers of a timedelta64 column, and their unit."""
    if unit is not None:
        raise EventError(f"time_unit: t is {t.dtype}, which already has a unit")
    if np.isnat(t).any():
        raise EventError(f"t of event {int(np.isnat(t).argmax())} is not a time")
    for known in _MICROSECONDS:
        if t.dtype == np.dtype(f"timedelta64[{known}]"):
            return t.astype(np.int64), known
    raise EventError(f"t is {t.dtype}, not timedelta64 of s, ms, us or ns")


def _refuse_too_large(t: NDArray[Any], to_us: float) -> None:
    """Raise EventError if a time is not finite or does not fit into int64 microseconds."""
    largest = float(np.iinfo(np.int64).max) / max(to_us, 1.0)
    # Comparisons with NaN are false.
    fits = np.abs(t.astype(np.float64)) < largest
    if not fits.all():
        index = int(fits.argmin())
        raise EventError(f"t = {t[index]} of event {index} does not fit into int64 us")


def _refuse_coarse(t: NDArray[Any], to_us: float) -> None:
    """Raise EventError if float times are so large that their resolution is coarser than 1 us."""
    if not len(t):
        return
    largest = np.abs(t).max()
    step_us = float(np.spacing(largest)) * to_us
    if step_us > 1.0:
        raise EventError(f"t is {t.dtype}, whose resolution at {largest:g} is {step_us:.3g} us")


def _coordinates(name: str, column: NDArray[Any], side: int) -> NDArray[np.uint16]:
    if column.dtype.kind not in "iu":
        raise EventError(f"{name} is {column.dtype}, not integers")
    outside = (column < 0) | (column >= side)
    if outside.any():
        index = int(outside.argmax())
        raise EventError(f"{name} = {column[index]} of event {index} is outside 0 to {side - 1}")
    return np.ascontiguousarray(column, np.uint16)


def _polarity(column: NDArray[Any]) -> NDArray[np.bool_]:
    if column.dtype.kind == "b":
        return np.ascontiguousarray(column)
    if column.dtype.kind not in "iu":
        raise EventError(f"polarity is {column.dtype}, not bool or integers")
    on = column == 1
    off = int(column.min(initial=1))
    others = ~on & (column != off)
    if others.any() or off not in (-1, 0, 1):
        index = int(others.argmax() if others.any() else column.argmin())
        raise EventError(
            f"polarity = {column[index]} of event {index}: not all are 0 and 1, or -1 and 1"
        )
    return on


def _narrowed(name: str, column: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """A column as another dtype, which must hold all its values."""
    if dtype.kind not in "iub" or (dtype.kind == "b" and column.dtype.kind != "b"):
        raise EventError(f"{name}: {dtype} cannot hold a column of {column.dtype}")
    if dtype.kind != "b" and len(column):
        limits, low, high = np.iinfo(dtype), int(column.min()), int(column.max())
        if low < limits.min or high > limits.max:
            raise EventError(f"{name}: {dtype} cannot hold {low} to {high}")
    return column.astype(dtype)
