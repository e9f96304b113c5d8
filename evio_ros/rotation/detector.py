"""The rotation detector: events in, rotors out."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from evio_ros.errors import ParameterError
from evio_ros.events import EventBatch, EventWindow, SensorSize
from evio_ros.parameters import Parameters, parameter
from evio_ros.rotation.acquisition import AcquisitionParameters, RotorCandidate, acquire
from evio_ros.rotation.estimate import RotorEstimate
from evio_ros.rotation.regions import Region, RegionParameters, find_regions
from evio_ros.rotation.rotor_tracker import RotorTracker, TrackerParameters

__all__ = ["RotationDetector", "RotationDetectorParameters"]


@dataclass(frozen=True)
class RotationDetectorParameters(Parameters):
    """What a user chooses of the rotation detector."""

    window_us: int = parameter(
        100_000, unit="us", minimum=5_000, maximum=2_000_000, doc="Length of the measured window."
    )
    step_us: int = parameter(
        50_000,
        unit="us",
        minimum=1_000,
        maximum=2_000_000,
        doc="Time from one estimate to the next.",
    )
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

    def check_together(self) -> None:
        """Check that the window is a whole number of steps."""
        if self.window_us % self.step_us:
            raise ParameterError(
                f"window_us: {self.window_us} is not a multiple of step_us, {self.step_us}"
            )


class RotationDetector:
    """Finds rotors by itself and measures each over a sliding window.

    Args:
        size: geometry of the sensor.
        parameters: window, step and limits.
        regions, acquisition, tracking: details of the stages.
    """

    def __init__(
        self,
        size: SensorSize,
        parameters: RotationDetectorParameters | None = None,
        regions: RegionParameters | None = None,
        acquisition: AcquisitionParameters | None = None,
        tracking: TrackerParameters | None = None,
    ) -> None:
        self.size = size
        self.parameters = parameters or RotationDetectorParameters()
        self._regions = regions or RegionParameters()
        self._acquisition = acquisition or AcquisitionParameters()
        self._tracking = tracking or TrackerParameters()
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
        self._recent: deque[EventWindow] = deque(maxlen=max(steps, 1))
        self._steps_to_search = 0
        self._trackers: list[RotorTracker] = []

    def process(self, window: EventWindow) -> list[RotorEstimate]:
        """Add the next `step_us` of events and measure every rotor over the last `window_us`.

        Args:
            window: events of one step; steps follow one another without gaps. After a gap or a
                step back the detector starts afresh.

        Returns:
            One estimate for each rotor that is seen, the most confident first. While the first
            window fills, and after a rotor was found, `RotorEstimate.window_us` says how much is
            measured.
        """
        if self._recent and window.start_us != self._recent[-1].end_us:
            self.reset()
        self._recent.append(window)
        estimates = self._track(window)
        self._steps_to_search -= 1
        if len(self._recent) == self._recent.maxlen and self._steps_to_search <= 0:
            self._steps_to_search = max(len(self._recent) // 2, 1)
            estimates += self._search()
        return sorted(estimates, key=lambda estimate: estimate.confidence, reverse=True)

    def _track(self, window: EventWindow) -> list[RotorEstimate]:
        estimates = [tracker.add(window) for tracker in self._trackers]
        self._trackers = [
            tracker
            for tracker in self._trackers
            if tracker.missed_windows < self.parameters.patience
        ]
        return [estimate for estimate in estimates if estimate is not None]

    def _search(self) -> list[RotorEstimate]:
        """Look for rotors where none is followed yet, and measure those found."""
        if len(self._trackers) >= self.parameters.maximum_rotors:
            return []
        start_us = self._recent[0].start_us
        span_us = self._recent[-1].end_us - start_us
        events = EventBatch.concatenate(self.size, [window.events for window in self._recent])
        estimates = []
        for region in find_regions(events, span_us, self._regions):
            if self._is_followed(region):
                continue
            for candidate in acquire(events, start_us, span_us, region, self._acquisition):
                estimate = self._start(candidate)
                if estimate is not None:
                    estimates.append(estimate)
                    break
        return estimates

    def _is_followed(self, region: Region) -> bool:
        points = region.cell_centers()
        for tracker in self._trackers:
            radius, _ = tracker.ellipse.disc_coordinates(points[:, 0], points[:, 1])
            if (radius < 1.3).mean() > 0.3:
                return True
        return False

    def _start(self, candidate: RotorCandidate) -> RotorEstimate | None:
        """Follow a candidate if the events of the last window confirm it."""
        steps = self.parameters.window_us // self.parameters.step_us
        tracker = RotorTracker(
            self._next_identity,
            candidate,
            self.size,
            self.parameters.step_us,
            steps,
            self._tracking,
        )
        estimate = None
        for window in self._recent:
            estimate = tracker.add(window)
        if estimate is None:
            return None
        self._next_identity += 1
        self._trackers.append(tracker)
        return estimate
