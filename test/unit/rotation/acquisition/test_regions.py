from __future__ import annotations

import numpy as np
import pytest

from evio_ros.ellipse import Ellipse
from evio_ros.rotation.acquisition.regions import Region, RegionParameters, find_regions

PARAMETERS = RegionParameters()
SHAPE = (60, 80)
SECOND_US = 1_000_000
DISC = Ellipse((160.0, 120.0), (40.0, 20.0), 0.5)


def grid_of(*blocks: tuple[slice, slice], events: int = 500) -> np.ndarray:
    """One event in each cell, more of them in some blocks."""
    grid = np.ones(SHAPE, np.int32)
    for rows, columns in blocks:
        grid[rows, columns] = events
    return grid


def test_blocks_apart_are_regions_and_the_one_with_most_events_comes_first():
    small, large = (slice(5, 10), slice(10, 15)), (slice(30, 40), slice(50, 62))
    found = find_regions(grid_of(small, large), SECOND_US, PARAMETERS)
    assert [len(region.cells) for region in found] == [120, 25]
    assert [region.events for region in found] == [60_000, 12_500]
    assert found[1].cells.min(axis=0).tolist() == [5, 10]
    assert found[1].cells.max(axis=0).tolist() == [9, 14]
    centers = found[1].cell_centers()
    assert centers.mean(axis=0) == pytest.approx(((10 + 15) / 2 * 4 - 0.5, (5 + 10) / 2 * 4 - 0.5))


def test_what_is_small_or_quiet_or_no_more_than_the_rest_is_no_region():
    tiny = (slice(5, 8), slice(10, 13))
    assert find_regions(grid_of(tiny), SECOND_US, PARAMETERS) == []
    block = (slice(5, 10), slice(10, 15))
    assert find_regions(grid_of(block, events=79), SECOND_US, PARAMETERS) == []
    assert find_regions(np.full(SHAPE, 500, np.int32), SECOND_US, PARAMETERS) == []


def test_cells_of_tracked_discs_are_left_out_and_the_grid_is_not_changed():
    grid = grid_of((slice(0, 60), slice(0, 80)), events=1)
    radius, _ = DISC.disc_coordinates(*np.indices(SHAPE)[::-1] * 4 + 1.5)
    grid[radius < 1.2] = 500
    grid[5:10, 10:15] = 400
    grid.flags.writeable = False
    assert [region.events > 20_000 for region in find_regions(grid, SECOND_US, PARAMETERS)] == [
        True,
        False,
    ]
    (left,) = find_regions(grid, SECOND_US, PARAMETERS, [DISC])
    assert left.events == 25 * 400
    assert find_regions(grid, SECOND_US, PARAMETERS, [Ellipse((-500.0, 0.0), (9.0, 9.0), 0.0)])


def test_the_share_of_a_region_on_a_disc():
    row, column = (cells.reshape(-1) for cells in np.indices(SHAPE))
    region = Region(np.stack((row, column), axis=1), 1, 4)
    expected = np.pi * 40 * 20 * 1.25**2 / (320 * 240)
    assert region.share_on(DISC) == pytest.approx(expected, rel=0.03)
    assert region.share_on(Ellipse((160.0, 120.0), (400.0, 400.0), 0.0)) == 1.0
    assert region.share_on(Ellipse((-900.0, 120.0), (40.0, 40.0), 0.0)) == 0.0
