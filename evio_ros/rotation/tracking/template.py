"""The template of a rotor: its event density in the frame that turns with the rotor.

Method: counts over the derotated angle are summed with exponential forgetting. Each update is first
rotated by the maximum-likelihood offset, so that it agrees with the template. A Wiener filter turns
the sums into the density of events: a harmonic of power P, of which Poisson noise of n events
explains n, is multiplied by (P - 2 n) / P, or by 0 if that is negative. The log likelihood of
Poisson events is the sum of the log density at their angles (Snyder and Miller, Random Point
Processes in Time and Space, 1991, chapter 2). So a matched filter correlates counts with the log
density, and the score of an offset is a sum of its slope.

A rotor's phase is relative to its template, and a template that turns cannot be distinguished from
a rotor that does. So an update returns the angle by which the template has turned in spite of the
rotation: a measurable error of the phase, see `ErrorBudget`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import scipy.fft
from numba import njit
from numpy.typing import NDArray

from evio_ros.rotation.tracking.blades import blade_angle, blade_count
from evio_ros.rotation.tracking.slice_counts import ANGLE_BINS, BIN_RAD

__all__ = ["ORDERS", "Drift", "Template", "TemplateTables", "TemplateUpdater", "add_turned"]

_Real = NDArray[np.float64]
_Table = NDArray[np.float32]
_Harmonics = NDArray[np.complex128]

ORDERS = 24
"""Number of angular orders of a template used for blades and reacquisition: a little more than
twice the default maximum blade count. More would need a finer search over the speed."""
_RESPONSES = (0.2, 5.0)
"""Bounds of the response, which is 1 for a template without blur; it exceeds them only while a
template is not yet usable. Fitted to simulated recordings."""
_UPDATE_US = 40_000, 100_000
_UPDATE_SHARE = 0.1
"""Computing a template's tables is expensive, so slices are collected between updates: for this
share of the time for which the rotor has been tracked, within the bounds above."""
_FADED_SHARE = 0.1
"""Share that is kept of a template that contains events of another rotor. It is worth 30 ms of the
events with which the rotor was found, and the next updates outweigh it. Fitted to a simulated
recording of two overlapping rotors, and checked on three others."""
_FIRST_SLICES = 10
"""Number of first slices each of which updates the template, because the one from pull-in is
blurred. Fitted to simulated recordings."""
_SMOOTHING = 0.035
"""Standard deviation of the blur of templates, as an arc length in radii of the disc. The log
likelihood is approximated by a parabola, which would hold only for very small errors of the phase
if edges were sharper. An error of the hub causes an error of the angle that is inversely
proportional to the radius; so is the angle of the same arc length. Fitted to simulated
recordings."""
_FLOOR = 0.02
"""Minimum event density, relative to the mean: no event is impossible. Fitted to simulated
recordings."""
_NOISE_POWERS = 2.0
"""The Wiener filter subtracts this multiple of the expected power of Poisson noise from each
harmonic: noise alone exceeds its mean in one of three harmonics, twice its mean in one of seven."""

_ORDERS = np.arange(ANGLE_BINS // 2 + 1, dtype=np.float64)
_DERIVATIVE = 1j * np.where(_ORDERS < ANGLE_BINS // 2, _ORDERS, 0.0)
_DERIVATIVES = np.stack((_DERIVATIVE, _DERIVATIVE**2))[:, None, None]
"""Factors of the harmonics for the first and the second derivative."""


class TemplateTables(NamedTuple):
    """Event density over angle of each ring and polarity, and functions derived from it.

    The relative density of a slice's events at angle a in the turning frame is
    exp(`log_density`[..., a - offset]) for a rotor that leads its expected angle by `offset`. All
    but `mean_slope` are float32 (rings, 2, ANGLE_BINS), OFF first: this precision suffices, and
    they are small enough to stay in the processor's cache.

    Attributes:
        log_density: log of blurred density over mean density.
        slope, curvature: first and second derivative of `log_density`, 1 / rad and 1 / rad^2.
        density_integral, density_second_integral: integrals of density over mean density, less 1,
            with mean 0.
        mean_slope: float64 (rings, 2), mean of density times slope.
        slope_integral, slope_second_integral: integrals of density times slope, less `mean_slope`.
    """

    log_density: _Table
    slope: _Table
    curvature: _Table
    density_integral: _Table
    density_second_integral: _Table
    mean_slope: _Real
    slope_integral: _Table
    slope_second_integral: _Table


def _tables_of(spectrum: _Harmonics, blur: _Real) -> TemplateTables:
    """Tables of a template, from its counts after a Wiener filter.

    Args:
        spectrum: (rings, 2, ANGLE_BINS // 2 + 1) real transform of the counts over angle.
        blur: (rings, 1, ANGLE_BINS // 2 + 1) factors of harmonics, see `_blur_of`.
    """
    harmonics = _density_harmonics(spectrum)
    density, blurred = _from_harmonics(np.stack((harmonics, harmonics * blur)))
    log_density = np.log(np.maximum(blurred, _FLOOR))
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


class Template:
    """A rotor's event density over ring, polarity and angle, learned from its own events.

    Args:
        counts: (rings, 2, ANGLE_BINS) first counts in the turning frame of the positive sense.
        radii: (rings,) mean radii of the rings, relative to the disc's radius.

    Attributes:
        radii: as given.
        tables: tables that slices are compared with, for a rotor that turns in the positive sense.
        contrast: mean log likelihood that an event gains from the template.
        response: change of a slice's score with the offset, divided by the score's variance; below
            1 if the template is blurred.
    """

    def __init__(self, counts: _Real, radii: _Real) -> None:
        self.radii = radii
        self._blur = _blur_of(radii)
        self._counts = np.array(counts, np.float64)
        self._first_counts = self._counts.copy()
        self._refresh()

    @property
    def events(self) -> float:
        """Number of events in the template, after forgetting."""
        return float(self._counts.sum())

    @property
    def first_share(self) -> float:
        """Share of the first counts in the template; it decreases with updates."""
        return float(self._first_counts.sum()) / max(self.events, 1.0)

    def without_first_guess(self) -> Template:
        """A template of the updates alone, without the first counts."""
        return Template(np.maximum(self._counts - self._first_counts, 0.0), self.radii)

    def fade(self) -> None:
        """Reduce the counts, which the next updates then outweigh; they become the first counts."""
        self._counts *= _FADED_SHARE
        self._first_counts = self._counts.copy()
        self._refresh()

    def update(self, counts: _Real, memory_events: float) -> tuple[_Real, _Real]:
        """Add counts in the turning frame, after scaling the older ones to at most `memory_events`.

        The counts are rotated to agree with the template, which would otherwise follow every error
        of the speed.

        Args:
            counts: (rings, 2, ANGLE_BINS).
            memory_events: maximum number of older events.

        Returns:
            Angles (rings, 2) in rad by which the template has turned in spite of that, and the
            information on each, 1 / rad^2.
        """
        slope, response = self.tables.slope, self.response
        mean_slopes, turned, information = np.empty((3, *slope.shape[:2]))
        kept = min(1.0, memory_events / max(self.events, 1.0))
        self._counts *= kept
        self._first_counts *= kept
        _add_aligned(self._counts, counts, slope, response, mean_slopes)
        self._refresh()
        _turned_since(self._counts, slope, response, mean_slopes, turned, information)
        return turned, information

    def pattern(self) -> _Harmonics:
        """Sums of exp(-i k angle) over the counts for k = 0 to ORDERS, (rings, 2, ORDERS + 1)."""
        return self._spectrum[:, :, : ORDERS + 1]

    def _refresh(self) -> None:
        """Compute the tables, contrast and response anew."""
        self._spectrum = scipy.fft.rfft(self._counts, axis=2)
        self.tables = t = _tables_of(self._spectrum, self._blur)
        self.contrast, response = _contrast_and_response(
            self._counts, t.log_density, t.slope, t.curvature
        )
        lowest, highest = _RESPONSES
        self.response = min(max(response, lowest), highest)


class Drift(NamedTuple):
    """Undesired effects of an update on a template.

    Attributes:
        turned_rad: angle by which it has turned as a whole, which is an error of the phase.
        first_share: remaining share of the first counts.
    """

    turned_rad: float
    first_share: float


class TemplateUpdater:
    """Updates a template with slices, a batch at a time, and counts the blades.

    Args:
        template: the initial template; it is updated in place.
        memory_us: length of the past that the template remembers.
        maximum_blades: largest blade count considered.
        start_us: sensor time at which tracking of the rotor begins.

    Attributes:
        template: as given.
        blades: number of blades, see `blade_count`.
    """

    def __init__(
        self, template: Template, memory_us: int, maximum_blades: int, start_us: int
    ) -> None:
        self.template = template
        self._memory_us = memory_us
        self._maximum_blades = maximum_blades
        self._pending: _Real = np.zeros(template.tables.slope.shape)
        self._pending_us = 0
        self._pending_exposed_us = 0.0
        self._start_us = start_us
        self._blade_rad: float | None = None
        self.blades = 0
        self._count_blades()

    def add(
        self,
        t_us: int,
        folded: NDArray[np.int32],
        ahead_rad: float,
        length_us: int,
        slices_seen: int,
        exposure: float = 1.0,
    ) -> Drift | None:
        """Add a slice; returns the drift if the template was updated, else None.

        Args:
            t_us: sensor time of the end of the slice.
            folded: (rings, 2, ANGLE_BINS) counts in the turning frame of the positive sense.
            ahead_rad: angle by which the rotor led the turning frame.
            length_us: length of the slice.
            slices_seen: number of slices in which the rotor was seen so far.
            exposure: share of the rotor's events in the slice that was received and taken.
        """
        self._pending_exposed_us += length_us * exposure
        add_turned(self._pending, folded, -ahead_rad / BIN_RAD)
        self._pending_us += length_us
        shortest_us, longest_us = _UPDATE_US
        wanted_us = min(max(_UPDATE_SHARE * (t_us - self._start_us), shortest_us), longest_us)
        if self._pending_us < wanted_us and slices_seen > _FIRST_SLICES:
            return None
        return self._update()

    def blade_angle(self) -> float:
        """Angle of the centre line of one blade in the turning frame, rad."""
        if self._blade_rad is None:
            pattern = self.template.pattern().sum(axis=0)
            self._blade_rad = blade_angle(pattern, max(self.blades, 1))
        return self._blade_rad

    def _update(self) -> Drift | None:
        """Update the template with the collected slices."""
        events = float(self._pending.sum())
        drift = None
        # Without new events, nothing must be forgotten.
        if events > 0.0:
            memory_events = self._memory_us / self._pending_exposed_us * events
            turned, information = self.template.update(self._pending, memory_events)
            drift = Drift(common_angle(turned, information), self.template.first_share)
            self._count_blades()
        self._pending[:] = 0.0
        self._pending_us, self._pending_exposed_us = 0, 0.0
        return drift

    def _count_blades(self) -> None:
        self.blades = blade_count(self.template.pattern(), self._maximum_blades)
        self._blade_rad = None


def common_angle(turned_rad: _Real, information: _Real) -> float:
    """Mean of angles weighted by the information on each; 0 if there is none."""
    total = float(information.sum())
    return float((information * turned_rad).sum()) / total if total > 0.0 else 0.0


def _blur_of(radii: _Real) -> _Real:
    """Factors of the harmonics, (rings, 1, ANGLE_BINS // 2 + 1), for rings of radii (rings,)."""
    orders = np.outer(_SMOOTHING / radii, _ORDERS)
    return np.exp(-0.5 * orders**2)[:, None]


def _from_harmonics(harmonics: _Harmonics) -> _Real:
    """Periodic functions from their harmonics, along the last axis."""
    return scipy.fft.irfft(harmonics, ANGLE_BINS, axis=-1)


@njit(cache=True, nogil=True)
def _density_harmonics(spectrum):
    """Harmonics of the relative density from those of the counts, by a Wiener filter."""
    smooth = np.empty_like(spectrum)
    for ring in range(spectrum.shape[0]):
        for polarity in range(2):
            # The rates of rings and polarities change with light and geometry, so each has its own
            # mean.
            total = max(spectrum[ring, polarity, 0].real, 1.0)
            for order in range(spectrum.shape[2]):
                harmonic = spectrum[ring, polarity, order]
                power = harmonic.real**2 + harmonic.imag**2
                gain = 1.0
                if order:
                    gain = max(power - _NOISE_POWERS * total, 0.0) / max(power, 1e-300)
                smooth[ring, polarity, order] = harmonic * (gain * ANGLE_BINS / total)
    return smooth


@njit(cache=True, nogil=True)
def _integrate_twice(values, integral, second_integral):
    """Set the first two integrals of periodic values minus their mean; returns means (rings, 2)."""
    means = np.empty(values.shape[:2])
    for ring in range(values.shape[0]):
        for polarity in range(2):
            means[ring, polarity] = _integrate(values[ring, polarity], integral[ring, polarity])
            _integrate(integral[ring, polarity], second_integral[ring, polarity])
    return means


@njit(cache=True, nogil=True)
def _integrate(values, integral):
    """Set the zero-mean integral of periodic values minus their mean; returns that mean.

    Between neighbours, the cubic through four values is integrated.
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
    """Add periodic tables, rotated by a number of bins, to a total; linearly interpolated.

    Args:
        total: (rings, 2, ANGLE_BINS), changed.
        tables: (rings, 2, ANGLE_BINS).
        bins: the rotation; may be fractional or negative.
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


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _contrast_and_response(counts, log_density, slope, curvature):
    """Contrast and response of a template, see `Template`; arrays are (rings, 2, ANGLE_BINS)."""
    events, gained, squared, curved = 0.0, 0.0, 0.0, 0.0
    for ring in range(counts.shape[0]):
        for polarity in range(2):
            for i in range(ANGLE_BINS):
                count = counts[ring, polarity, i]
                events += count
                gained += count * log_density[ring, polarity, i]
                squared += count * slope[ring, polarity, i] ** 2
                curved += count * curvature[ring, polarity, i]
    # With a blurred template, the score changes by less than its variance predicts.
    return gained / max(events, 1.0), -curved / max(squared, 1e-9)


@njit(cache=True, nogil=True)
def _add_aligned(known, counts, slope, response, mean_slopes):
    """Rotate counts to agree with the known counts, and add them to these.

    Args:
        known: (rings, 2, ANGLE_BINS), changed.
        counts: (rings, 2, ANGLE_BINS).
        slope, response: see `TemplateTables` and `Template`.
        mean_slopes: (rings, 2), set to the mean slopes of the known counts before the addition.
    """
    score, information = 0.0, 0.0
    for ring in range(known.shape[0]):
        for polarity in range(2):
            # The mean slope of the known counts is not 0 if edges are steeper on one side.
            total, first, _ = _moments(known[ring, polarity], slope[ring, polarity])
            mean_slopes[ring, polarity] = first / max(total, 1.0)
            total, first, second = _moments(counts[ring, polarity], slope[ring, polarity])
            score += mean_slopes[ring, polarity] * total - first
            information += second * response
    add_turned(known, counts, -score / max(information, 1e-9) / BIN_RAD)


@njit(cache=True, nogil=True)
def _turned_since(counts, slope, response, mean_slopes, turned, information):
    """Set the angles by which counts have turned since they had given mean slopes.

    Args:
        counts, slope, response, mean_slopes: see `_add_aligned`; the slope is that of before.
        turned, information: (rings, 2), set to the angles in rad and the information on each.
    """
    for ring in range(counts.shape[0]):
        for polarity in range(2):
            total, first, second = _moments(counts[ring, polarity], slope[ring, polarity])
            information[ring, polarity] = second * response
            score = mean_slopes[ring, polarity] * total - first
            turned[ring, polarity] = score / max(information[ring, polarity], 1e-9)


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _moments(counts, slope):
    """Sums over the counts (ANGLE_BINS,) of 1, of the slope, and of its square."""
    total, first, second = 0.0, 0.0, 0.0
    for i in range(ANGLE_BINS):
        total += counts[i]
        first += counts[i] * slope[i]
        second += counts[i] * slope[i] ** 2
    return total, first, second
