"""Count time."""

import numpy as np
import pytest

from evio_ros.events import EventBatch, SensorSize
from evio_ros.rotation.phase_path.event_count_time import (
    COUNT_SPAN,
    CountedEvents,
    active_span,
    active_spans,
    data_gaps,
    moving_shares,
)

SPINS = ((500_000, 8_000), (2_000_000, 30_000), (3_500_000, 20_000))
"""Start in us and number of events of each."""


def batch(times):
    n = len(times)
    return EventBatch(
        SensorSize(10, 10),
        np.array(times, np.int64),
        np.zeros(n, np.uint16),
        np.zeros(n, np.uint16),
        np.zeros(n, bool),
    )


def test_it_goes_on_by_the_same_for_each_event():
    counted = CountedEvents.of(batch([0, 1, 2, 100, 5000]), 100)
    assert np.diff(counted.events.t) == pytest.approx(COUNT_SPAN / 5, rel=1e-9)
    # Three of five events have arrived, then four.
    assert counted.at(np.array([50.0, 4000.0])) == pytest.approx([0.6, 0.8])


def test_events_can_count_by_weight():
    counted = CountedEvents.of(batch([0, 10, 20]), 100).weighted(np.array([1.0, 2.0, 1.0]))
    assert counted.events.t / COUNT_SPAN == pytest.approx([0.125, 0.5, 0.875])


def test_of_many_events_some_are_taken():
    counted = CountedEvents.of(batch(range(1000)), 300)
    assert counted.stride == 4
    assert counted.t_us.tolist() == list(range(0, 1000, 4))


def test_the_active_span_is_the_busiest_stretch():
    quiet = np.arange(0, 3_000_000, 40_000)
    spin = np.linspace(1_200_000, 1_600_000, 20_000).astype(int)
    knock = np.linspace(2_500_000, 2_520_000, 700).astype(int)
    start_us, end_us = active_span(np.sort(np.concatenate((quiet, spin, knock))))
    assert start_us == pytest.approx(1_200_000, abs=5_000)
    assert end_us == pytest.approx(1_600_000, abs=6_000)


def test_active_spans_come_apart_the_busiest_first():
    quiet = np.arange(0, 5_000_000, 40_000)
    spins = [np.linspace(begin, begin + 400_000, n).astype(int) for begin, n in SPINS]
    spans = active_spans(np.sort(np.concatenate((quiet, *spins))))
    assert [start_us for start_us, _ in spans] == pytest.approx(
        [2_000_000, 3_500_000, 500_000], abs=5_000
    )
    for start_us, end_us in spans:
        assert end_us - start_us == pytest.approx(400_000, abs=10_000)


def slowing(lost=()):
    """Times of 50 000 events whose rate falls linearly from 0.1/us to zero in 1 s; some lost."""
    t = (1e6 * (1.0 - np.sqrt(1.0 - (np.arange(50_000) + 0.5) / 50_000))).astype(np.int64)
    for start_us, end_us in lost:
        t = t[(t < start_us) | (t >= end_us)]
    return t


def test_gaps_are_where_all_events_stop_at_once():
    lost = (200_000, 220_000), (600_000, 601_000)
    assert data_gaps(slowing(lost)) == pytest.approx(np.array(lost), abs=50)


@pytest.mark.parametrize("step_us", [200, 500, 1_000, 2_000])
def test_the_steps_of_coarse_stamps_are_no_gaps(step_us):
    assert len(data_gaps(slowing() // step_us * step_us)) == 0
    lost = [(200_000, 220_000)]
    assert data_gaps(slowing(lost) // step_us * step_us) == pytest.approx(
        np.array(lost), abs=step_us + 50
    )


def test_coming_to_rest_is_no_gap():
    t = slowing()
    assert len(data_gaps(np.concatenate((t, t + 3_000_000)))) == 0


def test_marked_gaps_are_taken_as_they_are():
    missing = [range(300_000, 310_000), range(310_000, 330_000), range(200_000, 200_100)]
    assert data_gaps(slowing(), missing).tolist() == [[300_000, 330_000]]
    lost = [(305_000, 340_000)]
    assert data_gaps(slowing(lost), missing) == pytest.approx(
        np.array([[300_000, 340_000]]), abs=50
    )


def test_there_may_be_no_events_at_all():
    assert data_gaps(np.zeros(0, np.int64)).shape == (0, 2)


@pytest.mark.parametrize("lost", [[(200_000, 220_000)], [(100_000, 140_000), (300_000, 380_000)]])
def test_a_gap_gets_the_count_time_of_what_is_missing(lost):
    t = slowing(lost)
    counted = CountedEvents.of(batch(t), 100_000, data_gaps(t))
    times_us = np.linspace(50_000, 900_000, 171)
    share = times_us / 1e6
    assert counted.at(times_us) == pytest.approx(2 * share - share**2, abs=2e-3)


def test_bins_know_for_how_much_of_them_there_is_data():
    counted = CountedEvents.of(
        batch([*range(0, 100_000, 100), *range(150_000, 250_000, 100)]),
        10_000,
        np.array([[100_000, 150_000]]),
    )
    assert counted.live_shares(5) == pytest.approx([1, 1, 0, 1, 1], abs=0.02)
    assert counted.live_shares(10) == pytest.approx([1, 1, 1, 1, 0, 0, 1, 1, 1, 1], abs=0.02)


def test_events_inside_a_gap_do_not_count():
    gaps = np.array([[1_000, 3_000], [9_000, 20_000]])
    counted = CountedEvents.of(batch(range(0, 10_000, 10)), 10_000, gaps)
    assert len(counted) == 1_000 - 199 - 99
    assert counted.gaps.tolist() == [[1_000, 3_000]]


def test_a_stretch_goes_on_through_a_gap():
    spin = np.linspace(1_000_000, 2_000_000, 40_000).astype(int)
    t = np.sort(np.concatenate((np.arange(0, 3_000_000, 40_000), spin)))
    t = t[(t < 1_400_000) | (t > 1_550_000)]
    assert len(active_spans(t)) == 2
    ((start_us, end_us),) = active_spans(t, data_gaps(t))
    assert (start_us, end_us) == pytest.approx((1_000_000, 2_000_000), abs=10_000)


def moving_and_common(common_hz):
    """Events of one corner of the view from 0.4 to 0.6 s, and of the whole view at given rates."""
    rng = np.random.default_rng(0)
    t, x, y = [rng.uniform(400_000, 600_000, 20_000)], [rng.uniform(0, 40, 20_000)], []
    y.append(rng.uniform(0, 40, 20_000))
    for start_us in range(0, 1_000_000, 5_000):
        number = rng.poisson(common_hz(start_us) * 5e-3)
        t.append(rng.uniform(start_us, start_us + 5_000, number))
        x.append(rng.uniform(0, 100, number))
        y.append(rng.uniform(0, 100, number))
    t, x, y = (np.concatenate(column) for column in (t, x, y))
    order = np.argsort(t)
    x, y = x[order].astype(np.uint16), y[order].astype(np.uint16)
    events = EventBatch(SensorSize(100, 100), t[order].astype(np.int64), x, y, x % 2 == 0)
    return events, moving_shares(events)


@pytest.mark.parametrize(
    "common_hz", [lambda _: 100_000, lambda t_us: 200_000 * (t_us % 10_000 < 5_000)]
)
def test_what_the_whole_view_has_in_common_does_not_count(common_hz):
    events, shares = moving_and_common(common_hz)
    during = (events.t > 410_000) & (events.t < 590_000)
    # 100 000 events per second are due to motion, and as many are common.
    assert shares[during].sum() == pytest.approx(18_000, rel=0.1)
    before = events.t < 390_000
    assert shares[before].sum() < 0.1 * before.sum()


def test_without_noise_all_events_count():
    _, shares = moving_and_common(lambda _: 100)
    assert shares.min() == 1.0


def test_noise_makes_no_stretch_of_time():
    events, shares = moving_and_common(lambda _: 200_000)
    ((start_us, end_us),) = active_spans(events.t, shares=shares)
    assert (start_us, end_us) == pytest.approx((400_000, 600_000), abs=25_000)


def test_count_time_goes_on_by_shares():
    counted = CountedEvents.of(batch([0, 10, 20]), 100, shares=np.array([1.0, 0.5, 0.5]))
    assert counted.events.t / COUNT_SPAN == pytest.approx([0.25, 0.625, 0.875])
    even = counted.weighted(np.array([1.0, 2.0, 4.0]))
    assert even.events.t / COUNT_SPAN == pytest.approx([0.125, 0.375, 0.75])
