"""Thinning of events when more arrive than can be processed.

Method: stratified sampling. Events are numbered across all batches and divided into runs whose
mean length is 1 / share and whose lengths differ by at most one. One event of each run is kept,
whose position is a hash of the run's number. The share is therefore met to within an event, the
choice is reproducible, and it does not depend on polarity, position or readout order. The rate of
the kept events is proportional to the rate of all.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["Thinner", "kept_messages"]

_U64 = np.uint64
_STEP, _MIX_1, _MIX_2 = _U64(0x9E3779B97F4A7C15), _U64(0xBF58476D1CE4E5B9), _U64(0x94D049BB133111EB)
"""Constants of splitmix64 (Steele, Lea and Flood, Fast Splittable Pseudorandom Number Generators,
OOPSLA 2014)."""


class Thinner:
    """Selects events of consecutive batches.

    Attributes:
        taken, passed: numbers of kept events and of all events.
    """

    def __init__(self) -> None:
        self.taken = self.passed = 0
        self._share = 1.0
        # Events since the share last changed, and the first run that may contain the next event.
        self._count = self._run = 0

    def places(self, count: int, share: float) -> NDArray[np.int64]:
        """Indices of the events to keep in the next batch.

        Args:
            count: number of events in the batch.
            share: share of them to keep, above 0 and below 1.

        Returns:
            int64 (n,), ascending.
        """
        if share != self._share:
            self._share, self._count, self._run = share, 0, 0
        chosen = np.empty(int(count * share) + 2, np.int64)
        taken, self._run = _choose(count, 1.0 / share, self._count, self._run, chosen)
        self._count += count
        self.taken += taken
        self.passed += count
        return chosen[:taken]

    def pass_all(self, count: int) -> None:
        """Count a batch whose events are all kept."""
        self.taken += count
        self.passed += count


def kept_messages(follow_gaps: Sequence[bool], is_urgent: bool) -> list[bool]:
    """Which messages of a queue are kept when about every second one is dropped.

    A rotor is harder to track through one long gap than through many short ones, so no message next
    to a gap is dropped.

    Args:
        follow_gaps: for each queued message, whether the previous one was dropped or lost.
        is_urgent: whether messages next to a gap may be dropped too.

    Returns:
        For each message, whether it is kept; the first and the last always are.
    """
    kept = [True] * len(follow_gaps)
    for number in range(1, len(kept) - 1):
        touches_gap = follow_gaps[number] or follow_gaps[number + 1]
        kept[number] = not kept[number - 1] or (touches_gap and not is_urgent)
    return kept


@njit(cache=True, nogil=True)
def _choose(count, length, before, run, chosen):
    """Write the indices of the kept events of a batch to `chosen`.

    Args:
        count: number of events in the batch.
        length: mean length of a run.
        before: number of events before the batch.
        run: number of a run that begins no later than the batch.
        chosen: int64, output.

    Returns:
        Number of indices, and `run` for the next batch.
    """
    taken = 0
    first = np.int64(np.ceil(run * length)) - before
    while first < count:
        after = np.int64(np.ceil((run + 1) * length)) - before
        place = first + np.int64(_uniform(run) * (after - first))
        if 0 <= place < count:
            chosen[taken] = place
            taken += 1
        if after > count:
            break
        first = after
        run += 1
    return taken, run


@njit(cache=True, nogil=True)
def _uniform(number):
    """Hash of a number: uniform in [0, 1)."""
    bits = _U64(number) * _STEP
    bits = (bits ^ (bits >> _U64(30))) * _MIX_1
    bits = (bits ^ (bits >> _U64(27))) * _MIX_2
    bits ^= bits >> _U64(31)
    return np.float64(bits >> _U64(11)) * 2.0**-53
