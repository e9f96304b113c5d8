"""Blade-pass frequency from Welch's power spectrum (IEEE Trans. Audio Electroacoust. 15, 1967)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evio_ros.events import EventBatch
from evio_ros.parameters import Parameters, parameter
from evio_ros.rotation.classical.cell_rates import FEWEST_BINS, cell_rates
from evio_ros.rotation.parabola import vertex

__all__ = ["blade_pass_frequency"]

_HARMONICS = 4
"""Number of harmonics of a line whose power counts, each weighted by the inverse of its number:
enough to distinguish a line from its multiples."""
_REACH = 3
"""Distance in bins within which the power of a harmonic is searched: a line's index is rounded by
up to half a bin, and that of its fourth harmonic by four times as much and half a bin."""
_Real = NDArray[np.float64]


@dataclass(frozen=True)
class WelchParameters(Parameters):
    """How the spectrum is computed and its lines are selected."""

    bin_us: float = parameter(
        50.0, unit="us", minimum=1.0, doc="Time bin; lines up to half the bin rate are seen."
    )
    cells: int = parameter(8, minimum=1, maximum=256, doc="Cells along the region's longer side.")
    segments: int = parameter(
        1,
        minimum=1,
        maximum=64,
        doc="Number of segments averaged over time; neighbouring ones overlap by half.",
    )
    minimum_hz: float = parameter(
        5.0, unit="Hz", minimum=0.0, doc="Lowest spectral line searched for."
    )
    prominence_db: float = parameter(
        6.0,
        unit="dB",
        minimum=0.0,
        doc="A line stands out from its surroundings by at least this much.",
    )
    false_alarm: float = parameter(
        1e-3,
        minimum=1e-12,
        maximum=0.5,
        doc="Share of windows of pure noise in which a line may seem real.",
    )


def blade_pass_frequency(
    events: EventBatch,
    start_us: int,
    length_us: int,
    blades: int = 0,
    parameters: WelchParameters | None = None,
) -> float | None:
    """Blade-pass frequency: the spectral line whose harmonics hold the most power.

    The periodograms are averaged over the region's cells as well as over time. Of the prominent
    lines, the one whose first harmonics have the greatest weighted sum is taken. Unequal blades add
    lines at multiples of the rotor's own frequency; if the number of blades is known, a line is
    rejected if its multiple by that number is stronger.

    Args:
        events: the region's events.
        start_us, length_us: time span in µs; with fewer than three passes in it, the result is None
            or wrong.
        blades: number of blades; 0 if unknown.
        parameters: bins and thresholds.

    Returns:
        Frequency in Hz; None if no line stands out.
    """
    from scipy.signal import find_peaks, welch

    p = parameters or WelchParameters()
    rates = cell_rates(events, start_us, length_us, p.bin_us, p.cells)
    if not len(rates) or rates.shape[1] < FEWEST_BINS:
        return None
    segment = 2 * rates.shape[1] // (p.segments + 1)
    frequency, power = welch(
        rates, 1e6 / p.bin_us, nperseg=segment, nfft=4 * segment, detrend="constant", axis=1
    )
    decibels = 10 * np.log10(np.maximum(power.mean(axis=0), 1e-30))
    # With fewer than three periods, a line cannot be distinguished from a drift.
    lowest = max(p.minimum_hz, 3e6 / p.bin_us / segment)
    first = int(np.searchsorted(frequency, lowest))
    floor = float(np.median(decibels[first:])) if first < len(decibels) else 0.0
    height = floor + _noise_peak_db(power, p.segments, len(decibels), p.false_alarm)
    peaks, _ = find_peaks(decibels[first:], prominence=p.prominence_db, height=height)
    if not len(peaks):
        return None
    line = _fundamental(decibels, peaks + first, blades)
    return float(frequency[1] * (line + vertex(*decibels[line - 1 : line + 2])))


def _noise_peak_db(power: _Real, segments: int, lines: int, false_alarm: float) -> float:
    """Height above the median, in dB, that the highest line of pure noise rarely exceeds.

    The mean of m periodograms of noise is gamma distributed with shape m. If the rows have unequal
    power, the effective number of rows is smaller (Kish): (sum power)^2 / sum power^2.

    Args:
        power: (rows, lines) periodograms.
        segments: number of segments averaged in each.
        lines: number of lines among which the highest is taken.
        false_alarm: probability that it is exceeded.
    """
    from scipy.stats import gamma

    rows = power.sum(axis=1)
    shape = segments * float(rows.sum() ** 2 / max((rows**2).sum(), 1e-300))
    highest = gamma.isf(false_alarm / lines, max(shape, 1.0))
    return float(10 * np.log10(highest / gamma.median(max(shape, 1.0))))


def _fundamental(decibels: _Real, peaks: NDArray[np.int64], blades: int) -> int:
    """Index of the peak whose harmonics hold the most power.

    Args:
        decibels: (lines,) power in dB.
        peaks: (n,) indices of the prominent lines, at least one.
        blades: number of blades, or 0; see `blade_pass_frequency`.
    """
    floor = float(np.median(decibels))

    def height(index: int) -> float:
        near = decibels[max(index - _REACH, 0) : index + _REACH + 1]
        return max(float(near.max()) - floor, 0.0) if len(near) else 0.0

    if blades > 1:
        strong = [peak for peak in peaks if height(blades * peak) <= height(peak)]
        peaks = np.array(strong or list(peaks))
    sums = [sum(height(k * peak) / k for k in range(1, _HARMONICS + 1)) for peak in peaks]
    return int(peaks[int(np.argmax(sums))])
