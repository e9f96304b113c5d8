from __future__ import annotations

import itertools

import numpy as np
import pytest

from evio_ros.rotation.acquisition.backoff import Backoff
from evio_ros.rotation.acquisition.regions import Region

SHAPE = (60, 80)
SECOND_US = 1_000_000
BEGIN_US = [-SECOND_US, 0, 10**12]
"""Sensor time begins anywhere."""


def block(row: int, column: int, side: int = 5) -> Region:
    cells = np.argwhere(np.ones((side, side), bool)) + np.array((row, column))
    return Region(cells, 100, 4)


def end_of_wait(backoff: Backoff, region: Region, now_us: int) -> int:
    """When a region may be searched again, to a millisecond."""
    return next(t for t in itertools.count(now_us, 1_000) if not backoff.is_waiting(region, t))


@pytest.mark.parametrize("now_us", BEGIN_US)
def test_what_fails_is_searched_ever_less_often_but_once_a_second(now_us):
    backoff, region = Backoff(SHAPE), block(10, 10)
    assert not backoff.is_waiting(region, now_us)
    waits = []
    for failures in range(40):
        assert backoff.failures(region, now_us) == failures
        backoff.fail(region, now_us)
        end_us = end_of_wait(backoff, region, now_us)
        waits.append(end_us - now_us)
        now_us = end_us
    # What moves a little later than it was seen first is found soon.
    assert 0 < waits[0] <= 50_000
    assert all(after >= before for before, after in itertools.pairwise(waits))
    assert waits[0] < waits[1] < waits[2]
    assert SECOND_US // 2 < waits[-1] <= SECOND_US


@pytest.mark.parametrize("now_us", BEGIN_US)
def test_failures_are_forgotten_after_seconds_and_not_before_the_next_search(now_us):
    backoff, region = Backoff(SHAPE), block(10, 10)
    backoff.fail(region, now_us)
    end_us = end_of_wait(backoff, region, now_us)
    assert backoff.failures(region, end_us + SECOND_US) == 1
    assert backoff.failures(region, end_us + 3 * SECOND_US) == 0


def test_parts_of_a_region_fail_with_it_and_others_do_not():
    backoff = Backoff(SHAPE)
    backoff.fail(block(10, 10, 20), 0)
    assert backoff.is_waiting(block(12, 12), 0)
    assert backoff.is_waiting(block(8, 25), 0)
    assert not backoff.is_waiting(block(40, 50), 0)


def test_a_region_that_grows_is_looked_at_again():
    backoff = Backoff(SHAPE)
    backoff.fail(block(20, 20, 4), 0)
    assert not backoff.is_waiting(block(14, 14, 20), 0)


def test_a_region_at_the_border_fails():
    backoff = Backoff(SHAPE)
    backoff.fail(block(0, 75), 0)
    assert backoff.is_waiting(block(0, 75), 0)


@pytest.mark.parametrize("now_us", BEGIN_US)
def test_waiting_for_more_events_is_no_failure(now_us):
    backoff, region = Backoff(SHAPE), block(10, 10)
    backoff.wait(region, now_us + 30_000)
    assert backoff.failures(region, now_us) == 0
    assert end_of_wait(backoff, region, now_us) == now_us + 30_000


def test_a_wait_is_not_cut_short():
    backoff, region = Backoff(SHAPE), block(10, 10)
    backoff.wait(region, 30_000)
    backoff.wait(region, 10_000)
    assert end_of_wait(backoff, region, 0) == 30_000
