"""The rotation detector: events in, rotors out."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evio_ros.errors import ParameterError
from evio_ros.events import EventBatch, EventWindow, SensorSize
from evio_ros.parameters import Parameters, parameter
from evio_ros.rotation.acquisition import AcquisitionParameters, RotorCandidate, acquire
from evio_ros.rotation.estimate import RotorEstimate
from evio_ros.rotation.lock_on import lock_on
from evio_ros.rotation.pixel_table import FREE, PixelTable
from evio_ros.rotation.regions import RegionParameters, find_regions
from evio_ros.rotation.rotor_tracker import RotorTracker, TrackerParameters
from evio_ros.rotation.slice_histogram import SliceCounts

__all__ = ["DetectorStatistics", "RotationDetector", "RotationDetectorParameters"]

LONGEST_SLICE_US = 5_000


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
        searches: searches for new rotors.
        rotors_found, rotors_lost: rotors taken up and given up.
    """

    steps: int = 0
    events: int = 0
    gaps: int = 0
    searches: int = 0
    rotors_found: int = 0
    rotors_lost: int = 0


class RotationDetector:
    """Finds rotors by itself and measures each over a sliding window.

    Args:
        size: geometry of the sensor.
        parameters: window, step and limits.
        regions, acquisition, tracking: details of the stages.

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
    ) -> None:
        self.size = size
        self.parameters = parameters or RotationDetectorParameters()
        self.statistics = DetectorStatistics()
        self._regions = regions or RegionParameters()
        self._acquisition = acquisition or AcquisitionParameters()
        self._tracking = tracking or TrackerParameters()
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

    def reset(self) -> None:
        """Forget all events and rotors; identities go on counting."""
        steps = math.ceil(self.parameters.acquisition_us / self.parameters.step_us)
        self._recent: deque[EventWindow] = deque(maxlen=max(steps, 1))
        self._steps_to_search = 0
        self._trackers: list[RotorTracker] = []
        self._table = PixelTable(self.size)
        self._counts.forget_free()
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
        """
        if self._recent and window.start_us != self._recent[-1].end_us:
            self.statistics.gaps += 1
            self.reset()
        self.statistics.steps += 1
        self.statistics.events += len(window.events)
        self._recent.append(window)
        self._advance(window, self._trackers)
        self._drop_lost()
        self._counted_us += window.length_us
        self._steps_to_search -= 1
        if len(self._recent) == self._recent.maxlen and self._steps_to_search <= 0:
            self._steps_to_search = max(len(self._recent) // 2, 1)
            self._search()
        estimates = [tracker.estimate() for tracker in self._trackers]
        seen = [estimate for estimate in estimates if estimate is not None]
        return sorted(seen, key=lambda estimate: estimate.confidence, reverse=True)

    def _advance(self, window: EventWindow, trackers: list[RotorTracker]) -> None:
        """Cut a step into slices and let trackers follow."""
        phases = np.zeros(self.parameters.maximum_rotors)
        speeds = np.zeros(self.parameters.maximum_rotors)
        used = self._table.slots
        for start_us in range(window.start_us, window.end_us, self._slice_us):
            for tracker in trackers:
                phases[tracker.slot], speeds[tracker.slot] = tracker.expected()
            events = window.events.between(start_us, start_us + self._slice_us)
            self._counts.count(events, self._table.codes, start_us, phases, speeds, used)
            for tracker in trackers:
                if tracker.take(self._counts.counts[tracker.slot]):
                    self._table.put(tracker.slot, tracker.disc_map())

    def _drop_lost(self) -> None:
        patience_us = self.parameters.patience * max(self.parameters.window_us, 50_000)
        for tracker in list(self._trackers):
            if tracker.unseen_us > patience_us:
                self._drop(tracker)

    def _drop(self, tracker: RotorTracker) -> None:
        self._trackers.remove(tracker)
        self._table.remove(tracker.slot)
        self.statistics.rotors_lost += 1

    def _search(self) -> None:
        """Look for rotors among the events that belong to none yet."""
        if len(self._trackers) >= self.parameters.maximum_rotors:
            return
        grid, span_us = self._counts.free.copy(), self._counted_us
        self._counts.forget_free()
        self._counted_us = 0
        regions = find_regions(grid, span_us, self._regions)
        if not regions:
            return
        self.statistics.searches += 1
        start_us, end_us = self._recent[0].start_us, self._recent[-1].end_us
        events = EventBatch.concatenate(self.size, [window.events for window in self._recent])
        if self._trackers:
            events = _where(events, self._table.codes[events.y, events.x] == FREE)
        for region in regions:
            for candidate in acquire(events, start_us, end_us - start_us, region, self._acquisition):
                if self._start(candidate, events, start_us, end_us):
                    break

    def _start(
        self, candidate: RotorCandidate, events: EventBatch, start_us: int, end_us: int
    ) -> bool:
        """Follow a candidate if the latest events confirm it."""
        if len(self._trackers) >= self.parameters.maximum_rotors:
            return False
        lock = lock_on(events, start_us, end_us, candidate, self._tracking, self._slice_us)
        if lock is None:
            return False
        tracker = RotorTracker(
            self._next_identity,
            self._table.free_slot(),
            lock.ellipse,
            lock.template,
            lock.motion,
            self.size,
            self._slice_us,
            self.parameters.window_us // self._slice_us,
            self._tracking,
        )
        self._table.put(tracker.slot, tracker.disc_map())
        self._advance(
            EventWindow(
                lock.motion.t_us,
                end_us - lock.motion.t_us,
                events.between(lock.motion.t_us, end_us),
            ),
            [tracker],
        )
        if tracker.estimate() is None:
            self._table.remove(tracker.slot)
            return False
        self._trackers.append(tracker)
        self._next_identity += 1
        self.statistics.rotors_found += 1
        return True


def _where(events: EventBatch, keep: NDArray[np.bool_]) -> EventBatch:
    return EventBatch.trusted(
        events.size, events.t[keep], events.x[keep], events.y[keep], events.polarity[keep]
    )
