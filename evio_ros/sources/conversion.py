"""Copying a recording, or a part of it, into another format."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from evio_ros.crop import crop
from evio_ros.event_filter import EventFilter
from evio_ros.events import EventBatch, RegionOfInterest, SensorSize
from evio_ros.sources.base import SeekableSource, TriggerSource
from evio_ros.sources.raw_columns import FARTHEST_TRIGGER_US, Triggers
from evio_ros.sources.writers.event_writer import EventWriter

__all__ = ["convert"]


def convert(
    source: SeekableSource,
    writer: EventWriter,
    start_us: int,
    end_us: int,
    region: RegionOfInterest | None = None,
    advance: Callable[[int], None] | None = None,
    event_filter: EventFilter | None = None,
) -> tuple[int, int]:
    """Write the events of start_us <= t < end_us, in order of time.

    External triggers are written if the format supports them, including those shortly before the
    recording's first event and after its last.

    Args:
        source: the recording.
        writer: writes the events; its geometry is the source's.
        start_us, end_us: sensor times in µs.
        region: only the events inside are written; their coordinates remain those of the sensor.
        advance: called from time to time with the microseconds done so far.
        event_filter: drops events, for example noise; None for none.

    Returns:
        Numbers of events and of external triggers written.

    Raises:
        SourceError: if the recording cannot be read or the copy cannot be written.
    """
    source.seek(start_us)
    triggers = _TriggerQueue(source, writer, start_us, end_us)
    events = 0
    for batch in source.batches():
        reached_us = int(batch.t[-1])
        if reached_us >= end_us:
            batch = batch.between(start_us, end_us)
        if region is not None:
            batch = crop(batch, region)
        if event_filter is not None:
            batch = event_filter.apply(batch)
        triggers.append(batch, reached_us)
        events += len(batch)
        if advance is not None:
            advance(min(reached_us, end_us) - start_us)
        if reached_us >= end_us:
            break
    triggers.finish(source.size)
    return events, triggers.written


class _TriggerQueue:
    """Writes events, with external triggers between them if source and format support them."""

    def __init__(
        self, source: SeekableSource, writer: EventWriter, start_us: int, end_us: int
    ) -> None:
        self._writer = writer
        self._from_us, self._until_us = start_us, end_us
        if start_us <= source.start_us:
            self._from_us = max(start_us - FARTHEST_TRIGGER_US, 0)
        if end_us >= source.end_us:
            self._until_us = end_us + FARTHEST_TRIGGER_US
        keeps = writer.keeps_triggers and isinstance(source, TriggerSource)
        self._source = source if keeps else None
        self._waiting = self._take()
        self.written = 0

    def _take(self) -> Triggers:
        if not isinstance(self._source, TriggerSource):
            return Triggers.empty()
        found = self._source.take_triggers()
        return found.select((found.t >= self._from_us) & (found.t < self._until_us))

    def append(self, batch: EventBatch, until_us: int) -> None:
        """Write a batch, and the triggers up to a time, each before the events after it."""
        waiting = Triggers.concatenate([self._waiting, self._take()])
        waiting = waiting.select(np.argsort(waiting.t, kind="stable"))
        due = int(np.searchsorted(waiting.t, until_us, side="right"))
        self._waiting = waiting.select(slice(due, None))
        places = np.searchsorted(batch.t, waiting.t[:due], side="right")
        first = 0
        for place in np.unique(places).tolist():
            self._writer.append(batch.slice(first, place))
            self._writer.append_triggers(waiting.select(np.flatnonzero(places == place)))
            first = place
        self._writer.append(batch.slice(first, len(batch)))
        self.written += due

    def finish(self, size: SensorSize) -> None:
        """Write the triggers after the last event."""
        self.append(EventBatch.empty(size), self._until_us)
