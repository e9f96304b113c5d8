"""Blade-pass frequency from the period of every pixel.

A simplified version of Frequency Cam (Pfrommer, arXiv 2211.00198): a second-order recursive filter
reconstructs the approximate brightness of each pixel from the polarities of its events. The time
between two zero crossings from above to below is a period; crossings in this direction are used
because falling edges are sharper.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.errors import ParameterError
from evio_ros.events import EventBatch
from evio_ros.parameters import Parameters, parameter

__all__ = ["blade_pass_frequency"]


@dataclass(frozen=True)
class PeriodFilterParameters(Parameters):
    """How the pixels' brightness is filtered, and which periods count."""

    cutoff_events: float = parameter(
        5.0,
        minimum=1.5,
        maximum=1000.0,
        doc="Memory of a pixel's brightness, and of its mean, in events of the pixel.",
    )
    minimum_hz: float = parameter(5.0, unit="Hz", minimum=0.01, doc="Longer periods are ignored.")
    maximum_hz: float = parameter(
        10_000.0, unit="Hz", minimum=0.1, doc="Shorter periods are ignored."
    )
    minimum_pixels: int = parameter(
        10, minimum=1, doc="Minimum number of pixels with a period in a region."
    )

    def check_together(self) -> None:
        """Check that the range of frequencies is not empty."""
        if self.minimum_hz >= self.maximum_hz:
            raise ParameterError(
                f"minimum_hz: {self.minimum_hz} is not below maximum_hz, {self.maximum_hz}"
            )


@njit(cache=True, nogil=True)
def _sum_periods(pixel, t, polarity, cutoff_events, range_us, pixels):
    """Filter the events of each pixel, and add up its periods.

    Args:
        pixel, t, polarity: (n,) index of each event's pixel, time in µs and polarity.
        cutoff_events: memory of the filter in events.
        range_us: shortest and longest period.
        pixels: number of pixels.

    Returns:
        Sum of the periods in µs and number of periods, (pixels,) each.
    """
    share = 1.0 / cutoff_events
    kept = 1.0 - share
    brightness, mean, events = np.zeros(pixels), np.zeros(pixels), np.zeros(pixels)
    crossed_us = np.full(pixels, -np.inf)
    sums_us, periods = np.zeros(pixels), np.zeros(pixels)
    for i in range(len(t)):
        j = pixel[i]
        before = brightness[j] - mean[j]
        brightness[j] = kept * brightness[j] + (1.0 if polarity[i] else -1.0)
        mean[j] += share * (brightness[j] - mean[j])
        # The filter must first settle from its initial state.
        if before > 0.0 >= brightness[j] - mean[j] and events[j] >= cutoff_events:
            period_us = t[i] - crossed_us[j]
            if range_us[0] <= period_us <= range_us[1]:
                sums_us[j] += period_us
                periods[j] += 1.0
            crossed_us[j] = t[i]
        events[j] += 1.0
    return sums_us, periods


def pixel_periods(
    events: EventBatch,
    start_us: int,
    length_us: int,
    parameters: PeriodFilterParameters | None = None,
) -> NDArray[np.float64]:
    """Mean period of every pixel that has one.

    Args:
        events: the region's events.
        start_us, length_us: time span in µs; events outside it are ignored.
        parameters: filter and range.

    Returns:
        Mean periods in µs, float64 (n,) for n pixels with at least one period.
    """
    p = parameters or PeriodFilterParameters()
    events = events.between(start_us, start_us + length_us)
    if not len(events):
        return np.empty(0)
    x = events.x.astype(np.int64) - int(events.x.min())
    y = events.y.astype(np.int64) - int(events.y.min())
    columns = int(x.max()) + 1
    sums_us, periods = _sum_periods(
        y * columns + x,
        (events.t - start_us).astype(np.float64),
        events.polarity,
        p.cutoff_events,
        (1e6 / p.maximum_hz, 1e6 / p.minimum_hz),
        columns * (int(y.max()) + 1),
    )
    has_period = periods > 0
    return sums_us[has_period] / periods[has_period]


def blade_pass_frequency(
    events: EventBatch,
    start_us: int,
    length_us: int,
    blades: int = 0,
    parameters: PeriodFilterParameters | None = None,
) -> float | None:
    """Blade-pass frequency: the inverse of the median of the pixels' periods.

    Args:
        events: the region's events.
        start_us, length_us: time span in µs; with fewer than two passes in it, the result is None
            or wrong.
        blades: not used; all methods have this argument.
        parameters: filter and range.

    Returns:
        Frequency in Hz; None if too few pixels have a period.
    """
    p = parameters or PeriodFilterParameters()
    periods = pixel_periods(events, start_us, length_us, p)
    return 1e6 / float(np.median(periods)) if len(periods) >= p.minimum_pixels else None
