"""The rotation detector: slices of events in, estimates of all rotors out.

Each slice immediately updates the rotors that are already tracked (`tracking.tracker_bank`). Other
rotors are searched for between the steps (`acquisition.schedule`).
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
"""A tracker whose template has not explained its disc's events for this long is dropped: it is not
a rotor, and other rotors cannot use the events of its disc."""


@dataclass(slots=True)
class _DetectorStatistics:
    """Counters of what has happened so far.

    Attributes:
        steps, events_measured: steps and events processed.
        gaps: steps that did not start where the last one ended.
        regions_searched: regions in which rotors were searched for.
        rotors_found, rotors_lost: rotors acquired and dropped.
        rotors_recovered: number of times a lost rotor was reacquired.
    """

    steps: int = 0
    events_measured: int = 0
    gaps: int = 0
    regions_searched: int = 0
    rotors_found: int = 0
    rotors_lost: int = 0
    rotors_recovered: int = 0


class RotationDetector:
    """Finds rotors automatically and measures each over a sliding window.

    Args:
        size: geometry of the sensor.
        parameters: window, step and limits.
        regions, acquisition, tracking: parameters of the stages.
        known_discs: previously known discs; they are tried first where something moves.

    Raises:
        ParameterError: if the known discs are of another sensor geometry.

    Attributes:
        parameters: as given.
        settings: all parameters, in the order of the arguments.
        statistics: counters of what happened.
        may_search: called before each work unit of a search, which takes a millisecond. If it
            returns False, the rest of the search is postponed until it is called again, while steps
            continue. None never postpones.
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
        """Forget all events and rotors, and start a new step; identities continue to count up."""
        self._slices_of_step = 0
        self._end_us: int | None = None
        self._dead_time.clear()
        self._forget()

    def process(self, step: EventWindow) -> list[RotorEstimate]:
        """Process the next `step_us` of events and measure every rotor over the last `window_us`.

        Args:
            step: the next step. Steps must be consecutive; after a gap or a step back in time, the
                detector is reset.

        Returns:
            One estimate for each rotor in view, the most confident first. While the first window
            fills, and after a rotor was found, `RotorEstimate.window_us` is the length actually
            measured. If no rotor was tracked before, rotors found in this step are included;
            otherwise, estimates do not wait for the search, see `search`.

        Raises:
            EventError: if the events are of another geometry, the step has the wrong length, or an
                event lies outside it. The detector is unchanged in that case.
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
        """Process the next slice of a step, for a lower latency than `process` on a live stream.

        Args:
            part: the next slice, of the length given by
                `RotationDetectorParameters.slice_lengths_us`; `WindowAssembler` makes such slices.
                Slices must be consecutive like the steps of `process`; after a gap, a new step
                starts.

        Returns:
            The estimates of the step with its last slice, see `process`; else None.

        Raises:
            EventError: see `process`.
        """
        index = self._slices_of_step if self._follows_on(part) else 0
        part.check(self.size, self._slice_lengths_us[index])
        return self._take(part)

    def search(self) -> None:
        """Search for more rotors; meant to be called once the estimates of a step are passed on.

        If it is not called, the next `process` or `take` does this first; the results are the same,
        unless `may_search` postpones the search.
        """
        found_now = self._schedule.search(self.may_search)
        for found in (*found_now, *self._schedule.slow.search(self.may_search)):
            found.tracker.identity = self.new_identity()
            self.statistics.rotors_found += 1
        self.statistics.regions_searched = self._schedule.regions_searched

    def cue(self, boxes: Sequence[tuple[float, float, float, float]], until_us: int) -> None:
        """Suggest regions in which another detector, e.g. a network, sees rotors.

        They are searched first, with lower activity thresholds, and only within the box. Candidates
        are verified as usual.

        Args:
            boxes: x0, y0, x1, y1 of each in pixels; they replace those of the last call.
            until_us: sensor time in µs at which they expire.
        """
        self._schedule.cue(boxes, until_us)

    def new_identity(self) -> int:
        """An identity that no rotor has had, for a rotor that is found by other means."""
        self._next_identity += 1
        return self._next_identity - 1

    @property
    def explanations(self) -> tuple[Explanation, ...]:
        """Why no rotor was found, or is no longer tracked, in places where something happened.

        The latest explanation of each of up to eight places, the most informative first. If no
        place was active and no rotor is tracked, there is one for the whole view; before any
        events, there is none.
        """
        return self._schedule.explanations

    @property
    def trackers(self) -> TrackerBank:
        """The trackers of all tracked rotors; not to be modified."""
        return self._bank

    def known_discs(self) -> KnownDiscs:
        """The discs of all tracked rotors, by their current estimates."""
        return KnownDiscs(self.size, tuple(tracker.known_disc() for tracker in self._bank))

    def forget_discs(self) -> None:
        """Forget all rotors and all known discs, so that they are found anew."""
        self._schedule.forget_known_discs()
        self._forget()

    def _forget(self) -> None:
        """Forget all rotors and the events in which others are searched for."""
        self._bank.clear()
        self._schedule.reset()

    def _follows_on(self, part: EventWindow) -> bool:
        """Whether a slice starts where the last one ended."""
        return self._end_us is None or part.start_us == self._end_us

    def _take(self, part: EventWindow) -> list[RotorEstimate] | None:
        """As `take`, for a slice that was checked."""
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
        """Drop lost rotors and make the estimates of a step, the most confident first."""
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
        """Stop tracking rotors that were not seen for too long or rest, and note why."""
        for tracker in self._bank:
            rejection = self._why_lost(tracker)
            if rejection is not None:
                self._bank.remove(tracker)
                self.statistics.rotors_lost += 1
                window_us, box = self.parameters.window_us, tracker.ellipse.box
                self._schedule.note(Explanation(rejection, tracker.t_us, window_us, box))

    def _why_lost(self, tracker: RotorTracker) -> Rejection | None:
        """Why a rotor is dropped; None if it is kept."""
        speed_hz = tracker.usual_speed / (2 * math.pi)
        for reason, us, most_us in (
            (Reason.LOST, tracker.unseen_us, self._patience_us),
            (Reason.AT_REST, tracker.resting_us, self.settings.tracking.rest_us),
            (Reason.DOUBTFUL, tracker.doubtful_us, _DOUBTFUL_US),
        ):
            if us > most_us:
                return Rejection(reason, 1e-6 * us, 1e-6 * most_us, speed_hz=speed_hz)
        return None
