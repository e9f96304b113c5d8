from __future__ import annotations

import numpy as np

from evio_ros.rotation.failures import LONGEST_PAUSE, Failures
from evio_ros.rotation.regions import Region

SHAPE = (60, 80)


def block(row: int, column: int, side: int = 5) -> Region:
    cells = np.argwhere(np.ones((side, side), bool)) + np.array((row, column))
    return Region(cells, 100, 4)


def searches_until_wanted(failures: Failures, region: Region) -> int:
    searches = 1
    failures.pass_search(SHAPE)
    while failures.is_paused(region):
        failures.pass_search(SHAPE)
        searches += 1
    return searches


def test_the_pause_is_doubled_up_to_a_bound():
    failures, region = Failures(), block(10, 10)
    failures.pass_search(SHAPE)
    assert not failures.is_paused(region)
    waited = []
    for _ in range(6):
        failures.add(region)
        waited.append(searches_until_wanted(failures, region))
    assert waited == [1, 2, 4, 8, 8, 8]
    assert max(waited) == LONGEST_PAUSE


def test_parts_of_a_region_fail_with_it_and_others_do_not():
    failures = Failures()
    failures.pass_search(SHAPE)
    failures.add(block(10, 10, 20))
    assert failures.is_paused(block(12, 12))
    assert failures.is_paused(block(8, 25))
    assert not failures.is_paused(block(40, 50))


def test_a_region_that_grows_is_looked_at_again():
    failures = Failures()
    failures.pass_search(SHAPE)
    failures.add(block(20, 20, 4))
    assert not failures.is_paused(block(14, 14, 20))


def test_failures_at_the_border_and_on_another_grid():
    failures = Failures()
    failures.pass_search(SHAPE)
    failures.add(block(0, 75))
    assert failures.is_paused(block(0, 75))
    failures.pass_search((20, 20))
    assert not failures.is_paused(block(0, 10))
