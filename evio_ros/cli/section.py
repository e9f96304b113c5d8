"""Options that select a part of a recording or complete its description, with their checks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from evio_ros.errors import EventError, ParameterError

if TYPE_CHECKING:
    from evio_ros.events import RegionOfInterest, SensorSize
    from evio_ros.sources.base import SeekableSource

__all__ = [
    "Duration",
    "Region",
    "Size",
    "Start",
    "TimeUnit",
    "microseconds",
    "region_of",
    "section_of",
    "size_of",
]

Start = Annotated[
    float, typer.Option(help="Start of the part, in seconds from the recording's start.")
]
Duration = Annotated[
    float | None, typer.Option(help="Length of the part, in seconds.", show_default="to the end")
]
TimeUnit = Annotated[
    str | None,
    typer.Option(
        metavar="UNIT",
        help="Unit of times that have none: s, ms, us or ns.",
        show_default="from the file, or guessed",
    ),
]
Size = Annotated[
    str | None,
    typer.Option(
        metavar="WIDTHxHEIGHT",
        help="The sensor's geometry in pixels.",
        show_default="from the file, or guessed",
    ),
]
Region = Annotated[
    tuple[int, int, int, int] | None,
    typer.Option(
        help="Use only the pixels with X0 <= x < X1 and Y0 <= y < Y1.",
        metavar="X0 Y0 X1 Y1",
        show_default=False,
    ),
]


def microseconds(option: str, value: float, unit: Literal["s", "ms"]) -> int:
    """Convert an option's value to µs; raises ParameterError if it is not finite."""
    value_us = value * {"s": 1_000_000, "ms": 1_000}[unit]
    if not math.isfinite(value_us):
        raise ParameterError(f"{option}: {value} {unit} is not a finite time")
    return round(value_us)


def section_of(source: SeekableSource, start: float, duration: float | None) -> tuple[int, int]:
    """Start (inclusive) and end (exclusive) of the part, sensor times in µs.

    Args:
        source: the recording.
        start: value of --start, in s from the recording's start.
        duration: value of --duration, in s; None for the rest of the recording.

    Raises:
        ParameterError: if the part does not begin within the recording, or has no length.
    """
    length_s = (source.end_us - source.start_us) * 1e-6
    start_us = source.start_us + microseconds("--start", start, "s")
    if start < 0:
        raise ParameterError(f"--start: {start:g} s is negative")
    if start_us >= source.end_us:
        raise ParameterError(f"--start: {start:g} s is past the recording's end at {length_s:g} s")
    if duration is None:
        return start_us, source.end_us
    end_us = min(start_us + microseconds("--duration", duration, "s"), source.end_us)
    if duration <= 0:
        raise ParameterError(f"--duration: {duration:g} s is not positive")
    return start_us, end_us


def size_of(size: str | None) -> SensorSize | None:
    """The geometry given by --size, None for none; raises ParameterError if it is not valid."""
    from evio_ros.events import SensorSize

    try:
        return None if size is None else SensorSize.parse(size)
    except EventError as error:
        raise ParameterError(f"--size: {error}") from None


def region_of(roi: tuple[int, int, int, int] | None, size: SensorSize) -> RegionOfInterest | None:
    """The region given by --roi, None for none.

    Raises:
        EventError: if the region is empty or has a negative corner.
        ParameterError: if it reaches outside the sensor.
    """
    from evio_ros.events import RegionOfInterest

    if roi is None:
        return None
    region = RegionOfInterest(*roi)
    if region.x1 > size.width or region.y1 > size.height:
        corner = f"({region.x1}, {region.y1})"
        raise ParameterError(f"--roi: {corner} is outside the sensor of {size} pixels")
    return region
