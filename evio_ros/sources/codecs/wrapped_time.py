"""Counting times on past the wraps of a format's field."""

from __future__ import annotations

from numba import njit

__all__ = ["unwrap"]


@njit(cache=True, nogil=True)
def unwrap(t, before, wrap):
    """Bring each time to within half a wrap of those before it; returns the time reached.

    A time more than a quarter of a wrap from them moves nothing after it, whatever its wrong bits
    are, unless the next time agrees with it.

    Args:
        t: int64 times as stored, which are overwritten.
        before: unwrapped time that others agree on.
        wrap: period of the stored times.
    """
    half, quarter, agreed = wrap // 2, wrap // 4, wrap // 16
    last = before
    for i in range(t.size):
        step = (t[i] - before + half) % wrap - half
        again = (t[i] - last + half) % wrap - half
        if -quarter <= step <= quarter:
            before += step
            last = before
        elif -agreed <= again <= agreed:
            before = last + again
            last = before
        else:
            last = before + step
        t[i] = last
    return before
