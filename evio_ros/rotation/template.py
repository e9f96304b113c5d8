"""What a rotor looks like in the frame that turns with it, learned from its own events."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from evio_ros.rotation.slice_histogram import ANGLE_BINS

__all__ = ["Looks", "Template"]

Real = NDArray[np.float64]

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
        log_density: log of density over mean density.
        slope: derivative of `log_density`, 1 / rad.
        density: density over mean density, less 1.
        integral, second_integral: integrals of `density` over angle with mean 0.
    """

    log_density: Real
    slope: Real
    density: Real
    integral: Real
    second_integral: Real

    @classmethod
    def of(cls, counts: Real) -> Looks:
        """Smooth (rings, 2, ANGLE_BINS) counts as far as their noise asks for."""
        spectrum = scipy.fft.rfft(counts, axis=2)
        totals = np.maximum(counts.sum(axis=2, keepdims=True), 1.0)
        # Wiener filter: harmonics that Poisson noise explains are taken down.
        power = np.abs(spectrum) ** 2
        gain = np.maximum(power - 2.0 * totals, 0.0) / np.maximum(power, 1e-300)
        gain[:, :, 0] = 1.0
        smooth = scipy.fft.irfft(spectrum * gain, ANGLE_BINS, axis=2)
        # Shares of rings and polarities change with light and geometry: each has its own mean.
        density = np.maximum(smooth / (totals / ANGLE_BINS), FLOOR)
        density /= density.mean(axis=2, keepdims=True)
        log_density = np.log(density)
        integral = _derivative(density, -1)
        return cls(
            log_density,
            _derivative(log_density, 1),
            density - 1.0,
            integral,
            _derivative(integral, -1),
        )

    def mirrored(self) -> Looks:
        """As seen when it turns the other way: bright and dark edges change places."""
        return Looks(
            self.log_density[:, ::-1],
            self.slope[:, ::-1],
            self.density[:, ::-1],
            self.integral[:, ::-1],
            self.second_integral[:, ::-1],
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
    """

    def __init__(self, counts: Real) -> None:
        self._counts = np.array(counts, np.float64)
        self._refresh()

    @property
    def events(self) -> float:
        """Number of events behind the template."""
        return float(self._counts.sum())

    def learn(self, counts: Real, memory_events: float) -> None:
        """Add counts in the turning frame; of the older ones at most `memory_events` are kept."""
        self._counts *= min(1.0, memory_events / max(self.events, 1.0))
        self._counts += counts
        self._refresh()

    def pattern(self, orders: int) -> NDArray[np.complex128]:
        """Harmonics sum of exp(-i k angle), (rings, 2, orders + 1)."""
        return scipy.fft.rfft(self._counts, axis=2)[:, :, : orders + 1]

    def match(self, counts: NDArray[np.int32]) -> Real:
        """Log likelihood of (rings, 2, ANGLE_BINS) counts for an offset of each bin, (ANGLE_BINS,).

        Zero is the likelihood of a rotor that shows no pattern at all.
        """
        product = scipy.fft.rfft(counts.astype(np.float64), axis=2) * self._filter
        return scipy.fft.irfft(product.sum(axis=(0, 1)), ANGLE_BINS)

    def _refresh(self) -> None:
        self.looks = Looks.of(self._counts)
        self.mirrored = self.looks.mirrored()
        self._filter = np.conj(scipy.fft.rfft(self.looks.log_density, axis=2))
        events = max(self.events, 1.0)
        self.contrast = float((self._counts * self.looks.log_density).sum()) / events
