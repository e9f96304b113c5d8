"""Unwrapping the times of a format."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["AGREEING_TIMES", "middle_time", "unwrap"]

AGREEING_TIMES = 3
"""Number of neighbouring times whose median gives the time; a single one may be wrong."""


def middle_time(t: NDArray[np.int64]) -> int:
    """The median of a few times, at least one: a single wrong one does not move it.

    For so few, numpy's median takes as long as decoding a piece of a recording.
    """
    times = sorted(t.tolist())
    return int(times[len(times) // 2])


@njit(cache=True, nogil=True)
def unwrap(t, before, wrap):
    """Unwrap each time to within half a wrap of those before it; returns the time reached.

    A time more than 5/16 of a wrap away does not affect the following ones unless the next time
    agrees with it. The bound is between a quarter and a half of a wrap, by which a wrong bit moves
    a time, so that the step to such a time and the step back are on the same side of it.

    Args:
        t: int64 (n,) times as stored, in µs; overwritten.
        before: unwrapped time on which earlier events agree.
        wrap: period of the stored times in µs.
    """
    half, near, agreed = wrap // 2, 5 * wrap // 16, wrap // 16
    last = before
    for i in range(t.size):
        step = (t[i] - before + half) % wrap - half
        again = (t[i] - last + half) % wrap - half
        if -near <= step <= near:
            before += step
            last = before
        elif -agreed <= again <= agreed:
            before = last + again
            last = before
        else:
            last = before + step
        t[i] = last
    return before
