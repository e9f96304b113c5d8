from __future__ import annotations

import math

import numpy as np
import pytest

from evio_ros.rotation.tracking.phase_filter import PhaseFilter

SLICE_S = 0.005


def run(phase, seconds: float = 1.0, noise: float = 1e-3, slices: int = 20, seed: int = 0):
    """Feed a filter with noisy phases of a motion; the filter and its scaled errors."""
    rng = np.random.default_rng(seed)
    speed = (phase(1e-6) - phase(0.0)) / 1e-6
    deviations = np.array((0.01, 1.0, 10.0))
    filter_ = PhaseFilter(SLICE_S, slices, phase(0.0), speed, 0.0, deviations, 0.02)
    scaled = []
    for index in range(round(seconds / SLICE_S)):
        middle = (index + 0.5) * SLICE_S
        filter_.update(phase(middle) + noise * rng.normal(), noise**2)
        end = (index + 1) * SLICE_S
        if index > 100:
            measured, variance = filter_.mean_speed(slices)
            truth = (phase(end) - phase(end - slices * SLICE_S)) / (slices * SLICE_S)
            scaled.append((measured - truth) / math.sqrt(variance))
    return filter_, np.array(scaled)


def test_the_mean_speed_of_a_steady_rotor_is_finer_than_its_ends_alone_allow():
    filter_, scaled = run(lambda t: 120.0 * t)
    speed, variance = filter_.mean_speed(20)
    assert speed == pytest.approx(120.0, abs=0.01)
    assert math.sqrt(variance) < math.sqrt(2) * 1e-3 / 0.1
    assert np.sqrt(np.mean(scaled**2)) < 1.3


def test_a_ramp_is_followed():
    filter_, scaled = run(lambda t: 120.0 * t + 10.0 * t * t)
    assert filter_.state[1] == pytest.approx(140.0, abs=0.05)
    assert np.sqrt(np.mean(scaled**2)) < 1.5


def test_the_window_tells_what_it_measured_across_a_restart():
    filter_, _ = run(lambda t: 120.0 * t)
    phase = float(filter_.state[0])
    filter_.restart(phase, 0.0, 0.0, np.array((1e-3, 1e-3, 0.0)), 0)
    for _ in range(10):
        filter_.update(phase, 1e-6, 0.0, 1e-6)
    # Half the window turns, half of it rests.
    assert filter_.mean_speed(20)[0] == pytest.approx(60.0, rel=1e-3)


def test_slices_without_measurement_widen_the_variance():
    filter_, _ = run(lambda t: 120.0 * t)
    before = filter_.mean_speed(20)[1]
    for _ in range(10):
        filter_.update(0.0, math.inf)
    assert filter_.mean_speed(20)[1] > before
    assert filter_.state[0] == pytest.approx(120.0 * 1.05, abs=0.01)
