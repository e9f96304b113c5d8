"""How fast a change the time stamps of events can show.

A camera's clock ticks by a microsecond or a few. Events that were made from video have the times of
its frames, and some converters write whole milliseconds. Sampled with a period T, a frequency above
1 / 2T can't be told from its mirror image below (Shannon, *Communication in the presence of noise*,
Proc. IRE 37, 1949), so nothing is to be looked for there.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["highest_frequency_hz", "time_step_us"]

_PART, _FEWEST_STEPS = 20_000, 200
"""So many events tell it, where they show so many steps of the clock: those of frames do not."""
_SHORT_SHARE = 0.05
"""Of the steps from a stamp to the next that differs so many are as short as the clock allows.
Frames come at even steps; events of a fine clock come as close by chance, however few they are."""


def time_step_us(t: NDArray[np.int64]) -> float:
    """Time from one stamp to the next that differs, of those that come as close as the clock lets.

    Args:
        t: times of events in µs, in order.

    Returns:
        The step in µs; 0 where no two times differ.
    """
    steps = np.diff(t[:_PART])
    if np.count_nonzero(steps) < _FEWEST_STEPS:
        steps = np.diff(t)
    steps = steps[steps > 0]
    return float(np.quantile(steps, _SHORT_SHARE)) if len(steps) else 0.0


def highest_frequency_hz(t: NDArray[np.int64]) -> float:
    """Half the rate at which the time stamps of events sample what they show.

    Args:
        t: times of events in µs, in order.

    Returns:
        The frequency in Hz; infinite where no two times differ.
    """
    step_us = time_step_us(t)
    return 0.5e6 / step_us if step_us else math.inf
