"""The search for slow rotors in longer pasts; the longer the past, the less often it is searched.

While no rotor is tracked, the events of twice 0.5, 1, 2 ... 16 s are kept as well, an unbiased
share if there are many. A slow rotor looks in them like a fast one in the latest events: the same
search is done with all time constants scaled. Memory is bounded for each past, and because pauses
grow with its length, all of them together cost less than the search in the latest events.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from evio_ros.cell_counts import activity_grid
from evio_ros.events import EventBatch, EventWindow, SensorSize
from evio_ros.rotation.acquisition.backoff import Backoff
from evio_ros.rotation.acquisition.region_events import share_of
from evio_ros.rotation.acquisition.regions import LEVELS, Region, RegionParameters, find_regions
from evio_ros.rotation.acquisition.search import Found, RetryAfter, RotorSearch, SearchRequest
from evio_ros.rotation.acquisition.work_units import Work
from evio_ros.rotation.detector_parameters import DetectorSettings
from evio_ros.rotation.tracking.tracker_bank import TrackerBank

__all__ = ["SlowSearch"]

_FACTORS = (2, 4, 8, 16, 32, 64)
"""Lengths of the pasts relative to that of the search in the latest events. Blades of a rotor with
three blades at 5 rpm pass three times in 12 s."""
_MOST_EVENTS = 500_000
"""Maximum number of events kept of a past, 6.5 MB."""
_LOOK_US = 20_000
"""Time between two determinations of active regions, to be multiplied by the factor."""
_UNIT_US = 5_000
"""Sensor time per work unit of a millisecond: at most a fifth of one core."""


@dataclass(slots=True)
class _Past:
    """One past, of slices joined by the factor.

    Attributes:
        factor: its length relative to that of the search in the latest events.
        span_us: length of the events in which rotors are searched for; twice as much is kept.
        regions: thresholds of active regions: slow rotors have lower event rates.
        search: the search, with all times multiplied by the factor.
        backoffs: failed searches of each level; times in factors of microseconds.
        slices: joined slices, in order of time.
        latest: slices that are not joined yet.
        events: number of events kept.
        stride: one in this many events is kept.
        until_look_us: time until the next determination of regions.
    """

    factor: int
    span_us: int
    regions: RegionParameters
    search: RotorSearch
    backoffs: tuple[Backoff, ...]
    slices: deque[EventWindow] = field(default_factory=deque)
    latest: list[EventWindow] = field(default_factory=list)
    events: int = 0
    stride: int = 1
    until_look_us: int = 0

    def add(self, part: EventWindow, taken: int) -> tuple[EventWindow, int]:
        """Add the next slice, from which one in `taken` events has been selected already.

        Returns:
            The slice with the events that are kept, and the stride of this selection.
        """
        if self.stride < taken:
            self._thin(taken // self.stride)
        kept, stride = share_of(part, self.stride // taken), self.stride
        self.until_look_us -= kept.length_us
        self.latest.append(kept)
        self.events += len(kept.events)
        if len(self.latest) == self.factor:
            self.slices.append(_joined(self.latest))
            self.latest = []
            while self.kept_us > 2 * self.span_us:
                self.events -= len(self.slices.popleft().events)
        while self.events > _MOST_EVENTS:
            self._thin(2)
        return kept, stride

    def _thin(self, stride: int) -> None:
        """Keep one in `stride` of the kept events."""
        self.slices = deque(share_of(part, stride) for part in self.slices)
        self.latest = [share_of(part, stride) for part in self.latest]
        self.events = sum(len(part.events) for part in (*self.slices, *self.latest))
        self.stride *= stride

    @property
    def kept_us(self) -> int:
        """Length of the kept slices."""
        return self.slices[-1].end_us - self.slices[0].start_us if self.slices else 0

    def active_regions(self) -> list[Region]:
        """Regions that need not wait, those with the fewest failures first."""
        counts: NDArray[np.int32] = sum(
            (activity_grid(s.events, self.regions.cell_px) for s in self.slices),
            start=np.zeros((), np.int32),
        )
        taken_us = sum(part.length_us * part.share for part in self.slices)
        found = find_regions(counts, taken_us, self.regions)
        now = self.now
        ready = [r for r in found if not self.backoffs[r.level].is_waiting(r, now)]
        ready.sort(key=lambda region: self.backoffs[region.level].failures(region, now))
        return ready[: self.regions.maximum_regions]

    @property
    def now(self) -> int:
        """Time of the latest event, in factors of microseconds."""
        return self.slices[-1].end_us // self.factor


class SlowSearch:
    """Searches longer pasts while no rotor is tracked.

    Args:
        size: geometry of the sensor.
        bank: the tracked rotors; rotors that are found are added.
        settings: all parameters.

    Attributes:
        regions_searched: number of searches started.
    """

    def __init__(self, size: SensorSize, bank: TrackerBank, settings: DetectorSettings) -> None:
        self._size = size
        self._bank = bank
        self._settings = settings
        self._step_us = settings.detector.step_us
        self.regions_searched = 0
        self.reset()

    def reset(self) -> None:
        """Forget all events and failed searches."""
        self._pasts = [self._past(factor) for factor in _FACTORS]
        self._queue: list[tuple[_Past, Region]] = []
        self._work: Work[Found | None] | None = None
        self._later: list[EventWindow] = []
        self._is_empty = True
        self._due_us = self._budget_us = 0

    def add(self, part: EventWindow) -> None:
        """Add a slice that the bank has processed; events of tracked rotors are dropped."""
        if len(self._bank):
            if not self._is_empty:
                self.reset()
            return
        self._is_empty = False
        if self._work is not None:
            self._later.append(part)
        taken = 1
        # A longer past keeps a smaller share, so it need only examine what the previous one keeps.
        for past in self._pasts:
            part, taken = past.add(part, taken)

    def end_step(self) -> None:
        """Allow the next `search` the work units of one step."""
        self._due_us = self._step_us

    def search(self, may_go_on: Callable[[], bool] | None = None) -> list[Found]:
        """Continue the search, for as many work units as the last step allows.

        Args:
            may_go_on: called before each unit; if it returns False, the rest is left to the next
                call. None always continues.

        Returns:
            The rotor found, if any, which has been added to the bank.
        """
        due_us, self._due_us = self._due_us, 0
        if len(self._bank):
            return []
        self._budget_us += due_us
        while self._budget_us >= _UNIT_US and (may_go_on is None or may_go_on()):
            self._work = self._work or self._next_search()
            if self._work is None:
                self._budget_us = 0
                break
            self._budget_us -= _UNIT_US
            try:
                next(self._work)
            except StopIteration as end:
                self._work = None
                if end.value is not None:
                    self._bank.add(end.value.tracker)
                    return [end.value]
        return []

    def _past(self, factor: int) -> _Past:
        detector, regions, acquisition, _ = self._settings
        span_us = factor * detector.acquisition_us
        settings = self._settings._replace(acquisition=acquisition.slower(factor))
        return _Past(
            factor,
            span_us,
            regions.slower(factor),
            RotorSearch(self._size, settings, span_us),
            tuple(Backoff(self._bank.grid_shape) for _ in range(LEVELS)),
            until_look_us=span_us,
        )

    def _next_search(self) -> Work[Found | None] | None:
        """The search of the next region; None if there is none."""
        for past in self._pasts:
            if not self._queue and past.until_look_us <= 0:
                past.until_look_us = past.factor * _LOOK_US
                self._queue = [(past, region) for region in past.active_regions()]
        if not self._queue:
            return None
        self.regions_searched += 1
        return self._search_region(*self._queue.pop(0))

    def _search_region(self, past: _Past, region: Region) -> Work[Found | None]:
        """Search a region in its state when the work begins, and process the result."""
        backoff = past.backoffs[region.level]
        self._later = list(past.latest)
        request = SearchRequest(
            region=region,
            slices=tuple(past.slices),
            codes=self._bank.codes,
            tracked=(),
            known=(),
            beside=(),
            failures=backoff.failures(region, past.now),
            by_outline=False,
        )
        outcome = yield from past.search.search(request)
        if isinstance(outcome, Found) and past.search.why_not_seen(outcome, self._later) is None:
            return outcome
        if isinstance(outcome, RetryAfter):
            backoff.wait(region, past.now + outcome.wait_us)
        else:
            backoff.fail(region, past.now)
        return None


def _joined(parts: list[EventWindow]) -> EventWindow:
    """Join consecutive slices."""
    size, start_us = parts[0].events.size, parts[0].start_us
    length_us = parts[-1].end_us - start_us
    live = sum(part.live * part.length_us for part in parts) / length_us
    events = EventBatch.concatenate(size, [part.events for part in parts])
    share = sum(part.share * part.length_us for part in parts) / length_us
    return EventWindow(start_us, length_us, events, live, share=share)
