"""When and where rotors are searched for; runs the search one work unit at a time.

Events that belong to no tracker are counted in cells. Active regions are determined every 20 ms
while no rotor is tracked, else every 100 ms, and searched one after the other. How much of a search
is done in a step depends only on the step's length, so results do not depend on the machine's
speed; only if events arrive faster than they can be processed may a caller postpone a part. Regions
searched in vain wait before the next search, longer each time.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from evio_ros.ellipse import Ellipse
from evio_ros.events import EventBatch, EventWindow, SensorSize
from evio_ros.explanation import (
    RECENT_US,
    Explanation,
    Reason,
    Rejection,
    in_order,
    with_explanation,
    without_place,
)
from evio_ros.rotation.acquisition.backoff import Backoff
from evio_ros.rotation.acquisition.regions import (
    CUED_LEVEL,
    Region,
    cued_region,
    find_regions,
    why_no_region,
)
from evio_ros.rotation.acquisition.search import (
    Candidates,
    Found,
    RetryAfter,
    RotorSearch,
    SearchRequest,
)
from evio_ros.rotation.acquisition.slow_search import SlowSearch
from evio_ros.rotation.acquisition.unassigned_events import UnassignedEvents
from evio_ros.rotation.acquisition.work_units import Work
from evio_ros.rotation.detector_parameters import DetectorSettings
from evio_ros.rotation.tracking.reacquisition import find_motion
from evio_ros.rotation.tracking.tracker_bank import TrackerBank

__all__ = ["SearchSchedule"]

_LOOK_US = 20_000
_BUSY_LOOK_US = 100_000
"""Time between two determinations of active regions, while no rotor is tracked and otherwise. Each
costs a millisecond, and a new rotor beside others may wait for a tenth of a second."""
_UNIT_US = 2_500
"""Sensor time per work unit of a search while rotors are tracked. A unit takes about a millisecond
of one core, so trackers keep more than half of it."""
_IDLE_UNIT_US = 1_250
"""The same while none is tracked. New regions are then searched completely at once, because nothing
waits."""
_LEFT_US = (0, 10_000, 5_000, 15_000)
"""Latest times left out of successive searches of a place where something has long seemed to turn
and was rejected. Searches come at regular times, so a rotor that makes whole turns between them
would always be met at the same phase: one on the mains makes one in 20 ms, which these times
quarter (van der Corput's sequence)."""
_REACQUISITION_US = 15_000
"""Length of the events in which a lost rotor is reacquired, and time between two attempts: a fan's
blade passes in about this time."""


Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in pixels."""


class SearchSchedule:
    """Searches for rotors and adds them to the bank.

    Args:
        size: geometry of the sensor.
        bank: the tracked rotors; it must process every slice before `add` does.
        known: previously known discs; a disc that contains a region is tried first.
        settings: all parameters.

    Attributes:
        slow: the search for slow rotors in longer pasts, which is fed by this one.
    """

    def __init__(
        self,
        size: SensorSize,
        bank: TrackerBank,
        known: Sequence[Ellipse],
        settings: DetectorSettings,
    ) -> None:
        self._size = size
        self._bank = bank
        self._known = tuple(known)
        self._detector = settings.detector
        self._regions = settings.regions
        self._search = RotorSearch(size, settings)
        self.slow = SlowSearch(size, bank, settings)
        self._regions_searched = 0
        self._explanations: tuple[Explanation, ...] = ()
        self.reset()

    def reset(self) -> None:
        """Forget all events, cues, and when to search again; explanations stay."""
        self.slow.reset()
        p = self._detector
        steps = math.ceil(p.acquisition_us / p.step_us)
        self._recent: deque[EventWindow] = deque(maxlen=2 * steps * len(p.slice_lengths_us))
        self._events = UnassignedEvents(self._bank.grid_shape, 2 * p.acquisition_us, _LOOK_US)
        # A region searched in vain at one level has not been searched at others.
        self._backoffs = tuple(Backoff(self._bank.grid_shape) for _ in range(CUED_LEVEL + 1))
        self._beside: Candidates = ()
        self._cues: tuple[Box, ...] = ()
        self._cued_until_us = 0
        self._queue: list[Region] = []
        self._work: Work[Found | None] | None = None
        self._later: list[EventWindow] = []
        self._is_new = False
        self._until_look_us = steps * p.step_us
        # Time in which the regions' events were counted.
        self._counted_us = 0.0
        # Sensor time of an ended step that has not been used for searching, and the rest of earlier
        # ones.
        self._due_us = self._budget_us = 0
        # Whether the search of a step was started and postponed, and no rotor was tracked then.
        self._is_put_off = self._is_idle = False

    def forget_known_discs(self) -> None:
        """Forget the known discs."""
        self._known = ()

    def cue(self, boxes: Sequence[Box], until_us: int) -> None:
        """Search some boxes first, and with lower thresholds, until a sensor time."""
        self._cues, self._cued_until_us = tuple(boxes), until_us

    @property
    def unassigned(self) -> NDArray[np.int32]:
        """Grid of cells to which the bank adds the next slice's events that belong to no rotor."""
        return self._events.latest

    @property
    def regions_searched(self) -> int:
        """Number of searches started."""
        return self._regions_searched + self.slow.regions_searched

    @property
    def explanations(self) -> tuple[Explanation, ...]:
        """Why nothing was found in the places searched last, the most informative first.

        If none was searched recently and no rotor is tracked, one for the whole view is added.
        """
        known = in_order(self._explanations)
        if len(self._bank) or not self._recent:
            return known
        if any(self._now_us - each.t_us < RECENT_US for each in known):
            return known
        return (*known, self._explain_view())

    def _explain_view(self) -> Explanation:
        """Why no place in the whole view is searched."""
        counts, span_us = self._events.total()
        missing_us = self._detector.acquisition_us - span_us
        rejection = (
            Rejection(Reason.SHORT, 1e-6 * span_us, 1e-6 * self._detector.acquisition_us)
            if missing_us > 0 and counts.any()
            else why_no_region(counts, span_us, self._regions)
        )
        box = (0, 0, self._size.width, self._size.height)
        rate_hz = 1e6 * int(counts.sum()) / max(span_us, 1)
        return Explanation(rejection, self._now_us, round(span_us), box, rate_hz)

    def note(self, explanation: Explanation) -> None:
        """Store why no rotor is tracked in a place."""
        self._explanations = with_explanation(self._explanations, explanation)

    def add(self, part: EventWindow) -> None:
        """Add a slice that the bank has processed and counted in `unassigned`."""
        self.slow.add(part)
        self._recent.append(part)
        self._events.pass_time(part.length_us, part.share)
        if self._work is not None:
            self._later.append(part)

    def end_step(self) -> None:
        """Allow the next `search` the work units of one step."""
        self._due_us = self._detector.step_us
        self.slow.end_step()

    def recover_lost(self) -> int:
        """Try to reacquire lost rotors in the latest events; returns the number of those found."""
        recovered = 0
        newest = self._recent[-1]
        for tracker in self._bank:
            if tracker.unseen_us and tracker.unseen_us % _REACQUISITION_US < newest.length_us:
                start_us, end_us = newest.end_us - _REACQUISITION_US, newest.end_us
                found = find_motion(
                    self._events_since(start_us),
                    start_us,
                    end_us,
                    self._bank.disc_map(tracker),
                    tracker.template,
                    tracker.usual_speed,
                )
                if found is not None:
                    tracker.resume(found.phase, found.speed, found.deviations)
                    recovered += 1
        return recovered

    def search(self, may_go_on: Callable[[], bool] | None = None) -> list[Found]:
        """Continue the search, for as many work units as the last step allows.

        Args:
            may_go_on: called before each unit; if it returns False, the rest is left to the next
                call. None always continues.

        Returns:
            The rotors found, which have been added to the bank.
        """
        found: list[Found] = []
        if not self._begin_search():
            return found
        unit_us = _IDLE_UNIT_US if self._is_idle else _UNIT_US
        while may_go_on is None or may_go_on():
            self._work = work = self._work or self._next_search()
            if work is None:
                self._budget_us, self._is_put_off = 0, False
                return found
            if self._budget_us < unit_us and not (self._is_idle and self._is_new):
                self._is_put_off = False
                return found
            self._budget_us = max(self._budget_us - unit_us, 0)
            try:
                next(work)
            except StopIteration as end:
                self._work = None
                if end.value is not None:
                    found.append(end.value)
                    self._bank.add(end.value.tracker)
                    # The rest beside it is searched next.
                    self._until_look_us = 0
        return found

    def _begin_search(self) -> bool:
        """Grant the work units of an ended step; whether there are any, or some were postponed."""
        due_us, self._due_us = self._due_us, 0
        if due_us:
            # Postponed units are granted once; otherwise they would accumulate.
            self._budget_us = due_us if self._is_put_off else self._budget_us + due_us
            self._until_look_us -= due_us
            self._is_idle = not len(self._bank)
            self._is_put_off = True
        return self._is_put_off

    @property
    def _now_us(self) -> int:
        return self._recent[-1].end_us

    def _events_since(self, start_us: int) -> EventBatch:
        """The latest events, from a time on."""
        late = [part.events for part in self._recent if part.end_us > start_us]
        return EventBatch.concatenate(self._size, late).between(start_us, self._now_us)

    def _next_search(self) -> Work[Found | None] | None:
        """The search of the next region; None if there is none."""
        if self._bank.is_full:
            return None
        if self._until_look_us <= 0:
            self._until_look_us = _BUSY_LOOK_US if len(self._bank) else _LOOK_US
            self._queue = self._active_regions()
        while self._queue:
            region = self._queue.pop(0)
            active_us = self._events.active_us(region.cells)
            least_us = self._detector.acquisition_us // 2
            if active_us < least_us:
                brief = Rejection(Reason.BRIEF, 1e-6 * active_us, 1e-6 * least_us)
                self._explain(region, active_us, brief)
                self._backoff(region).wait(region, self._now_us + least_us - active_us)
                continue
            self._is_new = not self._failures(region)
            self._regions_searched += 1
            return self._search_region(region, active_us)
        return None

    def _explain(self, region: Region, active_us: int, rejection: Rejection) -> None:
        """Keep why no rotor was found in a region that has been active for some time."""
        rate_hz = 1e6 * region.events / max(self._counted_us, 1)
        self.note(Explanation(rejection, self._now_us, active_us, region.box, rate_hz))

    def _active_regions(self) -> list[Region]:
        """Regions to search: cued and new ones before those that failed, then by their events."""
        counts, span_us = self._events.total()
        self._counted_us = span_us
        discs = [tracker.ellipse for tracker in self._bank]
        now_us = self._now_us
        boxes = self._cues if now_us < self._cued_until_us else ()
        cued = (cued_region(counts, span_us, self._regions, box, discs) for box in boxes)
        regions = [each for each in cued if each is not None]
        regions += find_regions(counts, span_us, self._regions, discs)
        ready = [r for r in regions if not self._backoff(r).is_waiting(r, now_us)]
        ready.sort(key=lambda r: (r.level != CUED_LEVEL, self._failures(r)))
        return ready[: self._regions.maximum_regions]

    def _backoff(self, region: Region) -> Backoff:
        return self._backoffs[region.level]

    def _failures(self, region: Region) -> int:
        return self._backoff(region).failures(region, self._now_us)

    def _has_seemed_to_turn(self, region: Region) -> bool:
        """Whether a search of a region found a speed and rejected it nevertheless."""
        return any(
            each.is_at(region.box) and math.isfinite(each.rejection.speed_hz)
            for each in self._explanations
        )

    def _search_region(self, region: Region, active_us: int) -> Work[Found | None]:
        """Search a region in its state when the work begins, and process the result."""
        begin_us = self._now_us - active_us
        slices = [part for part in self._recent if part.start_us >= begin_us]
        left_us = 0
        if active_us >= 2 * self._detector.acquisition_us and self._has_seemed_to_turn(region):
            left_us = _LEFT_US[self._regions_searched % len(_LEFT_US)]
        count = sum(part.start_us < self._now_us - left_us for part in slices)
        self._later = slices[count:]
        request = SearchRequest(
            region=region,
            slices=tuple(slices[:count]),
            codes=self._bank.codes,
            tracked=tuple(tracker.ellipse for tracker in self._bank),
            known=self._known,
            beside=self._beside,
            failures=self._failures(region),
        )
        outcome = yield from self._search.search(request)
        self._beside = outcome.beside
        if isinstance(outcome, Found):
            rejection = self._search.why_not_seen(outcome, self._later)
            if rejection is None:
                self._explanations = without_place(self._explanations, outcome.tracker.ellipse.box)
                return outcome
        else:
            rejection = outcome.rejection
        self._explain(region, active_us, rejection)
        if isinstance(outcome, RetryAfter):
            self._backoff(region).wait(region, self._now_us + outcome.wait_us)
        else:
            self._backoff(region).fail(region, self._now_us)
        return None
