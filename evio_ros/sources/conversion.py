"""Copying a recording, or a part of it, into another format."""

from __future__ import annotations

from collections.abc import Callable

from evio_ros.crop import crop
from evio_ros.events import RegionOfInterest
from evio_ros.sources.base import SeekableSource
from evio_ros.sources.writers.event_writer import EventWriter

__all__ = ["convert"]


def convert(
    source: SeekableSource,
    writer: EventWriter,
    start_us: int,
    end_us: int,
    region: RegionOfInterest | None = None,
    advance: Callable[[int], None] | None = None,
) -> int:
    """Write the events of start_us <= t < end_us, in order of time.

    Args:
        source: the recording.
        writer: takes the events; its geometry is the source's.
        start_us, end_us: sensor times.
        region: only the events inside are written; their coordinates stay those of the sensor.
        advance: called now and then with the microseconds that are done.

    Returns:
        Number of events written.

    Raises:
        SourceError: where the recording cannot be read or the copy not be written.
    """
    source.seek(start_us)
    events = 0
    for batch in source.batches():
        reached_us = int(batch.t[-1])
        if reached_us >= end_us:
            batch = batch.between(start_us, end_us)
        if region is not None:
            batch = crop(batch, region)
        writer.append(batch)
        events += len(batch)
        if advance is not None:
            advance(min(reached_us, end_us) - start_us)
        if reached_us >= end_us:
            break
    return events
