"""Smoothing a path of phases by its third differences, with a strength estimated from the phases.

For phases y_b with weights w_b (inverse variances, up to a common factor v), the path x minimises

    sum_b w_b (y_b - x_b)^2 + lambda sum_b (x_b - 3 x_{b-1} + 3 x_{b-2} - x_{b-3})^2

(Whittaker 1923; Eilers 2003). It is the most probable path if the third differences are independent
and normal with variance v / lambda. lambda maximises the probability of the phases (marginal
likelihood, as for a Kalman smoother); v is then the mean square of the residuals.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

__all__ = ["SmoothPath", "smooth_path"]

_Real = NDArray[np.float64]

_ORDER = 3
"""Order of the differences: a constant acceleration is not penalised."""
_STIFFNESSES = 10.0 ** np.arange(-3.0, 9.0, 0.5)
"""Values of lambda tried, for weights with mean 1."""
_LEAST_WEIGHT = 1e-6
"""Minimum weight of a phase, as a share of the mean weight, to count as seen."""
_LEAST_VARIANCE = 1e-12
"""Minimum variance, for phases that are exactly on a parabola."""


@dataclass(frozen=True, slots=True)
class SmoothPath:
    """The most probable path.

    Attributes:
        phase: float64 (n,), rad.
        variance: variance of a phase with mean weight, rad^2.
        stiffness: lambda, for weights with mean 1.
    """

    phase: _Real
    variance: float
    stiffness: float
    _factor: _Real

    def difference_variance(self, late: _Real, early: _Real) -> float:
        """Variance of the difference of two weighted means of the path; weights (n,) each."""
        change = late - early
        solved = scipy.linalg.cho_solve_banded((self._factor, False), change)
        return self.variance * float(change @ solved)


def smooth_path(phase: _Real, weight: _Real) -> SmoothPath:
    """Smooth phases.

    Args:
        phase: float64 (n,), at least 8, unwrapped, rad.
        weight: float64 (n,), positive; close to zero where nothing was seen.
    """
    weight = weight / weight.mean()
    seen = np.count_nonzero(weight > _LEAST_WEIGHT)
    freedom = max(seen - _ORDER, 1)
    penalty = _penalty(len(phase))
    best: tuple[float, SmoothPath] | None = None
    for stiffness in _STIFFNESSES:
        banded = stiffness * penalty
        banded[-1] += weight
        factor = scipy.linalg.cholesky_banded(banded)
        path = scipy.linalg.cho_solve_banded((factor, False), weight * phase)
        loss = float((weight * (phase - path) ** 2).sum())
        loss += stiffness * float((np.diff(path, _ORDER) ** 2).sum())
        variance = max(loss / freedom, _LEAST_VARIANCE)
        likelihood = 0.5 * (len(phase) - _ORDER) * np.log(stiffness)
        likelihood -= 0.5 * freedom * np.log(variance) + np.log(factor[-1]).sum()
        if best is None or likelihood > best[0]:
            best = float(likelihood), SmoothPath(path, variance, float(stiffness), factor)
    assert best is not None
    return best[1]


def _penalty(n: int) -> _Real:
    """Upper bands of D'D for third differences D, as scipy.linalg stores them: (4, n)."""
    coefficients = np.array((-1.0, 3.0, -3.0, 1.0))
    banded = np.zeros((_ORDER + 1, n))
    for i in range(_ORDER + 1):
        for j in range(i, _ORDER + 1):
            banded[_ORDER - (j - i), j : n - _ORDER + j] += coefficients[i] * coefficients[j]
    return banded
