from __future__ import annotations

import math

import numpy as np
import pytest

from evio_ros.fusion.rotor_steps import PHASE, innovations_of, updated_by_estimate


@pytest.mark.parametrize("phase_variance", [1e-6, 4.0])
def test_innovations_for_a_power_of_jerk_are_those_of_the_filter(phase_variance):
    """The rotation by itself gives what the filter of all twelve elements gives."""
    random = np.random.default_rng(1)
    root = random.normal(size=(12, 12)) * 10.0 ** random.uniform(-3, 1, 12)[:, None]
    covariance = root @ root.T
    covariance *= math.sqrt(phase_variance / covariance[PHASE, PHASE])
    mean = np.array([300.0, 200.0, 5.0, 0.0, 4.0, 3.0, 700.0, 120.0, 3.0, 0.1, 0.0, 1e-3])
    times, lag_s = (0.03, 0.05), 0.01
    values = np.array([700.0 + 120.3 * 0.08, 300.0, 200.0, 5.0, 1.0])
    variances = np.array([1e-6, 0.04, 0.04, 2500.0, 2500.0])
    jerks = np.array([1e-2, 1.0, 1e4])
    speed, wander = (120.5, 1e-4), 3e-6
    expected = []
    for jerk in jerks:
        noise = 100.0, 0.09, jerk, 0.04, 1e-6, 1.0
        told = speed[0], speed[1] + wander * jerk
        taken_in = updated_by_estimate(
            mean, covariance, (*times, lag_s), noise, told, values, variances
        )
        expected.append(taken_in[2])
    noise = 100.0, 0.09, 0.0, 0.04, 1e-6, 1.0
    found = innovations_of(
        mean,
        covariance,
        (*times, lag_s),
        noise,
        (*speed, wander),
        (float(values[0]), float(variances[0])),
        jerks,
    )
    squares = found[:, 0] ** 2 / found[:, 1] + found[:, 2] ** 2 / found[:, 3]
    assert squares == pytest.approx(expected, rel=1e-6)
    # More jerk, more variance.
    assert (np.diff(found[:, [1, 3]], axis=0) > 0).all()
