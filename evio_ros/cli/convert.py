"""`evio convert`: copy a recording into another format."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evio_ros.cli.named_values import named_values
from evio_ros.cli.outputs import STANDARD_OUTPUT, Overwrite, check_outputs
from evio_ros.cli.recording_remarks import print_remarks
from evio_ros.cli.section import (
    Duration,
    Region,
    Size,
    Start,
    TimeUnit,
    region_of,
    section_of,
    size_of,
)
from evio_ros.errors import ParameterError

if TYPE_CHECKING:
    from evio_ros.event_filter import EventFilter
    from evio_ros.sources.base import SeekableSource

__all__ = ["convert"]


def convert(
    recording: Annotated[
        str, typer.Argument(metavar="RECORDING", help="The recording to read.", show_default=False)
    ],
    output: Annotated[
        str,
        typer.Argument(
            metavar="OUTPUT",
            help="The recording to write; bags are folders, - is standard output.",
            show_default=False,
        ),
    ],
    to: Annotated[
        str | None,
        typer.Option(
            metavar="FORMAT",
            help="dat, evt2, evt3, hdf5, dsec, csv, text, npz, bag, bag_sqlite3 or bag_packets.",
            show_default="by OUTPUT's ending; csv for -",
        ),
    ] = None,
    start: Start = 0.0,
    duration: Duration = None,
    roi: Region = None,
    size: Size = None,
    time_unit: TimeUnit = None,
    filters: Annotated[
        list[str] | None,
        typer.Option(
            "--filter",
            metavar="NAME=VALUE",
            help="Leave out events; can be repeated. background_activity_time_us=2000: "
            "events that none of the 8 neighbouring pixels supports within that "
            "time; hot_pixels=learn, or a file of lines `x y`; region=x0,y0,x1,y1; "
            "mask=FILE, a picture that is black where events are left out.",
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Copy RECORDING, or a part of it, to OUTPUT in another format.

    Endings: .dat, .raw (EVT3), .h5, .hdf5, .csv, .txt, .npz, .bag and .mcap (a rosbag2 folder with
    MCAP storage), .db3 (one with SQLite storage). Events, times and geometry stay as they are.

    Example: evio convert fan.raw fan.h5 --start 2 --duration 5 --filter hot_pixels=learn
    """
    from evio_ros.cli.progress import progress_bar
    from evio_ros.sources.conversion import convert as copy_events
    from evio_ros.sources.registry import open_recording
    from evio_ros.sources.writers.registry import format_of, open_writer

    is_piped = output == STANDARD_OUTPUT
    name = to or ("csv" if is_piped else format_of(output))
    path = "/dev/stdout" if is_piped else output
    started = time.monotonic()
    with open_recording(recording, size=size_of(size), time_unit=time_unit) as source:
        check_outputs([output], overwrite, [source.path])
        start_us, end_us = section_of(source, start, duration)
        region = region_of(roi, source.size)
        event_filter = _filter_of(filters or [], source, start_us, end_us)
        with (
            open_writer(path, source.size, name) as writer,
            progress_bar(Path(recording).name, end_us - start_us) as advance,
        ):
            events, triggers = copy_events(
                source, writer, start_us, end_us, region, advance, event_filter
            )
            if not events:
                raise ParameterError(f"{recording}: there are no events in the selected part")
        typer.echo(
            f"{output}: {events} events in {(end_us - start_us) * 1e-6:g} s at {source.size}, "
            f"{writer.format_name} ({time.monotonic() - started:.1f} s to convert)",
            err=is_piped,
        )
        for name, number in event_filter.dropped.items() if event_filter else ():
            if number:
                typer.echo(f"{recording}: {number} events left out by {name}", err=True)
        lost = source.statistics.triggers - triggers
        if lost:
            typer.echo(
                f"{recording}: {lost} external triggers are not copied; the format of the "
                "copy has none",
                err=True,
            )
        print_remarks(source)


def _filter_of(
    given: list[str], source: SeekableSource, start_us: int, end_us: int
) -> EventFilter | None:
    """The filter of the --filter options, None if none is given.

    Hot pixels are learned from all events that are copied.
    """
    from evio_ros.event_filter import LEARN, EventFilter, FilterParameters
    from evio_ros.sources.base import refuse_impossible_size

    known = {description.name: description for description in FilterParameters.describe()}
    parameters = FilterParameters.from_mapping(named_values("--filter", given, known))
    if not parameters.is_on:
        return None
    refuse_impossible_size(source)
    event_filter = EventFilter(source.size, parameters)
    if parameters.hot_pixels == LEARN:
        source.seek(start_us)
        event_filter.learn(batch.between(start_us, end_us) for batch in source.batches())
    return event_filter
