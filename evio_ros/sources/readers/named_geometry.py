"""Geometry of the sensor that a file of arrays names, in attributes or in small arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from evio_ros.events import SensorSize
from evio_ros.sources.readers.text_layout import geometry_in

__all__ = ["GEOMETRY_NAMES", "geometry_of", "named_geometry"]

_SIDES = (
    ("width", "height"),
    ("sensor_width", "sensor_height"),
    ("image_width", "image_height"),
    ("size_x", "size_y"),
    ("w", "h"),
)
_PAIRS = ("geometry", "sensor_resolution", "sensor_size", "resolution", "sensor_geometry", "size")
GEOMETRY_NAMES = frozenset([*_PAIRS, *(name for pair in _SIDES for name in pair)])
"""What a geometry may be called."""
_PLACES = ("", "calib/")
"""Where M3ED has it, among others."""


def named_geometry(holders: Iterable[Any]) -> SensorSize | None:
    """The geometry that the first of some HDF5 objects names; None where none does.

    Args:
        holders: datasets or groups, the closest to the events first.

    Raises:
        EventError: where it is impossible.
    """
    for holder in holders:
        size = geometry_of(holder.attrs)
        if size is not None:
            return size
        for place in _PLACES:
            found = {name: _child(holder, place + name) for name in GEOMETRY_NAMES}
            values = {name: value for name, value in found.items() if value is not None}
            size = geometry_of(values)
            if size is not None:
                return size
    return None


def geometry_of(values: Mapping[str, Any]) -> SensorSize | None:
    """The geometry that named values tell, as width and height or as a pair of numbers or a text.

    Of a pair the larger number is the width: some write height first, and sensors lie on their
    longer side.

    Raises:
        EventError: where it is impossible.
    """
    for width, height in _SIDES:
        if width in values and height in values:
            sides = _numbers(values[width]), _numbers(values[height])
            if len(sides[0]) == len(sides[1]) == 1:
                return SensorSize(sides[0][0], sides[1][0])
    for name in _PAIRS:
        if name in values:
            numbers = _numbers(values[name])
            if len(numbers) >= 2:
                return SensorSize(max(numbers[:2]), min(numbers[:2]))
    return None


def _child(holder: Any, name: str) -> Any:
    """A small dataset's value; None where there is none."""
    if not hasattr(holder, "keys"):
        return None
    found = holder.get(name)
    if not hasattr(found, "dtype") or found.size is None or not 1 <= found.size <= 4:
        return None
    if found.dtype.kind not in "iufSOU":
        return None
    value = found[()]
    return value if isinstance(value, bytes | str) else np.ravel(value)


def _numbers(value: Any) -> list[int]:
    """The whole numbers in a value; none where it is something else."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.ravel()[0]
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str):
        size = geometry_in(value)
        return [size.width, size.height] if size else []
    numbers = np.ravel(np.asarray(value))
    if numbers.size > 4 or numbers.dtype.kind not in "iuf" or not np.isfinite(numbers).all():
        return []
    return [int(number) for number in numbers]
