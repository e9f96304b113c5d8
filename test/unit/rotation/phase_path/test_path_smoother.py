"""Smoothing a path of phases."""

import numpy as np
import pytest

from evio_ros.rotation.phase_path.path_smoother import smooth_path


def parabola(n=200):
    x = np.arange(n) / n
    return 3.0 + 5.0 * x - 2.0 * x**2


def test_a_parabola_stays_what_it_is():
    smooth = smooth_path(parabola(), np.ones(200))
    assert smooth.phase == pytest.approx(parabola(), abs=1e-6)


def test_noise_is_taken_down_as_far_as_many_values_allow():
    rng = np.random.default_rng(1)
    errors = rng.normal(0.0, 0.01, 200)
    smooth = smooth_path(parabola() + errors, np.ones(200))
    # Three numbers, those of a parabola, are estimated from 200 values.
    assert np.std(smooth.phase - parabola()) < 0.01 * np.sqrt(3 * 3 / 200)
    assert smooth.variance == pytest.approx(0.01**2, rel=0.3)


def test_the_variance_of_a_difference_is_that_of_its_errors():
    rng = np.random.default_rng(2)
    late, early = np.zeros(100), np.zeros(100)
    late[80], early[20] = 1.0, 1.0
    path = parabola(100)
    errors, claims = [], []
    for _ in range(200):
        smooth = smooth_path(path + rng.normal(0.0, 0.02, 100), np.ones(100))
        errors.append((late - early) @ (smooth.phase - path))
        claims.append(smooth.difference_variance(late, early))
    assert np.mean(np.square(errors)) == pytest.approx(np.mean(claims), rel=0.35)


def test_what_weighs_little_is_hardly_followed():
    path, weight = parabola(), np.ones(200)
    path[100] += 1.0
    weight[100] = 1e-4
    assert smooth_path(path, weight).phase[100] == pytest.approx(parabola()[100], abs=0.01)
