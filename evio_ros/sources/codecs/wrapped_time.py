"""Counting times on past the wraps of a format's field."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["AGREEING_TIMES", "middle_time", "unwrap"]

AGREEING_TIMES = 3
"""So many times next to each other tell what time it is: one of them alone may be wrong."""


def middle_time(t: NDArray[np.int64]) -> int:
    """The median of a few times, at least one: a single wrong one does not move it.

    For so few, numpy's takes as long as a piece of a recording takes to decode.
    """
    times = sorted(t.tolist())
    return int(times[len(times) // 2])


@njit(cache=True, nogil=True)
def unwrap(t, before, wrap):
    """Bring each time to within half a wrap of those before it; returns the time reached.

    A time more than 5/16 of a wrap from them moves nothing after it, unless the next time agrees
    with it. The bound lies between the quarter and the half by which a wrong bit moves a time: so
    the step to such a time and the step back are on the same side of it.

    Args:
        t: int64 times as stored, which are overwritten.
        before: unwrapped time that others agree on.
        wrap: period of the stored times.
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
