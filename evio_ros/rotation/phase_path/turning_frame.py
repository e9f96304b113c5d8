"""Events of a disc in the co-rotating frame: counts, density and its likelihood."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from evio_ros.ellipse import Ellipse
from evio_ros.rotation.angle_time import angle_time_histogram
from evio_ros.rotation.phase_path.event_count_time import COUNT_SPAN, CountedEvents
from evio_ros.rotation.tracking.disc_map import ANGLE_BITS, ANGLE_MASK, ANGLE_STEPS, DiscMap

__all__ = ["ANGLES", "SHAPE", "BinnedEvents", "correlation", "gains", "seen_pixels"]

_Real = NDArray[np.float64]

_RINGS = 3
_HUB_RADIUS = 0.12
"""Number of rings of the disc, and the inner edge of the first in radii."""
ANGLES = 128
"""Angle bins per turn."""
_ORDERS = 40
"""Angular orders of the density: a blur of 0.06 rad leaves 6 % of the highest."""
_LEAST_LIVE = 0.5
"""Minimum share of a bin with data for its number of events to be extrapolated."""
SHAPE = 2
"""Number of unknowns of the disc: the hub, x and y."""


def seen_pixels(counted: CountedEvents) -> NDArray[np.bool_]:
    """Which pixels have events, bool (height, width)."""
    events = counted.events
    seen = np.zeros((events.size.height, events.size.width), bool)
    seen[events.y, events.x] = True
    return seen


@dataclass(frozen=True, slots=True)
class BinnedEvents:
    """Events on a disc by channel (ring and polarity), bin and angle."""

    disc: DiscMap
    counts: _Real  # (channels, bins, ANGLES)
    harmonics: NDArray[np.complex128]  # (channels, bins, ORDERS + 1)
    visible: _Real  # (channels, ANGLES) pixels
    levers: _Real  # (SHAPE, channels, ANGLES) sums over pixels of d angle / d shape
    live: _Real  # (bins,) share of each bin with data
    shares: _Real  # (bins,) share of each bin's events that counts

    @classmethod
    def of(
        cls, counted: CountedEvents, ellipse: Ellipse, seen: NDArray[np.bool_], bins: int
    ) -> BinnedEvents:
        """Bin the events of a disc.

        Args:
            counted: the events and their count time.
            ellipse: the disc.
            seen: bool (height, width), pixels that can have events.
            bins: number of bins of count time.
        """
        disc = DiscMap.of(ellipse, counted.events.size, _RINGS, _HUB_RADIUS, 1.0)
        counts = angle_time_histogram(counted.events, disc, 0, COUNT_SPAN, bins, ANGLES)
        harmonics = scipy.fft.rfft(counts.astype(np.float64), axis=2)[:, :, : _ORDERS + 1]
        x0, y0, x1, y1 = disc.box
        row, column = np.nonzero(seen[y0:y1, x0:x1] & (disc.codes >= 0))
        codes = disc.codes[row, column]
        steps = ANGLE_STEPS // ANGLES
        place = codes >> ANGLE_BITS, (((codes & ANGLE_MASK) + steps // 2) // steps) % ANGLES
        dx, dy = column + x0 - ellipse.center[0], row + y0 - ellipse.center[1]
        gradients = np.stack((dy, -dx)) / (dx**2 + dy**2)
        tables = np.zeros((1 + SHAPE, disc.rings, ANGLES))
        for table, value in zip(tables, (np.ones(len(dx)), *gradients), strict=True):
            np.add.at(table, place, value)
        tables = np.concatenate((tables, tables), axis=1)
        bin_of = np.minimum(counted.events.t * (bins / COUNT_SPAN), bins - 1).astype(np.int64)
        number = np.maximum(np.bincount(bin_of, minlength=bins), 1)
        shares = np.bincount(bin_of, counted.shares, bins) / number
        return cls(
            disc,
            counts.astype(np.float64),
            harmonics,
            tables[0],
            tables[1:],
            counted.live_shares(bins),
            shares,
        )

    @property
    def events(self) -> _Real:
        """Number of events, (bins,)."""
        return self.counts.sum(axis=(0, 2))

    @property
    def gap_free_counts(self) -> _Real:
        """Number of events due to motion, corrected for gaps, (bins,); scaled to the sum of all."""
        events = self.events * self.shares
        events *= self.events.sum() / max(float(events.sum()), 1e-9)
        known = np.flatnonzero(self.live > _LEAST_LIVE)
        if len(known) in (0, len(self.live)):
            return events
        usual = np.interp(np.arange(len(self.live)), known, events[known] / self.live[known])
        return events + (1.0 - self.live) * usual

    @property
    def moving_count(self) -> float:
        """Number of events due to motion, at least 1."""
        return max(float((self.events * self.shares).sum()), 1.0)

    def density(self, phase: _Real, blur: float, used: NDArray[np.bool_] | None = None) -> _Real:
        """Events per visible pixel in the co-rotating frame, (channels, ANGLES).

        Args:
            phase: (bins,) of the rotor, rad.
            blur: standard deviation of the blur, rad.
            used: bool (bins,), which bins; None for all.
        """
        orders = np.arange(_ORDERS + 1)
        turn = np.exp(1j * np.outer(phase, orders))
        if used is not None:
            turn = turn * used[:, None]
        folded = np.einsum("cbk,bk->ck", self.harmonics, turn)
        events = np.maximum(_periodic(folded * _smooth(blur)), 0.0)
        pixels = self.exposure(phase, blur, used)
        mean = events.sum() / max(pixels.sum(), 1e-9)
        # Angles with hardly any exposure count as empty; no event is impossible.
        doubt = 0.02 * pixels.mean() + 1e-9
        return np.maximum((events + 0.05 * mean * doubt) / (pixels + doubt), 0.03 * mean + 1e-12)

    def exposure(self, phase: _Real, blur: float, used: NDArray[np.bool_] | None = None) -> _Real:
        """Exposure of each angle of the co-rotating frame to the visible pixels, (channels,
        ANGLES).

        Args:
            phase, blur, used: as for `density`.

        Returns:
            Number of pixels, times the angle in radians that passed them.
        """
        orders = np.arange(_ORDERS + 1)
        passed = np.abs(np.gradient(phase)) * self.live
        if used is not None:
            passed = passed * used
        turn = (np.exp(1j * np.outer(phase, orders)) * passed[:, None]).sum(axis=0)
        visible = scipy.fft.rfft(self.visible, axis=1)[:, : _ORDERS + 1]
        return np.maximum(_periodic(visible * turn * _smooth(blur)), 0.0)

    def at_angles(self, phase: _Real, kept: NDArray[np.bool_]) -> BinnedEvents:
        """The events at some angles of the co-rotating frame.

        Args:
            phase: (bins,) of the rotor, rad.
            kept: bool (channels, ANGLES), which angles.
        """
        turned = np.rint(phase * (ANGLES / (2 * math.pi))).astype(np.int64)
        places = (np.arange(ANGLES) - turned[:, None]) % ANGLES
        return replace(self, counts=self.counts * kept[:, places])

    def log_likelihood(self, density: _Real) -> tuple[_Real, _Real]:
        """Log likelihood of bins at phases, (bins, ANGLES), and events per radian, (ANGLES,)."""
        logs = scipy.fft.rfft(np.log(density), axis=1)
        spectrum = scipy.fft.rfft(self.counts, axis=2)
        product = np.einsum("cbk,ck->bk", spectrum, np.conj(logs))
        total = self.events_per_radian(density)
        return scipy.fft.irfft(product, ANGLES, axis=1) - self.events[:, None] * np.log(
            total
        ), total

    def events_per_radian(self, density: _Real) -> _Real:
        """Events per radian of the visible pixels at each phase, (ANGLES,)."""
        return np.maximum(correlation(self.visible, density), 1e-9)


def correlation(pixels: _Real, pattern: _Real) -> _Real:
    """Sum over channels and angles of pixels * pattern rotated to each phase, (..., ANGLES)."""
    product = scipy.fft.rfft(pixels, axis=-1) * np.conj(scipy.fft.rfft(pattern, axis=-1))
    return scipy.fft.irfft(product.sum(axis=-2), ANGLES, axis=-1)


def _smooth(blur: float) -> _Real:
    """Factor on each angular order by a blur in rad, (ORDERS + 1,)."""
    return np.asarray(np.exp(-0.5 * (np.arange(_ORDERS + 1) * blur) ** 2))


def _periodic(harmonics: NDArray[np.complex128]) -> _Real:
    return scipy.fft.irfft(harmonics, ANGLES, axis=1)


def gains(binned: BinnedEvents, density: _Real, phase: _Real) -> _Real:
    """Log likelihood of each bin's events relative to a uniform disc, (bins,)."""
    likelihood, _ = binned.log_likelihood(density)
    place = phase * (ANGLES / (2 * math.pi))
    low = np.floor(place).astype(np.int64)
    share = place - low
    bins = np.arange(len(phase))
    on_path = (1 - share) * likelihood[bins, low % ANGLES]
    on_path += share * likelihood[bins, (low + 1) % ANGLES]
    by_channel = binned.counts.sum(axis=2)  # (channels, bins)
    pixels = np.maximum(binned.visible.sum(axis=1), 1.0)
    total = by_channel.sum(axis=1)
    alike = np.log(np.maximum(total / pixels, 1e-12) / max(float(total.sum()), 1.0))
    return on_path - alike @ by_channel
