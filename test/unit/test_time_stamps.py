from __future__ import annotations

import math

import numpy as np
import pytest

from evio_ros.time_stamps import highest_frequency_hz


@pytest.mark.parametrize("period_us", [40, 1_000, 5_000, 33_333])
@pytest.mark.parametrize("events_a_stamp", [1, 3, 40_000])
def test_frames_show_half_their_rate(period_us, events_a_stamp):
    stamps = 7 + period_us * np.arange(60 if events_a_stamp > 100 else 5_000)
    highest_hz = highest_frequency_hz(np.repeat(stamps, events_a_stamp))
    assert highest_hz == pytest.approx(0.5e6 / period_us)


@pytest.mark.parametrize("rate_hz", [1e3, 1e5, 1e7])
def test_a_fine_clock_shows_far_more_than_events_come(rate_hz):
    t = np.sort(np.random.default_rng(0).integers(0, int(20_000 * 1e6 / rate_hz), 20_000))
    assert highest_frequency_hz(t) > min(5 * rate_hz, 1e5)


def test_frames_that_are_left_out_change_nothing():
    stamps = 2_000 * np.flatnonzero(np.random.default_rng(0).random(200) < 0.6)
    assert highest_frequency_hz(np.repeat(stamps, 500)) == pytest.approx(250.0)


def test_one_time_or_none_says_nothing():
    assert highest_frequency_hz(np.full(5_000, 3)) == math.inf
    assert highest_frequency_hz(np.zeros(0, np.int64)) == math.inf
