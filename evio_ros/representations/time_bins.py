"""Edges of time bins in whole microseconds, so that rounding never decides an event's bin."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evio_ros.representations.open_window import OpenWindow

__all__ = ["SPANS", "even_edges", "span_of"]

SPANS = ("events", "window")
"""What the bins divide: the time from the first to the last event, or the whole window."""


def span_of(window: OpenWindow, span: str) -> tuple[int, int]:
    """Origin and length in µs of the time that the bins divide, at least 1 µs."""
    if span == "window":
        return window.start_us, window.length_us
    return window.first_us, max(window.last_us - window.first_us, 1)


def even_edges(origin_us: int, span_us: int, bins: int) -> NDArray[np.int64]:
    """First microseconds of equal bins, and the end of the last one.

    An event at t is in bin floor((t - origin) * bins / span), in exact arithmetic. So bin b starts
    at origin + ceil(b * span / bins).

    Returns:
        int64 (bins + 1,).
    """
    return np.array([origin_us - (-b * span_us // bins) for b in range(bins + 1)], np.int64)
