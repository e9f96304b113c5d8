"""What a rotor looks like in the frame that turns with it, learned from its own events."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numba import njit
from numpy.typing import NDArray

from evio_ros.rotation.slice_histogram import ANGLE_BINS, BIN_RAD

__all__ = ["Looks", "Template", "turned_back"]

Real = NDArray[np.float64]

SMOOTHING_RAD = 0.025
"""Standard deviation by which looks are blurred: sharper edges would make small offsets hard to
measure, as the likelihood is taken as a parabola."""
RESPONSES = (0.2, 5.0)
"""Bounds of the response; outside them a template is not yet worth the name."""
FLOOR = 0.02
"""Least event density, as a share of the mean: no event is impossible."""


@dataclass(frozen=True, slots=True)
class Looks:
    """Event density over angle of each ring and polarity, and what is derived from it.

    The density of a slice's events at angle a in the turning frame is, up to the number of events,
    exp(`log_density`[..., a - offset]) for a rotor that is ahead of its expected angle by `offset`.
    Its logarithm is what a matched filter correlates with (the maximum of the Poisson likelihood).
    All are float64 (rings, 2, ANGLE_BINS), OFF first.

    Attributes:
        log_density: log of blurred density over mean density.
        slope: derivative of `log_density`, 1 / rad.
        integral, second_integral: integrals of density over mean density, less 1, with mean 0.
        pull: (rings, 2) mean of density times slope.
        pull_integral, pull_second_integral: integrals of density times slope, less `pull`.
    """

    log_density: Real
    slope: Real
    integral: Real
    second_integral: Real
    pull: Real
    pull_integral: Real
    pull_second_integral: Real

    @classmethod
    def of(cls, counts: Real) -> Looks:
        """Smooth (rings, 2, ANGLE_BINS) counts as far as their noise asks for."""
        spectrum = scipy.fft.rfft(counts, axis=2)
        totals = np.maximum(counts.sum(axis=2, keepdims=True), 1.0)
        # Wiener filter: harmonics that Poisson noise explains are taken down.
        power = np.abs(spectrum) ** 2
        gain = np.maximum(power - 2.0 * totals, 0.0) / np.maximum(power, 1e-300)
        gain[:, :, 0] = 1.0
        orders = np.arange(gain.shape[2])
        blur = np.exp(-0.5 * (SMOOTHING_RAD * orders) ** 2)
        # Shares of rings and polarities change with light and geometry: each has its own mean.
        density = scipy.fft.irfft(spectrum * gain, ANGLE_BINS, axis=2) / (totals / ANGLE_BINS)
        blurred = scipy.fft.irfft(spectrum * gain * blur, ANGLE_BINS, axis=2)
        log_density = np.log(np.maximum(blurred / (totals / ANGLE_BINS), FLOOR))
        slope = _derivative(log_density, 1)
        integral = _derivative(density, -1)
        pull = density * slope
        pull_integral = _derivative(pull, -1)
        return cls(
            log_density,
            slope,
            integral,
            _derivative(integral, -1),
            pull.mean(axis=2),
            pull_integral,
            _derivative(pull_integral, -1),
        )

    def mirrored(self) -> Looks:
        """As seen when it turns the other way: bright and dark edges change places."""
        return Looks(
            self.log_density[:, ::-1],
            self.slope[:, ::-1],
            self.integral[:, ::-1],
            self.second_integral[:, ::-1],
            self.pull[:, ::-1],
            self.pull_integral[:, ::-1],
            self.pull_second_integral[:, ::-1],
        )


def _derivative(periodic: Real, power: int) -> Real:
    """First derivative over angle (power 1) or integral with mean 0 (power -1)."""
    harmonics = scipy.fft.rfft(periodic, axis=2)
    orders = np.arange(harmonics.shape[2], dtype=np.float64)
    factors = np.zeros(len(orders), np.complex128)
    factors[1:-1] = (1j * orders[1:-1]) ** power
    return scipy.fft.irfft(harmonics * factors, ANGLE_BINS, axis=2)


class Template:
    """A rotor's looks, learned from its own events.

    Args:
        counts: (rings, 2, ANGLE_BINS) first counts in the turning frame of the positive sense.

    Attributes:
        looks: when it turns in the positive sense.
        mirrored: when it turns in the negative sense.
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
        weight = float((counts * slope**2).sum()) * self.response
        # Known looks have a mean slope too, where edges are steeper on one side.
        own = (self._counts * slope).sum(axis=2) / np.maximum(self._counts.sum(axis=2), 1.0)
        score = float((own * counts.sum(axis=2)).sum() - (counts * slope).sum())
        ahead = score / max(weight, 1e-9)
        self._counts *= min(1.0, memory_events / max(self.events, 1.0))
        self._counts += turned_back(counts, ahead / BIN_RAD)
        self._refresh()
        information = (self._counts * slope**2).sum(axis=2) * response
        scores = own * self._counts.sum(axis=2) - (self._counts * slope).sum(axis=2)
        return scores / np.maximum(information, 1e-9), information

    def pattern(self, orders: int) -> NDArray[np.complex128]:
        """Harmonics sum of exp(-i k angle), (rings, 2, orders + 1)."""
        return scipy.fft.rfft(self._counts, axis=2)[:, :, : orders + 1]

    def match(self, counts: NDArray[np.int32]) -> Real:
        """Log likelihood of (rings, 2, ANGLE_BINS) counts for an offset of each bin, (ANGLE_BINS,).

        Zero is the likelihood of a rotor that shows no pattern at all.
        """
        return self.match_harmonics(scipy.fft.rfft(counts.astype(np.float64), axis=2))

    def match_harmonics(self, harmonics: NDArray[np.complexfloating]) -> Real:
        """The same from harmonics (rings, 2, orders + 1) of the counts; higher ones count as 0."""
        product = harmonics * self._filter[:, :, : harmonics.shape[2]]
        return scipy.fft.irfft(product.sum(axis=(0, 1)), ANGLE_BINS)

    def _refresh(self) -> None:
        self.looks = Looks.of(self._counts)
        self.mirrored = self.looks.mirrored()
        self._filter = np.conj(scipy.fft.rfft(self.looks.log_density, axis=2))
        events = max(self.events, 1.0)
        # With blurred looks an offset changes the score by less than the score's variance tells.
        slope = self.looks.slope
        curvature = -float((self._counts * _derivative(slope, 1)).sum())
        self.response = float(
            np.clip(curvature / max(float((self._counts * slope**2).sum()), 1e-9), 0.2, 5.0)
        )
        self.contrast = float((self._counts * self.looks.log_density).sum()) / events


def turned_back(counts: NDArray[np.int32] | Real, bins: float) -> Real:
    """Counts with their angle reduced by a number of bins, straight between bins."""
    turned = np.empty(counts.shape)
    _turn_back(counts, bins, turned)
    return turned


@njit(cache=True, nogil=True)
def _turn_back(counts, bins, turned):  # type: ignore[no-untyped-def]
    whole = math.floor(bins)
    share = bins - whole
    shift = int(whole)
    for ring in range(counts.shape[0]):
        for polarity in range(counts.shape[1]):
            for i in range(ANGLE_BINS):
                near = counts[ring, polarity, (i + shift) & (ANGLE_BINS - 1)]
                far = counts[ring, polarity, (i + shift + 1) & (ANGLE_BINS - 1)]
                turned[ring, polarity, i] = near * (1 - share) + far * share
