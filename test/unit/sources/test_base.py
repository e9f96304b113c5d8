from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from evio_ros.sources.base import SourceStatistics


@given(st.permutations([(0, 5), (5, 9), (20, 21), (30, 30), (40, 60), (70, 71)]))
def test_gaps_are_kept_in_order_and_once(spans):
    statistics = SourceStatistics()
    for start_us, end_us in [*spans, *spans]:
        statistics.note_gap(start_us, end_us)
    expected = [range(0, 5), range(5, 9), range(20, 21), range(40, 60), range(70, 71)]
    assert statistics.gaps == expected


def test_a_gap_that_overlaps_one_that_is_known_is_not_added():
    statistics = SourceStatistics()
    statistics.note_gap(10, 20)
    for start_us, end_us in ((0, 11), (12, 15), (19, 30), (0, 30)):
        statistics.note_gap(start_us, end_us)
    assert statistics.gaps == [range(10, 20)]
