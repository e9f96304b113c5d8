"""The rotation detector: events in, rotors out."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from evio_ros.errors import EventError, ParameterError
from evio_ros.estimate import RotorEstimate
from evio_ros.events import EventBatch, EventWindow, SensorSize
from evio_ros.parameters import parameter
from evio_ros.rotation.acquisition.regions import Region, RegionParameters
from evio_ros.rotation.acquisition.search import RotorSearch
from evio_ros.rotation.acquisition.unassigned_events import FreeActivity
from evio_ros.rotation.acquisition.winding import AcquisitionParameters
from evio_ros.rotation.acquisition.work_units import Pieces
from evio_ros.rotation.known_discs import Calibration
from evio_ros.rotation.tracking.reacquisition import find_motion
from evio_ros.rotation.tracking.rotor_tracker import RotorTracker, TrackerParameters
from evio_ros.rotation.tracking.tracker_bank import TrackerBank
from evio_ros.rotation.window_parameters import WindowParameters

__all__ = ["DetectorStatistics", "RotationDetector", "RotationDetectorParameters"]

LONGEST_SLICE_US = 5_000
RELOCK_US = 15_000
"""Length of the events in which a lost rotor's motion is looked for."""
DOUBTFUL_US = 500_000
"""What fails to explain the events for so long is no rotor, and stands in the way of others."""
LOOK_US = 20_000
UNHURRIED_LOOK_US = 100_000
"""Times after which active regions are looked for anew, while no rotor is followed and else."""
PIECE_US = 2_500
"""Sensor time for each piece of a search while rotors are followed: they must not wait for it."""
IDLE_PIECE_US = 1_250
"""The same while none is. Then new regions are searched to the end, as nothing can wait."""


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
        self._next_identity = 0
        self._slices_of_step = 0
        self._bank = TrackerBank(
            size,
            self.parameters.maximum_rotors,
            self._regions.cell_px,
            self._slice_us,
            self.parameters.window_us // self._slice_us,
            self._tracking,
        )
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
        p = self.parameters
        steps = math.ceil(p.acquisition_us / p.step_us)
        self._recent: deque[EventWindow] = deque(maxlen=2 * steps * (p.step_us // self._slice_us))
        self._bank.clear()
        self._free = FreeActivity(self._bank.grid_shape, 2 * p.acquisition_us, LOOK_US)
        self._searcher = RotorSearch(
            self.size,
            self._recent,
            self._bank,
            self._known,
            p.acquisition_us,
            self._slice_us,
            p.window_us // self._slice_us,
            self._regions,
            self._acquisition,
            self._tracking,
        )
        self._searching: Pieces[RotorTracker | None] | None = None
        self._is_new = False
        self._is_search_due = False
        self._to_search: list[Region] = []
        self._time_to_look_us = steps * p.step_us
        self._time_to_search_us = 0

    def process(self, step: EventWindow) -> list[RotorEstimate]:
        """Add the next `step_us` of events and measure every rotor over the last `window_us`.

        Args:
            step: steps follow one another without gaps. After a gap or a step back the detector
                starts afresh.

        Returns:
            One estimate for each rotor that is seen, the most confident first. While the first
            window fills, and after a rotor was found, `RotorEstimate.window_us` says how much is
            measured. Where none was followed before, those found in this step are among them;
            where some were, they do not wait for the others: see `search`.

        Raises:
            EventError: where the events are of another geometry, the step is not of the length of
                one, or an event lies outside it. Nothing is changed then.
        """
        self._check(step, self.parameters.step_us)
        self._slices_of_step = 0
        estimates: list[RotorEstimate] | None = None
        for start_us in range(step.start_us, step.end_us, self._slice_us):
            part = step.events.between(start_us, start_us + self._slice_us)
            estimates = self._take(EventWindow(start_us, self._slice_us, part))
        return estimates or []

    def take(self, part: EventWindow) -> list[RotorEstimate] | None:
        """Add the next `slice_us` of events: estimates are out sooner where events come by parts.

        Args:
            part: a slice of a step. Slices follow one another as steps do in `process`.

        Returns:
            What `process` returns, with the last slice of a step; else None.

        Raises:
            EventError: as of `process`.
        """
        self._check(part, self._slice_us)
        return self._take(part)

    def _take(self, part: EventWindow) -> list[RotorEstimate] | None:
        self.search()
        if self._recent and part.start_us != self._recent[-1].end_us:
            self.statistics.gaps += 1
            self._slices_of_step = 0
            self.reset()
        self.statistics.events += len(part.events)
        self._slices_of_step += 1
        is_last = self._slices_of_step * self._slice_us == self.parameters.step_us
        self._recent.append(part)
        self._follow(part, is_last)
        self._free.pass_time(part.length_us)
        self._searcher.pass_step(part)
        return self._complete_step() if is_last else None

    def _complete_step(self) -> list[RotorEstimate]:
        self.statistics.steps += 1
        self._slices_of_step = 0
        self._drop_lost()
        self._is_search_due = True
        if not len(self._bank):
            self.search()
        estimates = [tracker.estimate() for tracker in self._bank]
        seen = [estimate for estimate in estimates if estimate is not None]
        return sorted(seen, key=lambda estimate: estimate.confidence, reverse=True)

    def search(self) -> None:
        """Do the part of a step that looks for more rotors, once its estimates are passed on.

        The next `process` does it first where it was not done; results are the same.
        """
        if self._is_search_due:
            self._is_search_due = False
            self._search_on(self.parameters.step_us)

    def tracker(self, identity: int) -> RotorTracker | None:
        """The tracker of a rotor that is followed now; None where there is none."""
        return next((t for t in self._bank if t.identity == identity), None)

    def calibration(self) -> Calibration:
        """The discs of all rotors that are followed, as they are known by now."""
        discs = tuple(tracker.known_disc() for tracker in self._bank)
        return Calibration(self.size, discs)

    def recalibrate(self) -> None:
        """Forget all discs, those of a calibration too, and find them anew."""
        self._known = ()
        self.reset()

    def _check(self, window: EventWindow, length_us: int) -> None:
        if window.events.size != self.size:
            raise EventError(
                f"events of a {window.events.size} sensor given to a detector for {self.size}"
            )
        if window.length_us != length_us:
            raise EventError(f"{window.length_us} us of events came where {length_us} us are due")
        t = window.events.t
        if len(t) and (t[0] < window.start_us or t[-1] >= window.end_us):
            raise EventError(
                f"an event at {t[0]} or {t[-1]} us lies outside "
                f"{window.start_us} to {window.end_us} us"
            )

    def _follow(self, part: EventWindow, is_last: bool) -> None:
        """Let the trackers follow through a slice, which may be the last of a step."""
        times_us = range(part.start_us, part.end_us)
        self._bank.follow(part.events, times_us, is_last, self._free.latest)
        for tracker in self._bank:
            if tracker.unseen_us and tracker.unseen_us % RELOCK_US < self._slice_us:
                self._relock(tracker)

    def _relock(self, tracker: RotorTracker) -> None:
        """Look for the motion of a lost rotor in the latest events."""
        end_us = tracker.t_us
        start_us = end_us - RELOCK_US
        late = [part.events for part in self._recent if part.end_us > start_us]
        events = EventBatch.concatenate(self.size, late).between(start_us, end_us)
        disc = tracker.disc_map()
        found = find_motion(events, start_us, end_us, disc, tracker.template, tracker.usual_speed)
        if found is not None:
            tracker.resume(found.phase, found.speed, found.deviations)
            self.statistics.rotors_recovered += 1

    def _drop_lost(self) -> None:
        patience_us = self.parameters.patience * max(self.parameters.window_us, 50_000)
        for tracker in self._bank:
            if (
                tracker.unseen_us > patience_us
                or tracker.resting_us > self._tracking.rest_us
                or tracker.doubtful_us > DOUBTFUL_US
            ):
                self._drop(tracker)

    def _drop(self, tracker: RotorTracker) -> None:
        self._bank.remove(tracker)
        self.statistics.rotors_lost += 1

    def _search_on(self, length_us: int) -> None:
        """Go on with the search for rotors by as many pieces as a step of some length allows."""
        self._time_to_look_us -= length_us
        self._time_to_search_us += length_us
        none_waits = not len(self._bank)
        piece_us = IDLE_PIECE_US if none_waits else PIECE_US
        while (work := self._searching or self._begin_search()) is not None:
            self._searching = work
            is_first_look = none_waits and self._is_new
            if self._time_to_search_us < piece_us and not is_first_look:
                return
            self._time_to_search_us = max(self._time_to_search_us - piece_us, 0)
            try:
                next(work)
            except StopIteration as end:
                self._searching = None
                if end.value is not None:
                    self._take_up(end.value)
        self._time_to_search_us = 0

    def _begin_search(self) -> Pieces[RotorTracker | None] | None:
        """The search of a region where events belong to no rotor; None where there is none."""
        if self._bank.is_full:
            return None
        if self._time_to_look_us <= 0:
            self._time_to_look_us = UNHURRIED_LOOK_US if len(self._bank) else LOOK_US
            self._to_search = self._searcher.regions(*self._free.total())
        while self._to_search:
            region = self._to_search.pop(0)
            active_us = self._free.active_us(region.cells)
            if self._searcher.is_ripe(region, active_us):
                self._is_new = self._searcher.is_new(region)
                self.statistics.regions_searched += 1
                return self._searcher.search(region, active_us)
        return None

    def _take_up(self, tracker: RotorTracker) -> None:
        """Follow a rotor that was found, and look at once for what remains beside it."""
        tracker.identity = self._next_identity
        self._bank.add(tracker)
        self._next_identity += 1
        self.statistics.rotors_found += 1
        self._time_to_look_us = 0
