from __future__ import annotations

import numpy as np
import pytest

from evio_ros.errors import ParameterError
from evio_ros.rotation.classical.savitzky_golay import smoothed_speed


def test_a_parabola_passes_unchanged_and_its_slope_is_known():
    time_s = 0.05 * np.arange(40)
    rpm = 1000 + 200 * time_s - 30 * time_s**2
    smooth, slope = smoothed_speed(rpm, 50_000)
    np.testing.assert_allclose(smooth, rpm, rtol=1e-12)
    np.testing.assert_allclose(slope, 200 - 60 * time_s, atol=1e-8)


def test_noise_is_reduced():
    """A line through 7 values has a variance of 1 / 7 in its middle."""
    noise = np.random.default_rng(1).normal(size=20_000)
    smooth, _ = smoothed_speed(1000 + noise, 50_000, window=7, order=1)
    assert smooth[3:-3].std() == pytest.approx(1 / np.sqrt(7), rel=0.03)


def test_gaps_stay_gaps():
    rpm = np.full(20, 900.0)
    rpm[5:8] = np.nan
    smooth, slope = smoothed_speed(rpm, 50_000)
    assert np.isnan(smooth[5:8]).all()
    assert np.isnan(slope[5:8]).all()
    np.testing.assert_allclose(np.delete(smooth, [5, 6, 7]), 900.0)
    few, _ = smoothed_speed([900.0, np.nan, 900.0], 50_000)
    assert np.isnan(few).all()


@pytest.mark.parametrize(("step_us", "window", "order"), [(1, 6, 2), (1, 3, 3), (0, 7, 2)])
def test_impossible_windows_are_refused(step_us, window, order):
    with pytest.raises(ParameterError):
        smoothed_speed(np.zeros(20), step_us, window, order)
