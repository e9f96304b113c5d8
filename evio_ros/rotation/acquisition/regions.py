"""Active regions of the image: clusters of the active cells of a grid.

Cells are active where their event rate stands out from the median cell's. DBSCAN (Ester, Kriegel,
Sander and Xu, KDD 1996) or the mean shift (Comaniciu and Meer, IEEE PAMI 2002) joins them to
regions. It runs over cells, so its cost does not grow with the number of events.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evio_ros.ellipse import Ellipse
from evio_ros.parameters import Parameters, parameter
from evio_ros.rotation.acquisition.grid_dbscan import grid_dbscan

__all__ = ["DISC_REACH", "Region", "RegionParameters", "find_regions"]

_CORE_CELLS = 4
"""So many active cells, itself included, make a cell's neighbourhood dense: DBSCAN's MinPts, twice
the number of dimensions as its authors advise."""
DISC_REACH = 1.25
"""Cells nearer to a hub than this, in radii, belong to its disc: a rim that is known to a few
percent lies within, with the events of its blur."""
_LEAST_CELL_EVENTS = 2.0
"""A cell with fewer events is not active, however short the time: one is noise."""


@dataclass(frozen=True)
class RegionParameters(Parameters):
    """How active regions are found."""

    cell_px: int = parameter(
        4, unit="px", minimum=1, maximum=64, doc="Side of a cell of the activity grid."
    )
    cell_rate_hz: float = parameter(
        80.0, unit="Hz", minimum=0.0, doc="Least event rate of an active cell."
    )
    contrast: float = parameter(
        6.0, minimum=1.0, doc="An active cell has this many times the median cell's events."
    )
    neighbourhood_px: float = parameter(
        10.0, unit="px", minimum=1.0, doc="DBSCAN joins active cells no farther apart than this."
    )
    clustering: str = parameter(
        "dbscan", choices=("dbscan", "mean_shift"), doc="How active cells are joined to regions."
    )
    mean_shift_px: float = parameter(
        80.0, unit="px", minimum=1.0, doc="Reach of the mean shift, about the radius of a disc."
    )
    minimum_cells: int = parameter(
        12, minimum=1, doc="A region has at least this many active cells."
    )
    region_rate_hz: float = parameter(
        2000.0, unit="Hz", minimum=0.0, doc="Least event rate of a region."
    )
    maximum_regions: int = parameter(
        6,
        minimum=1,
        maximum=100,
        doc="No more than this many regions are searched after one look for active ones.",
    )


@dataclass(frozen=True, slots=True)
class Region:
    """A connected group of active cells.

    Attributes:
        cells: int64 (n, 2), row and column of each cell.
        events: number of events in the cells.
        cell_px: side of a cell in pixels.
    """

    cells: NDArray[np.int64]
    events: int
    cell_px: int

    def cell_centers(self) -> NDArray[np.float64]:
        """(n, 2) x and y of the cells' centres in pixels."""
        return (self.cells[:, ::-1] + 0.5) * self.cell_px - 0.5

    def share_on(self, disc: Ellipse) -> float:
        """Share of the cells that lie on a disc or within its reach."""
        points = self.cell_centers()
        radius, _ = disc.disc_coordinates(points[:, 0], points[:, 1])
        return float((radius < DISC_REACH).mean())


def find_regions(
    grid: NDArray[np.int32],
    span_us: float,
    parameters: RegionParameters,
    discs: Iterable[Ellipse] = (),
) -> list[Region]:
    """Find the active regions of an `activity_grid`.

    Args:
        grid: int32 events of each cell.
        span_us: time in which they were counted.
        parameters: thresholds and clustering.
        discs: discs of rotors that are tracked; their cells are left out.

    Returns:
        Regions, the one with most events first.
    """
    grid = _without(grid, discs, parameters.cell_px)
    # Every fourth cell tells the median as well.
    typical = float(np.median(grid[::2, ::2]))
    least = max(
        parameters.cell_rate_hz * span_us * 1e-6, parameters.contrast * typical, _LEAST_CELL_EVENTS
    )
    cells = np.argwhere(grid >= least)
    if len(cells) < parameters.minimum_cells:
        return []
    labels = _cluster(cells, parameters)
    regions = [
        _region(cells[labels == label], grid, parameters) for label in range(labels.max() + 1)
    ]
    least_events = parameters.region_rate_hz * span_us * 1e-6
    regions = [
        region
        for region in regions
        if len(region.cells) >= parameters.minimum_cells and region.events >= least_events
    ]
    regions.sort(key=lambda region: region.events, reverse=True)
    return regions


def _without(grid: NDArray[np.int32], discs: Iterable[Ellipse], cell_px: int) -> NDArray[np.int32]:
    """The grid with no events in the cells of some discs."""
    grid = grid.copy()
    rows, columns = grid.shape
    for disc in discs:
        half_width, half_height = disc.scaled(DISC_REACH).half_extent()
        y0 = int(np.clip((disc.center[1] - half_height) // cell_px, 0, rows))
        y1 = int(np.clip((disc.center[1] + half_height) // cell_px + 1, 0, rows))
        x0 = int(np.clip((disc.center[0] - half_width) // cell_px, 0, columns))
        x1 = int(np.clip((disc.center[0] + half_width) // cell_px + 1, 0, columns))
        row, column = np.mgrid[y0:y1, x0:x1]
        x, y = (column + 0.5) * cell_px - 0.5, (row + 0.5) * cell_px - 0.5
        radius, _ = disc.disc_coordinates(x, y)
        grid[y0:y1, x0:x1][radius < DISC_REACH] = 0
    return grid


def _cluster(cells: NDArray[np.int64], parameters: RegionParameters) -> NDArray[np.int64]:
    """Number of the region of each cell, -1 for none."""
    if parameters.clustering == "mean_shift":
        # Loading it takes most of a second, and few want it.
        from sklearn.cluster import MeanShift

        bandwidth = parameters.mean_shift_px / parameters.cell_px
        return MeanShift(bandwidth=bandwidth, bin_seeding=True).fit_predict(cells)
    return grid_dbscan(cells, parameters.neighbourhood_px / parameters.cell_px, _CORE_CELLS)


def _region(
    cells: NDArray[np.int64], grid: NDArray[np.int32], parameters: RegionParameters
) -> Region:
    return Region(cells, int(grid[cells[:, 0], cells[:, 1]].sum()), parameters.cell_px)
