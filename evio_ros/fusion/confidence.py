"""Confidence in a fused speed: the rule used without a trained model.

A detector reports the probability that its speed is right to 1 %. While a rotor is not measured,
this probability decays in two ways: exponentially with the age of the newest estimate, because the
rotor may have changed while it was hidden; and with the standard deviation of the predicted speed,
by the share of a normal distribution that lies within 1 %.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from evio_ros.estimate import RIGHT_ERROR, RotorEstimate

__all__ = ["RotorFeatures", "fading_confidence"]

_FADING_S = 0.5
"""Time in which the confidence of a state that is not measured decays to 1 / e."""
_SLOWEST_RPM = 1.0


class RotorFeatures(NamedTuple):
    """Inputs from which the confidence of a state is computed.

    Attributes:
        detector_confidence: that of the newest accepted estimate.
        age_s: time since that estimate in s; 0 if the state is measured.
        rpm, rpm_std: speed and its standard deviation.
        estimates: number of accepted estimates.
        gated: share of the latest estimates that the innovation gate rejected, 0 to 1.
        rotation_distance, hub_distance: normalised squares of the newest innovations; 1 is
            expected.
        rate_walk: learned process noise of the acceleration, 1 / s^1.5, see `FilterParameters`.
        newest: the newest estimate itself; None if there is none.
        unrest: mean relative change of the speed from estimate to estimate.
        roughness: mean difference between successive relative changes.
    """

    detector_confidence: float
    age_s: float
    rpm: float
    rpm_std: float
    estimates: int
    gated: float
    rotation_distance: float
    hub_distance: float
    rate_walk: float
    newest: RotorEstimate | None = None
    unrest: float = 0.0
    roughness: float = 0.0


def fading_confidence(features: RotorFeatures) -> float:
    """Probability that the speed is right to 1 %, see the module's docstring."""
    if features.age_s <= 0.0:
        return features.detector_confidence
    allowed = RIGHT_ERROR * max(abs(features.rpm), _SLOWEST_RPM)
    deviation = max(features.rpm_std, 1e-12)
    within = math.erf(allowed / (deviation * math.sqrt(2.0)))
    return features.detector_confidence * math.exp(-features.age_s / _FADING_S) * within
