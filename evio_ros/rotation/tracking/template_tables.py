"""What a template is compared with slices by: tables over the angle, derived from its counts.

Method: the density of events over the derotated angle is estimated by a Wiener filter of the counts
(a harmonic of power P, of which Poisson noise of n events explains n, is multiplied by (P - 2 n) /
P where that is positive). The log likelihood of Poisson events is the sum of the log density at
their angles (Snyder and Miller, Random Point Processes in Time and Space, 1991, chapter 2), so that
a matched filter correlates with the logarithm, and the score of an offset sums its slope.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import scipy.fft
from numba import njit
from numpy.typing import NDArray

from evio_ros.rotation.tracking.slice_counts import ANGLE_BINS, BIN_RAD

__all__ = ["TemplateTables", "add_turned", "blur_of", "tables_of"]

Real = NDArray[np.float64]
Table = NDArray[np.float32]
Harmonics = NDArray[np.complex128]

SMOOTHING = 0.035
"""Standard deviation by which templates are blurred, as an arc in radii of the disc: the likelihood
is taken as a parabola, and sharper edges would leave it no room for an error of the phase. An error
of the hub is an angle that grows towards it; the same arc on all rings leaves room for that too.
Fitted to simulated recordings."""
FLOOR = 0.02
"""Least event density, as a share of the mean: no event is impossible. Fitted to simulated
recordings."""
NOISE_POWERS = 2.0
"""The Wiener filter takes so many times the power that Poisson noise explains off each harmonic:
noise alone exceeds its mean in one of three harmonics, twice its mean in one of seven."""

_ORDERS = np.arange(ANGLE_BINS // 2 + 1, dtype=np.float64)
_DERIVATIVE = 1j * np.where(_ORDERS < ANGLE_BINS // 2, _ORDERS, 0.0)
_DERIVATIVES = np.stack((_DERIVATIVE, _DERIVATIVE**2))[:, None, None]
"""Factors of harmonics: of the first and the second derivative."""


class TemplateTables(NamedTuple):
    """Event density over angle of each ring and polarity, and what is derived from it.

    The density of a slice's events at angle a in the turning frame is, up to the number of events,
    exp(`log_density`[..., a - offset]) for a rotor that is ahead of its expected angle by `offset`.
    All but `mean_slope` are float32 (rings, 2, ANGLE_BINS), OFF first: finer than the noise of
    events, and small enough to stay in the processor's cache.

    Attributes:
        log_density: log of blurred density over mean density.
        slope, curvature: first and second derivative of `log_density`, 1 / rad and 1 / rad^2.
        density_integral, density_second_integral: integrals of density over mean density, less 1,
            with mean 0.
        mean_slope: float64 (rings, 2), mean of density times slope.
        slope_integral, slope_second_integral: integrals of density times slope, less `mean_slope`.
    """

    log_density: Table
    slope: Table
    curvature: Table
    density_integral: Table
    density_second_integral: Table
    mean_slope: Real
    slope_integral: Table
    slope_second_integral: Table


def tables_of(spectrum: Harmonics, blur: Real) -> TemplateTables:
    """Smooth a template's counts as far as their noise asks for, and derive its tables.

    Args:
        spectrum: (rings, 2, ANGLE_BINS // 2 + 1) real transform of the counts over angle.
        blur: (rings, 1, ANGLE_BINS // 2 + 1) factors of harmonics, see `blur_of`.
    """
    harmonics = _density_harmonics(spectrum)
    density, blurred = _from_harmonics(np.stack((harmonics, harmonics * blur)))
    log_density = np.log(np.maximum(blurred, FLOOR))
    derivatives = _from_harmonics(scipy.fft.rfft(log_density, axis=2) * _DERIVATIVES)
    slope, curvature = derivatives.astype(np.float32)
    integral, second, by_slope, by_slope_second = np.empty((4, *density.shape), np.float32)
    _integrate_twice(density, integral, second)
    mean_slope = _integrate_twice(density * slope, by_slope, by_slope_second)
    return TemplateTables(
        log_density.astype(np.float32),
        slope,
        curvature,
        integral,
        second,
        mean_slope,
        by_slope,
        by_slope_second,
    )


def blur_of(radii: Real) -> Real:
    """Factors of harmonics, (rings, 1, ANGLE_BINS // 2 + 1), for rings of (rings,) radii."""
    orders = np.outer(SMOOTHING / radii, _ORDERS)
    return np.exp(-0.5 * orders**2)[:, None]


def _from_harmonics(harmonics: Harmonics) -> Real:
    """Periodic functions from their harmonics, last axis."""
    return scipy.fft.irfft(harmonics, ANGLE_BINS, axis=-1)


@njit(cache=True, nogil=True)
def _density_harmonics(spectrum):
    """Harmonics of density over mean density from those of counts, by a Wiener filter."""
    smooth = np.empty_like(spectrum)
    for ring in range(spectrum.shape[0]):
        for polarity in range(2):
            # Shares of rings and polarities change with light and geometry: each has its own mean.
            total = max(spectrum[ring, polarity, 0].real, 1.0)
            for order in range(spectrum.shape[2]):
                harmonic = spectrum[ring, polarity, order]
                power = harmonic.real**2 + harmonic.imag**2
                gain = 1.0
                if order:
                    gain = max(power - NOISE_POWERS * total, 0.0) / max(power, 1e-300)
                smooth[ring, polarity, order] = harmonic * (gain * ANGLE_BINS / total)
    return smooth


@njit(cache=True, nogil=True)
def _integrate_twice(values, integral, second_integral):
    """Integrals over angle of periodic values less their mean; (rings, 2) means."""
    means = np.empty(values.shape[:2])
    for ring in range(values.shape[0]):
        for polarity in range(2):
            means[ring, polarity] = _integrate(values[ring, polarity], integral[ring, polarity])
            _integrate(integral[ring, polarity], second_integral[ring, polarity])
    return means


@njit(cache=True, nogil=True)
def _integrate(values, integral):
    """Integral with mean 0 of periodic values less their mean; that mean.

    Between neighbours the cubic through four values is integrated.
    """
    mean = values.mean()
    total, sum_of_totals = 0.0, 0.0
    for i in range(ANGLE_BINS):
        integral[i] = total
        sum_of_totals += total
        here, after = values[i], values[(i + 1) & (ANGLE_BINS - 1)]
        around = values[i - 1] + values[(i + 2) & (ANGLE_BINS - 1)]
        total += BIN_RAD * ((13.0 * (here + after) - around) / 24.0 - mean)
    integral -= sum_of_totals / ANGLE_BINS
    return mean


@njit(cache=True, nogil=True)
def add_turned(total, tables, bins):
    """Add periodic tables (rings, 2, ANGLE_BINS), moved ahead by a number of bins, to a total.

    Between bins they are straight.
    """
    whole = math.floor(bins)
    share = bins - whole
    shift = int(whole) & (ANGLE_BINS - 1)
    for ring in range(tables.shape[0]):
        for polarity in range(2):
            table, turned = tables[ring, polarity], total[ring, polarity]
            turned[shift] += (1 - share) * table[0] + share * table[ANGLE_BINS - 1]
            for i in range(1, ANGLE_BINS - shift):
                turned[shift + i] += (1 - share) * table[i] + share * table[i - 1]
            for i in range(ANGLE_BINS - shift, ANGLE_BINS):
                turned[shift + i - ANGLE_BINS] += (1 - share) * table[i] + share * table[i - 1]
