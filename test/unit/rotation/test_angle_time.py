from __future__ import annotations

import numpy as np
import pytest
from rotor_events import DISC, SIZE, IdealRotor, events_of

from evio_ros.rotation import angle_time
from evio_ros.rotation.acquisition.work_units import result_of
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


def test_counts_are_those_of_the_disc_coordinates():
    events = events_of([IdealRotor(19.3)], LENGTH_US)
    counts = angle_time_histogram(events, MAP, 0, LENGTH_US, BINS, 256)
    radius, angle = DISC.disc_coordinates(events.x, events.y)
    used = (radius >= 0.15) & (radius <= 1.1)
    ring = np.minimum((radius - 0.15) / 0.85 * 4, 3.0).astype(int)[used]
    channel = events.polarity[used] * 4 + ring
    time_bin = events.t[used] * BINS // LENGTH_US
    angle_bin = np.rint(angle[used] / (2 * np.pi) * 256).astype(int) % 256
    expected = np.zeros((8, BINS, 256), int)
    np.add.at(expected, (channel, time_bin, angle_bin), 1)
    assert counts.sum() == used.sum()
    # A pixel's angle is kept in 1 / 65536 of a turn: one in 256 may fall to either of two bins.
    assert np.abs(counts - expected).sum() < 2 / 256 * counts.sum()


def test_harmonics_are_sums_over_events_by_definition():
    events = events_of([IdealRotor(19.3)], LENGTH_US)
    _, angle = DISC.disc_coordinates(events.x, events.y)
    direct = result_of(harmonics_of_events(events, MAP, 0, LENGTH_US, BINS, ORDERS))
    off_disc, row, column = MAP.codes < 0, events.y - MAP.y0, events.x - MAP.x0
    inside = (row >= 0) & (row < off_disc.shape[0]) & (column >= 0) & (column < off_disc.shape[1])
    inside[inside] = ~off_disc[row[inside], column[inside]]
    for order in (0, 1, 3, 12, ORDERS):
        for time_bin in (0, 17, BINS - 1):
            chosen = inside & (events.t * BINS // LENGTH_US == time_bin)
            for polarity in (False, True):
                terms = np.exp(-1j * order * angle[chosen & (events.polarity == polarity)])
                summed = direct[4 * polarity : 4 * polarity + 4, time_bin, order].sum()
                # Angles are rounded to 1 / 256 of a turn, so by 0.007 rad on average; errors of
                # single events cancel.
                bound = 0.01 * order * len(terms) ** 0.5 + 0.002 * order**2 / 24 * len(terms) + 1e-2
                assert abs(summed - terms.sum()) < bound


@pytest.mark.parametrize("most", [1_000, 30_000])
def test_of_many_events_a_part_tells_the_same_shape(most, monkeypatch):
    monkeypatch.setattr(angle_time, "MOST_EVENTS", most)
    events = events_of([IdealRotor(19.3)], LENGTH_US)
    stride = -(-len(events) // most)
    part = result_of(harmonics_of_events(events, MAP, 0, LENGTH_US, BINS, ORDERS))
    whole = angular_harmonics(angle_time_histogram(events, MAP, 0, LENGTH_US, BINS, 256), ORDERS)
    expected = whole[:, :, 0].real.sum() / stride
    assert part[:, :, 0].real.sum() == pytest.approx(expected, abs=5 * expected**0.5)
