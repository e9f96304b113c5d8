"""A clock is defined by many events: outliers, restarts, gaps, however they are split."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from encoded_events import SIZE
from hypothesis import given, settings
from hypothesis import strategies as st

from evio_ros.sources.base import SourceStatistics
from evio_ros.sources.event_clock import NOMINAL_GAP_US
from evio_ros.sources.raw_columns import RawColumns
from evio_ros.sources.time_order import TimeOrder

WINDOW_US = 10_000
GOOD = 1_000 + 20 * np.arange(5_000)
AHEAD_US = 54 * 60 * 1_000_000


def columns_of(t, received_us=None) -> RawColumns:
    """Events at given times, spread over the sensor."""
    t = np.asarray(t, np.int64)
    number = np.arange(len(t))
    x, y = (
        (number % SIZE.width).astype(np.uint16),
        (number // SIZE.width % SIZE.height).astype(np.uint16),
    )
    return RawColumns(t, x, y, np.ones(len(t), np.bool_), received_us)


def ordered(pieces) -> tuple[np.ndarray, SourceStatistics]:
    """Accepted times, and the counters."""
    statistics = SourceStatistics()
    order = TimeOrder(SIZE, WINDOW_US, statistics)
    batches = [batch for piece in pieces for batch in order.push(piece)]
    batches += order.flush()
    times = np.concatenate([batch.t for batch in batches]) if batches else np.empty(0, np.int64)
    assert statistics.events == len(times)
    return times, statistics


def whole(t) -> tuple[np.ndarray, SourceStatistics]:
    return ordered([columns_of(t)])


def with_outliers(places, times, good=GOOD):
    """Good times, with others inserted before given places."""
    return np.insert(good, np.minimum(places, len(good)), times)


@pytest.mark.parametrize("place", [0, 1, 20, 300, 2500, 4998, 4999, 5000])
@pytest.mark.parametrize("away_us", [-AHEAD_US, -3_000_000, 150_000, 3_000_000, AHEAD_US, 1 << 50])
@pytest.mark.parametrize("count", [1, 2, 20])
def test_outliers_anywhere_are_dropped_and_counted(place, away_us, count):
    if count > 2 and abs(away_us) < 1_000_000 and place in (0, 5000):
        return  # So many, so near, might be events: nothing contradicts them.
    near = GOOD[min(place, len(GOOD) - 1)]
    outliers = near + away_us + np.arange(count)
    found, statistics = whole(with_outliers([place] * count, outliers))
    assert np.array_equal(found, GOOD)
    assert statistics.outliers + statistics.late == statistics.dropped == count
    assert statistics.clock_restarts == statistics.reordered == 0


def test_outliers_of_different_times_in_a_row_are_dropped():
    outliers = np.random.default_rng(3).integers(0, 1 << 32, 25)
    found, statistics = whole(with_outliers([2500] * 25, outliers))
    assert np.array_equal(found, GOOD)
    assert statistics.dropped == 25


@pytest.mark.parametrize("bit", range(14, 32))
@pytest.mark.parametrize("place", [0, 7, 2500, 4990, 4999])
def test_a_flipped_bit_costs_one_event(bit, place):
    times = GOOD + (1 << 33)
    flipped = times.copy()
    flipped[place] ^= 1 << bit
    found, statistics = whole(flipped)
    if (place in (0, 4999) and bit < 17) or abs(int(flipped[place] - times[place])) <= WINDOW_US:
        assert abs(len(found) - 5000) <= 1  # Near enough to be an event before or after a pause.
        return
    assert np.array_equal(found, np.delete(times, place))
    assert statistics.dropped == 1


def test_all_events_of_a_wrong_time_word_are_dropped():
    # 4096 us of EVT3 events, 2 million a second.
    times = np.arange(0, 100_000) // 2 + 7
    for low in (0, 16_384, 45_056):
        wrong = times.copy()
        wrong[(times >= low) & (times < low + 4096)] += 2_000_000
        found, statistics = whole(wrong)
        assert np.array_equal(found, times[wrong == times])
        assert statistics.outliers + statistics.late == np.count_nonzero(wrong != times)
        assert statistics.clock_restarts == 0


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(
        st.sampled_from((0, 1, 20, 9_000, 10_001, 200_000, 1 << 22, 1 << 30)),
        min_size=1,
        max_size=400,
    )
)
def test_times_that_never_go_back_are_all_kept_if_no_few_are_far_from_many(steps):
    times = np.cumsum(steps)
    found, statistics = whole(times)
    assert np.array_equal(found, times)
    assert statistics.dropped == 0


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_the_result_does_not_depend_on_how_events_are_split(data):
    seed = data.draw(st.integers(0, 1000))
    rng = np.random.default_rng(seed)
    rate = data.draw(st.sampled_from((5, 200, 3_000, 15_000)))
    parts = []
    for _ in range(data.draw(st.integers(1, 3))):
        start = int(rng.integers(0, 1 << 30))
        parts.append(start + np.cumsum(rng.integers(0, rate, data.draw(st.integers(0, 1500)))))
    times = np.concatenate(parts) + rng.integers(-30, 30, sum(map(len, parts)))
    wrong = rng.integers(0, max(len(times), 1), data.draw(st.integers(0, 40)))
    if len(times):
        times[wrong] += rng.integers(-(1 << 24), 1 << 24, len(wrong))
    cuts = data.draw(st.lists(st.integers(0, len(times)), max_size=12))
    edges = [0, *sorted(cuts), len(times)]
    whole_columns = columns_of(times)
    pieces = [whole_columns.select(slice(a, b)) for a, b in itertools.pairwise(edges)]
    expected, counted = ordered([whole_columns])
    found, statistics = ordered(pieces)
    assert np.array_equal(found, expected)
    assert statistics == counted
    assert statistics.events + statistics.dropped == len(times)
    assert np.all(np.diff(found) >= 0)


@pytest.mark.parametrize("second_start", [0, 1_000, 40_000])
def test_a_clock_that_starts_anew_goes_on_after_a_marked_gap(second_start):
    first, second = GOOD + 5_000_000, GOOD - 1_000 + second_start
    found, statistics = whole(np.concatenate((first, second)))
    last = int(first[-1])
    assert np.array_equal(found[:5000], first)
    assert np.array_equal(np.diff(found[5000:]), np.diff(second))
    assert int(found[5000]) == last + NOMINAL_GAP_US
    assert statistics.clock_restarts == 1
    (restart,) = statistics.restarts
    assert (restart.t_us, restart.gap_us) == (last + NOMINAL_GAP_US, None)
    assert restart.covers(last + 1, restart.t_us)
    assert not restart.covers(last, restart.t_us)
    assert not restart.covers(last + 1, restart.t_us + 1)
    assert statistics.dropped == statistics.reordered == 0


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("origin_us", [0, -12_345])
@pytest.mark.parametrize("period_us", [2**24, 2**31, 2**32, 2**32 // 1000])
@pytest.mark.parametrize("place", [1200, 2500, 3800])
def test_a_counter_that_wraps_goes_on(place, period_us, origin_us, signed):
    has_wrapped = np.arange(len(GOOD)) >= place
    lowest_us = origin_us - (period_us // 2 if signed else 0)
    stored = lowest_us + GOOD - GOOD[place] + np.where(has_wrapped, 0, period_us)
    times, statistics = whole(stored)
    assert np.abs(times - times[0] - (GOOD - GOOD[0])).max() <= 1  # ns are truncated
    assert statistics.clock_restarts == 0
    assert statistics.dropped == 0


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 400_000), st.integers(1, 3))
def test_a_counter_of_24_bits_wraps_again_and_again(start_us, step_ms):
    times_us = start_us + step_ms * 1000 * np.arange(50_000)
    found, statistics = whole(times_us % (1 << 24))
    # The last wrap may be too near the end to be believed.
    assert len(found) > 49_500
    assert found.tolist() == times_us[: len(found)].tolist()
    assert statistics.clock_restarts == 0


def test_the_receivers_clock_tells_the_gap():
    first, second = GOOD + 5_000_000, GOOD
    received_us = 1_700_000_000_000_000
    gap_us = 321_000
    pieces = [
        columns_of(first[:3000], received_us),
        columns_of(first[3000:], received_us + 60_000),
        columns_of(second[:40], received_us + 99_980 + gap_us),
        columns_of(second[40:], received_us + 99_980 + gap_us + 800),
    ]
    found, statistics = ordered(pieces)
    assert int(found[5000] - found[4999]) == gap_us
    assert statistics.restarts[0].gap_us == gap_us
    assert len(found) == 10_000


def test_a_clock_may_start_anew_again_and_again():
    parts = [GOOD + start for start in (9_000_000, 4_000_000, 0, 0)]
    found, statistics = whole(np.concatenate(parts))
    assert len(found) == 20_000
    assert statistics.clock_restarts == 3
    assert np.all(np.diff(found) > 0)
    assert [restart.t_us for restart in statistics.restarts] == found[5000::5000].tolist()


def test_left_over_events_before_a_restart_are_outliers():
    left_over = AHEAD_US + np.arange(20)
    found, statistics = whole(np.concatenate((GOOD + 5_000_000, left_over, GOOD)))
    assert len(found) == 10_000
    assert statistics.outliers == 20
    assert statistics.clock_restarts == 1


def test_a_clock_that_stands_still_is_none():
    times = np.concatenate((GOOD + 70_000, np.zeros(300_000, np.int64), GOOD + 170_000))
    found, statistics = whole(times)
    assert np.array_equal(found, np.concatenate((GOOD + 70_000, GOOD + 170_000)))
    assert statistics.late == 300_000


def test_noise_among_events_does_not_move_the_clock():
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 1 << 32, 5_000)
    found, _ = whole(np.concatenate((GOOD, noise, GOOD + 110_000)))
    good = np.concatenate((GOOD, GOOD + 110_000))
    assert len(np.intersect1d(found, good)) == len(good)
    assert len(found) < len(good) + 100


def test_a_live_source_that_is_silent_keeps_a_lone_far_event_back():
    statistics = SourceStatistics()
    order = TimeOrder(SIZE, WINDOW_US, statistics, live=True)
    batches = [*order.push(columns_of(GOOD)), *order.flush(ended=False)]
    batches += [*order.push(columns_of([GOOD[-1] + AHEAD_US])), *order.flush(ended=False)]
    batches += [*order.push(columns_of(GOOD + 300_000)), *order.flush(ended=False)]
    found = np.concatenate([batch.t for batch in batches])
    assert np.array_equal(found, np.concatenate((GOOD, GOOD + 300_000)))
    assert (statistics.outliers, statistics.clock_restarts) == (1, 0)


def test_a_live_source_gives_few_events_when_it_is_silent():
    order = TimeOrder(SIZE, WINDOW_US, SourceStatistics(), live=True)
    for start in (0, 700_000, 1_500_000):
        times = start + 100 * np.arange(5)
        batches = [*order.push(columns_of(times)), *order.flush(ended=False)]
        assert [int(t) for batch in batches for t in batch.t] == times.tolist()
