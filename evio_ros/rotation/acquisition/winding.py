"""Finding a rotor in a region without prior knowledge: the phase vortex.

Every cell of a rotor's disc sees the blades pass at the same rate, but later the farther round it
lies. So the phase of the cells' event rate, at a line of the common spectrum, winds an integer
number of times around the hub. That number m is the angular order of the line at the frequency F,
its sign is the sense of rotation, and the point around which it winds is the hub; the rotor turns
at f = F / m. A flickering lamp has the same phase everywhere and winds zero times; foliage and
camera shake have no common line.

The lines are the peaks of the cells' mean periodogram (Welch, IEEE Trans. Audio 1967, over places
instead of segments) over its running median. `phase_vortex` measures how well phases wind; the
method is this project's own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import scipy.fft
from numba import njit
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from evio_ros.cell_counts import cell_time_series
from evio_ros.ellipse import Ellipse, wrapped_tilt
from evio_ros.events import EventBatch
from evio_ros.explanation import Reason, Rejection
from evio_ros.parameters import Parameters, parameter
from evio_ros.rotation.acquisition.phase_vortex import (
    best_starts,
    disc_angle,
    refined_hub,
    winding_power,
)
from evio_ros.rotation.acquisition.regions import Region
from evio_ros.rotation.acquisition.work_units import Work
from evio_ros.time_stamps import highest_frequency_hz

__all__ = ["AcquisitionParameters", "RotorCandidate", "acquire"]

_START_SHARE = 0.5
"""Minimum share of the required coherence, and of the best start's, of a start worth refining:
refinement rarely more than doubles it."""
_ONE_SENSE = 1.4
"""Minimum ratio of the coherence of the best start to that of any in the other sense: a rotor's
phases wind in one sense, those of leaves in both."""
_ORDERS_TRIED = 2
"""How many numbers of windings are refined: a wrong hub may favour a neighbour of the right
number."""
_START_STEPS = (-0.7, -0.35, 0.0, 0.35, 0.7)
"""Initial hubs about the centroid, in standard deviations of the cells along each axis. For a
filled disc that is half its radius, so these reach 0.35 radii."""
_LEAST_CELLS = 8
"""Minimum number of cells: the five unknowns (hub, flattening, phase) and some more."""
_FEWEST_BINS = 16
"""Minimum number of time bins, however short the span."""
_LINE_BINS = 8
"""Width of a line in bins, for a Hann window padded to twice its length."""
_FLOOR_BINS = 63
"""Width of the running median about a line in bins."""
_NOISE_AMPLITUDE = 2.0
"""Cells are weighted by the square of their amplitude above this. Noise has 0.9 in each
polarity."""
_SLOWEST_FLICKER_HZ = 45.0
"""Minimum frequency of flicker: lamps flicker at twice the mains frequency or, with half-wave
rectification, at the mains frequency, so at 50 Hz or more. Slower flicker would be visible;
anything slower that changes everywhere at once is a partly hidden disc."""
_STANDING_SHARE = 0.5
"""Maximum ratio of the standing power, with the same phase everywhere, to the winding power."""
_LEAST_PERIODS = 3.0
"""Minimum number of periods of a line in the time searched, to stand out from slower changes."""
_ONE_SIDED = 0.7
"""Length of the mean direction from the hub to the cells beyond which they lie to one side of it;
half a disc has 0.64."""
_SEEN_IN_PART = 0.25
"""Length of that mean direction beyond which the border of the view, or something in front of the
disc, hides a part of it. Phases then wind almost as well about wrong hubs, by one more or less than
the right number."""
_OVERTONE_SHARE = 0.88
_OVERTONE_POWER = 10.0
"""Minimum coherence of the phases at twice the frequency, relative to that at the line: about a
wrong hub they do not wind twice as often and have 0.8 or less, about the right one 0.95 or more. It
is required if they are so strong that noise does not lower their coherence."""
_ONE_SIDED_FOR_SURE = 0.85
"""Limit in place of `_ONE_SIDED` if they do: the hub may lie a third of the radius outside."""
_RIM_SHARE = 0.97
"""Share of the active cells' weight within the rim, so that noise outside does not widen the
disc."""
_EVENTS_A_UNIT = 100_000
"""Number of events counted in one work unit, which takes some milliseconds."""
_CELLS_A_UNIT = 200
"""Number of cells whose spectra are one work unit, a millisecond."""
_FLATTEST = 8.0
"""Greatest ratio of a disc's axes."""

_LEAST_HZ = 0.1
"""Minimum blade-pass frequency: three blades at 2 rpm."""

_Real = NDArray[np.float64]
_Start = tuple[float, int, _Real, _Real]
"""Coherence, order, shift of the hub from the centroid, shear."""
_Fit = tuple[float, int, _Real, _Real]
"""Coherence, order, hub, shear."""


@dataclass(frozen=True)
class AcquisitionParameters(Parameters):
    """How rotors are found in a region."""

    time_bin_us: float = parameter(
        125.0,
        unit="us",
        minimum=10.0,
        doc="Time bin of the cells' event rates; spectral lines up to half the bin rate are seen.",
    )
    minimum_hz: float = parameter(
        5.0, unit="Hz", minimum=_LEAST_HZ, doc="Lowest blade-pass frequency searched for."
    )
    maximum_speed_hz: float = parameter(
        2000.0,
        unit="Hz",
        minimum=1.0,
        doc="Fastest rotor searched for, in turns per second; 2000 Hz is 120 000 rpm.",
    )
    maximum_order: int = parameter(
        10, minimum=1, maximum=64, doc="Highest angular order of a spectral line."
    )
    lines: int = parameter(6, minimum=1, maximum=64, doc="Number of spectral lines tried.")
    line_prominence: float = parameter(
        3.0, minimum=1.0, doc="A line has at least this many times the power of its surroundings."
    )
    minimum_coherence: float = parameter(
        0.45,
        minimum=0.0,
        maximum=1.0,
        doc="Minimum share of a line's power whose phase winds about one hub.",
    )
    certain_coherence: float = parameter(
        0.8,
        minimum=0.0,
        maximum=1.0,
        doc="A candidate at least this coherent in the latest events is tracked without a longer "
        "search.",
    )
    maximum_cells: int = parameter(
        1500, minimum=16, doc="In regions with more cells than this, neighbouring cells are merged."
    )

    def slower(self, factor: int) -> AcquisitionParameters:
        """Parameters for rotors slower by a factor, down to the minimum of `minimum_hz`."""
        return replace(
            self,
            time_bin_us=self.time_bin_us * factor,
            minimum_hz=max(self.minimum_hz / factor, _LEAST_HZ),
        )


@dataclass(frozen=True, slots=True)
class RotorCandidate:
    """A candidate for a rotor.

    Attributes:
        ellipse: the disc's image.
        frequency_hz: mechanical frequency in turns per second, signed.
        order: angular order of the line on which it was seen, at least 1.
        coherence: share of the line's power that winds about the hub, 0 to 1.
        flicker_hz: frequency of the strongest line there at which all cells change at once, as
            with flickering light; 0 if there is none.
    """

    ellipse: Ellipse
    frequency_hz: float
    order: int
    coherence: float
    flicker_hz: float = 0.0


def acquire(
    events: EventBatch,
    start_us: int,
    span_us: int,
    region: Region,
    parameters: AcquisitionParameters,
) -> Work[list[RotorCandidate] | Rejection]:
    """Search a region for phases that wind about a hub.

    Standing lines, such as those of mains light and its harmonics, are skipped: they do not count
    among the lines that are tried. So are lines that the time stamps are too coarse to resolve
    (`time_stamps`), because of their mirror images.

    Args:
        events: events of [start_us, start_us + span_us) or more; others are ignored.
        start_us, span_us: time span in µs; a line must have about three periods in it.
        region: where to search.
        parameters: thresholds.

    Returns:
        Candidates, the most coherent first; or a rejection for the strongest line if there are
        none.
    """
    region = _coarse(region, parameters.maximum_cells)
    points = region.cell_centers()
    bins = max(int(span_us / parameters.time_bin_us), _FEWEST_BINS)
    series = np.zeros((2, len(region.cells), bins), np.float32)
    for first in range(0, max(len(events), 1), _EVENTS_A_UNIT):
        part = events.slice(first, first + _EVENTS_A_UNIT)
        cell_time_series(
            part, region.cell_px, region.cells, start_us, parameters.time_bin_us, bins, series
        )
        yield
    spectrum = yield from _normalised_spectrum(series)
    frequencies = np.fft.rfftfreq(2 * bins, parameters.time_bin_us * 1e-6)
    # A line and its mirror image must not touch.
    highest_hz = highest_frequency_hz(events.t) - 0.5 * _LINE_BINS * float(frequencies[1])
    peaks = _spectral_lines(spectrum, frequencies, highest_hz, parameters)
    if isinstance(peaks, Rejection):
        return peaks
    candidates, rejections = [], []
    flicker_hz, tried = 0.0, 0
    for peak in peaks:
        if tried == parameters.lines:
            break
        yield
        line_hz = float(frequencies[peak])
        line = _Line.of(_phasors_at(spectrum, peak), points)
        if line.standing > _STANDING_SHARE:
            if line_hz >= _SLOWEST_FLICKER_HZ:
                flicker_hz = flicker_hz or line_hz
            rejections.append(Rejection(Reason.FLICKER, line.standing, _STANDING_SHARE, line_hz))
            continue
        tried += 1
        found = _wind(spectrum, peak, line, line_hz, parameters)
        if isinstance(found, Rejection):
            rejections.append(found)
        else:
            candidates.append(found)
    candidates = [replace(candidate, flicker_hz=flicker_hz) for candidate in candidates]
    candidates.sort(key=lambda candidate: candidate.coherence, reverse=True)
    return candidates or rejections[0]


def _coarse(region: Region, maximum: int) -> Region:
    """The region with cells merged so that there are at most `maximum` of them."""
    # Of n cells, at least n / factor^2 are left.
    factor = max(math.ceil(math.sqrt(len(region.cells) / maximum)), 1)
    while len(cells := _taken_together(region.cells, factor)) > maximum:
        factor += 1
    return Region(cells, region.events, factor * region.cell_px)


def _taken_together(cells: NDArray[np.int64], factor: int) -> NDArray[np.int64]:
    """Merged cells, `factor` times as large, that contain some of the cells."""
    if factor == 1:
        return cells
    # A grid removes duplicates in a hundredth of the time that sorting takes.
    coarse = cells // factor
    is_taken = np.zeros(coarse.max(axis=0) + 1, np.bool_)
    is_taken[coarse[:, 0], coarse[:, 1]] = True
    return np.argwhere(is_taken)


def _normalised_spectrum(series: NDArray[np.float32]) -> Work[NDArray[np.complex64]]:
    """Spectrum of each cell's rate, (2, cells, frequencies); Poisson noise has unit variance."""
    polarities, cells, bins = series.shape
    window = np.hanning(bins).astype(np.float32)
    window /= np.sqrt(np.mean(window**2))
    spectrum = np.empty((polarities, cells, bins + 1), np.complex64)
    for polarity in range(polarities):
        for first in range(0, cells, _CELLS_A_UNIT):
            part = series[polarity, first : first + _CELLS_A_UNIT]
            totals = part.sum(axis=1, keepdims=True)
            tapered = (part - totals / bins) * (window / np.sqrt(np.maximum(totals, 1.0)))
            spectrum[polarity, first : first + _CELLS_A_UNIT] = scipy.fft.rfft(tapered, 2 * bins)
            yield
    return spectrum


def _phasors_at(spectrum: NDArray[np.complex64], index: int) -> NDArray[np.complex64]:
    """Phasors of all cells at one frequency, (2, cells).

    They are copied: numpy's abs of a strided view rounds differently if its result happens to lie
    close behind the view in memory, and the same events would not always give the same result.
    """
    return np.ascontiguousarray(spectrum[:, :, index])


@njit(cache=True, nogil=True)
def _mean_power(spectrum):
    """Power of a spectrum (2, cells, frequencies), averaged over cells and polarities."""
    polarities, cells, frequencies = spectrum.shape
    power = np.zeros(frequencies)
    for polarity in range(polarities):
        for cell in range(cells):
            for i in range(frequencies):
                value = spectrum[polarity, cell, i]
                power[i] += value.real * value.real + value.imag * value.imag
    return power / (polarities * cells)


def _spectral_lines(
    spectrum: NDArray[np.complex64],
    frequencies: _Real,
    highest_hz: float,
    parameters: AcquisitionParameters,
) -> list[int] | Rejection:
    """Indices of the lines of the region's common power spectrum, the strongest first.

    A rejection if there is none.
    """
    power = _mean_power(spectrum)
    floor = np.maximum(median_filter(power, _FLOOR_BINS, mode="nearest"), 1e-12)
    prominence = power / floor
    is_peak = np.zeros(len(power), bool)
    is_peak[1:-1] = (power[1:-1] > power[:-2]) & (power[1:-1] >= power[2:])
    is_peak &= (frequencies >= parameters.minimum_hz) & (frequencies <= highest_hz)
    if not (is_peak & (prominence >= parameters.line_prominence)).any():
        return _no_line(power, prominence * is_peak, frequencies, parameters)
    is_peak &= prominence >= parameters.line_prominence
    peaks = np.flatnonzero(is_peak)
    strongest_first: list[int] = peaks[np.argsort(power[peaks])[::-1]].tolist()
    return strongest_first


def _no_line(
    power: _Real, prominence: _Real, frequencies: _Real, parameters: AcquisitionParameters
) -> Rejection:
    """Why there is no line: most of the power is at low frequencies, or nothing is periodic."""
    # The spectrum is padded to twice the time.
    slowest_hz = max(2 * _LEAST_PERIODS * float(frequencies[1]), parameters.minimum_hz)
    strongest = int(power.argmax())
    if frequencies[strongest] < slowest_hz and power[strongest] > parameters.line_prominence:
        return Rejection(Reason.SLOW, float(frequencies[strongest]), slowest_hz)
    return Rejection(Reason.NO_RHYTHM, float(prominence.max()), parameters.line_prominence)


@dataclass(frozen=True, slots=True)
class _Line:
    """Phasors of all cells at one line, separately for ON and OFF."""

    phasors: _Real  # (4, cells): real and imaginary part of OFF, then of ON
    points: _Real  # (cells, 2)
    scale: float

    @classmethod
    def of(cls, phasors: NDArray[np.complex64], points: _Real) -> _Line:
        # Square root: strong cells count more, but a few bright ones do not dominate.
        strength = np.sqrt(np.maximum(np.abs(phasors), 1e-9))
        tempered = (phasors / strength).astype(np.complex128)
        scale = float((np.abs(tempered).sum(axis=1) ** 2).sum())
        off, on = tempered
        return cls(np.stack((off.real, off.imag, on.real, on.imag)), points, scale)

    @property
    def standing(self) -> float:
        """Share of the power that has the same phase everywhere."""
        # It winds zero times about any hub.
        nowhere = np.zeros(2)
        power = winding_power(self.phasors, self.points, nowhere, nowhere, 0)
        return float(power[0]) / self.scale

    def starts(self, centroid: _Real, shifts: _Real, shears: _Real, highest: int) -> list[_Start]:
        """The best hub and flattening of each order, the most coherent first."""
        power, shift, shear = best_starts(
            self.phasors, self.points, centroid, shifts, shears, highest
        )
        orders = np.arange(-highest, highest + 1)
        return [
            (power[i] / self.scale, int(orders[i]), shifts[shift[i]], shears[shear[i]])
            for i in np.argsort(-power, kind="stable")
            if orders[i]
        ]


def _wind(
    spectrum: NDArray[np.complex64],
    index: int,
    line: _Line,
    line_hz: float,
    parameters: AcquisitionParameters,
) -> RotorCandidate | Rejection:
    """Find the order, hub and flattening around which the phasors of a line wind best."""
    phasors, points = _phasors_at(spectrum, index), line.points
    weight = np.maximum(np.abs(phasors).sum(axis=0).astype(np.float64) - _NOISE_AMPLITUDE, 0.0) ** 2
    cells = np.count_nonzero(weight)
    if cells < _LEAST_CELLS:
        return Rejection(Reason.FEW_CELLS, cells, _LEAST_CELLS, line_hz)
    centroid = np.average(points, axis=0, weights=weight)
    spread = np.cov(points.T, aweights=weight) + np.eye(2)
    shears = np.stack((np.zeros(2), _shear_of(spread)))
    starts = line.starts(centroid, _grid_of_shifts(spread), shears, parameters.maximum_order)
    promising = _promising(starts, line_hz, parameters)
    if isinstance(promising, Rejection):
        return promising
    fits = [_refine(line, centroid, spread, start[1:]) for start in promising]
    fit, one_sided = max(fits, key=lambda fit: fit[0]), _ONE_SIDED
    beside = _one_sided(points, fit, weight)
    if beside > _SEEN_IN_PART:
        overtone = _overtone(spectrum, index, points)
        if overtone is not None:
            near = [_refine(line, centroid, spread, start) for start in _neighbours(fit, centroid)]
            fits = [fit for fit in fits + near if _winds_twice(overtone, fit)]
            if not fits:
                return Rejection(Reason.ONE_SIDED, beside, _SEEN_IN_PART, line_hz)
            fit, one_sided = max(fits, key=lambda fit: fit[0]), _ONE_SIDED_FOR_SURE
    return _judged(fit, line, line_hz, weight, one_sided, parameters)


def _promising(
    starts: list[_Start], line_hz: float, parameters: AcquisitionParameters
) -> list[_Start] | Rejection:
    """The starts worth refining, or a rejection if there is none."""
    best, order = starts[0][:2]
    other_sense = max(start[0] for start in starts if start[1] * order < 0)
    least = _START_SHARE * parameters.minimum_coherence
    if best < max(least, _ONE_SENSE * other_sense):
        if best < least:
            return Rejection(Reason.NO_HUB, best, least, line_hz)
        return Rejection(Reason.BOTH_SENSES, best / other_sense, _ONE_SENSE, line_hz)
    promising = [
        start
        for start in starts[:_ORDERS_TRIED]
        if start[0] >= _START_SHARE * best
        and line_hz <= parameters.maximum_speed_hz * abs(start[1])
    ]
    if not promising:
        speed_hz = line_hz / abs(order)
        return Rejection(Reason.TOO_FAST, speed_hz, parameters.maximum_speed_hz, line_hz)
    return promising


def _judged(
    fit: _Fit,
    line: _Line,
    line_hz: float,
    weight: _Real,
    one_sided: float,
    parameters: AcquisitionParameters,
) -> RotorCandidate | Rejection:
    """The rotor of a fit, or why it is not a rotor."""
    coherence, order, center, shear = fit
    if coherence < parameters.minimum_coherence:
        return Rejection(Reason.NO_HUB, coherence, parameters.minimum_coherence, line_hz)
    if line.standing > _STANDING_SHARE * coherence:
        return Rejection(Reason.FLICKER, line.standing, _STANDING_SHARE * coherence, line_hz)
    beside = _one_sided(line.points, fit, weight)
    if beside > one_sided:
        return Rejection(Reason.ONE_SIDED, beside, one_sided, line_hz)
    ellipse = _outline(line.points, weight, center, shear)
    long, wide = ellipse.axes
    if long > _FLATTEST * wide:
        return Rejection(Reason.EDGE_ON, long / wide, _FLATTEST, line_hz)
    return RotorCandidate(ellipse, line_hz / order, abs(order), coherence)


def _shear_of(covariance: _Real) -> _Real:
    """Flattening of the ellipse with this covariance, as used by `disc_angle`."""
    values, vectors = np.linalg.eigh(covariance)
    strength = 0.25 * math.log(values[1] / values[0])
    double_tilt = 2 * math.atan2(vectors[1, 1], vectors[0, 1])
    return strength * np.array((math.cos(double_tilt), math.sin(double_tilt)))


def _grid_of_shifts(spread: _Real) -> _Real:
    root = np.linalg.cholesky(spread)
    return np.stack([root @ np.array((i, j)) for i in _START_STEPS for j in _START_STEPS])


def _refine(line: _Line, centroid: _Real, spread: _Real, start: tuple[int, _Real, _Real]) -> _Fit:
    order, shift, shear = start
    reach = math.sqrt(float(np.trace(spread)))
    coherence, center, refined = refined_hub(
        line.phasors, line.points, line.scale, centroid, reach, order, shift, shear
    )
    return coherence, order, center, refined


def _one_sided(points: _Real, fit: _Fit, weight: _Real) -> float:
    """Whether the active cells are around the hub, 0, or to one side of it, up to 1."""
    _, _, center, shear = fit
    angle = disc_angle(points, center[0], center[1], shear[0], shear[1])
    return float(np.abs(np.average(np.exp(1j * angle), weights=weight)))


def _overtone(spectrum: NDArray[np.complex64], index: int, points: _Real) -> _Line | None:
    """The line at twice a line's frequency; None if there is no strong one."""
    # The frequency of a line is known to half a bin.
    near = np.ascontiguousarray(spectrum[:, :, 2 * index - 1 : 2 * index + 2])
    power = _mean_power(near)
    if power.max(initial=0.0) < _OVERTONE_POWER:
        return None
    return _Line.of(_phasors_at(near, int(power.argmax())), points)


def _neighbours(fit: _Fit, centroid: _Real) -> list[tuple[int, _Real, _Real]]:
    """Starts for one more winding, and one less."""
    _, order, center, shear = fit
    return [(near, center - centroid, shear) for near in (order - 1, order + 1) if near]


def _winds_twice(overtone: _Line, fit: _Fit) -> bool:
    """Whether phases at twice the frequency wind twice as often about the same hub."""
    coherence, order, center, shear = fit
    highest = 2 * abs(order)
    power = winding_power(overtone.phasors, overtone.points, center, shear, highest)
    return bool(power[highest + 2 * order] >= _OVERTONE_SHARE * coherence * overtone.scale)


def _outline(points: _Real, weight: _Real, center: _Real, shear: _Real) -> Ellipse:
    """Ellipse around the active cells with the given hub and flattening."""
    strength = math.hypot(*shear)
    tilt = 0.5 * math.atan2(shear[1], shear[0])
    unit = Ellipse((center[0], center[1]), (math.exp(strength), math.exp(-strength)), tilt)
    radius, _ = unit.disc_coordinates(points[:, 0], points[:, 1])
    order = np.argsort(radius)
    share = np.cumsum(weight[order]) / weight.sum()
    rim = float(radius[order][min(int(np.searchsorted(share, _RIM_SHARE)), len(order) - 1)])
    axes = (rim * math.exp(strength), rim * math.exp(-strength))
    return Ellipse((float(center[0]), float(center[1])), axes, wrapped_tilt(tilt))
