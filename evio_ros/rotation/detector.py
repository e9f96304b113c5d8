"""The rotation detector: events in, rotors out."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evio_ros.ellipse import Ellipse
from evio_ros.errors import EventError, ParameterError
from evio_ros.events import EventBatch, EventWindow, SensorSize
from evio_ros.parameters import parameter
from evio_ros.rotation.acquisition import AcquisitionParameters, RotorCandidate
from evio_ros.rotation.calibration import Calibration
from evio_ros.rotation.estimate import RotorEstimate
from evio_ros.rotation.lock_on import lock_on
from evio_ros.rotation.pixel_table import PixelTable
from evio_ros.rotation.region_events import RegionEvents
from evio_ros.rotation.regions import Region, RegionParameters
from evio_ros.rotation.relock import find_motion
from evio_ros.rotation.rotor_tracker import RotorTracker, TrackerParameters
from evio_ros.rotation.search import RotorSearch, forget_region
from evio_ros.rotation.slice_histogram import SliceCounts
from evio_ros.rotation.window_parameters import WindowParameters

__all__ = ["DetectorStatistics", "RotationDetector", "RotationDetectorParameters"]

LONGEST_SLICE_US = 5_000
RELOCK_US = 15_000
"""Length of the events in which a lost rotor's motion is looked for."""
PASSES = 2
"""How often a new rotor is followed through the events in which it was found."""
FAILURE_US = 20_000
REPEATED_FAILURE_US = 50_000
"""Sensor time that must pass for each region searched in vain, new or one that failed before: a
search must not hold up the rest, however short the steps are."""
GRIDS = 3
"""Grids of the searches before whose counts are looked at too."""
SAME_RADIUS = 0.5
"""Two discs are one where a hub lies nearer to the other's than this, in radii."""


@dataclass(frozen=True)
class RotationDetectorParameters(WindowParameters):
    """What a user chooses of the rotation detector."""

    acquisition_us: int = parameter(
        250_000,
        unit="us",
        minimum=20_000,
        maximum=2_000_000,
        doc="Length of the events in which new rotors are looked for.",
    )
    maximum_rotors: int = parameter(
        8, minimum=1, maximum=64, doc="No more than this many rotors are followed at once."
    )
    patience: int = parameter(
        2, minimum=1, maximum=100, doc="A rotor is given up after this many windows without it."
    )

    @property
    def slice_us(self) -> int:
        """Length of the slices that a step is cut into: a divisor of the step, about 5 ms."""
        return next(
            self.step_us // pieces
            for pieces in range(1, self.step_us + 1)
            if self.step_us % pieces == 0 and self.step_us // pieces <= LONGEST_SLICE_US
        )


@dataclass(slots=True)
class DetectorStatistics:
    """What happened so far.

    Attributes:
        steps, events: steps and events taken in.
        gaps: steps that did not begin where the one before ended.
        regions_searched: regions in which rotors were looked for.
        rotors_found, rotors_lost: rotors taken up and given up.
        rotors_recovered: times a rotor's motion was lost and found again.
    """

    steps: int = 0
    events: int = 0
    gaps: int = 0
    regions_searched: int = 0
    rotors_found: int = 0
    rotors_lost: int = 0
    rotors_recovered: int = 0


class RotationDetector:
    """Finds rotors by itself and measures each over a sliding window.

    Args:
        size: geometry of the sensor.
        parameters: window, step and limits.
        regions, acquisition, tracking: details of the stages.
        calibration: discs known from before; they are tried first where something moves.

    Raises:
        ParameterError: where the calibration is for another geometry.

    Attributes:
        statistics: counters of what happened.
    """

    def __init__(
        self,
        size: SensorSize,
        parameters: RotationDetectorParameters | None = None,
        regions: RegionParameters | None = None,
        acquisition: AcquisitionParameters | None = None,
        tracking: TrackerParameters | None = None,
        calibration: Calibration | None = None,
    ) -> None:
        self.size = size
        self.parameters = parameters or RotationDetectorParameters()
        self.statistics = DetectorStatistics()
        self._regions = regions or RegionParameters()
        self._acquisition = acquisition or AcquisitionParameters()
        self._tracking = tracking or TrackerParameters()
        if calibration is not None and calibration.size != size:
            raise ParameterError(f"calibration: for a {calibration.size} sensor, not for {size}")
        self._known = tuple(disc.ellipse for disc in calibration.discs) if calibration else ()
        self._slice_us = self.parameters.slice_us
        cell = self._regions.cell_px
        self._counts = SliceCounts(
            self.parameters.maximum_rotors,
            self._tracking.rings,
            (-(-size.height // cell), -(-size.width // cell)),
            cell,
        )
        self._next_identity = 0
        self.reset()

    @property
    def all_parameters(
        self,
    ) -> tuple[
        RotationDetectorParameters, RegionParameters, AcquisitionParameters, TrackerParameters
    ]:
        """All parameters, in the order of the constructor."""
        return self.parameters, self._regions, self._acquisition, self._tracking

    def reset(self) -> None:
        """Forget all events and rotors; identities go on counting."""
        steps = math.ceil(self.parameters.acquisition_us / self.parameters.step_us)
        self._steps_to_first_search = steps
        self._steps_between_searches = max(steps // 2, 1)
        self._recent: deque[EventWindow] = deque(maxlen=2 * steps)
        self._steps_to_search = 0
        self._search_time_us = 0
        self._trackers: list[RotorTracker] = []
        self._table = PixelTable(self.size, self._regions.cell_px)
        self._searcher = RotorSearch(
            self.parameters.acquisition_us, self._regions, self._acquisition
        )
        self._searcher.known = self._known
        self._to_search: list[Region] = []
        self._grids: deque[NDArray[np.int32]] = deque(maxlen=GRIDS)
        self._grid_spans: deque[int] = deque(maxlen=GRIDS)
        self._free = self._counts.empty_grid()
        self._counted_us = 0

    def process(self, window: EventWindow) -> list[RotorEstimate]:
        """Add the next `step_us` of events and measure every rotor over the last `window_us`.

        Args:
            window: events of one step; steps follow one another without gaps. After a gap or a
                step back the detector starts afresh.

        Returns:
            One estimate for each rotor that is seen, the most confident first. While the first
            window fills, and after a rotor was found, `RotorEstimate.window_us` says how much is
            measured.

        Raises:
            EventError: where the events are of another geometry, the window is not of the length of
                a step, or an event lies outside it. Nothing is changed then.
        """
        self._check(window)
        if self._recent and window.start_us != self._recent[-1].end_us:
            self.statistics.gaps += 1
            self.reset()
        self.statistics.steps += 1
        self.statistics.events += len(window.events)
        self._recent.append(window)
        self._advance(window, self._trackers, self._free, relock=True)
        self._drop_lost()
        self._counted_us += window.length_us
        self._steps_to_search -= 1
        if len(self._recent) >= self._steps_to_first_search and self._steps_to_search <= 0:
            self._steps_to_search = self._steps_between_searches
            self._to_search = self._active_regions()
        self._search_on(window.length_us)
        estimates = [tracker.estimate() for tracker in self._trackers]
        seen = [estimate for estimate in estimates if estimate is not None]
        return sorted(seen, key=lambda estimate: estimate.confidence, reverse=True)

    def calibration(self) -> Calibration:
        """The discs of all rotors that are followed, as they are known by now."""
        discs = tuple(tracker.known_disc() for tracker in self._trackers)
        return Calibration(self.size, discs)

    def recalibrate(self) -> None:
        """Forget all discs, those of a calibration too, and find them anew."""
        self._known = ()
        self.reset()

    def _check(self, window: EventWindow) -> None:
        if window.events.size != self.size:
            raise EventError(
                f"events of a {window.events.size} sensor given to a detector for {self.size}"
            )
        if window.length_us != self.parameters.step_us:
            raise EventError(
                f"window of {window.length_us} us is not the step of {self.parameters.step_us} us"
            )
        t = window.events.t
        if len(t) and (t[0] < window.start_us or t[-1] >= window.end_us):
            raise EventError(
                f"an event at {t[0]} or {t[-1]} us lies outside its step, "
                f"{window.start_us} to {window.end_us} us"
            )

    def _advance(
        self,
        window: EventWindow,
        trackers: list[RotorTracker],
        free: NDArray[np.int32],
        relock: bool,
    ) -> None:
        """Cut a step into slices and let trackers follow."""
        phases = np.zeros(self.parameters.maximum_rotors)
        speeds = np.zeros(self.parameters.maximum_rotors)
        for start_us in range(window.start_us, window.end_us, self._slice_us):
            for tracker in trackers:
                phases[tracker.slot], speeds[tracker.slot] = tracker.expected()
            times_us = range(start_us, start_us + self._slice_us)
            self._counts.count(window.events, self._table, times_us, phases, speeds, free)
            for tracker in trackers:
                is_last = times_us.stop >= window.end_us
                if tracker.take(self._counts.counts[tracker.slot], is_last):
                    self._table.put(tracker.slot, tracker.disc_map())
                if relock and tracker.unseen_us and tracker.unseen_us % RELOCK_US < self._slice_us:
                    self._relock(tracker)

    def _relock(self, tracker: RotorTracker) -> None:
        """Look for the motion of a lost rotor in the latest events."""
        end_us = tracker.t_us
        start_us = end_us - RELOCK_US
        late = [step for step in self._recent if step.end_us > start_us]
        parts = [step.events.between(start_us, end_us) for step in late]
        events = EventBatch.concatenate(self.size, parts)
        disc = tracker.disc_map()
        found = find_motion(events, start_us, end_us, disc, tracker.template, tracker.usual_speed)
        if found is not None:
            tracker.resume(found.phase, found.speed, found.deviations)
            self.statistics.rotors_recovered += 1

    def _drop_lost(self) -> None:
        patience_us = self.parameters.patience * max(self.parameters.window_us, 50_000)
        for tracker in list(self._trackers):
            if tracker.unseen_us > patience_us or tracker.resting_us > self._tracking.rest_us:
                self._drop(tracker)

    def _drop(self, tracker: RotorTracker) -> None:
        self._trackers.remove(tracker)
        self._table.remove(tracker.slot)
        self.statistics.rotors_lost += 1

    def _active_regions(self) -> list[Region]:
        """Where to look for rotors: regions of events that belong to none yet."""
        grid = np.add.reduce([*self._grids, self._free])
        span_us = self._counted_us + sum(self._grid_spans)
        self._grids.append(self._free)
        self._grid_spans.append(self._counted_us)
        self._free = self._counts.empty_grid()
        self._counted_us = 0
        if len(self._trackers) >= self.parameters.maximum_rotors:
            return []
        followed = [tracker.ellipse for tracker in self._trackers]
        return self._searcher.regions(grid, span_us, followed)

    def _search_on(self, length_us: int) -> None:
        """Go on with the search for as many regions as a step of some length has time for."""
        longest_us = max(length_us, REPEATED_FAILURE_US)
        self._search_time_us = min(self._search_time_us + length_us, longest_us)
        while self._to_search:
            is_new = self._searcher.is_new(self._to_search[0])
            needed_us = FAILURE_US if is_new else REPEATED_FAILURE_US
            if self._search_time_us < needed_us:
                return
            if not self._search(self._to_search.pop(0)):
                self._search_time_us -= needed_us

    def _search(self, region: Region) -> bool:
        """Look for a rotor in a region; whether there was one."""
        self.statistics.regions_searched += 1
        window = RegionEvents(self.size, list(self._recent), self._table.codes, region)
        is_found = self._take_up(window, self._searcher.candidates(window, region))
        if is_found:
            for old in (*self._grids, self._free):
                forget_region(old, region)
        else:
            self._searcher.failed(region)
        return is_found

    def _take_up(self, window: RegionEvents, candidates: Iterator[RotorCandidate]) -> bool:
        """Follow the first of a region's candidates that the events confirm."""
        for candidate in candidates:
            if len(self._trackers) >= self.parameters.maximum_rotors:
                return False
            tracker = self._try(window, candidate)
            if tracker is not None:
                self._trackers.append(tracker)
                self._next_identity += 1
                self.statistics.rotors_found += 1
                return True
        return False

    def _try(self, window: RegionEvents, candidate: RotorCandidate) -> RotorTracker | None:
        """Follow a candidate through the latest events, and again with the looks so learned."""
        lock = lock_on(window, candidate, self._tracking, self._slice_us)
        if lock is None:
            return None
        ellipse, template, motion = lock.ellipse, lock.template, lock.motion
        past = window.last(window.end_us - motion.t_us)
        slot = self._table.free_slot()
        for _ in range(PASSES):
            tracker = RotorTracker(
                self._next_identity,
                slot,
                ellipse,
                template,
                motion,
                self.size,
                self._slice_us,
                self.parameters.window_us // self._slice_us,
                self._tracking,
            )
            self._table.put(slot, tracker.disc_map())
            step = EventWindow(past.start_us, past.span_us, past.events)
            self._advance(step, [tracker], self._counts.empty_grid(), relock=False)
            if not tracker.is_credible() or self._is_followed(tracker.ellipse):
                self._table.remove(slot)
                return None
            ellipse, template, motion = tracker.retraced(past.start_us)
        return tracker

    def _is_followed(self, ellipse: Ellipse) -> bool:
        """Whether a disc is one that is followed already."""
        return any(
            min(
                float(tracker.ellipse.disc_coordinates(*ellipse.center)[0]),
                float(ellipse.disc_coordinates(*tracker.ellipse.center)[0]),
            )
            < SAME_RADIUS
            for tracker in self._trackers
        )
