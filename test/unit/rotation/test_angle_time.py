from __future__ import annotations

import numpy as np
import pytest
from rotor_events import DISC, SIZE, IdealRotor, events_of
from work_results import result_of

from evio_ros.rotation import angle_time
from evio_ros.rotation.angle_time import (
    angle_time_histogram,
    angular_harmonics,
    harmonics_of_events,
)
from evio_ros.rotation.tracking.disc_map import DiscMap

LENGTH_US = 100_000
BINS, ORDERS = 40, 24
MAP = DiscMap.of(DISC, SIZE, 4, 0.15, 1.1)


def test_harmonics_straight_from_the_events_are_those_of_the_histogram():
    events = events_of([IdealRotor(19.3)], LENGTH_US)
    counts = angle_time_histogram(events, MAP, 0, LENGTH_US, BINS, 256)
    direct = result_of(harmonics_of_events(events, MAP, 0, LENGTH_US, BINS, ORDERS))
    assert counts.sum() > 50_000
    assert np.allclose(direct, angular_harmonics(counts, ORDERS), atol=0.02)


@pytest.mark.parametrize("most", [1_000, 30_000])
def test_of_many_events_a_part_tells_the_same_shape(most, monkeypatch):
    monkeypatch.setattr(angle_time, "MOST_EVENTS", most)
    events = events_of([IdealRotor(19.3)], LENGTH_US)
    stride = -(-len(events) // most)
    part = result_of(harmonics_of_events(events, MAP, 0, LENGTH_US, BINS, ORDERS))
    whole = angular_harmonics(angle_time_histogram(events, MAP, 0, LENGTH_US, BINS, 256), ORDERS)
    expected = whole[:, :, 0].real.sum() / stride
    assert part[:, :, 0].real.sum() == pytest.approx(expected, abs=5 * expected**0.5)
