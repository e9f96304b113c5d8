"""Polarity columns of any convention as booleans."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["PolarityConvention"]

_WRAPPED_BITS = (8, 16, 32, 64)
"""Widths of unsigned integers in which OFF, stored as -1, comes out as the largest value."""


class PolarityConvention:
    """How a recording stores ON and OFF, told from a sample of it.

    Known are OFF/ON stored as 0/1, -1/1, False/True; as -1/1 in an unsigned column, where OFF is
    the largest value of 8, 16, 32 or 64 bits; and as 0/255, black and white, or the largest value
    of another width, which is ON where the sample holds no 1.

    Args:
        sample: (n,) values from all over the recording.

    Attributes:
        name: the values of OFF and ON, as "-1, 1".
        on: the value of ON where any other is OFF; None where what is above 0 is ON, but for
            the largest values of an unsigned type.
    """

    def __init__(self, sample: NDArray[Any]) -> None:
        self.on: int | None = None
        if sample.dtype == np.bool_:
            self.name = "False, True"
            return
        present = {int(value) for value in np.unique(sample)}
        large = present & {(1 << bits) - 1 for bits in _WRAPPED_BITS}
        if large and present == {0, *large} and len(large) == 1:
            (self.on,) = large
            self.name = f"0, {self.on}"
        elif large:
            self.name = f"{max(large)}, 1"
        else:
            self.name = "-1, 1" if min(present, default=0) < 0 else "0, 1"

    def on_events(self, values: NDArray[Any]) -> NDArray[np.bool_]:
        """Which events are ON; bool (n,), contiguous.

        Args:
            values: (n,) booleans, integers or floating point numbers; not written to.
        """
        if values.dtype == np.bool_:
            return np.ascontiguousarray(values)
        if self.on is not None:
            return np.ascontiguousarray(values == self.on)
        on = np.ascontiguousarray(values > 0)
        # The column may have become wider since it was unsigned, or floating point.
        limits = np.finfo(values.dtype) if values.dtype.kind == "f" else np.iinfo(values.dtype)
        for bits in _WRAPPED_BITS:
            minus_one = (1 << bits) - 1
            if minus_one <= limits.max:
                on &= values != values.dtype.type(minus_one)
        return on
