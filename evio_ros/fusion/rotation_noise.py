"""Adaptive measurement noise: how far a detector's claimed variances are off for one rotor.

No single factor corrects what detectors claim: errors of their phases and speeds are a third to
three times the claimed ones, and remain so for seconds. So each rotor has, for speed and for phase,
the log likelihoods of several factors between the true variance of the detector's noise and the
claimed one. They are learned from the rotor's innovations with exponential forgetting, and the
prior prefers factors near 1. A manoeuvre must not be mistaken for noise: the strength of the jerk
behind an innovation is as uncertain as the factor, so likelihoods are averaged over such strengths
(marginalised; adaptive estimation with several models, Bar-Shalom, Li and Kirubarajan, Estimation
with Applications to Tracking and Navigation, 2001, section 11.6).
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["DetectorNoise", "jerk_weights", "unknown_noise"]

_Real = NDArray[np.float64]

_FACTORS: _Real = np.geomspace(1 / 16, 16, 9)
_LOGS: _Real = np.log(_FACTORS)
_LAST_S = 1.0
"""Time constant of the forgetting, in s."""
_LEAST_STD = 1e-3
"""Minimum standard deviation of the logarithm of a factor to base 2, used where claims are taken as
they are."""
_MOST_AGAINST = 6.0
"""Limit of the log likelihood that one innovation can take from a factor."""
_JERK_STD, _ANY_JERK = 1.0, 0.01
"""Standard deviation of the natural logarithm of the strength of jerk about the learned one; and
the probability that the strength is unrelated to it."""


class DetectorNoise(NamedTuple):
    """What has been learned of the noise of a detector's estimates of one rotor.

    Attributes:
        speed_scores, phase_scores: (9,) log likelihoods of the factors on the claimed variances.
        speed_factor, phase_factor: weighted geometric means of these factors.
    """

    speed_scores: _Real
    phase_scores: _Real
    speed_factor: float
    phase_factor: float

    def after(
        self,
        innovations: _Real,
        claimed: tuple[float, float],
        weights: _Real,
        dt: float,
        factor_std: float,
    ) -> DetectorNoise:
        """The state of knowledge after an estimate that comes dt seconds later.

        Args:
            innovations: (n, 4) innovation of the speed and its expected variance, then those of the
                phase, for n strengths of jerk and the present factors.
            claimed: parts of these two variances that are the detector's noise, for factors of 1.
            weights: (n,) prior probabilities of the strengths of jerk.
            dt: time since the last estimate in s.
            factor_std: prior standard deviation of the logarithm of a factor to base 2.
        """
        prior = _prior(factor_std)
        kept = math.exp(-max(dt, 0.0) / _LAST_S)
        factors = self.speed_factor, self.phase_factor
        scores = _scores(innovations, factors, claimed, weights)
        speed = kept * self.speed_scores + (1.0 - kept) * prior + scores[0]
        phase = kept * self.phase_scores + (1.0 - kept) * prior + scores[1]
        return DetectorNoise(speed, phase, _mean_factor(speed), _mean_factor(phase))


def unknown_noise(factor_std: float) -> DetectorNoise:
    """The prior: factors are 1, and their logarithms to base 2 have this standard deviation."""
    prior = _prior(factor_std)
    return DetectorNoise(prior, prior, 1.0, 1.0)


def jerk_weights(walks: _Real, walk: float) -> _Real:
    """Prior probabilities (n,) of (n,) strengths of jerk, given the one learned so far."""
    weights: _Real = np.exp(-0.5 * (np.log(walks / walk) / _JERK_STD) ** 2)
    weights /= max(weights.sum(), 1e-300)
    return (1.0 - _ANY_JERK) * weights + _ANY_JERK / len(weights)


@lru_cache(maxsize=16)
def _prior(factor_std: float) -> _Real:
    prior: _Real = -0.5 * (np.log2(_FACTORS) / max(factor_std, _LEAST_STD)) ** 2
    return prior


def _mean_factor(scores: _Real) -> float:
    weights = np.exp(scores - scores.max())
    return float(math.exp(weights @ _LOGS / weights.sum()))


@njit(cache=True, nogil=True)
def _scores(innovations, factors, claimed, weights):
    """Log likelihoods (2, 9) of the factors of speed and phase, relative to the greatest."""
    scores = np.empty((2, len(_FACTORS)))
    # For each strength of jerk, the log likelihood of the respective other value.
    others = np.empty((len(weights), 2))
    for j in range(len(weights)):
        for i in range(2):
            value, variance = innovations[j, 2 * i], innovations[j, 2 * i + 1]
            others[j, 1 - i] = -0.5 * (value * value / variance + math.log(variance))
    for i in range(2):
        for k in range(len(_FACTORS)):
            greatest = -np.inf
            logs = np.empty(len(weights))
            for j in range(len(weights)):
                value, variance = innovations[j, 2 * i], innovations[j, 2 * i + 1]
                changed = max(variance + (_FACTORS[k] - factors[i]) * claimed[i], 1e-3 * variance)
                logs[j] = others[j, i] - 0.5 * (value * value / changed + math.log(changed))
                logs[j] += math.log(weights[j])
                greatest = max(greatest, logs[j])
            total = 0.0
            for j in range(len(weights)):
                total += math.exp(logs[j] - greatest)
            scores[i, k] = greatest + math.log(total)
        most = scores[i].max()
        for k in range(len(_FACTORS)):
            scores[i, k] = max(scores[i, k] - most, -_MOST_AGAINST)
    return scores
