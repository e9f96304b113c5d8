"""What a rotor looks like in the frame that turns with it, learned from its own events."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numba import njit
from numpy.typing import NDArray

from evio_ros.rotation.slice_histogram import ANGLE_BINS, BIN_RAD

__all__ = ["Looks", "Template", "add_turned_back"]

Real = NDArray[np.float64]
Harmonics = NDArray[np.complex128]

SMOOTHING_RAD = 0.025
"""Standard deviation by which looks are blurred: sharper edges would make small offsets hard to
measure, as the likelihood is taken as a parabola."""
RESPONSES = (0.2, 5.0)
"""Bounds of the response; outside them a template is not yet worth the name."""
FLOOR = 0.02
"""Least event density, as a share of the mean: no event is impossible."""


_ORDERS = np.arange(ANGLE_BINS // 2 + 1, dtype=np.float64)
_DERIVATIVE = 1j * np.where(_ORDERS < ANGLE_BINS // 2, _ORDERS, 0.0)
_INTEGRAL = np.zeros(len(_ORDERS), np.complex128)
_INTEGRAL[1:-1] = 1.0 / _DERIVATIVE[1:-1]
_INTEGRALS = np.stack((_INTEGRAL, _INTEGRAL**2))
"""Factors of harmonics: of a derivative over angle, of first and second integral with mean 0."""
_OF_DENSITY = np.stack(
    (np.ones(len(_ORDERS)), np.exp(-0.5 * (SMOOTHING_RAD * _ORDERS) ** 2), *_INTEGRALS)
)
"""Of the density itself, blurred, and of its integrals."""
_BEND = 2.0 / ANGLE_BINS * np.abs(_DERIVATIVE) ** 2
"""Share of each harmonic in the curvature, less its sign; those of negative order are as large."""


@dataclass(frozen=True, slots=True)
class Looks:
    """Event density over angle of each ring and polarity, and what is derived from it.

    The density of a slice's events at angle a in the turning frame is, up to the number of events,
    exp(`log_density`[..., a - offset]) for a rotor that is ahead of its expected angle by `offset`.
    Its logarithm is what a matched filter correlates with (the maximum of the Poisson likelihood).
    All but two are float64 (rings, 2, ANGLE_BINS), OFF first.

    Attributes:
        log_density: log of blurred density over mean density.
        log_harmonics: complex128 (rings, 2, ANGLE_BINS // 2 + 1), its real transform over angle.
        slope: derivative of `log_density`, 1 / rad.
        integral, second_integral: integrals of density over mean density, less 1, with mean 0.
        pull: (rings, 2) mean of density times slope.
        pull_integral, pull_second_integral: integrals of density times slope, less `pull`.
    """

    log_density: Real
    log_harmonics: Harmonics
    slope: Real
    integral: Real
    second_integral: Real
    pull: Real
    pull_integral: Real
    pull_second_integral: Real

    @classmethod
    def of(cls, spectrum: Harmonics) -> Looks:
        """Smooth counts as far as their noise asks for.

        Args:
            spectrum: (rings, 2, ANGLE_BINS // 2 + 1) real transform of the counts over angle.
        """
        totals = np.maximum(spectrum[:, :, :1].real, 1.0)
        # Wiener filter: harmonics that Poisson noise explains are taken down.
        power = spectrum.real**2 + spectrum.imag**2
        gain = np.maximum(power - 2.0 * totals, 0.0) / np.maximum(power, 1e-300)
        gain[:, :, 0] = 1.0
        # Shares of rings and polarities change with light and geometry: each has its own mean.
        smooth = spectrum * (gain * (ANGLE_BINS / totals))
        density, blurred, integral, second_integral = _from_harmonics(
            smooth * _OF_DENSITY[:, None, None]
        )
        log_density = np.log(np.maximum(blurred, FLOOR))
        log_harmonics = scipy.fft.rfft(log_density, axis=2)
        slope = _from_harmonics(log_harmonics * _DERIVATIVE)
        pull = density * slope
        pulled = scipy.fft.rfft(pull, axis=2)
        pull_integral, pull_second_integral = _from_harmonics(pulled * _INTEGRALS[:, None, None])
        return cls(
            log_density,
            log_harmonics,
            slope,
            integral,
            second_integral,
            pulled[:, :, 0].real / ANGLE_BINS,
            pull_integral,
            pull_second_integral,
        )


def _from_harmonics(harmonics: Harmonics) -> Real:
    """Periodic functions from their harmonics, last axis."""
    return scipy.fft.irfft(harmonics, ANGLE_BINS, axis=-1)


class Template:
    """A rotor's looks, learned from its own events.

    Args:
        counts: (rings, 2, ANGLE_BINS) first counts in the turning frame of the positive sense.

    Attributes:
        looks: when it turns in the positive sense.
        contrast: log likelihood that an event gains from the template.
        response: change of the score of a slice with the offset, over its variance.
    """

    def __init__(self, counts: Real) -> None:
        self._counts = np.array(counts, np.float64)
        self._refresh()

    @property
    def events(self) -> float:
        """Number of events behind the template."""
        return float(self._counts.sum())

    def learn(self, counts: Real, memory_events: float) -> tuple[Real, Real]:
        """Add counts in the turning frame; of the older ones at most `memory_events` are kept.

        The counts are turned so that they agree with what was known: the looks may change, their
        angle may not, or the template would give way to every error of the speed.

        Returns:
            (rings, 2) angles by which the looks have turned all the same, rad, and the information
            on each, 1 / rad^2.
        """
        slope, response = self.looks.slope, self.response
        known, score, weight = _moments(self._counts, slope)
        # Known looks have a mean slope too, where edges are steeper on one side.
        own = score / np.maximum(known, 1.0)
        new, score, weight = _moments(counts, slope)
        ahead = float((own * new - score).sum()) / max(float(weight.sum()) * response, 1e-9)
        self._counts *= min(1.0, memory_events / max(float(known.sum()), 1.0))
        add_turned_back(self._counts, counts, ahead / BIN_RAD)
        self._refresh()
        total, score, weight = _moments(self._counts, slope)
        information = weight * response
        return (own * total - score) / np.maximum(information, 1e-9), information

    def pattern(self, orders: int) -> Harmonics:
        """Harmonics sum of exp(-i k angle), (rings, 2, orders + 1)."""
        return self._spectrum[:, :, : orders + 1]

    def match_harmonics(self, harmonics: NDArray[np.complexfloating]) -> Real:
        """Log likelihood of counts for an offset of each bin, (ANGLE_BINS,).

        Zero is the likelihood of a rotor that shows no pattern at all.

        Args:
            harmonics: (rings, 2, orders + 1) of the counts; higher ones count as 0.
        """
        orders = harmonics.shape[2]
        product = harmonics * np.conj(self.looks.log_harmonics[:, :, :orders])
        return _from_harmonics(product.sum(axis=(0, 1)))

    def _refresh(self) -> None:
        self._spectrum = scipy.fft.rfft(self._counts, axis=2)
        self.looks = Looks.of(self._spectrum)
        _, _, weight = _moments(self._counts, self.looks.slope)
        # With blurred looks an offset changes the score by less than the score's variance tells:
        # the sum of counts times the second derivative, by Parseval's theorem.
        bends = (np.conj(self._spectrum) * self.looks.log_harmonics).real * _BEND
        lowest, highest = RESPONSES
        self.response = min(
            max(float(bends.sum()) / max(float(weight.sum()), 1e-9), lowest), highest
        )
        gained = float(np.vdot(self._counts, self.looks.log_density))
        self.contrast = gained / max(self.events, 1.0)


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _moments(counts, slope):  # type: ignore[no-untyped-def]
    """(rings, 2) number of counts, and sums of their slope and of its square."""
    total, first, second = np.zeros((3, *counts.shape[:2]))
    for ring in range(counts.shape[0]):
        for polarity in range(counts.shape[1]):
            for i in range(ANGLE_BINS):
                count, steep = counts[ring, polarity, i], slope[ring, polarity, i]
                total[ring, polarity] += count
                first[ring, polarity] += count * steep
                second[ring, polarity] += count * steep * steep
    return total, first, second


@njit(cache=True, nogil=True)
def add_turned_back(total, counts, bins):  # type: ignore[no-untyped-def]
    """Add counts (rings, 2, ANGLE_BINS) to a float64 total with their angle reduced, in place."""
    whole = math.floor(bins)
    share = bins - whole
    shift = int(whole)
    for ring in range(counts.shape[0]):
        for polarity in range(counts.shape[1]):
            for i in range(ANGLE_BINS):
                near = counts[ring, polarity, (i + shift) & (ANGLE_BINS - 1)]
                far = counts[ring, polarity, (i + shift + 1) & (ANGLE_BINS - 1)]
                total[ring, polarity, i] += near * (1 - share) + far * share
