"""The maximum of a sampled function between its samples."""

from __future__ import annotations

from numba import njit

__all__ = ["vertex"]


@njit(cache=True, nogil=True)
def vertex(before: float, here: float, after: float) -> float:
    """Position of the vertex of the parabola through three equidistant values.

    Args:
        before, here, after: the values.

    Returns:
        Position in steps from the middle value: -0.5 to 0.5 if that is the greatest of the three; 0
        if the parabola has no maximum.
    """
    bend = before - 2 * here + after
    return 0.5 * (before - after) / bend if bend < 0 else 0.0
