"""The search for new rotors: which regions to look at, and what candidates they hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.ellipse import Ellipse
from evio_ros.events import EventBatch, EventWindow, SensorSize
from evio_ros.rotation.acquisition import AcquisitionParameters, RotorCandidate, acquire
from evio_ros.rotation.failures import Failures
from evio_ros.rotation.outline import outline_candidate, turning_candidate
from evio_ros.rotation.pixel_table import FREE
from evio_ros.rotation.regions import Region, RegionParameters, find_regions

__all__ = ["RotorSearch", "SearchWindow", "events_at", "forget_region"]

FOLLOWED_RADIUS = 1.25
"""Cells nearer to a followed rotor's hub than this, in radii, belong to it."""
SHORT_SHARE = 4
"""A moving rotor is looked for in the last of so many parts of the events."""
MARGIN_PX = 10.0
"""Border about a region's cells whose events are looked at too."""
MOST_EVENTS = 2_000_000
"""Of more events only every second, third ... one is looked at."""


@dataclass(frozen=True, slots=True)
class SearchWindow:
    """Events in which rotors are looked for.

    Attributes:
        start_us, end_us: time span.
        events: those of a region that belong to no rotor yet.
    """

    start_us: int
    end_us: int
    events: EventBatch

    @classmethod
    def of(
        cls,
        size: SensorSize,
        steps: Sequence[EventWindow],
        codes: NDArray[np.int32],
        region: Region,
    ) -> SearchWindow:
        """The events of some steps in a region's box at pixels that are free."""
        points = region.cell_centers()
        low = np.maximum(points.min(axis=0) - MARGIN_PX, 0.0).astype(np.int64)
        high = (points.max(axis=0) + MARGIN_PX).astype(np.int64)
        parts = []
        for step in steps:
            places = _free_in_box(step.events.x, step.events.y, codes, low, high)
            parts.append(events_at(step.events, places))
        chosen = EventBatch.concatenate(size, parts)
        stride = -(-len(chosen) // MOST_EVENTS)
        if stride > 1:
            chosen = events_at(chosen, np.arange(0, len(chosen), stride))
        return cls(steps[0].start_us, steps[-1].end_us, chosen)

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

    Attributes:
        known: discs of a calibration; where a region lies in one, it is tried first.
    """

    def __init__(
        self, span_us: int, regions: RegionParameters, acquisition: AcquisitionParameters
    ) -> None:
        self._span_us = span_us
        self._regions = regions
        self._acquisition = acquisition
        self._failures = Failures()
        self.known: tuple[Ellipse, ...] = ()

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
        self._failures.pass_search(grid.shape)
        hopeful = [region for region in found if not self._failures.is_paused(region)]
        return hopeful[: self._regions.maximum_regions]

    def candidates(self, window: SearchWindow, region: Region) -> Iterator[RotorCandidate]:
        """Candidates of a region, those from which most can be hoped first."""
        recent = window.last(self._span_us)
        short = window.last(self._span_us // SHORT_SHARE)
        for ellipse in self.known:
            if _covers(ellipse, region):
                known = turning_candidate(recent.events, recent.start_us, recent.span_us, ellipse)
                if known is not None:
                    yield known
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
        self._failures.add(region)


def _covers(ellipse: Ellipse, region: Region) -> bool:
    """Whether most of a region lies on a disc."""
    points = region.cell_centers()
    radius, _ = ellipse.disc_coordinates(points[:, 0], points[:, 1])
    return float((radius < FOLLOWED_RADIUS).mean()) > 0.5


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


@njit(cache=True, nogil=True)
def _free_in_box(x, y, codes, low, high):  # type: ignore[no-untyped-def]
    """Indices of events at free pixels of a box."""
    places = np.empty(x.size, np.int64)
    count = 0
    x0, y0 = np.int32(low[0]), np.int32(low[1])
    width, height = np.uint32(high[0] - low[0]), np.uint32(high[1] - low[1])
    for i in range(x.size):
        # What lies before the box wraps round to a large number.
        is_inside = np.uint32(np.int32(x[i]) - x0) <= width
        if is_inside and np.uint32(np.int32(y[i]) - y0) <= height and codes[y[i], x[i]] == FREE:
            places[count] = i
            count += 1
    return places[:count].copy()


def events_at(events: EventBatch, places: NDArray[np.int64] | NDArray[np.bool_]) -> EventBatch:
    """Copy of the events at some indices, or of those where a mask is True."""
    return EventBatch.trusted(
        events.size, events.t[places], events.x[places], events.y[places], events.polarity[places]
    )
