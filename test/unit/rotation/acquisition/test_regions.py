from __future__ import annotations

import numpy as np
import pytest

from evio_ros.ellipse import Ellipse
from evio_ros.rotation.acquisition.regions import (
    LEVELS,
    Region,
    RegionParameters,
    cued_region,
    find_regions,
)

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


def cells_of(region: Region | None) -> set[tuple[int, int]]:
    """Row and column of each cell."""
    return set(map(tuple, region.cells.tolist())) if region is not None else set()


def test_a_cue_cuts_a_rotor_out_of_what_hangs_together_with_it():
    rotor, clutter = (slice(10, 20), slice(10, 20)), (slice(10, 20), slice(20, 60))
    grid = grid_of(rotor, clutter)
    (everything,) = find_regions(grid, SECOND_US, PARAMETERS)
    assert len(everything.cells) == 500
    found = cued_region(grid, SECOND_US, PARAMETERS, (40.0, 40.0, 80.0, 80.0))
    assert cells_of(found) == {(row, column) for row in range(10, 20) for column in range(10, 20)}
    assert found.events == 50_000


def test_where_a_cue_is_less_is_enough():
    block, box = (slice(5, 10), slice(10, 15)), (32.0, 12.0, 68.0, 48.0)
    faint = grid_of(block, events=79)
    assert find_regions(faint, SECOND_US, PARAMETERS) == []
    assert len(cells_of(cued_region(faint, SECOND_US, PARAMETERS, box))) == 25
    few = grid_of((slice(5, 7), slice(10, 13)))
    assert find_regions(few, SECOND_US, PARAMETERS) == []
    assert len(cells_of(cued_region(few, SECOND_US, PARAMETERS, box))) == 6


@pytest.mark.parametrize(
    "box", [(0, 0, 30, 12), (-90, -90, -10, -10), (400, 300, 500, 400), (60, 40, 30, 20)]
)
def test_a_cue_to_where_nothing_is_gives_nothing(box):
    grid = np.zeros(SHAPE, np.int32)
    grid[5:10, 10:15] = 500
    assert cued_region(grid, SECOND_US, PARAMETERS, box) is None


def test_a_cue_leaves_out_rotors_that_are_tracked():
    grid = np.full(SHAPE, 500, np.int32)
    box = (0.0, 0.0, 320.0, 240.0)
    found = cued_region(grid, SECOND_US, PARAMETERS, box, [DISC])
    x, y = np.array([(4 * column + 1.5, 4 * row + 1.5) for row, column in cells_of(found)]).T
    assert DISC.disc_coordinates(x, y)[0].min() >= 1.25
    assert 0 < len(x) < 60 * 80


def test_what_is_alike_everywhere_is_a_region_of_the_last_level_alone():
    (view,) = find_regions(np.full(SHAPE, 500, np.int32), SECOND_US, PARAMETERS)
    assert view.level == LEVELS - 1
    assert len(view.cells) == 60 * 80
    assert find_regions(np.full(SHAPE, 79, np.int32), SECOND_US, PARAMETERS) == []


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("noise", [3.0, 80.0, 900.0])
def test_a_disc_as_bright_as_its_noise_stands_out_and_noise_alone_does_not(noise, seed):
    random = np.random.default_rng(seed)
    y, x = np.indices((180, 320)) * 4 + 1.5
    is_on_disc = DISC.disc_coordinates(x, y)[0] < 1.0
    grid = random.poisson(noise * (1.0 + is_on_disc)).astype(np.int32)
    dark = random.poisson(noise, grid.shape).astype(np.int32)
    found = find_regions(grid, SECOND_US // 10, PARAMETERS)
    assert [r.level for r in find_regions(dark, SECOND_US // 10, PARAMETERS)] == [LEVELS - 1] * (
        noise > 8.0
    )
    if noise > 40.0:
        region = found[0]
        assert region.level == 1
        assert is_on_disc[region.cells[:, 0], region.cells[:, 1]].mean() > 0.97
        assert len(region.cells) > 0.8 * is_on_disc.sum()


def test_a_disc_that_leaves_the_corners_free_or_nothing_is_a_region():
    random = np.random.default_rng(0)
    row, column = np.indices((32, 32)) - 15.5
    for radius in (16.0, 30.0):
        is_on_disc = np.hypot(row, column) < radius
        grid = random.poisson(np.where(is_on_disc, 700.0, 4.0)).astype(np.int32)
        region = find_regions(grid, SECOND_US // 4, PARAMETERS)[0]
        assert len(region.cells) == is_on_disc.sum()
        assert is_on_disc[region.cells[:, 0], region.cells[:, 1]].all()


def test_pixels_that_differ_more_than_by_chance_are_no_region_of_a_higher_level():
    random = np.random.default_rng(0)
    # Rates of cells differ by a factor of e or more.
    rates = 200.0 * np.exp(0.5 * random.normal(size=(180, 320)))
    found = find_regions(random.poisson(rates).astype(np.int32), SECOND_US, PARAMETERS)
    assert [region.level for region in found] == [LEVELS - 1]


def test_a_region_is_one_of_its_highest_level():
    # Noise of 20 Hz a cell: no level asks for more than the absolute least.
    random = np.random.default_rng(0)
    grid = random.poisson(5.0, (180, 320)).astype(np.int32)
    grid[20:40, 30:60] = 500
    (region,) = find_regions(grid, SECOND_US // 4, PARAMETERS)
    assert region.level == 0


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


def test_noise_is_told_by_the_cells_beside_tracked_discs():
    """They cover a third of the view; the rest shows noise alone, or a disc of its own."""
    noise = np.random.default_rng(0).poisson(200.0, SHAPE).astype(np.int32)
    tracked = [Ellipse((x, 120.0), (64.0, 90.0), 0.0) for x in (40.0,)]
    assert find_regions(noise, SECOND_US, PARAMETERS, tracked) == []
    noise[20:40, 72:78] += 200
    (other,) = find_regions(noise, SECOND_US, PARAMETERS, tracked)
    assert other.box == (288, 80, 312, 160)


def test_the_share_of_a_region_on_a_disc():
    row, column = (cells.reshape(-1) for cells in np.indices(SHAPE))
    region = Region(np.stack((row, column), axis=1), 1, 4)
    expected = np.pi * 40 * 20 * 1.25**2 / (320 * 240)
    assert region.share_on(DISC) == pytest.approx(expected, rel=0.03)
    assert region.share_on(Ellipse((160.0, 120.0), (400.0, 400.0), 0.0)) == 1.0
    assert region.share_on(Ellipse((-900.0, 120.0), (40.0, 40.0), 0.0)) == 0.0
