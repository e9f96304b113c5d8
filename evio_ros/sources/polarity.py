"""Converting polarity columns of any convention to booleans."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["PolarityConvention"]

_WRAPPED_BITS = (8, 16, 32, 64)
"""Widths of unsigned integers in which OFF, stored as -1, appears as the largest value."""


class PolarityConvention:
    """How a recording stores ON and OFF, determined from a sample of it.

    Known conventions of OFF/ON are 0/1, -1/1 and False/True; -1/1 in an unsigned column, where OFF
    is the largest value of 8, 16, 32 or 64 bits; 0/255, black and white, or the largest value of
    another width, which is ON if the sample has no 1; and 1/2.

    Args:
        sample: (n,) values from the whole recording.

    Attributes:
        name: the values of OFF and ON, such as "-1, 1".
        on: the value of ON if any other value is OFF; None if values above 0 are ON, except for the
            largest values of an unsigned type.
        is_known: whether the sample has no values other than these.
    """

    def __init__(self, sample: NDArray[Any]) -> None:
        self.on: int | None = None
        self.is_known = True
        self._values = np.empty(0)
        if sample.dtype == np.bool_:
            self.name = "False, True"
            return
        self._values = np.unique(sample[np.isfinite(sample)])
        present = {int(value) for value in self._values}
        large = present & {(1 << bits) - 1 for bits in _WRAPPED_BITS}
        if large and present == {0, *large} and len(large) == 1:
            (self.on,) = large
            self.name = f"0, {self.on}"
        elif large:
            self.name = f"{max(large)}, 1"
        elif present == {1, 2}:
            self.on = 2
            self.name = "1, 2"
        else:
            self.name = "-1, 1" if min(present, default=0) < 0 else "0, 1"
            self.is_known = present <= {-1, 0, 1} and bool((self._values % 1 == 0).all())

    @property
    def remark(self) -> str:
        """A remark for the user if the values are of no known convention; "" otherwise."""
        shown = ", ".join(f"{value:g}" for value in self._values[:6].tolist())
        return f"polarities are {shown}, which is unusual; those above 0 are read as ON"

    def on_events(self, values: NDArray[Any]) -> NDArray[np.bool_]:
        """Which events are ON; bool (n,), contiguous.

        Args:
            values: (n,) booleans, integers or floating-point numbers; not written to.
        """
        if values.dtype == np.bool_:
            return np.ascontiguousarray(values)
        if self.on is not None:
            return np.ascontiguousarray(values == self.on)
        on = np.ascontiguousarray(values > 0)
        # The column may have become wider since it was unsigned, or floating-point.
        limits = np.finfo(values.dtype) if values.dtype.kind == "f" else np.iinfo(values.dtype)
        for bits in _WRAPPED_BITS:
            minus_one = (1 << bits) - 1
            if minus_one <= limits.max:
                on &= values != values.dtype.type(minus_one)
        return on
