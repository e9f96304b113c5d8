"""Active regions of the image: clusters of the active cells of a grid.

Cells are active at three levels, from the highest down, as in a component tree (Jones, Computer
Vision and Image Understanding 1999):

    contrast   many times the events of the median cell, which shows noise in most scenes;
    noise      more events than noise explains, whose rate is estimated from the quietest cells;
    any        more events than a still scene has, if even the quietest cells have more: a rotor may
               fill the view, and then no cell shows noise alone.

If noise is low, they coincide. A region of a lower level that is also one of a higher level is left
out. DBSCAN (Ester, Kriegel, Sander and Xu, KDD 1996) or the mean shift (Comaniciu and Meer, IEEE
PAMI 2002) groups cells into regions. It runs over cells, so its cost does not grow with the number
of events.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evio_ros.ellipse import Ellipse
from evio_ros.explanation import Reason, Rejection
from evio_ros.parameters import Parameters, parameter
from evio_ros.rotation.acquisition.grid_dbscan import grid_dbscan

__all__ = [
    "CUED_LEVEL",
    "DISC_REACH",
    "LEVELS",
    "Region",
    "RegionParameters",
    "cued_region",
    "find_regions",
    "why_no_region",
]

_CORE_CELLS = 4
"""Number of active cells, including the cell itself, in a dense neighbourhood: DBSCAN's MinPts,
twice the number of dimensions as its authors recommend."""
DISC_REACH = 1.25
"""Radius in radii of the disc within which cells belong to it: includes a rim that is known to a
few percent, and its blur."""
_LEAST_CELL_EVENTS = 2.0
"""Minimum number of events of an active cell, however short the time: a single one is noise."""
LEVELS = 3
"""Number of levels; the first is that of the highest contrast."""
CUED_LEVEL = LEVELS
"""Level of cued regions."""
_CUE_FACTOR = 2
"""Factor by which fewer events and cells suffice in a cued box."""
_QUIET_SHARES = (0.1, 0.25)
"""Quantiles of the cells' counts from which the noise's rate and scatter are estimated. The corners
of a square view that a disc fills to its border are a fifth of it."""
_QUIET_SCORES = (-1.2816, -0.6745)
"""The same quantiles of the standard normal distribution."""
_NOISE_SCORE = 4.0
"""Number of standard deviations by which an active cell exceeds the noise: of 60 000 cells, two do
by chance, far apart."""
_SAME_SHARE = 0.8
"""A region counts as one of a higher level that has at least this share of its cells."""


@dataclass(frozen=True)
class RegionParameters(Parameters):
    """How active regions are found."""

    cell_px: int = parameter(
        4, unit="px", minimum=1, maximum=64, doc="Side of a cell of the activity grid."
    )
    cell_rate_hz: float = parameter(
        80.0, unit="Hz", minimum=0.0, doc="Minimum event rate of an active cell."
    )
    contrast: float = parameter(
        6.0,
        minimum=1.0,
        doc="An active cell has at least this many times the events of the median cell.",
    )
    neighbourhood_px: float = parameter(
        10.0,
        unit="px",
        minimum=1.0,
        doc="DBSCAN joins active cells that are at most this far apart.",
    )
    clustering: str = parameter(
        "dbscan", choices=("dbscan", "mean_shift"), doc="How active cells are grouped into regions."
    )
    mean_shift_px: float = parameter(
        80.0, unit="px", minimum=1.0, doc="Bandwidth of the mean shift, about the radius of a disc."
    )
    minimum_cells: int = parameter(12, minimum=1, doc="Minimum number of active cells in a region.")
    region_rate_hz: float = parameter(
        2000.0, unit="Hz", minimum=0.0, doc="Minimum event rate of a region."
    )
    maximum_regions: int = parameter(
        6,
        minimum=1,
        maximum=100,
        doc="Maximum number of regions searched each time active regions are looked for.",
    )

    def slower(self, factor: int) -> RegionParameters:
        """Parameters for event rates that are lower by a factor."""
        rates = {"cell_rate_hz": self.cell_rate_hz, "region_rate_hz": self.region_rate_hz}
        return self.replaced({name: rate / factor for name, rate in rates.items()})


@dataclass(frozen=True, slots=True)
class Region:
    """A connected group of active cells.

    Attributes:
        cells: int64 (n, 2), row and column of each cell.
        events: number of events in the cells.
        cell_px: side of a cell in pixels.
        level: level at which its cells are active, 0 for the highest.
    """

    cells: NDArray[np.int64]
    events: int
    cell_px: int
    level: int = 0

    def cell_centers(self) -> NDArray[np.float64]:
        """(n, 2) x and y of the cells' centres in pixels."""
        return (self.cells[:, ::-1] + 0.5) * self.cell_px - 0.5

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Bounding box (x0, y0, x1, y1) in pixels, the last ones not included."""
        y0, x0 = (self.cells.min(axis=0) * self.cell_px).tolist()
        y1, x1 = ((self.cells.max(axis=0) + 1) * self.cell_px).tolist()
        return x0, y0, x1, y1

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
        Regions, those of higher levels first, of each level the one with most events first.
    """
    discs = tuple(discs)
    is_free = _beside(discs, grid.shape, parameters.cell_px)
    grid = np.where(is_free, grid, 0)
    regions: list[Region] = []
    before = math.inf
    # Beside a tracked rotor, there is always some contrast.
    levels = _least_events(grid, span_us, parameters, is_free)[: LEVELS - bool(discs)]
    for level, least in enumerate(levels):
        if least < before:
            lower = _regions_at(least, level, grid, span_us, parameters)
            regions += [region for region in lower if not _is_one_of(regions, region, grid.shape)]
            before = least
    return regions


def cued_region(
    grid: NDArray[np.int32],
    span_us: float,
    parameters: RegionParameters,
    box: tuple[float, float, float, float],
    discs: Iterable[Ellipse] = (),
) -> Region | None:
    """The active region in a box in which another detector, e.g. a network, has seen a rotor.

    The box replaces the clustering and much of the contrast: its surroundings do not matter, and
    fewer events suffice.

    Args:
        grid, span_us, parameters, discs: as for `find_regions`.
        box: x0, y0, x1, y1 in pixels; it may reach beyond the image.

    Returns:
        The active cells of the box as a region of `CUED_LEVEL`; None if there are too few.
    """
    eased = parameters.slower(_CUE_FACTOR)
    rows, columns = grid.shape
    x0, y0, x1, y1 = (value / parameters.cell_px for value in box)
    row = slice(max(int(y0), 0), max(min(math.ceil(y1), rows), 0))
    column = slice(max(int(x0), 0), max(min(math.ceil(x1), columns), 0))
    seen = np.zeros_like(grid)
    seen[row, column] = grid[row, column]
    seen[~_beside(discs, grid.shape, parameters.cell_px)] = 0
    least = max(eased.cell_rate_hz * span_us * 1e-6, _LEAST_CELL_EVENTS)
    cells = np.argwhere(seen >= least)
    events = int(seen[cells[:, 0], cells[:, 1]].sum())
    least_cells = max(parameters.minimum_cells // _CUE_FACTOR, 1)
    if len(cells) < least_cells or events < eased.region_rate_hz * span_us * 1e-6:
        return None
    return Region(cells, events, parameters.cell_px, CUED_LEVEL)


def _least_events(
    grid: NDArray[np.int32],
    span_us: float,
    parameters: RegionParameters,
    is_free: NDArray[np.bool_] | None = None,
) -> tuple[float, ...]:
    """Minimum events of an active cell at each level; noise is that of free cells."""
    # Every fourth cell suffices for quantiles.
    sample = grid[::2, ::2]
    lowest = max(parameters.cell_rate_hz * span_us * 1e-6, _LEAST_CELL_EVENTS)
    contrast = max(parameters.contrast * float(np.median(sample)), lowest)
    free = sample if is_free is None else sample[is_free[::2, ::2]]
    quiet = np.quantile(free, _QUIET_SHARES) if free.size else np.zeros(len(_QUIET_SHARES))
    noise = min(max(_beyond_noise(quiet), lowest), contrast)
    return contrast, noise, lowest if quiet[-1] >= lowest else noise


def _beyond_noise(quiet: NDArray[np.float64]) -> float:
    """Number of events of a cell that noise does not explain, from quantiles of the quietest cells.

    Square roots of Poisson counts have the variance 1 / 4 whatever their mean (Anscombe, Biometrika
    1948), so two quantiles of the quietest cells give the mean and scatter of the roots of all
    cells with noise alone. The scatter is at least Poisson's, and larger if pixels differ.
    """
    roots = np.sqrt(quiet + 0.375)
    low, high = _QUIET_SCORES
    deviation = max(float(roots[1] - roots[0]) / (high - low), 0.5)
    return (float(roots[0]) + (_NOISE_SCORE - low) * deviation) ** 2 - 0.375


def _regions_at(
    least: float, level: int, grid: NDArray[np.int32], span_us: float, parameters: RegionParameters
) -> list[Region]:
    """Regions of cells with at least `least` events, the one with most events first."""
    cells = np.argwhere(grid >= least)
    if len(cells) < parameters.minimum_cells:
        return []
    if len(cells) > (1.0 - _QUIET_SHARES[-1]) * grid.size:
        # So many cells are connected; examining the neighbours of each takes long.
        clusters = [cells]
    else:
        labels = _cluster(cells, parameters)
        clusters = [cells[labels == label] for label in range(labels.max() + 1)]
    regions = [
        Region(cluster, int(grid[cluster[:, 0], cluster[:, 1]].sum()), parameters.cell_px, level)
        for cluster in clusters
        if len(cluster) >= parameters.minimum_cells
    ]
    least_events = parameters.region_rate_hz * span_us * 1e-6
    regions = [region for region in regions if region.events >= least_events]
    regions.sort(key=lambda region: region.events, reverse=True)
    return regions


def why_no_region(
    grid: NDArray[np.int32], span_us: float, parameters: RegionParameters
) -> Rejection:
    """Why `find_regions` finds no region, if no disc is excluded.

    The number given is that of the busiest cell, or of the largest group of active cells.
    """
    if not grid.any():
        return Rejection(Reason.NO_EVENTS, 0.0)
    least = _least_events(grid, span_us, parameters)[-1]
    cells = np.argwhere(grid >= least)
    if not len(cells):
        return _why_not_active(grid, span_us, parameters, least)
    labels = _cluster(cells, parameters)
    sizes = np.bincount(labels[labels >= 0])
    largest = int(sizes.max(initial=0))
    if largest < parameters.minimum_cells:
        return Rejection(Reason.SMALL, max(largest, 1), parameters.minimum_cells)
    events = np.bincount(labels[labels >= 0], grid[tuple(cells[labels >= 0].T)])
    rate_hz = float(events[sizes >= parameters.minimum_cells].max()) * 1e6 / span_us
    return Rejection(Reason.FAINT_REGION, rate_hz, parameters.region_rate_hz)


def _why_not_active(
    grid: NDArray[np.int32], span_us: float, parameters: RegionParameters, least: float
) -> Rejection:
    """Why no cell has the least number of events of an active one."""
    busiest = float(grid.max())
    lowest = max(parameters.cell_rate_hz * span_us * 1e-6, _LEAST_CELL_EVENTS)
    if busiest < lowest:
        return Rejection(Reason.FAINT, busiest * 1e6 / span_us, lowest * 1e6 / span_us)
    return Rejection(Reason.NOT_OUTSTANDING, busiest / least, 1.0)


def _is_one_of(regions: Iterable[Region], region: Region, shape: tuple[int, ...]) -> bool:
    """Whether a region is one of those of higher levels, which are within it or beside it."""
    is_inside = np.zeros(shape, np.bool_)
    is_inside[region.cells[:, 0], region.cells[:, 1]] = True
    return any(
        is_inside[other.cells[:, 0], other.cells[:, 1]].sum() >= _SAME_SHARE * len(region.cells)
        for other in regions
    )


def _beside(discs: Iterable[Ellipse], shape: tuple[int, ...], cell_px: int) -> NDArray[np.bool_]:
    """Which cells of a grid are not on any of the discs."""
    rows, columns = shape
    is_free = np.ones(shape, np.bool_)
    for disc in discs:
        half_width, half_height = disc.scaled(DISC_REACH).half_extent()
        y0 = int(np.clip((disc.center[1] - half_height) // cell_px, 0, rows))
        y1 = int(np.clip((disc.center[1] + half_height) // cell_px + 1, 0, rows))
        x0 = int(np.clip((disc.center[0] - half_width) // cell_px, 0, columns))
        x1 = int(np.clip((disc.center[0] + half_width) // cell_px + 1, 0, columns))
        row, column = np.mgrid[y0:y1, x0:x1]
        x, y = (column + 0.5) * cell_px - 0.5, (row + 0.5) * cell_px - 0.5
        radius, _ = disc.disc_coordinates(x, y)
        is_free[y0:y1, x0:x1][radius < DISC_REACH] = False
    return is_free


def _cluster(cells: NDArray[np.int64], parameters: RegionParameters) -> NDArray[np.int64]:
    """Number of the region of each cell, -1 for none."""
    if parameters.clustering == "mean_shift":
        # Importing it takes most of a second, and it is rarely used.
        from sklearn.cluster import MeanShift

        bandwidth = parameters.mean_shift_px / parameters.cell_px
        return MeanShift(bandwidth=bandwidth, bin_seeding=True).fit_predict(cells)
    return grid_dbscan(cells, parameters.neighbourhood_px / parameters.cell_px, _CORE_CELLS)
