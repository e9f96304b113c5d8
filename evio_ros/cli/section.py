"""What of a recording a verb is to work on, and what it must be told of one."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
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
    "refuse_overwriting",
    "region_of",
    "section_of",
    "size_of",
]

Start = Annotated[float, typer.Option(help="Where to begin, seconds from the recording's start.")]
Duration = Annotated[
    float | None, typer.Option(help="How many seconds to take.", show_default="to the end")
]
TimeUnit = Annotated[
    str | None,
    typer.Option(
        metavar="UNIT",
        help="What times are that name no unit: s, ms, us or ns.",
        show_default="by the file, or what is plausible",
    ),
]
Size = Annotated[
    str | None,
    typer.Option(
        metavar="WIDTHxHEIGHT",
        help="The sensor's geometry in pixels.",
        show_default="by the file, or what is plausible",
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
    """An option's value in µs; raises ParameterError where it is no finite number."""
    value_us = value * {"s": 1_000_000, "ms": 1_000}[unit]
    if not math.isfinite(value_us):
        raise ParameterError(f"{option}: {value} is not a finite number of us")
    return round(value_us)


def section_of(source: SeekableSource, start: float, duration: float | None) -> tuple[int, int]:
    """Sensor times of the first and of the last microsecond but one, of --start and --duration."""
    length_s = (source.end_us - source.start_us) * 1e-6
    start_us = source.start_us + microseconds("--start", start, "s")
    if start < 0:
        raise ParameterError(f"--start: {start:g} s is below 0")
    if start_us >= source.end_us:
        raise ParameterError(f"--start: {start:g} s is past the recording's end at {length_s:g} s")
    if duration is None:
        return start_us, source.end_us
    end_us = min(start_us + microseconds("--duration", duration, "s"), source.end_us)
    if duration <= 0:
        raise ParameterError(f"--duration: {duration:g} s is not above 0")
    return start_us, end_us


def size_of(size: str | None) -> SensorSize | None:
    """The geometry of --size; raises ParameterError where it is none."""
    from evio_ros.events import SensorSize

    try:
        return None if size is None else SensorSize.parse(size)
    except EventError as error:
        raise ParameterError(f"--size: {error}") from None


def refuse_overwriting(recording: str, outputs: Sequence[str | Path | None]) -> None:
    """Refuse outputs that are or hold the recording, or are the same; raises ParameterError."""
    whole = os.path.realpath(recording)
    taken = {whole}
    for output in outputs:
        if output is None:
            continue
        place = "-" if output == "-" else os.path.realpath(output)
        # A bag that is replaced may hold the recording.
        if place in taken or whole.startswith(place + os.sep):
            raise ParameterError(f"{output}: is the recording itself or named twice")
        taken.add(place)


def region_of(roi: tuple[int, int, int, int] | None, size: SensorSize) -> RegionOfInterest | None:
    """The region of --roi, checked to be inside the sensor."""
    from evio_ros.events import RegionOfInterest

    if roi is None:
        return None
    region = RegionOfInterest(*roi)
    if region.x1 > size.width or region.y1 > size.height:
        corner = f"({region.x1}, {region.y1})"
        raise ParameterError(f"--roi: {corner} is outside the sensor of {size} pixels")
    return region
