"""The search for new rotors: which regions to look at, and what turns in them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from evio_ros.ellipse import Ellipse
from evio_ros.events import EventWindow, SensorSize
from evio_ros.rotation.acquisition.backoff import Failures
from evio_ros.rotation.acquisition.disc_outline import (
    LEAST_TURNS,
    outline_ellipse,
    turning_candidate,
)
from evio_ros.rotation.acquisition.pull_in import lock_on
from evio_ros.rotation.acquisition.region_events import RegionEvents
from evio_ros.rotation.acquisition.regions import Region, RegionParameters, find_regions
from evio_ros.rotation.acquisition.verification import CandidateFollower
from evio_ros.rotation.acquisition.winding import AcquisitionParameters, RotorCandidate, acquire
from evio_ros.rotation.acquisition.work_units import Pieces
from evio_ros.rotation.tracking.rotor_tracker import RotorTracker
from evio_ros.rotation.tracking.tracker_bank import TrackerBank
from evio_ros.rotation.tracking.tracker_parameters import TrackerParameters

__all__ = ["RotorSearch"]

FOLLOWED_RADIUS = 1.25
"""Cells nearer to a followed rotor's hub than this, in radii, belong to it."""
OWN_SHARE = 0.5
"""More than this share of a disc's region lies on the disc."""
SHORT_SHARE = 4
"""A moving rotor is looked for in the last of so many parts of the events."""
GLANCES_FROM = 3
"""After so many failures every other look at a region is a short one."""
PROMISING_PAUSE_US = 80_000
"""What winds but could not be followed is looked at again after this time."""
OUTLINE_POINTS = 32
SAME_RADIUS = 0.5
"""Two discs are one where a hub lies nearer to the other's than this, in radii."""


class RotorSearch:
    """Finds regions worth looking at, and rotors in them.

    Args:
        size: geometry of the sensor.
        recent: the latest steps, kept up to date by the owner, as are:
        followed: the rotors that are followed.
        known: discs of a calibration; where a region lies in one, it is tried first.
        span_us: length of the events in which blades are looked for; slow discs in twice that.
        slice_us, window_slices: slices that rotors are followed with, and their number in a window.
        regions, acquisition, tracking: details.
    """

    def __init__(
        self,
        size: SensorSize,
        recent: Sequence[EventWindow],
        followed: TrackerBank,
        known: Sequence[Ellipse],
        span_us: int,
        slice_us: int,
        window_slices: int,
        regions: RegionParameters,
        acquisition: AcquisitionParameters,
        tracking: TrackerParameters,
    ) -> None:
        self._size = size
        self._recent = recent
        self._followed = followed
        self._known_discs = known
        self._span_us = span_us
        self._slice_us = slice_us
        self._regions = regions
        self._acquisition = acquisition
        self._tracking = tracking
        self._later: list[EventWindow] | None = None
        # Candidates of the region in which a rotor was found last: others may turn beside it.
        self._beside: list[RotorCandidate] = []
        # When to look again at what is no failure: a slow disc that has not turned once, or what
        # winds but can't be followed yet, as it speeds up.
        self._wait_us = 0
        self._failures = Failures(followed.grid_shape)
        self._follower = CandidateFollower(size, regions.cell_px, slice_us, window_slices, tracking)

    def pass_step(self, step: EventWindow) -> None:
        """Take note of a step that has passed."""
        self._failures.pass_time(step.length_us)
        if self._later is not None:
            self._later.append(step)

    def regions(self, grid: NDArray[np.int32], span_us: int) -> list[Region]:
        """Active regions without the followed rotors; those that failed lately are left out.

        New ones come before those that failed of old, and then those with most events.

        Args:
            grid: int32 counts of the events of no rotor in cells; the followed discs are cleared.
            span_us: time in which they were counted.
        """
        for tracker in self._followed:
            _clear(grid, tracker.ellipse, self._regions.cell_px)
        found = find_regions(grid, span_us, self._regions)
        hopeful = [region for region in found if not self._failures.is_paused(region)]
        hopeful.sort(key=self._failures.times)
        return hopeful[: self._regions.maximum_regions]

    def is_new(self, region: Region) -> bool:
        """Whether a region was not searched in vain of late."""
        return self._failures.times(region) == 0

    def is_ripe(self, region: Region, active_us: int) -> bool:
        """Whether a region has been active for long enough to be searched; if not, it must wait."""
        missing_us = self._span_us // 2 - active_us
        if missing_us > 0:
            self._failures.wait(region, missing_us)
        return missing_us <= 0

    def search(self, region: Region, active_us: int) -> Pieces[RotorTracker | None]:
        """Look for a rotor in a region.

        Args:
            region: where.
            active_us: for how long it has been active; only events of that time are looked at.

        Returns:
            A tracker that has followed it up to the end of the latest step; None where none turns.
        """
        begin_us = self._recent[-1].end_us - active_us
        steps = [step for step in self._recent if step.start_us >= begin_us]
        window = RegionEvents(self._size, steps, self._followed.codes, region)
        later: list[EventWindow] = []
        self._later = later
        self._wait_us = 0
        tracker = yield from self._first_rotor(window, region)
        if tracker is not None:
            # More steps may pass meanwhile; where none is left the tracker is up to date.
            for step in later:
                yield from self._follower.follow(tracker, window.of_step(step), step.end_us)
        self._later = None
        if tracker is not None and tracker.is_credible():
            return tracker
        if self._wait_us > 0:
            self._failures.wait(region, self._wait_us)
        else:
            self._failures.add(region)
        return None

    def _first_rotor(self, window: RegionEvents, region: Region) -> Pieces[RotorTracker | None]:
        """The first of a region's candidates that the events confirm, most hopeful ones first."""
        beside = [c for c in self._beside if _share(region, c.ellipse) > OWN_SHARE]
        tracker = yield from self._try_all(window, beside)
        if tracker is None:
            self._beside = [c for c in self._beside if c not in beside]
            known = yield from self._known(window, region)
            tracker = yield from self._try_all(window, known)
        if tracker is not None:
            return tracker
        is_glance = self._is_glance(region)
        candidates = yield from self._winding_candidates(window, region, is_glance)
        tracker = yield from self._try_all(window, candidates)
        if tracker is not None:
            self._beside = candidates
            return tracker
        if any(c.coherence >= self._acquisition.certain_coherence for c in candidates):
            self._wait_us = PROMISING_PAUSE_US
        outline = None if is_glance else outline_ellipse(region)
        if outline is None or self._is_cut_off(outline):
            return None
        turning = yield from self._turning(window, outline)
        return (yield from self._try_all(window, [] if turning is None else [turning]))

    def _known(self, window: RegionEvents, region: Region) -> Pieces[list[RotorCandidate]]:
        """What turns in the discs of the calibration."""
        found = []
        for disc in self._known_discs:
            if _share(region, disc) > OWN_SHARE:
                found.append((yield from self._turning(window, disc)))
        return [candidate for candidate in found if candidate is not None]

    def _is_glance(self, region: Region) -> bool:
        """Whether the latest events are enough for a place that fails again and again."""
        times = self._failures.times(region)
        return times >= GLANCES_FROM and times % 2 == 1

    def _winding_candidates(
        self, window: RegionEvents, region: Region, is_glance: bool
    ) -> Pieces[list[RotorCandidate]]:
        """What winds about a hub lately, and for longer where that is not all beyond doubt."""
        latest = yield from self._winding(window, self._span_us // SHORT_SHARE, region)
        if is_glance:
            return latest
        certain = [c for c in latest if c.coherence >= self._acquisition.certain_coherence]
        if certain:
            outside = (1.0 - _share(region, certain[0].ellipse)) * len(region.cells)
            if outside < self._regions.minimum_cells:
                return latest
        # Where a rotor moves, what it did of late comes first.
        others = latest[len(certain) :] + (yield from self._winding(window, self._span_us, region))
        return certain + sorted(others, key=lambda c: c.coherence, reverse=True)

    def _winding(
        self, window: RegionEvents, span_us: int, region: Region
    ) -> Pieces[list[RotorCandidate]]:
        """What winds about a hub, the most coherent first."""
        part = yield from window.last(span_us)
        found = yield from acquire(
            part.events, part.start_us, part.span_us, region, self._acquisition
        )
        return [candidate for candidate in found if not self._is_hidden(candidate.ellipse)]

    def _turning(self, window: RegionEvents, disc: Ellipse) -> Pieces[RotorCandidate | None]:
        """What turns in a disc; where that is slow, more of the past is looked at."""
        for span_us in sorted({self._span_us, window.span_us}):
            part = yield from window.last(span_us)
            found = yield from turning_candidate(part.events, part.start_us, part.span_us, disc)
            if found is None:
                return None
            needed_us = int(1e6 * LEAST_TURNS / max(abs(found.frequency_hz), 1e-3))
            if needed_us <= part.span_us:
                return found
        if needed_us <= 2 * self._span_us:
            self._wait_us = needed_us - window.span_us
        return None

    def _try_all(
        self, window: RegionEvents, candidates: Sequence[RotorCandidate]
    ) -> Pieces[RotorTracker | None]:
        """Follow candidates through the events in which they were seen, up to the first rotor."""
        for candidate in candidates:
            tracker = None
            if not self._is_followed(candidate.ellipse):
                tracker = yield from self._try(window, candidate)
            if tracker is not None and not self._is_followed(tracker.ellipse):
                return tracker
        return None

    def _try(self, window: RegionEvents, candidate: RotorCandidate) -> Pieces[RotorTracker | None]:
        """Follow a candidate through the past, and once more with the looks so learned."""
        lock = yield from lock_on(window, candidate, self._tracking, self._slice_us)
        if lock is None:
            return None
        past = yield from window.last(window.end_us - lock.motion.t_us)
        tracker = self._follower.begin(lock.ellipse, lock.template, lock.motion)
        yield from self._follower.follow(tracker, past.events, past.end_us)
        if not tracker.is_seen():
            return None
        tracker = self._follower.begin(*tracker.retraced(past.start_us))
        yield from self._follower.follow(tracker, past.events, past.end_us)
        return tracker if tracker.is_credible() else None

    def _is_hidden(self, ellipse: Ellipse) -> bool:
        """Whether a hub lies under a followed disc: then what winds about it was not seen."""
        return any(
            float(tracker.ellipse.disc_coordinates(*ellipse.center)[0]) < FOLLOWED_RADIUS
            for tracker in self._followed
        )

    def _is_cut_off(self, outline: Ellipse) -> bool:
        """Whether a followed disc bounds a region: then its outline is not that of a disc."""
        x, y = outline.image_point(1.0, np.linspace(0.0, 2 * math.pi, OUTLINE_POINTS))
        return any(
            bool((tracker.ellipse.disc_coordinates(x, y)[0] < FOLLOWED_RADIUS).any())
            for tracker in self._followed
        )

    def _is_followed(self, ellipse: Ellipse) -> bool:
        """Whether a disc is one that is followed already."""
        return any(
            min(
                float(tracker.ellipse.disc_coordinates(*ellipse.center)[0]),
                float(ellipse.disc_coordinates(*tracker.ellipse.center)[0]),
            )
            < SAME_RADIUS
            for tracker in self._followed
        )


def _share(region: Region, ellipse: Ellipse) -> float:
    """How much of a region lies on a disc."""
    points = region.cell_centers()
    radius, _ = ellipse.disc_coordinates(points[:, 0], points[:, 1])
    return float((radius < FOLLOWED_RADIUS).mean())


def _clear(grid: NDArray[np.int32], ellipse: Ellipse, cell_px: int) -> None:
    """Take the cells of a disc off a grid, in place."""
    half_width, half_height = ellipse.scaled(FOLLOWED_RADIUS).half_extent()
    rows, columns = grid.shape
    y0 = int(np.clip((ellipse.center[1] - half_height) // cell_px, 0, rows))
    y1 = int(np.clip((ellipse.center[1] + half_height) // cell_px + 1, 0, rows))
    x0 = int(np.clip((ellipse.center[0] - half_width) // cell_px, 0, columns))
    x1 = int(np.clip((ellipse.center[0] + half_width) // cell_px + 1, 0, columns))
    row, column = np.mgrid[y0:y1, x0:x1]
    radius, _ = ellipse.disc_coordinates(
        (column + 0.5) * cell_px - 0.5, (row + 0.5) * cell_px - 0.5
    )
    grid[y0:y1, x0:x1][radius < FOLLOWED_RADIUS] = 0
