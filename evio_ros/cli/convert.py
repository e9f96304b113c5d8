"""`evio convert`: copy a recording into another format."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated

import typer

from evio_ros.cli.section import Duration, Region, Start, TimeUnit, region_of, section_of
from evio_ros.errors import ParameterError

__all__ = ["convert"]


def convert(
    recording: Annotated[str, typer.Argument(help="The recording to read.", show_default=False)],
    output: Annotated[
        str, typer.Argument(help="The recording to write; bags are folders.", show_default=False)
    ],
    to: Annotated[
        str | None,
        typer.Option(
            metavar="FORMAT",
            help="dat, evt2, evt3, hdf5, dsec, csv, text, npz, bag, bag_sqlite3 or bag_packets.",
            show_default="by OUTPUT's ending",
        ),
    ] = None,
    start: Start = 0.0,
    duration: Duration = None,
    roi: Region = None,
    time_unit: TimeUnit = None,
) -> None:
    """Copy RECORDING, or a part of it, into OUTPUT in another format.

    Endings: .dat, .raw (EVT3), .h5, .hdf5, .csv, .txt, .npz, .bag and .mcap (a rosbag2 folder with
    MCAP storage), .db3 (one with SQLite storage). Events, times and geometry stay as they are.
    """
    from evio_ros.cli.progress import progress_bar
    from evio_ros.sources.conversion import convert as copy_events
    from evio_ros.sources.registry import open_recording
    from evio_ros.sources.source_remarks import remarks_of
    from evio_ros.sources.writers.registry import format_of, open_writer

    name = to or format_of(output)
    if os.path.realpath(output) == os.path.realpath(recording.removeprefix("file://")):
        raise ParameterError(f"{output}: is the recording itself")
    started = time.monotonic()
    with open_recording(recording, time_unit=time_unit) as source:
        start_us, end_us = section_of(source, start, duration)
        region = region_of(roi, source.size)
        with (
            open_writer(output, source.size, name) as writer,
            progress_bar(Path(recording).name, end_us - start_us) as advance,
        ):
            events, triggers = copy_events(source, writer, start_us, end_us, region, advance)
            if not events:
                raise ParameterError(f"{recording}: no event in the part asked for")
        typer.echo(
            f"{output}: {events} events in {(end_us - start_us) * 1e-6:g} s at {source.size}, "
            f"{writer.format_name} ({time.monotonic() - started:.1f} s to convert)"
        )
        lost = source.statistics.triggers - triggers
        if lost:
            typer.echo(f"{recording}: the copy does not hold {lost} external triggers", err=True)
        for remark in [*source.remarks, *remarks_of(source.statistics)]:
            typer.echo(f"{recording}: {remark}", err=True)
