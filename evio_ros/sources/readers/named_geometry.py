"""Geometry of the sensor from attributes or small arrays in a file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from evio_ros.events import SensorSize
from evio_ros.sources.readers.text_layout import geometry_in

__all__ = ["geometry_of", "is_geometry_name", "named_geometry"]

_SIDES = (
    ("width", "height"),
    ("sensorwidth", "sensorheight"),
    ("imagewidth", "imageheight"),
    ("framewidth", "frameheight"),
    ("sizex", "sizey"),
    ("w", "h"),
)
_PAIRS = (
    "geometry",
    "sensorresolution",
    "sensorsize",
    "resolution",
    "sensorgeometry",
    "imagesize",
    "imageresolution",
    "framesize",
    "deviceaddressspace",
    "size",
)
_NAMES = frozenset([*_PAIRS, *(name for pair in _SIDES for name in pair)])
"""Names of a geometry, without blanks and punctuation."""
_PLACES = ("", "calib/")
"""Groups that may contain the geometry; the second is M3ED's."""


def is_geometry_name(name: str) -> bool:
    """Whether a name, in upper or lower case, may be that of a geometry."""
    return _plain(name) in _NAMES


def _plain(name: str) -> str:
    return re.sub(r"[\s_\-]+", "", name.lower())


def named_geometry(holders: Iterable[Any]) -> SensorSize | None:
    """The geometry from the first of some HDF5 objects that has one; None if none has.

    Args:
        holders: datasets or groups, the closest to the events first.

    Raises:
        EventError: if it is impossible.
    """
    for holder in holders:
        size = geometry_of(holder.attrs)
        if size is not None:
            return size
        for place in _PLACES:
            found = {name: _child(holder, place + name) for name in _children(holder, place)}
            size = geometry_of({name: value for name, value in found.items() if value is not None})
            if size is not None:
                return size
    return None


def geometry_of(values: Mapping[str, Any]) -> SensorSize | None:
    """The geometry from named values: width and height, a pair of numbers, or a text.

    A geometry of 0x0 is none: a tool left it unset.
    The larger number of a pair is the width: some files have the height first, and sensors are
    wider than high. In a text such as 720x1280, the first number is the width.

    Raises:
        EventError: if it is impossible.
    """
    plain = {_plain(name): value for name, value in values.items() if is_geometry_name(name)}
    for width, height in _SIDES:
        if width in plain and height in plain:
            sides = _numbers(plain[width]), _numbers(plain[height])
            if len(sides[0]) == len(sides[1]) == 1 and any(sides[0] + sides[1]):
                return SensorSize(sides[0][0], sides[1][0])
    for name in _PAIRS:
        if name in plain:
            numbers = _numbers(plain[name])
            if len(numbers) >= 2:
                is_text = isinstance(_single(plain[name]), bytes | str)
                if not any(numbers[:2]):
                    continue
                first, second = numbers[:2] if is_text else sorted(numbers[:2], reverse=True)
                return SensorSize(first, second)
    return None


def _children(holder: Any, place: str) -> list[str]:
    """Names in a group, or in one below it, that a geometry may have."""
    group = holder.get(place) if place and hasattr(holder, "keys") else holder
    return [name for name in group if is_geometry_name(name)] if hasattr(group, "keys") else []


def _child(holder: Any, name: str) -> Any:
    """A small dataset's value; None if there is none."""
    if not hasattr(holder, "keys"):
        return None
    found = holder.get(name)
    if not hasattr(found, "dtype") or found.size is None or not 1 <= found.size <= 4:
        return None
    if found.dtype.kind not in "iufSOU":
        return None
    value = found[()]
    return value if isinstance(value, bytes | str) else np.ravel(value)


def _single(value: Any) -> Any:
    """The value of an array with one element."""
    is_array = isinstance(value, np.ndarray) and value.size == 1
    return value.ravel()[0] if is_array else value


def _numbers(value: Any) -> list[int]:
    """The whole numbers in a value; empty if it is something else."""
    value = _single(value)
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str):
        if value.strip().isdecimal():
            return [int(value)]
        size = geometry_in(value)
        return [size.width, size.height] if size else []
    numbers = np.ravel(np.asarray(value))
    if numbers.size > 4 or numbers.dtype.kind not in "iuf" or not np.isfinite(numbers).all():
        return []
    return [int(number) for number in numbers]
