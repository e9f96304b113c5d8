"""Edges of a camera's external trigger input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["Triggers"]


@dataclass(frozen=True, slots=True, eq=False)
class Triggers:
    """Edges of external triggers, as columns of equal length n.

    Attributes:
        t: int64 (n,) sensor time in µs.
        edge: uint8 (n,), 1 rising, 0 falling.
        channel: uint8 (n,), number of the input.
    """

    t: NDArray[np.int64]
    edge: NDArray[np.uint8]
    channel: NDArray[np.uint8]

    @classmethod
    def empty(cls) -> Self:
        """No edges."""
        return cls(np.empty(0, np.int64), np.empty(0, np.uint8), np.empty(0, np.uint8))

    @classmethod
    def concatenate(cls, parts: Sequence[Triggers]) -> Self:
        """The edges of all parts, one part after the other."""
        if not parts:
            return cls.empty()
        return cls(
            np.concatenate([part.t for part in parts]),
            np.concatenate([part.edge for part in parts]),
            np.concatenate([part.channel for part in parts]),
        )

    def __len__(self) -> int:
        return len(self.t)

    def select(self, which: NDArray[np.bool_] | NDArray[np.int64] | slice) -> Triggers:
        """The edges that an index, a mask or a slice picks."""
        return Triggers(self.t[which], self.edge[which], self.channel[which])
