"""Confidence in a fused speed: the rule that is used where there is no model.

A detector says how probable it is that its speed is right to 1 %. While a rotor is not measured,
this fades in two ways: with the age of the newest estimate, exponentially, because what hid the
rotor may have changed it; and with the deviation of the speed that the filter predicts, by the
share of a normal distribution that lies within 1 %.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from evio_ros.estimate import RIGHT_ERROR, RotorEstimate

__all__ = ["RotorFeatures", "fading_confidence"]

_FADING_S = 0.5
"""Time in which a state that is not measured loses all but 1 / e of its confidence."""
_SLOWEST_RPM = 1.0


class RotorFeatures(NamedTuple):
    """What is known of a state when its confidence is asked for.

    Attributes:
        detector_confidence: of the newest estimate that was taken in.
        age_s: time since that estimate; 0 where the state is measured.
        rpm, rpm_std: speed and its deviation.
        angle_std_rad: deviation of the angle.
        estimates: how many were taken in.
        gated: share of the newest ones that were not, 0 to 1.
        rotation_distance, hub_distance: normalised squares of the newest innovations, 1 expected.
        rate_walk: process noise of the rate of speed as learned.
        events: events of the newest estimate's window.
        blade_count: blades, 0 unknown.
        axis_minor_px: shorter semi-axis.
        object_score: score of the object seen there, 0 where none is.
        newest: the newest estimate itself; None where there is none.
        unrest: mean relative change of the speed from estimate to estimate.
        roughness: mean difference of such a change from the one before.
    """

    detector_confidence: float
    age_s: float
    rpm: float
    rpm_std: float
    angle_std_rad: float
    estimates: int
    gated: float
    rotation_distance: float
    hub_distance: float
    rate_walk: float
    events: int
    blade_count: int
    axis_minor_px: float
    object_score: float
    newest: RotorEstimate | None = None
    unrest: float = 0.0
    roughness: float = 0.0


def fading_confidence(features: RotorFeatures) -> float:
    """Probability that the speed is right to 1 %, by the rule above."""
    if features.age_s <= 0.0:
        return features.detector_confidence
    allowed = RIGHT_ERROR * max(abs(features.rpm), _SLOWEST_RPM)
    deviation = max(features.rpm_std, 1e-12)
    within = math.erf(allowed / (deviation * math.sqrt(2.0)))
    return features.detector_confidence * math.exp(-features.age_s / _FADING_S) * within
