"""How noisy one rotor's detector is: learned from the rotor's own innovations, by likelihood.

No one factor holds for what detectors claim: their phases and speeds are off by a third to three
times of it, alike for seconds. So a rotor has, for speed and phase each, log-likelihoods of some
factors between the variance of the detector's noise and what it claims. They fade, and factors far
from 1 are less likely before. A manoeuvre is not to be taken for noise: the strength of the jerk
behind an innovation is as uncertain as its factor, so likelihoods are means over such strengths
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
"""How long it is remembered what factors explain."""
_LEAST_STD = 1e-3
"""Of a factor where claims are believed, as a power of two."""
_MOST_AGAINST = 6.0
"""One innovation counts for no more against a factor than this, a logarithm."""
_JERK_STD, _ANY_JERK = 1.0, 0.01
"""How far the strength of jerk may be from what was learned, its logarithm; and how probable it is
that it may be any."""


class DetectorNoise(NamedTuple):
    """What is known of the noise of a detector's estimates of one rotor.

    Attributes:
        speed_scores, phase_scores: (9,) log-likelihoods of factors on the claimed variances.
        speed_factor, phase_factor: these factors.
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
        """After an estimate dt seconds later.

        Args:
            innovations: (n, 4) of speed and of phase, each with the variance expected of it with
                the factors so far, for n strengths of jerk.
            claimed: what the detector's noise would add to these variances with factors of 1.
            weights: (n,) of the strengths of jerk before the estimate.
            dt: seconds.
            factor_std: of a factor before anything is measured, as a power of two.
        """
        prior = _prior(factor_std)
        kept = math.exp(-max(dt, 0.0) / _LAST_S)
        factors = self.speed_factor, self.phase_factor
        told = _scores(innovations, factors, claimed, weights)
        speed = kept * self.speed_scores + (1.0 - kept) * prior + told[0]
        phase = kept * self.phase_scores + (1.0 - kept) * prior + told[1]
        return DetectorNoise(speed, phase, _mean_factor(speed), _mean_factor(phase))


def unknown_noise(factor_std: float) -> DetectorNoise:
    """Before anything is measured; factors are 1, up to a deviation as a power of two."""
    prior = _prior(factor_std)
    return DetectorNoise(prior, prior, 1.0, 1.0)


def jerk_weights(walks: _Real, walk: float) -> _Real:
    """Weights (n,) of (n,) strengths of jerk, where one was learned so far."""
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
    """(2, 9) log-likelihoods of the factors of speed and phase, the greatest 0."""
    told = np.empty((2, len(_FACTORS)))
    # What each strength of jerk makes of the value that is not looked at.
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
            told[i, k] = greatest + math.log(total)
        most = told[i].max()
        for k in range(len(_FACTORS)):
            told[i, k] = max(told[i, k] - most, -_MOST_AGAINST)
    return told
