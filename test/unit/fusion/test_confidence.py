from __future__ import annotations

import math

import pytest

from evio_ros.fusion.confidence import RotorFeatures, fading_confidence

SEEN = RotorFeatures(
    detector_confidence=0.9,
    age_s=0.0,
    rpm=1000.0,
    rpm_std=1.0,
    estimates=20,
    gated=0.0,
    rotation_distance=1.0,
    hub_distance=1.0,
    rate_walk=0.01,
)


def test_what_is_measured_is_as_sure_as_the_detector_says():
    assert fading_confidence(SEEN) == 0.9
    assert fading_confidence(SEEN._replace(rpm_std=math.inf)) == 0.9


def test_what_is_predicted_fades_with_age_and_with_its_deviation():
    after = [fading_confidence(SEEN._replace(age_s=0.1 * k)) for k in range(20)]
    assert after == sorted(after, reverse=True)
    assert after[5] == pytest.approx(0.9 / math.e)
    # A third of a normal distribution lies beyond one standard deviation.
    wide = SEEN._replace(age_s=1e-9, rpm_std=10.0)
    assert fading_confidence(wide) == pytest.approx(0.9 * 0.6827, abs=1e-3)
    assert fading_confidence(SEEN._replace(age_s=1.0, rpm=0.0, rpm_std=0.0)) < 0.2
