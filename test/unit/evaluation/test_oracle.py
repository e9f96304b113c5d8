"""The limit is right where it is known in closed form: independent events at sharp edges."""

from __future__ import annotations

import math

import numpy as np
import pytest
from rotor_events import IdealRotor, events_of

from evio_ros.evaluation.oracle import Oracle
from evio_ros.simulation.scene import Path
from evio_ros.simulation.speed import SpeedProfile
from evio_ros.simulation.truth import RotorTruth

WINDOW_US = 50_000


@pytest.fixture(scope="module")
def estimates():
    ideal = IdealRotor(19.1667, event_rate_hz=1e6, edge_std_rad=0.05)
    truth = RotorTruth(
        0,
        ideal.blades,
        ideal.phase_rad,
        SpeedProfile.constant(60 * ideal.frequency_hz),
        Path.fixed(ideal.ellipse),
    )
    oracle = Oracle.of(truth, events_of([ideal], 2_000_000, noise_hz=0.0))
    ends = range(WINDOW_US, 2_000_001, WINDOW_US)
    return 60 * ideal.frequency_hz, [oracle.measure(end, WINDOW_US) for end in ends]


def test_the_bound_is_that_of_a_gaussian_edge(estimates):
    """Events (n) of spread s over a time T fix the frequency to s sqrt(12 / n) / (2 pi T)."""
    _, results = estimates
    count = 1e6 * 1e-6 * WINDOW_US
    expected_hz = 0.05 * math.sqrt(12 / count) / (2 * math.pi * 1e-6 * WINDOW_US)
    claimed = np.median([estimate.rpm_std for estimate in results])
    # Rounding to pixels blurs the edges a little.
    assert claimed / 60 == pytest.approx(expected_hz, rel=0.15)


def test_the_errors_are_as_large_as_the_bound_says(estimates):
    rpm, results = estimates
    z = np.array([(estimate.rpm - rpm) / estimate.rpm_std for estimate in results])
    assert len(z) == 40
    # The root mean square of 40 normal values is 1 +- 0.11.
    assert math.sqrt(np.mean(z**2)) == pytest.approx(1.0, abs=0.35)
