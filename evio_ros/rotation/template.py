"""What a rotor looks like in the frame that turns with it, learned from its own events."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.rotation.slice_histogram import ANGLE_BINS, BIN_RAD

__all__ = ["Looks", "Template", "add_turned_back", "turned_back"]

Real = NDArray[np.float64]

SMOOTHING_RAD = 0.025
"""Standard deviation by which looks are blurred: sharper edges would make small offsets hard to
measure, as the likelihood is taken as a parabola."""
RESPONSES = (0.2, 5.0)
"""Bounds of the response; outside them a template is not yet worth the name."""
FLOOR = 0.02
"""Least event density, as a share of the mean: no event is impossible."""


_ORDERS = np.arange(ANGLE_BINS // 2 + 1, dtype=np.float64)
BLUR = np.exp(-0.5 * (SMOOTHING_RAD * _ORDERS) ** 2)
_DERIVATIVE = 1j * np.where(_ORDERS < ANGLE_BINS // 2, _ORDERS, 0.0)
_INTEGRAL = np.zeros(len(_ORDERS), np.complex128)
_INTEGRAL[1:-1] = 1.0 / _DERIVATIVE[1:-1]
"""Factors of harmonics: of the blur, of a derivative over angle, of an integral with mean 0."""


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
        spectrum = np.fft.rfft(counts, axis=2)
        totals = np.maximum(counts.sum(axis=2, keepdims=True), 1.0)
        # Wiener filter: harmonics that Poisson noise explains are taken down.
        power = np.abs(spectrum) ** 2
        gain = np.maximum(power - 2.0 * totals, 0.0) / np.maximum(power, 1e-300)
        gain[:, :, 0] = 1.0
        # Shares of rings and polarities change with light and geometry: each has its own mean.
        smooth = spectrum * gain / (totals / ANGLE_BINS)
        density, blurred, integral, second_integral = _from_harmonics(
            smooth, smooth * BLUR, smooth * _INTEGRAL, smooth * _INTEGRAL**2
        )
        log_density = np.log(np.maximum(blurred, FLOOR))
        (slope,) = _from_harmonics(np.fft.rfft(log_density, axis=2) * _DERIVATIVE)
        pull = density * slope
        pulled = np.fft.rfft(pull, axis=2)
        pull_integrals = _from_harmonics(pulled * _INTEGRAL, pulled * _INTEGRAL**2)
        return cls(
            log_density, slope, integral, second_integral, pull.mean(axis=2), *pull_integrals
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


def _from_harmonics(*harmonics: NDArray[np.complex128]) -> Real:
    """Periodic functions, one for each of several arrays of harmonics, in one transform."""
    return np.fft.irfft(np.stack(harmonics), ANGLE_BINS, axis=-1)


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
        self._first_events = self.events
        self._refresh()

    @property
    def events(self) -> float:
        """Number of events behind the template."""
        return float(self._counts.sum())

    @property
    def first_share(self) -> float:
        """Share of the counts it began with in all it knows; they fade as it learns."""
        return self._first_events / max(self.events, 1.0)

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
        kept = min(1.0, memory_events / max(self.events, 1.0))
        self._counts *= kept
        self._first_events *= kept
        self._counts += turned_back(counts, ahead / BIN_RAD)
        self._refresh()
        information = (self._counts * slope**2).sum(axis=2) * response
        scores = own * self._counts.sum(axis=2) - (self._counts * slope).sum(axis=2)
        return scores / np.maximum(information, 1e-9), information

    def pattern(self, orders: int) -> NDArray[np.complex128]:
        """Harmonics sum of exp(-i k angle), (rings, 2, orders + 1)."""
        return np.fft.rfft(self._counts, axis=2)[:, :, : orders + 1]

    def match(self, counts: NDArray[np.int32]) -> Real:
        """Log likelihood of (rings, 2, ANGLE_BINS) counts for an offset of each bin, (ANGLE_BINS,).

        Zero is the likelihood of a rotor that shows no pattern at all.
        """
        return _correlate(counts, self.looks.log_density)

    def match_harmonics(self, harmonics: NDArray[np.complexfloating]) -> Real:
        """The same from harmonics (rings, 2, orders + 1) of the counts; higher ones count as 0."""
        product = harmonics * self._filter[:, :, : harmonics.shape[2]]
        return np.fft.irfft(product.sum(axis=(0, 1)), ANGLE_BINS)

    def _refresh(self) -> None:
        self.looks = Looks.of(self._counts)
        self.mirrored = self.looks.mirrored()
        log_harmonics = np.fft.rfft(self.looks.log_density, axis=2)
        self._filter = np.conj(log_harmonics)
        events = max(self.events, 1.0)
        # With blurred looks an offset changes the score by less than the score's variance tells.
        (bend,) = _from_harmonics(log_harmonics * _DERIVATIVE**2)
        curvature = -float((self._counts * bend).sum())
        weight = float((self._counts * self.looks.slope**2).sum())
        lowest, highest = RESPONSES
        self.response = min(max(curvature / max(weight, 1e-9), lowest), highest)
        self.contrast = float((self._counts * self.looks.log_density).sum()) / events


def turned_back(counts: NDArray[np.int32] | Real, bins: float) -> Real:
    """Counts with their angle reduced by a number of bins, straight between bins."""
    turned = np.zeros(counts.shape)
    add_turned_back(turned, counts, bins)
    return turned


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


@njit(cache=True, nogil=True)
def _correlate(counts, log_density):  # type: ignore[no-untyped-def]
    """Sum of counts times the log density moved ahead by every number of bins."""
    rings, polarities, bins = counts.shape
    likelihood = np.zeros(bins)
    # Twice in a row and back to front, so that every offset is one straight run.
    backwards = np.empty(2 * bins)
    for ring in range(rings):
        for polarity in range(polarities):
            row = counts[ring, polarity]
            for i in range(bins):
                value = log_density[ring, polarity, bins - 1 - i]
                backwards[i], backwards[i + bins] = value, value
            # Four bins at a time: the sums are written back a quarter as often.
            for i in range(0, bins, 4):
                a, b, c, d = row[i], row[i + 1], row[i + 2], row[i + 3]
                if a or b or c or d:
                    run = backwards[bins - 4 - i : 2 * bins - i]
                    for j in range(bins):
                        likelihood[j] += (
                            a * run[j + 3] + b * run[j + 2] + c * run[j + 1] + d * run[j]
                        )
    return likelihood
