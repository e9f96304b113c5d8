"""Cutting a stream of batches into windows of sensor time, independently of the batches' bounds."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from evio_ros.errors import EventError, ParameterError
from evio_ros.events import EventBatch, EventWindow, SensorSize, overlaps

__all__ = [
    "LONGEST_GAP_US",
    "WindowAssembler",
    "split_missing",
    "split_window",
    "windows",
    "with_missing",
]

LONGEST_GAP_US = 1_000_000
"""Longest jump of sensor time forwards that is filled with empty windows; see `push_window`."""


class WindowAssembler:
    """Collects batches and yields consecutive windows without gaps or overlap.

    The same events split into other batches give the same windows. A window is complete once an
    event at or after its end has arrived. Windows without events are yielded too, so that consumers
    see an even sequence.

    Args:
        size: geometry of the sensor.
        window_us: length of every window in µs, at least 1; or lengths used in turn.
        start_us: start of the first window, sensor time in µs; None for the first event's time.

    Raises:
        ParameterError: if a length is below 1 or there is none.

    Attributes:
        late_events: number of events dropped because their window had already been yielded, or was
            discarded when time went back or jumped forwards.
    """

    def __init__(
        self, size: SensorSize, window_us: int | Sequence[int], start_us: int | None = None
    ) -> None:
        self._lengths_us = tuple(window_us) if isinstance(window_us, Sequence) else (window_us,)
        if min(self._lengths_us, default=0) < 1:
            raise ParameterError(f"window_us: {window_us} is below the minimum 1 us")
        self.size = size
        self.late_events = 0
        # Index of the next window's length.
        self._length_index = 0
        self._start_us = start_us
        self._last_us = 0
        self._complete_until_us = 0
        self._pending: list[EventBatch] = []
        self._missing: list[range] = []
        # Spans of thinned events, with the share that was kept.
        self._thinned: list[tuple[range, float]] = []

    def mark_missing(self, start_us: int, end_us: int) -> None:
        """Record that all events of a span are missing; spans must be given in order."""
        self._missing.append(range(start_us, end_us))

    def push(self, batch: EventBatch) -> Iterator[EventWindow]:
        """Add a batch and yield the windows that it completes.

        The iterator must be exhausted before the next push.

        Raises:
            EventError: if the batch has another sensor geometry.
        """
        if batch.size != self.size:
            raise EventError(f"batch of a {batch.size} sensor, expected {self.size}")
        if not len(batch):
            return
        if self._start_us is None:
            self._start_us = int(batch.t[0])
        # Events before the newest one pushed so far cannot be put in order any more.
        floor_us = self._last_us if self._pending else self._start_us
        if batch.t[0] < floor_us:
            on_time = batch.between(floor_us, int(batch.t[-1]) + 1)
            self.late_events += len(batch) - len(on_time)
            batch = on_time
            if not len(batch):
                return
        self._last_us = int(batch.t[-1])
        self._pending.append(batch)
        while self._last_us >= self._start_us + self._lengths_us[self._length_index]:
            yield self._next_window()

    def push_window(self, window: EventWindow) -> Iterator[EventWindow]:
        """Add a window and yield the windows that it completes.

        All events before the window's end have arrived, so no later event is waited for. If time
        goes back, or jumps forwards by more than `LONGEST_GAP_US`, assembly restarts at the window,
        with the first length.

        Raises:
            EventError: if the window has another sensor geometry.
        """
        since_last_us = window.start_us - self._complete_until_us
        if self._start_us is None or not 0 <= since_last_us <= LONGEST_GAP_US:
            self.late_events += sum(map(len, self._pending))
            self._pending, self._missing, self._thinned = [], [], []
            if self._start_us != window.start_us:
                self._start_us, self._length_index = window.start_us, 0
        self._missing += window.missing
        if window.share < 1.0:
            self._thinned.append((range(window.start_us, window.end_us), window.share))
        yield from self.push(window.events)
        self._complete_until_us = window.end_us
        while (
            self._start_us is not None
            and window.end_us >= self._start_us + self._lengths_us[self._length_index]
        ):
            yield self._next_window()

    def flush(self, end_us: int | None = None, covered_only: bool = False) -> Iterator[EventWindow]:
        """Yield the remaining windows, up to `end_us`; None ends just after the last event.

        Events at or after `end_us` are dropped. A last window that begins before `end_us` and ends
        after it keeps its full length; with `covered_only` it is not yielded.
        """
        if self._start_us is None:
            return
        if end_us is None:
            end_us = self._last_us + 1 if self._pending else self._start_us
        while (
            self._start_us + (self._lengths_us[self._length_index] if covered_only else 1) <= end_us
        ):
            yield self._next_window()

    def _next_window(self) -> EventWindow:
        assert self._start_us is not None
        length_us = self._lengths_us[self._length_index]
        start_us, end_us = self._start_us, self._start_us + length_us
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
        self._length_index = (self._length_index + 1) % len(self._lengths_us)
        missing = overlaps(self._missing, start_us, end_us)
        self._missing = [span for span in self._missing if span.stop > end_us]
        return EventWindow(
            start_us,
            length_us,
            EventBatch.concatenate(self.size, inside),
            missing=missing,
            share=self._share_of(start_us, end_us),
        )

    def _share_of(self, start_us: int, end_us: int) -> float:
        """Share of a window's events that was kept by thinning, averaged over time."""
        if not self._thinned:
            return 1.0
        left_out_us = sum(
            (1.0 - share) * len(span)
            for thinned, share in self._thinned
            for span in overlaps((thinned,), start_us, end_us)
        )
        self._thinned = [it for it in self._thinned if it[0].stop > end_us]
        return 1.0 - left_out_us / (end_us - start_us)


def windows(
    batches: Iterable[EventBatch],
    size: SensorSize,
    window_us: int | Sequence[int],
    start_us: int | None = None,
    end_us: int | None = None,
    *,
    covered_only: bool = False,
) -> Iterator[EventWindow]:
    """Cut batches into consecutive windows; see `WindowAssembler`.

    Args:
        batches: batches in order of time.
        size: geometry of the sensor.
        window_us: length of every window in µs, or lengths used in turn.
        start_us: start of the first window, sensor time in µs; None for the first event's time.
        end_us: no window starts at or after this time; None for the end of the batches.
        covered_only: omit a last window that ends after `end_us`; otherwise it is yielded with its
            full length.

    Raises:
        EventError, ParameterError: as for `WindowAssembler`.
    """
    assembler = WindowAssembler(size, window_us, start_us)
    for batch in batches:
        for window in assembler.push(batch):
            if (
                end_us is not None
                and window.start_us + (window.length_us if covered_only else 1) > end_us
            ):
                return
            yield window
    yield from assembler.flush(end_us, covered_only)


def with_missing(whole: Iterable[EventWindow], missing: Sequence[range]) -> Iterator[EventWindow]:
    """Set `missing` of windows.

    Args:
        whole: the windows.
        missing: ordered, disjoint spans of sensor time in µs; may grow until a window is yielded.
    """
    for window in whole:
        spans = overlaps(missing, window.start_us, window.end_us)
        yield replace(window, missing=spans) if spans else window


def split_missing(window: EventWindow) -> Iterator[EventWindow]:
    """Split a window at the bounds of its missing spans; each part is missing as a whole or not."""
    bounds = {window.start_us, window.end_us}
    for span in overlaps(window.missing, window.start_us, window.end_us):
        bounds |= {span.start, span.stop}
    for start_us, end_us in itertools.pairwise(sorted(bounds)):
        yield window.part(start_us, end_us - start_us)


def split_window(window: EventWindow, maximum_events: int) -> Iterator[EventWindow]:
    """Split a window with more than `maximum_events` into consecutive shorter ones.

    Events of one microsecond stay together, so a part can still have more.
    """
    t = window.events.t
    first, start_us = 0, window.start_us
    if len(t) <= maximum_events:
        yield window
        return
    while len(t) - first > maximum_events:
        # The part ends before the first event beyond the maximum.
        end_us = max(int(t[first + maximum_events]), start_us + 1)
        last = int(np.searchsorted(t, end_us))
        if last == len(t):
            break
        yield window.part(start_us, end_us - start_us)
        first, start_us = last, end_us
    yield window.part(start_us, window.end_us - start_us)
