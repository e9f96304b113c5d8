"""The search for new rotors: which regions to look at, and what candidates they hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from evio_ros.ellipse import Ellipse
from evio_ros.rotation.acquisition import AcquisitionParameters, RotorCandidate, acquire
from evio_ros.rotation.failures import Failures
from evio_ros.rotation.outline import outline_ellipse, turning_candidate
from evio_ros.rotation.region_events import RegionEvents
from evio_ros.rotation.regions import Region, RegionParameters, find_regions

__all__ = ["RotorSearch", "forget_region"]

FOLLOWED_RADIUS = 1.25
"""Cells nearer to a followed rotor's hub than this, in radii, belong to it."""
SHORT_SHARE = 4
"""A moving rotor is looked for in the last of so many parts of the events."""


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

        New ones come before those that failed of old, and then those with most events.

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
        hopeful.sort(key=self._failures.times)
        return hopeful[: self._regions.maximum_regions]

    def candidates(self, window: RegionEvents, region: Region) -> Iterator[RotorCandidate]:
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
        outline = outline_ellipse(region)
        if outline is not None:
            for span_us in sorted({recent.span_us, window.span_us}):
                part = window.last(span_us)
                turning = turning_candidate(part.events, part.start_us, part.span_us, outline)
                if turning is not None:
                    yield turning
        yield from unsure

    def is_new(self, region: Region) -> bool:
        """Whether a region was not searched in vain of late."""
        return self._failures.times(region) == 0

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
