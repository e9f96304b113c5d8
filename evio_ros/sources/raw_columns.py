"""Events and external triggers as a file or camera gives them, before any check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["FARTHEST_TRIGGER_US", "OUTSIDE", "RawColumns", "StoredTriggers", "Triggers"]

FARTHEST_TRIGGER_US = 1_000_000
"""Maximum time of an external trigger before the first or after the last event."""

OUTSIDE = (1 << 16) - 1
"""Replaces a coordinate that uint16 cannot hold, such as a negative one; no sensor has it."""


@dataclass(frozen=True, slots=True)
class RawColumns:
    """Events as a file contains them: unchecked and in the file's order.

    Attributes:
        t: int64 (n,), unwrapped sensor time in µs.
        x, y: uint16 (n,), column and row of the pixel.
        polarity: bool (n,), True for ON.
        received_us: when the first of these events was received, in µs of a clock that continues
            when the sensor's restarts, such as a bag's stamps; None if unknown.
    """

    t: NDArray[np.int64]
    x: NDArray[np.uint16]
    y: NDArray[np.uint16]
    polarity: NDArray[np.bool_]
    received_us: int | None = None

    @classmethod
    def empty(cls, count: int) -> Self:
        """Columns of `count` events with undefined values."""
        return cls(
            np.empty(count, np.int64),
            np.empty(count, np.uint16),
            np.empty(count, np.uint16),
            np.empty(count, np.bool_),
        )

    @classmethod
    def concatenate(cls, parts: Sequence[RawColumns]) -> Self:
        """The events of all parts, one part after the other, without the times of reception."""
        return cls(
            np.concatenate([part.t for part in parts]),
            np.concatenate([part.x for part in parts]),
            np.concatenate([part.y for part in parts]),
            np.concatenate([part.polarity for part in parts]),
        )

    def __len__(self) -> int:
        return len(self.t)

    def select(self, which: NDArray[np.bool_] | NDArray[np.int64] | slice) -> RawColumns:
        """The events selected by indices, a mask or a slice."""
        return RawColumns(
            self.t[which], self.x[which], self.y[which], self.polarity[which], self.received_us
        )


@dataclass(frozen=True, slots=True, eq=False)
class Triggers:
    """Edges of external triggers, as columns of equal length n.

    Attributes:
        t: int64 (n,), sensor time in µs.
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
        """The edges selected by indices, a mask or a slice."""
        return Triggers(self.t[which], self.edge[which], self.channel[which])


class StoredTriggers:
    """External triggers stored apart from a file's events, given with the events around them.

    Args:
        triggers: in any order.
    """

    def __init__(self, triggers: Triggers) -> None:
        self._all = triggers.select(np.argsort(triggers.t, kind="stable"))
        self._next = 0
        self.piece = Triggers.empty()
        """Triggers of the last piece that was read."""

    def go_to(self, t_us: int | None) -> None:
        """Continue after a sensor time in µs; None for the first trigger."""
        found = 0 if t_us is None else int(np.searchsorted(self._all.t, t_us, side="right"))
        self._next, self.piece = found, Triggers.empty()

    def read_until(self, t_us: int | None) -> None:
        """Read the triggers up to a sensor time in µs, None for all remaining ones."""
        t = self._all.t
        end = len(t) if t_us is None else int(np.searchsorted(t, t_us, side="right"))
        self.piece = self._all.select(slice(self._next, end))
        self._next = max(self._next, end)
