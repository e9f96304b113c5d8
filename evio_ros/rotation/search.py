"""The search for new rotors: which regions to look at, and what candidates they hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evio_ros.ellipse import Ellipse
from evio_ros.events import EventBatch, EventWindow, SensorSize
from evio_ros.rotation.acquisition import AcquisitionParameters, RotorCandidate, acquire
from evio_ros.rotation.outline import outline_candidate
from evio_ros.rotation.pixel_table import FREE
from evio_ros.rotation.regions import Region, RegionParameters, find_regions

__all__ = ["RotorSearch", "SearchWindow", "events_at", "forget_region"]

FOLLOWED_RADIUS = 1.25
"""Cells nearer to a followed rotor's hub than this, in radii, belong to it."""
SHORT_SHARE = 4
"""A moving rotor is looked for in the last of so many parts of the events."""
LONGEST_PAUSE = 8
MOST_EVENTS = 3_000_000
"""Of more events only every second, third ... one is looked at."""


@dataclass(frozen=True, slots=True)
class SearchWindow:
    """Events in which rotors are looked for.

    Attributes:
        start_us, end_us: time span.
        events: those that belong to no rotor yet.
    """

    start_us: int
    end_us: int
    events: EventBatch

    @classmethod
    def of(
        cls, size: SensorSize, steps: Sequence[EventWindow], codes: NDArray[np.int32]
    ) -> SearchWindow:
        """The events of some steps at pixels that are free."""
        events = EventBatch.concatenate(size, [step.events for step in steps])
        stride = -(-len(events) // MOST_EVENTS)
        if stride > 1:
            events = events_at(events, np.arange(0, len(events), stride))
        events = events_at(events, codes[events.y, events.x] == FREE)
        return cls(steps[0].start_us, steps[-1].end_us, events)

    def last(self, span_us: int) -> SearchWindow:
        """The window's end."""
        start_us = max(self.start_us, self.end_us - span_us)
        return SearchWindow(start_us, self.end_us, self.events.between(start_us, self.end_us))

    @property
    def span_us(self) -> int:
        """Length."""
        return self.end_us - self.start_us


class RotorSearch:
    """Finds regions worth looking at and candidates in them.

    Args:
        span_us: length of the events in which blades are looked for.
        regions, acquisition: details.
    """

    def __init__(
        self, span_us: int, regions: RegionParameters, acquisition: AcquisitionParameters
    ) -> None:
        self._span_us = span_us
        self._regions = regions
        self._acquisition = acquisition
        self._failures: list[_Failure] = []

    def regions(
        self, grid: NDArray[np.int32], span_us: int, followed: Sequence[Ellipse]
    ) -> list[Region]:
        """Active regions without the followed rotors; those that failed lately are left out.

        Args:
            grid: int32 counts of the events of no rotor in cells.
            span_us: time in which they were counted.
            followed: discs of the rotors that are followed.
        """
        free = grid.copy()
        for ellipse in followed:
            _clear(free, ellipse, self._regions.cell_px)
        found = find_regions(free, span_us, self._regions)
        for failure in self._failures:
            failure.pause -= 1
        # Failures of old are forgotten once they have been tried again long ago.
        self._failures = [f for f in self._failures if f.pause > -2 * LONGEST_PAUSE]
        return [region for region in found if not self._is_paused(region)]

    def candidates(self, window: SearchWindow, region: Region) -> Iterator[RotorCandidate]:
        """Candidates of a region, those from which most can be hoped first."""
        recent = window.last(self._span_us)
        short = window.last(self._span_us // SHORT_SHARE)
        unsure = []
        for part in (short, recent):
            for candidate in acquire(
                part.events, part.start_us, part.span_us, region, self._acquisition
            ):
                if candidate.coherence >= self._acquisition.certain_coherence:
                    yield candidate
                else:
                    unsure.append(candidate)
        for part in (recent, window) if window.span_us > recent.span_us else (recent,):
            outlined = outline_candidate(part.events, part.start_us, part.span_us, region)
            if outlined is not None:
                yield outlined
        yield from unsure

    def failed(self, region: Region) -> None:
        """Look at a region less often."""
        failure = self._failure_near(region)
        if failure is None:
            failure = _Failure(region.cell_centers().mean(axis=0), 0, 0)
            self._failures.append(failure)
        failure.times += 1
        failure.pause = min(2 ** (failure.times - 1), LONGEST_PAUSE)

    def _failure_near(self, region: Region) -> _Failure | None:
        points = region.cell_centers()
        middle, reach = points.mean(axis=0), 0.5 * float(np.ptp(points, axis=0).max()) + 10.0
        for failure in self._failures:
            if float(np.hypot(*(failure.place - middle))) < reach:
                return failure
        return None

    def _is_paused(self, region: Region) -> bool:
        failure = self._failure_near(region)
        return failure is not None and failure.pause > 0


@dataclass(slots=True)
class _Failure:
    place: NDArray[np.float64]
    times: int
    pause: int


def forget_region(grid: NDArray[np.int32], region: Region) -> None:
    """Take a region's cells and their neighbours off a grid, in place."""
    for row in (-1, 0, 1):
        for column in (-1, 0, 1):
            cells = region.cells + np.array((row, column))
            inside = ((cells >= 0) & (cells < grid.shape)).all(axis=1)
            grid[cells[inside, 0], cells[inside, 1]] = 0


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


def events_at(events: EventBatch, places: NDArray[np.int64] | NDArray[np.bool_]) -> EventBatch:
    """Copy of the events at some indices, or of those where a mask is True."""
    return EventBatch.trusted(
        events.size, events.t[places], events.x[places], events.y[places], events.polarity[places]
    )
