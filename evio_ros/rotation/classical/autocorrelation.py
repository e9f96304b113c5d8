"""Blade-pass frequency from the autocorrelation of the event rate.

By the theorem of Wiener and Khinchin, r(lag) = sum_t n(t) n(t + lag) is the inverse transform of
the rate's power spectrum; blades that pass every T make peaks at T, 2 T, ...
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from evio_ros.events import EventBatch
from evio_ros.parameters import Parameters, parameter
from evio_ros.rotation.classical.cell_rates import FEWEST_BINS, cell_rates

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

    The autocorrelations of the region's cells are summed. With unequal blades, the lag of a whole
    turn has a higher peak than that of a blade; the first peak that is nearly as high is taken. The
    period is then refined on the last of its multiples that still has a peak.

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
    spectrum = scipy.fft.rfft(rates, 2 * bins, axis=1)
    correlation = scipy.fft.irfft((np.abs(spectrum) ** 2).sum(axis=0))[:bins].astype(np.float64)
    # Each lag has its own number of pairs; the longest lags have too few.
    correlation = (correlation / np.arange(bins, 0, -1))[: 3 * bins // 4]
    # At lag 0, every event is paired with itself.
    correlation[0] = correlation[1]
    smooth = np.convolve(np.pad(correlation, 1, mode="edge"), (0.25, 0.5, 0.25), mode="valid")
    later = smooth[_first_rise(smooth) :]
    highest = float(later.max(initial=0.0))
    # For white noise, the products at each lag are independent; the longest lag has the fewest.
    noise = np.sqrt((rates.var(axis=1) ** 2).sum() / (bins - len(smooth)))
    if highest <= p.significance * noise:
        return None
    peaks, _ = find_peaks(smooth, height=p.first_peak * highest, prominence=p.prominence * highest)
    if not len(peaks):
        return None
    return 1e6 / (p.bin_us * _refined(smooth, int(peaks[0])))


def _first_rise(values: _Real) -> int:
    """Index after which the values rise for the first time."""
    rising = np.flatnonzero(np.diff(values) > 0)
    return int(rising[0]) + 1 if len(rising) else len(values)


def _refined(correlation: _Real, lag: int) -> float:
    """The period in bins, from the peaks at its multiples."""
    period = _peak_near(correlation, float(lag), 1)
    for multiple in range(2, len(correlation) // lag):
        place = _peak_near(correlation, multiple * period, max(lag // 4, 1))
        # A peak that is too far away is not one of this period.
        if abs(place - multiple * period) > max(lag / 4, 1.0):
            break
        period = place / multiple
    return period


def _peak_near(correlation: _Real, place: float, reach: int) -> float:
    """Position of the highest value near another, interpolated by a parabola."""
    first = max(round(place) - reach, 1)
    top = first + int(np.argmax(correlation[first : round(place) + reach + 1]))
    if not 1 <= top < len(correlation) - 1:
        return float(top)
    left, middle, right = correlation[top - 1 : top + 2]
    bend = left - 2 * middle + right
    return float(top + 0.5 * (left - right) / bend) if bend < 0 else float(top)
