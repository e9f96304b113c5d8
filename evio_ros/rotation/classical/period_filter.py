"""Blade-pass frequency from the period of every pixel.

In the spirit of Frequency Cam (Pfrommer, arXiv 2211.00198): a second-order recursive filter
reconstructs an approximate brightness of each pixel from the polarities of its events. The time
between two falling zero crossings is the period, because falling edges are the sharper ones.
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
def _filter_pixels(
    x, y, t, polarity, x0, y0, columns, forget, follow, settled, state, crossed, sums
):
    """Filter the events and add each pixel's periods within the range to its sum."""
    shortest_us, longest_us = sums[2, 0], sums[2, 1]
    for i in range(len(t)):
        pixel = (y[i] - y0) * columns + x[i] - x0
        before = state[0, pixel] - state[1, pixel]
        brightness = forget * state[0, pixel] + (1.0 if polarity[i] else -1.0)
        mean = state[1, pixel] + follow * (brightness - state[1, pixel])
        now = brightness - mean
        # The filter must first settle from its initial state.
        if before > 0.0 >= now and state[2, pixel] >= settled:
            period_us = t[i] - crossed[pixel]
            if shortest_us <= period_us <= longest_us:
                sums[0, pixel] += period_us
                sums[1, pixel] += 1.0
            crossed[pixel] = t[i]
        state[0, pixel], state[1, pixel] = brightness, mean
        state[2, pixel] += 1.0


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
        float64 (pixels,) periods in µs.
    """
    p = parameters or PeriodFilterParameters()
    events = events.between(start_us, start_us + length_us)
    if not len(events):
        return np.empty(0)
    x0, y0 = int(events.x.min()), int(events.y.min())
    columns = int(events.x.max()) - x0 + 1
    pixels = columns * (int(events.y.max()) - y0 + 1)
    state = np.zeros((3, pixels))
    crossed = np.full(pixels, -np.inf)
    sums = np.zeros((3, max(pixels, 2)))
    sums[2, :2] = 1e6 / p.maximum_hz, 1e6 / p.minimum_hz
    share = 1.0 / p.cutoff_events
    _filter_pixels(
        events.x.astype(np.int64),
        events.y.astype(np.int64),
        (events.t - start_us).astype(np.float64),
        events.polarity,
        x0,
        y0,
        columns,
        1.0 - share,
        share,
        p.cutoff_events,
        state,
        crossed,
        sums,
    )
    has_period = sums[1] > 0
    return sums[0, has_period] / sums[1, has_period]


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
