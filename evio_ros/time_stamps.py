"""Resolution of time stamps, and the highest frequency that it allows to measure.

A camera's clock has a resolution of one or a few microseconds. Events made from video have the
times of its frames, and some converters write whole milliseconds. Sampled with a period T, a
frequency above 1 / 2T cannot be distinguished from its alias below (Shannon, *Communication in the
presence of noise*, Proc. IRE 37, 1949), so the search ends there.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["highest_frequency_hz", "time_step_us"]

_PART, _FEWEST_STEPS = 20_000, 200
"""Number of events that suffices if there are this many steps between their time stamps; events
made from video have fewer."""
_SHORT_SHARE = 0.05
"""Quantile of the steps between different time stamps that is taken as the resolution. Frames have
equal steps; with a fine clock some events follow one another by a single tick, at any rate."""


def time_step_us(t: NDArray[np.int64]) -> float:
    """Resolution of time stamps: the shortest usual step between two that differ.

    Args:
        t: int64 (n,), times of events in µs, in order.

    Returns:
        The step in µs; 0 if all times are equal.
    """
    steps = np.diff(t[:_PART])
    if np.count_nonzero(steps) < _FEWEST_STEPS:
        steps = np.diff(t)
    steps = steps[steps > 0]
    return float(np.quantile(steps, _SHORT_SHARE)) if len(steps) else 0.0


def highest_frequency_hz(t: NDArray[np.int64]) -> float:
    """The Nyquist frequency of time stamps.

    Args:
        t: int64 (n,), times of events in µs, in order.

    Returns:
        The frequency in Hz; infinite if all times are equal.
    """
    step_us = time_step_us(t)
    return 0.5e6 / step_us if step_us else math.inf
