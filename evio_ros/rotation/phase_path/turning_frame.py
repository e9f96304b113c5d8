"""Events of a disc in the frame that turns along: counts, density and its likelihood."""

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

__all__ = ["ANGLES", "SHAPE", "BinnedEvents", "correlated", "gains", "seen_pixels"]

_Real = NDArray[np.float64]

_RINGS = 3
_HUB_RADIUS = 0.12
"""Rings of the disc, and the inner edge of the first in radii."""
ANGLES = 128
"""Bins of a turn."""
_ORDERS = 40
"""Angular orders of the density: a blur of 0.06 rad leaves 6 % of the highest."""
_LEAST_LIVE = 0.5
"""Share of a bin that has data, for its number of events to tell that of its neighbours."""
SHAPE = 2
"""Unknowns of the disc: the hub, x and y."""


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
    levers: _Real  # (SHAPE, channels, ANGLES) sums over pixels of the angle's change with the shape
    live: _Real  # (bins,) share of each bin for which there is data
    shares: _Real  # (bins,) share of each bin's events that count

    @classmethod
    def of(
        cls, counted: CountedEvents, ellipse: Ellipse, seen: NDArray[np.bool_], bins: int
    ) -> BinnedEvents:
        """Bin the events of a disc.

        Args:
            counted: the events and their count time.
            ellipse: the disc.
            seen: bool (height, width), pixels that can give events.
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
        """(bins,) number of events."""
        return self.counts.sum(axis=(0, 2))

    @property
    def given(self) -> _Real:
        """(bins,) events that tell of a turn, had none been missing, scaled to sum up to all."""
        events = self.events * self.shares
        events *= self.events.sum() / max(float(events.sum()), 1e-9)
        known = np.flatnonzero(self.live > _LEAST_LIVE)
        if len(known) in (0, len(self.live)):
            return events
        usual = np.interp(np.arange(len(self.live)), known, events[known] / self.live[known])
        return events + (1.0 - self.live) * usual

    @property
    def moving(self) -> float:
        """Number of events that tell of a turn, at least 1."""
        return max(float((self.events * self.shares).sum()), 1.0)

    def density(self, phase: _Real, blur: float, used: NDArray[np.bool_] | None = None) -> _Real:
        """Events for each visible pixel in the turning frame, (channels, ANGLES).

        Args:
            phase: (bins,) of the rotor.
            blur: standard deviation of the blur, rad.
            used: (bins,) of which bins; None for all.
        """
        orders = np.arange(_ORDERS + 1)
        turn = np.exp(1j * np.outer(phase, orders))
        if used is not None:
            turn = turn * used[:, None]
        folded = np.einsum("cbk,bk->ck", self.harmonics, turn)
        events = np.maximum(_periodic(folded * _smooth(blur)), 0.0)
        pixels = self.exposure(phase, blur, used)
        mean = events.sum() / max(pixels.sum(), 1e-9)
        # What was hardly seen is taken for empty; no event is impossible.
        doubt = 0.02 * pixels.mean() + 1e-9
        return np.maximum((events + 0.05 * mean * doubt) / (pixels + doubt), 0.03 * mean + 1e-12)

    def exposure(self, phase: _Real, blur: float, used: NDArray[np.bool_] | None = None) -> _Real:
        """How much of each angle of the turning frame the visible pixels saw, (channels, ANGLES).

        Args:
            phase, blur, used: as of `density`.

        Returns:
            Pixels, times the angle by which they were passed in radians.
        """
        orders = np.arange(_ORDERS + 1)
        passed = np.abs(np.gradient(phase)) * self.live
        if used is not None:
            passed = passed * used
        turn = (np.exp(1j * np.outer(phase, orders)) * passed[:, None]).sum(axis=0)
        visible = scipy.fft.rfft(self.visible, axis=1)[:, : _ORDERS + 1]
        return np.maximum(_periodic(visible * turn * _smooth(blur)), 0.0)

    def within(self, phase: _Real, kept: NDArray[np.bool_]) -> BinnedEvents:
        """The events at some angles of the turning frame alone.

        Args:
            phase: (bins,) of the rotor.
            kept: bool (channels, ANGLES), which angles.
        """
        turned = np.rint(phase * (ANGLES / (2 * math.pi))).astype(np.int64)
        places = (np.arange(ANGLES) - turned[:, None]) % ANGLES
        return replace(self, counts=self.counts * kept[:, places])

    def log_likelihood(self, density: _Real) -> tuple[_Real, _Real]:
        """Of each bin at each phase, (bins, ANGLES), and events a radian given off, (ANGLES,)."""
        logs = scipy.fft.rfft(np.log(density), axis=1)
        spectrum = scipy.fft.rfft(self.counts, axis=2)
        product = np.einsum("cbk,ck->bk", spectrum, np.conj(logs))
        total = self.given_off(density)
        return scipy.fft.irfft(product, ANGLES, axis=1) - self.events[:, None] * np.log(
            total
        ), total

    def given_off(self, density: _Real) -> _Real:
        """Events a radian that the visible pixels give off at each phase, (ANGLES,)."""
        return np.maximum(correlated(self.visible, density), 1e-9)


def correlated(pixels: _Real, pattern: _Real) -> _Real:
    """Sum over channels and angles of pixels * pattern turned to each phase, (..., ANGLES)."""
    product = scipy.fft.rfft(pixels, axis=-1) * np.conj(scipy.fft.rfft(pattern, axis=-1))
    return scipy.fft.irfft(product.sum(axis=-2), ANGLES, axis=-1)


def _smooth(blur: float) -> _Real:
    """Share of each order that a blur leaves."""
    return np.asarray(np.exp(-0.5 * (np.arange(_ORDERS + 1) * blur) ** 2))


def _periodic(harmonics: NDArray[np.complex128]) -> _Real:
    return scipy.fft.irfft(harmonics, ANGLES, axis=1)


def gains(binned: BinnedEvents, density: _Real, phase: _Real) -> _Real:
    """Log likelihood of each bin's events less that of a disc that is everywhere alike, (bins,)."""
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
