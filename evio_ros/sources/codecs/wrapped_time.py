"""Unwrapping the times of a format."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.sources.codecs.word_decoder import NO_ANCHOR, next_high

__all__ = ["AGREEING_TIMES", "middle_time", "unwrap"]

AGREEING_TIMES = 3
"""Number of neighbouring times whose median gives the time; a single one may be wrong."""
_NEAR = 1 << 12
"""Times within a wrap divided by this are near each other: a second for 32 bits of µs."""


def middle_time(t: NDArray[np.int64]) -> int:
    """The median of a few times, at least one: a single wrong one does not move it.

    For so few, numpy's median takes as long as decoding a piece of a recording.
    """
    times = sorted(t.tolist())
    return int(times[len(times) // 2])


@njit(cache=True, nogil=True)
def unwrap(t, before, wrap):
    """Unwrap each time to within half a wrap of the previous one.

    Wrong times, even many together, do not affect the following ones: see `next_high`.

    Args:
        t: int64 (n,) times as stored, in µs; overwritten.
        before: unwrapped time on which earlier events agree.
        wrap: period of the stored times in µs.

    Returns:
        The last time on which events agree.
    """
    last, anchor, doubt = before, NO_ANCHOR, 0
    for i in range(t.size):
        last, anchor, doubt = next_high(t[i], last, anchor, doubt, wrap // 2, wrap // _NEAR)
        t[i] = last
    return anchor if doubt > 0 else last
