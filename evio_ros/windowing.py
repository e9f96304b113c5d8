"""Cutting a stream of batches into windows of sensor time, however the batches were split."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from evio_ros.errors import EventError, ParameterError
from evio_ros.events import EventBatch, EventWindow, SensorSize

__all__ = ["WindowAssembler", "windows"]


class WindowAssembler:
    """Collects batches and gives back consecutive windows without gaps or overlap.

    The same events split into different batches give the same windows. A window is complete once
    an event at or after its end has come. Windows without events are given too, so that a consumer
    keeps its rhythm.

    Args:
        size: geometry of the sensor.
        window_us: length of every window in µs, at least 1.
        start_us: start of the first window, sensor time; None for the first event's time.

    Attributes:
        late_events: number of events dropped because their window had already been given.
    """

    def __init__(self, size: SensorSize, window_us: int, start_us: int | None = None) -> None:
        if window_us < 1:
            raise ParameterError(f"window_us: {window_us} is below the minimum 1 us")
        self.size = size
        self.window_us = window_us
        self.late_events = 0
        self._start_us = start_us
        self._last_us = 0
        self._pending: list[EventBatch] = []

    def push(self, batch: EventBatch) -> Iterator[EventWindow]:
        """Add a batch and yield the windows that it completes.

        The iterator must be exhausted before the next push.

        Raises:
            EventError: where the batch is of another sensor geometry.
        """
        if batch.size != self.size:
            raise EventError(f"batch of a {batch.size} sensor pushed to windows of {self.size}")
        if not len(batch):
            return
        if self._start_us is None:
            self._start_us = int(batch.t[0])
        # Nothing before the newest event given so far can still be put in order.
        floor_us = self._last_us if self._pending else self._start_us
        if batch.t[0] < floor_us:
            on_time = batch.between(floor_us, int(batch.t[-1]) + 1)
            self.late_events += len(batch) - len(on_time)
            batch = on_time
            if not len(batch):
                return
        self._last_us = int(batch.t[-1])
        self._pending.append(batch)
        while self._last_us >= self._start_us + self.window_us:
            yield self._next_window()

    def flush(self, end_us: int | None = None) -> Iterator[EventWindow]:
        """Yield what is left, up to `end_us`; None ends with the window of the last event.

        Events at or after `end_us` are left out; the last window keeps its full length.
        """
        if self._start_us is None:
            return
        if end_us is None:
            end_us = self._last_us + 1 if self._pending else self._start_us
        while self._start_us < end_us:
            yield self._next_window()

    def _next_window(self) -> EventWindow:
        assert self._start_us is not None
        start_us, end_us = self._start_us, self._start_us + self.window_us
        inside: list[EventBatch] = []
        rest: list[EventBatch] = []
        for batch in self._pending:
            if batch.t[-1] < end_us:
                inside.append(batch)
            elif batch.t[0] >= end_us:
                rest.append(batch)
            else:
                inside.append(batch.between(start_us, end_us))
                rest.append(batch.between(end_us, int(batch.t[-1]) + 1))
        self._pending = rest
        self._start_us = end_us
        return EventWindow(start_us, self.window_us, EventBatch.concatenate(self.size, inside))


def windows(
    batches: Iterable[EventBatch],
    size: SensorSize,
    window_us: int,
    start_us: int | None = None,
    end_us: int | None = None,
) -> Iterator[EventWindow]:
    """Cut batches into consecutive windows; see `WindowAssembler`.

    Args:
        batches: batches in order of time.
        size: geometry of the sensor.
        window_us: length of every window in µs.
        start_us: start of the first window; None for the first event's time.
        end_us: no window starts at or after this time; None for the end of the batches.
    """
    assembler = WindowAssembler(size, window_us, start_us)
    for batch in batches:
        for window in assembler.push(batch):
            if end_us is not None and window.start_us >= end_us:
                return
            yield window
    yield from assembler.flush(end_us)
