from __future__ import annotations

import numpy as np

from evio_ros.rotation.acquisition.unassigned_events import UnassignedEvents


def test_counts_older_than_the_span_are_dropped():
    activity = UnassignedEvents((2, 3), span_us=100, part_us=20)
    for step in range(12):
        activity.latest[step % 2, 0] += 1
        activity.pass_time(10)
    grid, span_us = activity.total()
    assert span_us == 100
    assert grid.tolist() == [[5, 0, 0], [5, 0, 0]]


def test_steps_longer_than_a_part_are_parts_of_their_own():
    activity = UnassignedEvents((1, 1), span_us=100, part_us=20)
    for step in range(1, 6):
        activity.latest[0, 0] += step
        activity.pass_time(50)
        grid, span_us = activity.total()
        assert span_us == min(50 * step, 100)
        assert grid[0, 0] == step + (step - 1)


def test_the_total_is_a_copy():
    activity = UnassignedEvents((1, 1), span_us=100, part_us=20)
    grid, span_us = activity.total()
    grid += 7
    assert span_us == 0
    assert activity.total()[0].sum() == 0


def test_cells_are_active_since_events_came_first():
    activity = UnassignedEvents((1, 2), span_us=200, part_us=20)
    # Now and then there is noise, and now and then a rotor makes no event.
    for noise, rotor in ((1, 0), (0, 1), (1, 0), (0, 0), (1, 30), (0, 2), (1, 40)):
        activity.latest[0] += (noise, rotor)
        activity.pass_time(20)
    cells = np.array([(0, 0), (0, 1)])
    assert activity.active_us(cells[:1]) == 140
    assert activity.active_us(cells[1:]) == 60
    assert activity.active_us(cells) == 60
