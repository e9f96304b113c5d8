"""Coverage of claimed standard deviations: the share of errors within one and two of them.

Neighbouring windows share events and the tracker's state, so their errors are not independent. The
uncertainty of a share is therefore estimated from its scatter between blocks of time, or between
recordings.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evio_ros.estimate import RIGHT_ERROR
from evio_ros.evaluation.scores import RotorScore

__all__ = ["NORMAL_MEDIAN", "Coverage"]

_Real = NDArray[np.float64]
NORMAL_MEDIAN = 0.6745
"""Median absolute value of a standard normal variable."""


@dataclass(frozen=True)
class _Share:
    """A share of errors.

    Attributes:
        value: the share, 0 to 1.
        std: its standard deviation, from the scatter between blocks of time or between recordings,
            whichever is larger.
    """

    value: float
    std: float


@dataclass(frozen=True)
class Coverage:
    """The errors of a scene's rotors compared with the claimed standard deviations.

    Attributes:
        recordings: number of recordings.
        errors: number of errors.
        wrong: share of gross errors, above 1 %, to which the confidence applies; not included in
            the next four.
        effective: number of independent errors that would give `within_1` the same uncertainty.
        within_1, within_2: shares within one and two claimed standard deviations.
        ratio: median absolute error over its claimed standard deviation, divided by the median of a
            normal distribution; above 1 if the claimed ones are too small.
        median, p95: median and 95th percentile of the absolute relative error.
    """

    recordings: int
    errors: int
    wrong: float
    effective: float
    within_1: _Share
    within_2: _Share
    ratio: float
    median: float
    p95: float

    @classmethod
    def of(cls, recordings: Sequence[Sequence[RotorScore]], block: int) -> Coverage | None:
        """Pool the rotors of several recordings; None if no rotor was measured.

        Args:
            recordings: scores of the rotors of each recording, errors in order of time.
            block: number of consecutive errors treated as dependent.
        """
        error = np.abs(
            np.array([value for rotors in recordings for rotor in rotors for value in rotor.error])
        )
        sizes = [[_sizes(rotor) for rotor in rotors] for rotors in recordings]
        every = np.concatenate([np.empty(0), *(size for rotors in sizes for size in rotors)])
        if not len(every):
            return None
        first, second = (_share(sizes, bound, block) for bound in (1.0, 2.0))
        spread = first.value * (1 - first.value)
        return cls(
            len(recordings),
            len(error),
            float((error >= RIGHT_ERROR).mean()),
            spread / first.std**2 if first.std else 0.0,
            first,
            second,
            float(np.median(every)) / NORMAL_MEDIAN,
            float(np.median(error)),
            float(np.percentile(error, 95)),
        )


def _sizes(rotor: RotorScore) -> _Real:
    """Absolute errors of a rotor over their claimed standard deviations, without gross errors."""
    kept = np.abs(np.asarray(rotor.error)) < RIGHT_ERROR
    return np.abs(np.asarray(rotor.z))[kept]


def _share(sizes: Sequence[Sequence[_Real]], bound: float, block: int) -> _Share:
    """Share of sizes below a bound; `sizes` by recording and rotor."""
    series = [size < bound for rotors in sizes for size in rotors if len(size)]
    blocks = [part for one in series for part in np.array_split(one, math.ceil(len(one) / block))]
    whole = [np.concatenate([np.empty(0), *rotors]) < bound for rotors in sizes]
    inside = np.concatenate(series)
    share = float(inside.mean())
    # If no error of a few blocks is outside, they do not scatter: add a block with a share of 1/2.
    virtual = 0.25 * float(np.mean([len(part) ** 2 for part in blocks]))
    variance = _clustered(blocks, share) + virtual
    if len(whole) > 1:
        variance = max(variance, _clustered(whole, share) * len(whole) / (len(whole) - 1))
    return _Share(share, math.sqrt(variance) / len(inside))


def _clustered(parts: Sequence[NDArray[np.bool_]], share: float) -> float:
    """Variance of the number inside, for independent parts."""
    return float(sum((part.sum() - share * len(part)) ** 2 for part in parts))
