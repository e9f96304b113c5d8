"""Polarity columns of any convention as booleans."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["polarity"]

_WRAPPED_BITS = (8, 16, 32, 64)
"""Widths of unsigned integers in which OFF, stored as -1, comes out as the largest value."""


def polarity(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Which events are ON.

    Known conventions: OFF/ON stored as 0/1, -1/1, False/True, or as -1/1 in an unsigned column,
    where OFF is the largest value of 8, 16, 32 or 64 bits. The column may have become wider since,
    or floating point, so those four values mean OFF whatever the type.

    Args:
        values: (n,) booleans, integers or floating point numbers; not written to.

    Returns:
        bool (n,), contiguous, True for ON.
    """
    if values.dtype == np.bool_:
        return np.ascontiguousarray(values)
    on = np.ascontiguousarray(values > 0)
    limits = np.finfo(values.dtype) if values.dtype.kind == "f" else np.iinfo(values.dtype)
    for bits in _WRAPPED_BITS:
        minus_one = (1 << bits) - 1
        if minus_one <= limits.max:
            on &= values != values.dtype.type(minus_one)
    return on
