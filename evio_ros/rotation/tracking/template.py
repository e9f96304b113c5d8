"""What a rotor looks like in the frame that turns with it, learned from its own events."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numba import njit
from numpy.typing import NDArray

from evio_ros.rotation.tracking.slice_histogram import ANGLE_BINS, BIN_RAD

__all__ = ["Looks", "Template", "add_turned", "blur_of"]

Real = NDArray[np.float64]
Table = NDArray[np.float32]
Harmonics = NDArray[np.complex128]

SMOOTHING = 0.035
"""Standard deviation by which looks are blurred, as an arc in radii of the disc: the likelihood is
taken as a parabola, and sharper edges would leave it no room for an error of the phase. An error of
the hub is an angle that grows towards it; the same arc on all rings leaves room for that too."""
RESPONSES = (0.2, 5.0)
"""Bounds of the response; outside them a template is not yet worth the name."""
FLOOR = 0.02
"""Least event density, as a share of the mean: no event is impossible."""


_ORDERS = np.arange(ANGLE_BINS // 2 + 1, dtype=np.float64)
_DERIVATIVE = 1j * np.where(_ORDERS < ANGLE_BINS // 2, _ORDERS, 0.0)
_DERIVATIVES = np.stack((_DERIVATIVE, _DERIVATIVE**2))[:, None, None]
"""Factors of harmonics: of the first and the second derivative."""


@dataclass(frozen=True, slots=True)
class Looks:
    """Event density over angle of each ring and polarity, and what is derived from it.

    The density of a slice's events at angle a in the turning frame is, up to the number of events,
    exp(`log_density`[..., a - offset]) for a rotor that is ahead of its expected angle by `offset`.
    Its logarithm is what a matched filter correlates with (the maximum of the Poisson likelihood).
    All but `pull` are float32 (rings, 2, ANGLE_BINS), OFF first: finer than the noise of events,
    and small enough to stay in the processor's cache.

    Attributes:
        log_density: log of blurred density over mean density.
        slope, bend: first and second derivative of `log_density`, 1 / rad and 1 / rad^2.
        integral, second_integral: integrals of density over mean density, less 1, with mean 0.
        pull: float64 (rings, 2), mean of density times slope.
        pull_integral, pull_second_integral: integrals of density times slope, less `pull`.
    """

    log_density: Table
    slope: Table
    bend: Table
    integral: Table
    second_integral: Table
    pull: Real
    pull_integral: Table
    pull_second_integral: Table

    @classmethod
    def of(cls, spectrum: Harmonics, blur: Real) -> Looks:
        """Smooth counts as far as their noise asks for.

        Args:
            spectrum: (rings, 2, ANGLE_BINS // 2 + 1) real transform of the counts over angle.
            blur: (rings, 1, ANGLE_BINS // 2 + 1) factors of harmonics, see `blur_of`.
        """
        harmonics = _density_harmonics(spectrum)
        density, blurred = _from_harmonics(np.stack((harmonics, harmonics * blur)))
        log_density = np.log(np.maximum(blurred, FLOOR))
        derivatives = _from_harmonics(scipy.fft.rfft(log_density, axis=2) * _DERIVATIVES)
        slope, bend = derivatives.astype(np.float32)
        integral, second, pulled, pulled_second = np.empty((4, *density.shape), np.float32)
        _integrate_twice(density, integral, second)
        pull = _integrate_twice(density * slope, pulled, pulled_second)
        log_density = log_density.astype(np.float32)
        return cls(log_density, slope, bend, integral, second, pull, pulled, pulled_second)


def blur_of(radii: Real) -> Real:
    """Factors of harmonics, (rings, 1, ANGLE_BINS // 2 + 1), for rings of (rings,) radii."""
    orders = np.outer(SMOOTHING / radii, _ORDERS)
    return np.exp(-0.5 * orders**2)[:, None]


@njit(cache=True, nogil=True)
def _density_harmonics(spectrum):
    """Harmonics of density over mean density from those of counts."""
    smooth = np.empty_like(spectrum)
    for ring in range(spectrum.shape[0]):
        for polarity in range(2):
            # Shares of rings and polarities change with light and geometry: each has its own mean.
            total = max(spectrum[ring, polarity, 0].real, 1.0)
            for order in range(spectrum.shape[2]):
                harmonic = spectrum[ring, polarity, order]
                # Wiener filter: harmonics that Poisson noise explains are taken down.
                power = harmonic.real**2 + harmonic.imag**2
                gain = max(power - 2.0 * total, 0.0) / max(power, 1e-300) if order else 1.0
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


def _from_harmonics(harmonics: Harmonics) -> Real:
    """Periodic functions from their harmonics, last axis."""
    return scipy.fft.irfft(harmonics, ANGLE_BINS, axis=-1)


class Template:
    """A rotor's looks, learned from its own events.

    Args:
        counts: (rings, 2, ANGLE_BINS) first counts in the turning frame of the positive sense.
        radii: (rings,) middle radii of the rings, of the disc's radius.

    Attributes:
        looks: when it turns in the positive sense.
        contrast: log likelihood that an event gains from the template.
        response: change of the score of a slice with the offset, over its variance.
    """

    def __init__(self, counts: Real, radii: Real) -> None:
        self._radii = radii
        self._blur = blur_of(radii)
        self._counts = np.array(counts, np.float64)
        self._filter: Harmonics | None = None
        self._first_counts = self._counts.copy()
        self._refresh()

    @property
    def events(self) -> float:
        """Number of events behind the template."""
        return float(self._counts.sum())

    @property
    def first_share(self) -> float:
        """Share of the counts it began with in all it knows; they fade as it learns."""
        return float(self._first_counts.sum()) / max(self.events, 1.0)

    def relearned(self) -> Template:
        """What was learned since the first guess, without it."""
        return Template(np.maximum(self._counts - self._first_counts, 0.0), self._radii)

    def learn(self, counts: Real, memory_events: float) -> tuple[Real, Real]:
        """Add counts in the turning frame; of the older ones at most `memory_events` are kept.

        The counts are turned so that they agree with what was known: the looks may change, their
        angle may not, or the template would give way to every error of the speed.

        Returns:
            (rings, 2) angles by which the looks have turned all the same, rad, and the information
            on each, 1 / rad^2.
        """
        slope, response = self.looks.slope, self.response
        own, turned, information = np.empty((3, *slope.shape[:2]))
        kept = min(1.0, memory_events / max(self.events, 1.0))
        self._counts *= kept
        self._first_counts *= kept
        _add_agreeing(self._counts, counts, slope, response, own)
        self._refresh()
        _turned_since(self._counts, slope, response, own, turned, information)
        return turned, information

    def pattern(self, orders: int) -> Harmonics:
        """Harmonics sum of exp(-i k angle), (rings, 2, orders + 1)."""
        return self._spectrum[:, :, : orders + 1]

    def match_harmonics(self, harmonics: NDArray[np.complexfloating]) -> Real:
        """Log likelihood of counts for an offset of each bin, (ANGLE_BINS,).

        Zero is the likelihood of a rotor that shows no pattern at all.

        Args:
            harmonics: (rings, 2, orders + 1) of the counts; higher ones count as 0.
        """
        if self._filter is None:
            self._filter = np.conj(scipy.fft.rfft(self.looks.log_density, axis=2))
        product = harmonics * self._filter[:, :, : harmonics.shape[2]]
        return _from_harmonics(product.sum(axis=(0, 1)))

    def _refresh(self) -> None:
        self._spectrum = scipy.fft.rfft(self._counts, axis=2)
        self._filter = None
        self.looks = looks = Looks.of(self._spectrum, self._blur)
        self.contrast, response = _weigh(self._counts, looks.log_density, looks.slope, looks.bend)
        lowest, highest = RESPONSES
        self.response = min(max(response, lowest), highest)


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _weigh(counts, log_density, slope, bend):
    """Contrast and response of a template."""
    events, gained, weight, bent = 0.0, 0.0, 0.0, 0.0
    for ring in range(counts.shape[0]):
        for polarity in range(2):
            for i in range(ANGLE_BINS):
                count = counts[ring, polarity, i]
                events += count
                gained += count * log_density[ring, polarity, i]
                weight += count * slope[ring, polarity, i] ** 2
                bent += count * bend[ring, polarity, i]
    # With blurred looks an offset changes the score by less than the score's variance tells.
    return gained / max(events, 1.0), -bent / max(weight, 1e-9)


@njit(cache=True, nogil=True)
def _add_agreeing(known, counts, slope, response, own):
    """Turn counts so that they agree with those known and add them; sets the known mean slopes."""
    score, weight = 0.0, 0.0
    for ring in range(known.shape[0]):
        for polarity in range(2):
            # Known looks have a mean slope too, where edges are steeper on one side.
            total, steep, _ = _moments(known[ring, polarity], slope[ring, polarity])
            own[ring, polarity] = steep / max(total, 1.0)
            total, steep, squared = _moments(counts[ring, polarity], slope[ring, polarity])
            score += own[ring, polarity] * total - steep
            weight += squared * response
    add_turned(known, counts, -score / max(weight, 1e-9) / BIN_RAD)


@njit(cache=True, nogil=True)
def _turned_since(counts, slope, response, own, turned, information):
    """By how much each channel's counts have turned since they had mean slopes `own`."""
    for ring in range(counts.shape[0]):
        for polarity in range(2):
            total, steep, squared = _moments(counts[ring, polarity], slope[ring, polarity])
            information[ring, polarity] = squared * response
            score = own[ring, polarity] * total - steep
            turned[ring, polarity] = score / max(information[ring, polarity], 1e-9)


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _moments(counts, slope):
    """Sum of counts, and sums of their slope and of its square."""
    total, first, second = 0.0, 0.0, 0.0
    for i in range(ANGLE_BINS):
        total += counts[i]
        first += counts[i] * slope[i]
        second += counts[i] * slope[i] ** 2
    return total, first, second


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
