from __future__ import annotations

import numpy as np
import pytest

from evio_ros.ellipse import Ellipse
from evio_ros.errors import ParameterError
from evio_ros.events import SensorSize
from evio_ros.rotation.disc_map import DiscMap
from evio_ros.rotation.pixel_table import FREE, SHARED, SLOT_SHIFT, PixelTable

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
    assert table.slots == 2


def test_a_disc_that_moves_or_goes_leaves_no_trace():
    table, fresh = PixelTable(SIZE, 4), PixelTable(SIZE, 4)
    table.put(0, disc_at(40.0))
    table.put(1, disc_at(70.0))
    table.put(0, disc_at(45.0))
    table.remove(1)
    fresh.put(0, disc_at(45.0))
    assert np.array_equal(table.codes, fresh.codes)
    table.remove(0)
    table.remove(0)
    assert (table.codes == FREE).all()
    assert table.free_slot() == 0


def test_a_slot_out_of_range_is_refused():
    with pytest.raises(ParameterError, match="slot: 5000"):
        PixelTable(SIZE, 4).put(5000, disc_at(40.0))
