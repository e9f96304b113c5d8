"""Counting time by events."""

import numpy as np
import pytest

from evio_ros.events import EventBatch, SensorSize
from evio_ros.rotation.phase_path.event_count_time import (
    COUNT_SPAN,
    CountedEvents,
    active_span,
    active_spans,
)

SPINS = ((500_000, 8_000), (2_000_000, 30_000), (3_500_000, 20_000))
"""Begin in us and number of events of each."""


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
    # Three of five events have come, then four.
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
