from __future__ import annotations

import numpy as np
import pytest

from evio_ros.ellipse import Ellipse
from evio_ros.errors import ParameterError
from evio_ros.events import SensorSize
from evio_ros.rotation.tracking.disc_map import FREE, SHARED, SLOT_SHIFT, DiscMap
from evio_ros.rotation.tracking.pixel_table import PixelTable

SIZE = SensorSize(120, 80)


def disc_at(x: float) -> DiscMap:
    return DiscMap.of(Ellipse((x, 40.0), (20.0, 20.0), 0.0), SIZE, 2, 0.2, 1.0)


def test_each_pixel_belongs_to_one_disc_and_those_of_two_to_neither():
    table = PixelTable(SIZE, 4)
    table.put(0, disc_at(40.0))
    table.put(1, disc_at(70.0))
    assert table.codes[40, 30] >> SLOT_SHIFT == 0
    assert table.codes[40, 80] >> SLOT_SHIFT == 1
    assert table.codes[40, 55] == SHARED
    assert table.codes[2, 2] == FREE
    assert table.free_slot() == 2


def test_a_disc_that_moves_or_goes_leaves_no_trace():
    table, fresh = PixelTable(SIZE, 4), PixelTable(SIZE, 4)
    table.put(0, disc_at(40.0))
    table.put(1, disc_at(70.0))
    table.put(0, disc_at(45.0))
    table.remove(1)
    fresh.put(0, disc_at(45.0))
    assert np.array_equal(table.codes, fresh.codes)
    assert np.array_equal(table.is_taken, fresh.is_taken)
    table.remove(0)
    table.remove(0)
    assert (table.codes == FREE).all()
    assert not table.is_taken.any()
    assert table.free_slot() == 0


@pytest.mark.parametrize("cell_px", [4, 7])
def test_a_cell_is_taken_where_one_of_its_pixels_is(cell_px):
    table = PixelTable(SIZE, cell_px)
    table.put(0, disc_at(110.0))
    for (row, column), is_taken in np.ndenumerate(table.is_taken):
        rows = slice(row * cell_px, (row + 1) * cell_px)
        columns = slice(column * cell_px, (column + 1) * cell_px)
        assert is_taken == (table.codes[rows, columns] != FREE).any()


def test_a_slot_out_of_range_is_refused():
    with pytest.raises(ParameterError, match="slot: 5000"):
        PixelTable(SIZE, 4).put(5000, disc_at(40.0))
