from __future__ import annotations

import itertools

import numpy as np

from evio_ros.rotation.acquisition.backoff import (
    FIRST_PAUSE_US,
    LONGEST_PAUSE_US,
    MEMORY_US,
    Failures,
)
from evio_ros.rotation.acquisition.regions import Region

SHAPE = (60, 80)
STEP_US = 10_000


def block(row: int, column: int, side: int = 5) -> Region:
    cells = np.argwhere(np.ones((side, side), bool)) + np.array((row, column))
    return Region(cells, 100, 4)


def pause_us(failures: Failures, region: Region) -> int:
    """How long a region is paused, in whole steps."""
    waited_us = 0
    while failures.is_paused(region):
        failures.pass_time(STEP_US)
        waited_us += STEP_US
    return waited_us


def test_the_pause_grows_up_to_a_bound():
    failures, region = Failures(SHAPE), block(10, 10)
    assert not failures.is_paused(region)
    pauses = []
    for times in range(12):
        assert failures.times(region) == times
        failures.add(region)
        pauses.append(pause_us(failures, region))
    assert pauses[0] == FIRST_PAUSE_US
    assert all(after > before for before, after in itertools.pairwise(pauses[:8]))
    assert set(pauses[9:]) == {LONGEST_PAUSE_US}


def test_failures_are_forgotten():
    failures, region = Failures(SHAPE), block(10, 10)
    failures.add(region)
    failures.pass_time(FIRST_PAUSE_US + MEMORY_US - 1)
    assert failures.times(region) == 1
    failures.pass_time(1)
    assert failures.times(region) == 0


def test_parts_of_a_region_fail_with_it_and_others_do_not():
    failures = Failures(SHAPE)
    failures.add(block(10, 10, 20))
    assert failures.is_paused(block(12, 12))
    assert failures.is_paused(block(8, 25))
    assert not failures.is_paused(block(40, 50))


def test_a_region_that_grows_is_looked_at_again():
    failures = Failures(SHAPE)
    failures.add(block(20, 20, 4))
    assert not failures.is_paused(block(14, 14, 20))


def test_a_region_at_the_border_fails():
    failures = Failures(SHAPE)
    failures.add(block(0, 75))
    assert failures.is_paused(block(0, 75))


def test_waiting_for_more_events_is_no_failure():
    failures, region = Failures(SHAPE), block(10, 10)
    failures.wait(region, 30_000)
    assert failures.times(region) == 0
    assert pause_us(failures, region) == 30_000
