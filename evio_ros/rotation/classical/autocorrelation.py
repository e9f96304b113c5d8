"""Blade-pass frequency from the autocorrelation of the event rate.

The autocorrelation r(lag) = sum_t n(t) n(t + lag) of the number n of events per time bin has peaks
at T, 2 T, ... if a blade passes every T. It is computed as the inverse Fourier transform of the
power spectrum (theorem of Wiener and Khinchin).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from evio_ros.events import EventBatch
from evio_ros.parameters import Parameters, parameter
from evio_ros.rotation.classical.cell_rates import FEWEST_BINS, cell_rates
from evio_ros.rotation.parabola import vertex

__all__ = ["blade_pass_frequency"]

_Real = NDArray[np.float64]


@dataclass(frozen=True)
class _AutocorrelationParameters(Parameters):
    """How the correlation is computed and its peaks are selected."""

    bin_us: float = parameter(50.0, unit="us", minimum=1.0, doc="Time bin, and step of the lag.")
    cells: int = parameter(8, minimum=1, maximum=256, doc="Cells along the region's longer side.")
    prominence: float = parameter(
        0.2,
        minimum=0.0,
        maximum=1.0,
        doc="Minimum prominence of a peak, as a share of the highest.",
    )
    first_peak: float = parameter(
        0.6,
        minimum=0.0,
        maximum=1.0,
        doc="The first peak at least this high, as a share of the highest, is the period.",
    )
    significance: float = parameter(
        6.0, minimum=0.0, doc="Minimum height of a peak, in standard deviations of the noise."
    )


def blade_pass_frequency(
    events: EventBatch,
    start_us: int,
    length_us: int,
    blades: int = 0,
    parameters: _AutocorrelationParameters | None = None,
) -> float | None:
    """Blade-pass frequency: the inverse of the lag at which the event rates repeat.

    The autocorrelations of the region's cells are summed. With unequal blades, the peak at a whole
    turn is higher than the one at a blade's pitch, so the first peak that is nearly as high as the
    highest one is taken. The period is then refined by the peaks at its multiples.

    Args:
        events: the region's events.
        start_us, length_us: time span in µs; with fewer than two passes in it, the result is None
            or wrong.
        blades: not used; all methods have this argument.
        parameters: bins and thresholds.

    Returns:
        Frequency in Hz; None if nothing repeats.
    """
    from scipy.signal import find_peaks

    p = parameters or _AutocorrelationParameters()
    rates = cell_rates(events, start_us, length_us, p.bin_us, p.cells)
    bins = rates.shape[1]
    if not len(rates) or bins < FEWEST_BINS:
        return None
    smooth = _smooth_autocorrelation(rates)
    later = smooth[_first_rise(smooth) :]
    highest = float(later.max(initial=0.0))
    # Standard deviation for white noise at the longest lag, which has the fewest pairs of bins.
    noise = np.sqrt((rates.var(axis=1) ** 2).sum() / (bins - len(smooth)))
    if highest <= p.significance * noise:
        return None
    peaks, _ = find_peaks(smooth, height=p.first_peak * highest, prominence=p.prominence * highest)
    if not len(peaks):
        return None
    return 1e6 / (p.bin_us * _refined(smooth, int(peaks[0])))


def _smooth_autocorrelation(rates: NDArray[np.float32]) -> _Real:
    """Sum of the autocorrelations of all rows, slightly smoothed.

    Args:
        rates: float32 (n, bins) with mean 0.

    Returns:
        (lags,), the mean product of two bins for each lag from 0 to three quarters of the bins: for
        longer lags there are too few pairs of bins.
    """
    bins = rates.shape[1]
    spectrum = scipy.fft.rfft(rates, 2 * bins, axis=1)
    products = scipy.fft.irfft((np.abs(spectrum) ** 2).sum(axis=0))[:bins].astype(np.float64)
    correlation: _Real = (products / np.arange(bins, 0, -1))[: 3 * bins // 4]
    # At lag 0, every event is paired with itself.
    correlation[0] = correlation[1]
    return np.convolve(np.pad(correlation, 1, mode="edge"), (0.25, 0.5, 0.25), mode="valid")


def _first_rise(values: _Real) -> int:
    """Index of the first value that exceeds the one before it; the number of values if none."""
    rising = np.flatnonzero(np.diff(values) > 0)
    return int(rising[0]) + 1 if len(rising) else len(values)


def _refined(correlation: _Real, lag: int) -> float:
    """The period in bins, refined from multiple to multiple as long as there are peaks.

    Args:
        correlation: (lags,).
        lag: approximate period in bins.
    """
    period = _peak_near(correlation, float(lag), 1)
    for multiple in range(2, len(correlation) // lag):
        place = _peak_near(correlation, multiple * period, max(lag // 4, 1))
        # A peak that is too far away is not one of this period.
        if abs(place - multiple * period) > max(lag / 4, 1.0):
            break
        period = place / multiple
    return period


def _peak_near(correlation: _Real, place: float, reach: int) -> float:
    """Position of the greatest value within `reach` bins of a place, interpolated by a parabola."""
    first = max(round(place) - reach, 1)
    top = first + int(np.argmax(correlation[first : round(place) + reach + 1]))
    if not 1 <= top < len(correlation) - 1:
        return float(top)
    return float(top + vertex(*correlation[top - 1 : top + 2]))
