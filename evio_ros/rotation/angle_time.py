"""Event counts over angle and time on one disc, and their angular harmonics.

The harmonic of order k of a time bin is the sum over its events of exp(-i k angle), a coefficient
of the Fourier series over angle. If the pattern turns by an angle, its harmonic is multiplied by
exp(-i k angle); `acquisition.spectrum` uses this.
"""

from __future__ import annotations

import numpy as np
import scipy.fft
from numba import njit
from numpy.typing import NDArray

from evio_ros.events import EventBatch
from evio_ros.rotation.acquisition.work_units import Work
from evio_ros.rotation.tracking.disc_map import ANGLE_BITS, ANGLE_MASK, ANGLE_STEPS, DiscMap

__all__ = [
    "BIN_US",
    "FEWEST_BINS",
    "angle_time_histogram",
    "angular_harmonics",
    "harmonics_of_events",
]

BIN_US = 500
"""Time bin for searches over a wide range of speeds: it samples order 10 twice per period at 100
turns per second."""
FEWEST_BINS = 16
"""Minimum number of time bins of a spectrum, however short the span."""
_TABLE_STEPS = 256
"""Resolution of angles in `harmonics_of_events` in steps per turn: a step is about a tenth of the
period of order 24, the highest in use."""
_EVENTS_A_UNIT = 80_000
"""Events in one work unit of `harmonics_of_events`, which takes a millisecond."""
MOST_EVENTS = 320_000
"""With more events, only every second, third, ... one is used; the relative error is 2e-3."""


@njit(cache=True, nogil=True)
def _channel_and_angle(code, polarity, rings, angles):
    """Channel (polarity and ring) and angle bin of an event; `code` is that of its pixel."""
    steps = ANGLE_STEPS // angles
    channel = np.int64(polarity) * rings + (code >> ANGLE_BITS)
    return channel, (((code & ANGLE_MASK) + steps // 2) // steps) % angles


@njit(cache=True, nogil=True)
def _add_counts(x, y, t, polarity, x0, y0, codes, start_us, bins_per_us, counts):
    """Add events to the counts of `angle_time_histogram`."""
    rows, columns = codes.shape
    channels, bins, angles = counts.shape
    for i in range(x.size):
        row, column = np.int64(y[i]) - y0, np.int64(x[i]) - x0
        if 0 <= row < rows and 0 <= column < columns and codes[row, column] >= 0:
            code = codes[row, column]
            time_bin = min(np.int64((t[i] - start_us) * bins_per_us), bins - 1)
            channel, angle = _channel_and_angle(code, polarity[i], channels // 2, angles)
            counts[channel, time_bin, angle] += 1


def angle_time_histogram(
    events: EventBatch, disc: DiscMap, start_us: int, length_us: int, bins: int, angle_bins: int
) -> NDArray[np.int32]:
    """Count a disc's events over polarity, ring, time and angle.

    Args:
        events: events of [start_us, start_us + length_us) only.
        disc: which pixel lies at which ring and angle.
        start_us, length_us: time span in µs.
        bins: number of equal time bins in it.
        angle_bins: bins of a turn, a power of two; bin i is centred at 2 pi i / angle_bins.

    Returns:
        int32 (2 * disc.rings, bins, angle_bins); all rings of OFF first.
    """
    counts = np.zeros((2 * disc.rings, bins, angle_bins), np.int32)
    _add_counts(
        events.x,
        events.y,
        events.t,
        events.polarity,
        disc.x0,
        disc.y0,
        disc.codes,
        start_us,
        bins / length_us,
        counts,
    )
    return counts


def angular_harmonics(counts: NDArray[np.int32], orders: int) -> NDArray[np.complex64]:
    """Fourier coefficients over angle: sum over events of exp(-i k angle), k = 0 to `orders`.

    Args:
        counts: int32 (channels, bins, angle bins) of `angle_time_histogram`.
        orders: highest angular order, below half the number of angle bins.

    Returns:
        complex64 (channels, bins, orders + 1); order 0 is the number of events.
    """
    return scipy.fft.rfft(counts.astype(np.float32), axis=2)[:, :, : orders + 1]


def harmonics_of_events(
    events: EventBatch, disc: DiscMap, start_us: int, length_us: int, bins: int, orders: int
) -> Work[NDArray[np.complex64]]:
    """Compute the harmonics directly from the events, which is faster for many time bins.

    Args:
        events: see `angle_time_histogram`; if there are more than `MOST_EVENTS`, only a share of
            them is used.
        disc, start_us, length_us, bins: see `angle_time_histogram`.
        orders: highest angular order.

    Returns:
        complex64 (2 * disc.rings, bins, orders + 1); all rings of OFF first.
    """
    turns = np.outer(np.arange(_TABLE_STEPS), np.arange(orders + 1)) / _TABLE_STEPS
    table = np.exp(-2j * np.pi * turns).astype(np.complex64)
    harmonics = np.zeros((2 * disc.rings, bins, orders + 1), np.complex64)
    stride = max(-(-len(events) // MOST_EVENTS), 1)
    for first in range(0, len(events), stride * _EVENTS_A_UNIT):
        part = events.slice(first, first + stride * _EVENTS_A_UNIT)
        _add_harmonics(
            part.x,
            part.y,
            part.t,
            part.polarity,
            disc.x0,
            disc.y0,
            disc.codes,
            start_us,
            bins / length_us,
            stride,
            table,
            harmonics,
        )
        yield
    return harmonics


@njit(cache=True, nogil=True)
def _add_harmonics(
    x, y, t, polarity, x0, y0, codes, start_us, bins_per_us, stride, table, harmonics
):
    """Add every `stride`-th event to the harmonics; `table` has a row of factors for each angle."""
    rows, columns = codes.shape
    channels, bins, orders = harmonics.shape
    for i in range(0, x.size, stride):
        row, column = np.int64(y[i]) - y0, np.int64(x[i]) - x0
        if 0 <= row < rows and 0 <= column < columns and codes[row, column] >= 0:
            code = codes[row, column]
            time_bin = min(np.int64((t[i] - start_us) * bins_per_us), bins - 1)
            channel, angle = _channel_and_angle(code, polarity[i], channels // 2, _TABLE_STEPS)
            for k in range(orders):
                harmonics[channel, time_bin, k] += table[angle, k]
