"""The angle-time spectrum: speed and its uncertainty from angular harmonics.

A pattern that turns with frequency f has the angular harmonic of order k at the temporal frequency
-k f: all its energy lies on one line through the origin of the two-dimensional spectrum. With h_kj
the harmonic of order k in the time bin j at t_j, the power along the line is

    L(f) = sum_k |sum_j h_kj exp(2 pi i k f t_j)|^2.

Up to a constant, this is the log likelihood of f for an unknown pattern and Poisson-distributed
events (the harmonic sum of Quinn and Thomson, Biometrika 1991, with angular orders in place of
harmonics in time); its maximum is the estimate. It is refined by the Gauss-Newton method: each
derotated slice of the window is compared with the pattern of the whole.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["SpectrumFit", "fit_line", "line_power"]

_Complex = NDArray[np.complexfloating]
_Real = NDArray[np.float64]

_NEWTON_STEPS = 12
"""Maximum number of Gauss-Newton steps, each of which is nearly exact."""
_ENOUGH_RAD = 1e-4
"""Correction of the angle over the window below which the fit has converged: a hundredth of a pixel
at 100 px."""
_SLICES = 8
"""Number of slices of the window: enough for a parabola and its scatter, but few, because each
needs events."""
_UNKNOWNS = 3
"""Number of unknowns: angle, speed and acceleration of the window."""
_NOISE_GAIN = 2.0
"""A harmonic is weighted by the share of its power above this multiple of the noise power."""


@dataclass(frozen=True, slots=True)
class SpectrumFit:
    """The line of the angle-time spectrum with the most power.

    Attributes:
        frequency_hz: turns per second at the middle of the window, signed.
        frequency_rate: change of the frequency, turns per second squared.
        frequency_std_hz: standard deviation of `frequency_hz`.
        pattern: complex128 (2, orders + 1), harmonics of the rotating pattern at the window's
            middle; OFF first. Order 0 is the number of events.
        signal_to_noise: power on the line relative to that of noise alone.
    """

    frequency_hz: float
    frequency_rate: float
    frequency_std_hz: float
    pattern: _Complex
    signal_to_noise: float


@dataclass(frozen=True, slots=True)
class _Window:
    """Harmonics of orders 1 to K of one window, time counted from its middle."""

    harmonics: _Complex  # (2, bins, K)
    counts: _Real  # (2, bins)
    time_s: _Real  # (bins,)
    orders: _Real  # (K,)

    @classmethod
    def of(cls, harmonics: _Complex, length_s: float) -> _Window:
        bins = harmonics.shape[1]
        time_s = (np.arange(bins) + 0.5) * (length_s / bins) - 0.5 * length_s
        orders = np.arange(1, harmonics.shape[2], dtype=np.float64)
        used = np.ascontiguousarray(harmonics[:, :, 1:])
        return cls(used, harmonics[:, :, 0].real, time_s, orders)

    def derotated_sums(
        self, frequency_hz: float, rate: float, edges: NDArray[np.int64]
    ) -> _Complex:
        """Sums over slices in a frame that turns with the pattern, (2, slices, K).

        Args:
            frequency_hz, rate: motion of the frame at the window's middle.
            edges: first bin of each slice, and the number of bins.
        """
        turns = frequency_hz * self.time_s + 0.5 * rate * self.time_s**2
        return _derotated_sums(self.harmonics, turns, edges)


@njit(cache=True, nogil=True)
def _derotated_sums(harmonics, turns, edges):
    """Sums over slices of harmonics of orders 1 to K, derotated by turns for each bin."""
    channels, _, orders = harmonics.shape
    sums = np.zeros((channels, len(edges) - 1, orders), np.complex128)
    powers = np.empty(orders, np.complex128)
    for part in range(len(edges) - 1):
        for i in range(edges[part], edges[part + 1]):
            angle = 2 * math.pi * turns[i]
            one = complex(math.cos(angle), math.sin(angle))
            turn = one
            for k in range(orders):
                powers[k] = turn
                turn *= one
            for channel in range(channels):
                for k in range(orders):
                    sums[channel, part, k] += harmonics[channel, i, k] * powers[k]
    return sums


def line_power(harmonics: _Complex, length_s: float, frequencies_hz: _Real) -> _Real:
    """Power of the angle-time spectrum along the lines of given frequencies.

    Args:
        harmonics: complex64 (2, bins, orders + 1) of `angular_harmonics`.
        length_s: length of the window.
        frequencies_hz: (n,) mechanical frequencies, signed.

    Returns:
        float64 (n,), relative to the power that noise alone would give (so noise is about 1).
    """
    window = _Window.of(harmonics, length_s)
    noise = window.counts.sum() * len(window.orders)
    real = np.ascontiguousarray(window.harmonics.real)
    imaginary = np.ascontiguousarray(window.harmonics.imag)
    return _derotated_power(real, imaginary, window.time_s, frequencies_hz) / max(noise, 1.0)


@njit(cache=True, nogil=True, fastmath={"contract"})
def _derotated_power(real, imaginary, time_s, frequencies_hz):
    """Power of the sums over time of harmonics, derotated with each frequency."""
    channels, bins, orders = real.shape
    cosine, sine = np.empty((bins, orders), np.float32), np.empty((bins, orders), np.float32)
    power = np.zeros(len(frequencies_hz))
    for f in range(len(frequencies_hz)):
        for i in range(bins):
            angle = 2 * math.pi * frequencies_hz[f] * time_s[i]
            one = complex(math.cos(angle), math.sin(angle))
            turn = one
            for k in range(orders):
                cosine[i, k], sine[i, k] = turn.real, turn.imag
                turn *= one
        for channel in range(channels):
            along, across = np.zeros(orders, np.float32), np.zeros(orders, np.float32)
            for i in range(bins):
                for k in range(orders):
                    a, b = real[channel, i, k], imaginary[channel, i, k]
                    along[k] += a * cosine[i, k] - b * sine[i, k]
                    across[k] += a * sine[i, k] + b * cosine[i, k]
            for k in range(orders):
                power[f] += along[k] ** 2 + across[k] ** 2
    return power


def fit_line(
    harmonics: _Complex, length_s: float, start_hz: float, start_rate: float = 0.0
) -> SpectrumFit:
    """Find the maximum of the line power near a start value.

    Slices of the window are compared with the pattern of the whole. A straight line or, if the
    rotor sweeps enough angle, a parabola is fitted to their angles, and the window is derotated
    with the improved motion until it converges.

    Args:
        harmonics: complex64 (2, bins, orders + 1) of `angular_harmonics`; two or more bins.
        length_s: length of the window.
        start_hz, start_rate: start values; the phase error at the window's ends must be below half
            a period of the highest order that carries energy.
    """
    window = _Window.of(harmonics, length_s)
    frequency, rate = start_hz, start_rate
    for _ in range(_NEWTON_STEPS):
        slices = _slice_phases(window, frequency, rate)
        correction = _motion_correction(slices)
        frequency += correction[0] / (2 * math.pi)
        rate += correction[1] / (2 * math.pi)
        if abs(correction[0]) * length_s < _ENOUGH_RAD:
            break
    slices = _slice_phases(window, frequency, rate)
    information, excess = slices.information.sum(), slices.excess()
    frequency_std = math.inf
    if information > 0.0:
        spread = float(np.average(slices.time_s**2, weights=slices.information))
        spread += (length_s / _SLICES) ** 2 / 12
        frequency_std = math.sqrt(excess / (information * spread)) / (2 * math.pi)
    pattern = np.concatenate((window.counts.sum(axis=1)[:, None], slices.pattern), axis=1)
    return SpectrumFit(
        frequency, rate, frequency_std, pattern, _signal_to_noise(window, slices.pattern)
    )


@dataclass(frozen=True, slots=True)
class _Slices:
    """Angles of the slices of a derotated window against the window's own pattern."""

    time_s: _Real  # (slices,)
    angle_rad: _Real  # (slices,)
    information: _Real  # (slices,) 1 / variance of angle_rad
    pattern: _Complex  # (2, K)

    def excess(self) -> float:
        """Ratio of the angles' scatter to that due to the number of events, at least 1."""
        used = self.information > 0
        freedom = int(used.sum()) - _UNKNOWNS
        if freedom < 1:
            return 1.0
        return max(float((self.angle_rad[used] ** 2 * self.information[used]).sum()) / freedom, 1.0)


def _slice_phases(window: _Window, frequency: float, rate: float) -> _Slices:
    bins = len(window.time_s)
    edges = np.linspace(0, bins, min(_SLICES, bins) + 1).astype(np.int64)
    sums = window.derotated_sums(frequency, rate, edges)  # (2, slices, K)
    events = np.add.reduceat(window.counts, edges[:-1], axis=1)  # (2, slices)
    time_s = np.add.reduceat(window.time_s, edges[:-1]) / np.diff(edges)
    pattern = sums.sum(axis=1)
    shape = _denoised_shape(pattern, events.sum(axis=1))
    # One Gauss-Newton step of the slices' angle: sums ~ events * shape * exp(-i k angle).
    expected = events[:, :, None] * shape[:, None, :]
    slope = (window.orders * (np.conj(expected) * sums).imag).sum(axis=(0, 2))
    curvature = (window.orders**2 * np.abs(expected) ** 2).sum(axis=(0, 2))
    safe = np.where(curvature > 0, curvature, 1.0)
    # Var of the slope: each harmonic's imaginary part has variance events / 2.
    variance_of_slope = (window.orders**2 * np.abs(expected) ** 2 * (0.5 * events[:, :, None])).sum(
        axis=(0, 2)
    )
    information = np.where(
        variance_of_slope > 0, curvature**2 / np.maximum(variance_of_slope, 1e-300), 0
    )
    return _Slices(time_s, -slope / safe, information, pattern)


def _denoised_shape(pattern: _Complex, events: _Real) -> _Complex:
    """Harmonics of the pattern for one event, attenuated where noise explains them (Wiener)."""
    power = np.abs(pattern) ** 2
    noise = events[:, None]
    gain = np.maximum(power - _NOISE_GAIN * noise, 0.0) / np.maximum(power, 1e-30)
    return gain * pattern / np.maximum(noise, 1.0)


def _motion_correction(slices: _Slices) -> tuple[float, float]:
    """Angular speed (rad/s) and acceleration (rad/s^2) that remain in the slices' angles."""
    weight = np.sqrt(slices.information)
    if np.count_nonzero(weight) < _UNKNOWNS:
        return 0.0, 0.0
    columns = (np.ones_like(slices.time_s), slices.time_s, 0.5 * slices.time_s**2)
    design = np.stack(columns, axis=1)
    solution = np.linalg.lstsq(design * weight[:, None], slices.angle_rad * weight, rcond=None)[0]
    return float(solution[1]), float(solution[2])


def _signal_to_noise(window: _Window, pattern: _Complex) -> float:
    noise = window.counts.sum() * len(window.orders)
    return float((np.abs(pattern) ** 2).sum() / max(noise, 1.0))
