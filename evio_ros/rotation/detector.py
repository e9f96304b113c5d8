"""The rotation detector: a slice of events in, estimates of all rotors out.

Rotors that are tracked already take in each slice at once (`tracking.tracker_bank`); others are
searched for between the steps (`acquisition.schedule`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from evio_ros.estimate import RotorEstimate
from evio_ros.events import EventWindow, SensorSize
from evio_ros.explanation import Explanation, Reason, Rejection
from evio_ros.rotation.acquisition.regions import RegionParameters
from evio_ros.rotation.acquisition.schedule import SearchSchedule
from evio_ros.rotation.acquisition.winding import AcquisitionParameters
from evio_ros.rotation.dead_time import DeadTime
from evio_ros.rotation.detector_parameters import DetectorSettings, RotationDetectorParameters
from evio_ros.rotation.known_discs import KnownDiscs
from evio_ros.rotation.tracking.rotor_tracker import RotorTracker
from evio_ros.rotation.tracking.tracker_bank import TrackerBank
from evio_ros.rotation.tracking.tracker_parameters import TrackerParameters

__all__ = ["RotationDetector"]

_DOUBTFUL_US = 500_000
"""What fails to explain its disc's events for so long is no rotor, and keeps them from others."""


@dataclass(slots=True)
class _DetectorStatistics:
    """What happened so far.

    Attributes:
        steps, events_measured: steps and events taken in.
        gaps: steps that did not begin where the one before ended.
        regions_searched: regions in which rotors were searched for.
        rotors_found, rotors_lost: rotors taken up and given up.
        rotors_recovered: times a rotor's motion was lost and found again.
    """

    steps: int = 0
    events_measured: int = 0
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
        known_discs: discs known from before; they are tried first where something moves.

    Raises:
        ParameterError: where the known discs are of another geometry.

    Attributes:
        parameters: those given.
        settings: all parameters, in the order in which they were given.
        statistics: counters of what happened.
        may_search: asked before each work unit of a search, a millisecond; where it says no, the
            rest is put off until it is asked again, and steps go on meanwhile. None never puts it
            off.
    """

    def __init__(
        self,
        size: SensorSize,
        parameters: RotationDetectorParameters | None = None,
        regions: RegionParameters | None = None,
        acquisition: AcquisitionParameters | None = None,
        tracking: TrackerParameters | None = None,
        known_discs: KnownDiscs | None = None,
    ) -> None:
        if known_discs is not None:
            known_discs.check(size)
        self.size = size
        self.parameters = p = parameters or RotationDetectorParameters()
        self.settings = DetectorSettings(
            p,
            regions or RegionParameters(),
            acquisition or AcquisitionParameters(),
            tracking or TrackerParameters(),
        )
        self.statistics = _DetectorStatistics()
        self.may_search: Callable[[], bool] | None = None
        self._next_identity = 0
        self._slice_lengths_us = p.slice_lengths_us
        self._patience_us = p.patience_us
        self._dead_time = DeadTime()
        self._bank = TrackerBank(
            size,
            p.maximum_rotors,
            self.settings.regions.cell_px,
            p.window_us,
            self.settings.tracking,
        )
        discs = known_discs.discs if known_discs is not None else ()
        known = [disc.ellipse for disc in discs]
        self._schedule = SearchSchedule(size, self._bank, known, self.settings)
        self.reset()

    def reset(self) -> None:
        """Forget all events and rotors, and begin a step; identities go on counting."""
        self._slices_of_step = 0
        self._end_us: int | None = None
        self._dead_time.clear()
        self._forget()

    def process(self, step: EventWindow) -> list[RotorEstimate]:
        """Add the next `step_us` of events and measure every rotor over the last `window_us`.

        Args:
            step: steps follow one another without gaps. After a gap or a step back the detector
                starts afresh.

        Returns:
            One estimate for each rotor that is seen, the most confident first. While the first
            window fills, and after a rotor was found, `RotorEstimate.window_us` says how much is
            measured. Where none was tracked before, those found in this step are among them;
            where some were, they do not wait for the others: see `search`.

        Raises:
            EventError: where the events are of another geometry, the step is not of the length of
                one, or an event lies outside it. Nothing is changed then.
        """
        step.check(self.size, self.parameters.step_us)
        self._slices_of_step = 0
        start_us = step.start_us
        estimates: list[RotorEstimate] | None = None
        for length_us in self._slice_lengths_us:
            estimates = self._take(step.part(start_us, length_us))
            start_us += length_us
        return estimates or []

    def take(self, part: EventWindow) -> list[RotorEstimate] | None:
        """Add the next slice of a step: estimates are out sooner where events come by parts.

        Args:
            part: the next slice, of the length that is due by
                `RotationDetectorParameters.slice_lengths_us`; `WindowAssembler` makes such ones.
                Slices follow one another as steps do in `process`; after a gap a step begins.

        Returns:
            What `process` returns, with the last slice of a step; else None.

        Raises:
            EventError: as of `process`.
        """
        turn = self._slices_of_step if self._follows_on(part) else 0
        part.check(self.size, self._slice_lengths_us[turn])
        return self._take(part)

    def search(self) -> None:
        """Do the part of a step that searches for more rotors, once its estimates are passed on.

        The next `process` does it first where it was not done; results are the same, unless
        `may_search` puts it off.
        """
        found_now = self._schedule.search(self.may_search)
        for found in (*found_now, *self._schedule.slow.search(self.may_search)):
            found.tracker.identity = self.new_identity()
            self.statistics.rotors_found += 1
        self.statistics.regions_searched = self._schedule.regions_searched

    def cue(self, boxes: Sequence[tuple[float, float, float, float]], until_us: int) -> None:
        """Say where somebody else, e.g. a network, sees rotors that may not be tracked yet.

        They are searched first, with lower thresholds for what is active, and only within the box,
        whatever is around it. What is no rotor is refused all the same.

        Args:
            boxes: x0, y0, x1, y1 in pixels each; they take the place of those told before.
            until_us: sensor time after which they hold no longer.
        """
        self._schedule.cue(boxes, until_us)

    def new_identity(self) -> int:
        """A number that no rotor has had, for one that is found by other means."""
        self._next_identity += 1
        return self._next_identity - 1

    @property
    def explanations(self) -> tuple[Explanation, ...]:
        """Why no rotor was found, or is tracked any more, in other places, as far as is known.

        The latest of each place, of eight places at most; the most telling first. Where no place
        was active and no rotor is tracked, it is one of the whole view, and none before any events.
        """
        return self._schedule.explanations

    @property
    def trackers(self) -> TrackerBank:
        """The trackers of the rotors that are tracked now, to be read only."""
        return self._bank

    def known_discs(self) -> KnownDiscs:
        """The discs of all rotors that are tracked, as they are known by now."""
        return KnownDiscs(self.size, tuple(tracker.known_disc() for tracker in self._bank))

    def forget_discs(self) -> None:
        """Forget all discs, those known from before too, and find them anew."""
        self._schedule.forget_known_discs()
        self._forget()

    def _forget(self) -> None:
        self._bank.clear()
        self._schedule.reset()

    def _follows_on(self, part: EventWindow) -> bool:
        """Whether a slice begins where the one before ended."""
        return self._end_us is None or part.start_us == self._end_us

    def _take(self, part: EventWindow) -> list[RotorEstimate] | None:
        self.search()
        if not self._follows_on(part):
            self.statistics.gaps += 1
            self.reset()
        self._end_us = part.end_us
        self.statistics.events_measured += len(part.events)
        self._slices_of_step += 1
        is_last = self._slices_of_step == len(self._slice_lengths_us)
        part = self._dead_time.mark(part)
        times_us = range(part.start_us, part.end_us)
        unassigned = self._schedule.unassigned
        self._bank.follow(part.events, times_us, is_last, unassigned, part.live, part.share)
        self._schedule.add(part)
        self.statistics.rotors_recovered += self._schedule.recover_lost()
        return self._complete_step() if is_last else None

    def _complete_step(self) -> list[RotorEstimate]:
        self.statistics.steps += 1
        self._slices_of_step = 0
        self._drop_lost()
        self._schedule.end_step()
        if not len(self._bank):
            self.search()
        estimates = [tracker.estimate() for tracker in self._bank]
        seen = [estimate for estimate in estimates if estimate is not None]
        return sorted(seen, key=lambda estimate: estimate.confidence, reverse=True)

    def _drop_lost(self) -> None:
        for tracker in self._bank:
            rejection = self._why_lost(tracker)
            if rejection is not None:
                self._bank.remove(tracker)
                self.statistics.rotors_lost += 1
                window_us, box = self.parameters.window_us, tracker.ellipse.box
                self._schedule.note(Explanation(rejection, tracker.t_us, window_us, box))

    def _why_lost(self, tracker: RotorTracker) -> Rejection | None:
        """Why a rotor is given up; None where it is not."""
        speed_hz = tracker.usual_speed / (2 * math.pi)
        for reason, us, most_us in (
            (Reason.LOST, tracker.unseen_us, self._patience_us),
            (Reason.AT_REST, tracker.resting_us, self.settings.tracking.rest_us),
            (Reason.DOUBTFUL, tracker.doubtful_us, _DOUBTFUL_US),
        ):
            if us > most_us:
                return Rejection(reason, 1e-6 * us, 1e-6 * most_us, speed_hz=speed_hz)
        return None
