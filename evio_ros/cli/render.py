"""`evio render`: draw a picture of a moment of a recording."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evio_ros.cli.outputs import check_results
from evio_ros.cli.recording_remarks import print_remarks
from evio_ros.cli.section import Region, Size, TimeUnit, region_of, size_of
from evio_ros.errors import ParameterError

if TYPE_CHECKING:
    from evio_ros.representations.base import TensorArray
    from evio_ros.representations.picture import Picture
    from evio_ros.sources.base import SeekableSource

__all__ = ["render"]

_LEAST_MS, _MOST_MS = 0.001, 10_000.0
_AT_S = 0.05
_TIME_CONSTANTS = 8
"""Number of time constants after which an event leaves no visible trace."""


def render(
    recording: Annotated[
        str, typer.Argument(metavar="RECORDING", help="The recording to read.", show_default=False)
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The PNG file to write.", metavar="FILE.png")
    ],
    kind: Annotated[
        str,
        typer.Option(
            help="event_frame: events of the window, ON orange, OFF blue; activity: the same, "
            "with older events fading; time_surface: time of each pixel's last event."
        ),
    ] = "event_frame",
    at: Annotated[
        float | None,
        typer.Option(
            help="End of the window, in seconds from the start.",
            min=0.0,
            show_default=f"{_AT_S}, or the end of a shorter recording",
        ),
    ] = None,
    window_ms: Annotated[float, typer.Option(help="Length of the window.")] = 20.0,
    tau_ms: Annotated[
        float, typer.Option(help="Time constant of activity and time_surface.")
    ] = 20.0,
    roi: Region = None,
    size: Size = None,
    time_unit: TimeUnit = None,
) -> None:
    """Draw the events of RECORDING up to one moment.

    Example: evio render fan.raw --at 1.5 --kind time_surface --output fan.png
    """
    import numpy as np

    from evio_ros.atomic_file import atomic_file
    from evio_ros.representations.picture import LOOKS, draw_picture
    from evio_ros.sources.base import refuse_impossible_size
    from evio_ros.sources.registry import open_recording

    if kind not in LOOKS:
        raise ParameterError(f"--kind: {kind!r} is not one of {', '.join(LOOKS)}")
    if output.suffix.lower() != ".png":
        raise ParameterError(f"{output}: the name must end in .png")
    window_us, tau_us = _microseconds("window-ms", window_ms), _microseconds("tau-ms", tau_ms)
    with open_recording(recording, size=size_of(size), time_unit=time_unit) as source:
        refuse_impossible_size(source)
        check_results([output], [source.path])
        length_s = (source.end_us - source.start_us) * 1e-6
        at = min(_AT_S, length_s) if at is None else at
        if not at <= length_s:
            raise ParameterError(f"--at: {at:g} s is past the recording's end at {length_s:g} s")
        tensor = _tensor(source, kind, source.start_us + round(at * 1e6), window_us, tau_us)
        region = region_of(roi, source.size)
        print_remarks(source)
    if region is not None:
        tensor = tensor[:, region.y0 : region.y1, region.x0 : region.x1]
    tensor = np.ascontiguousarray(tensor)
    picture = np.empty((*tensor.shape[1:], 3), np.uint8)
    draw_picture(kind, tensor, picture)
    with atomic_file(output) as file:
        file.write(_png(picture))
    height, width, _ = picture.shape
    typer.echo(f"{output}: {kind} of {recording} at {at:g} s, {width}x{height}")


def _png(picture: Picture) -> bytes:
    from io import BytesIO

    from matplotlib.image import imsave

    encoded = BytesIO()
    imsave(encoded, picture, format="png")
    return encoded.getvalue()


def _microseconds(name: str, milliseconds: float) -> int:
    if not _LEAST_MS <= milliseconds <= _MOST_MS:
        raise ParameterError(
            f"--{name}: {milliseconds:g} ms is out of range; must be {_LEAST_MS:g} to "
            f"{_MOST_MS:g} ms"
        )
    return round(milliseconds * 1e3)


def _tensor(
    source: SeekableSource, kind: str, end_us: int, window_us: int, tau_us: int
) -> TensorArray:
    from evio_ros.events import EventBatch, EventWindow
    from evio_ros.representations.base import represent
    from evio_ros.representations.picture import representation_of

    seen_us = window_us if kind == "event_frame" else _TIME_CONSTANTS * tau_us
    start_us = max(end_us - seen_us, source.start_us)
    source.seek(start_us)
    batches = []
    for batch in source.batches():
        if batch.t[0] >= end_us:
            break
        batches.append(batch.between(start_us, end_us))
    events = EventBatch.concatenate(source.size, batches)
    window = EventWindow(start_us, max(end_us - start_us, 1), events)
    return represent(representation_of(kind, source.size, tau_us), window)
