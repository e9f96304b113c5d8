"""Taking a share of the events, where there are more than can be worked on.

Method: stratified sampling. Events, in the order in which they come, are numbered on through all
batches and cut into runs of as equal length as whole numbers allow, 1 / share on average; of each
run one is taken, at a place that a hash of the run's number gives. So any share is met to an event,
the choice depends on nothing but numbers and is the same each time, and neither polarity, place nor
the order in which a sensor is read out has any part in it. The rate of what is taken is in
proportion to the rate of what came.
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
    """Chooses events of one batch after another.

    Attributes:
        taken, passed: numbers of events that were taken, and that came.
    """

    def __init__(self) -> None:
        self.taken = self.passed = 0
        self._share = 1.0
        # Events that came since the share was changed, and the first run that may hold the next.
        self._came = self._run = 0

    def places(self, count: int, share: float) -> NDArray[np.int64]:
        """Indices of those to be taken of the next events.

        Args:
            count: number of events of the next batch.
            share: share of them to be taken, above 0 and below 1.
        """
        if share != self._share:
            self._share, self._came, self._run = share, 0, 0
        chosen = np.empty(int(count * share) + 2, np.int64)
        taken, self._run = _choose(count, 1.0 / share, self._came, self._run, chosen)
        self._came += count
        self.taken += taken
        self.passed += count
        return chosen[:taken]

    def pass_all(self, count: int) -> None:
        """Note a batch of which all events are taken."""
        self.taken += count
        self.passed += count


def kept_messages(follow_gaps: Sequence[bool], is_urgent: bool) -> list[bool]:
    """Which messages of a queue are kept where every second one is dropped.

    Of a long gap less can be told than of many short ones, so no message next to a gap is dropped.

    Args:
        follow_gaps: for each message that waits whether the one before it was dropped or lost.
        is_urgent: whether gaps may grow all the same.
    """
    kept = [True] * len(follow_gaps)
    for number in range(1, len(kept) - 1):
        touches_gap = follow_gaps[number] or follow_gaps[number + 1]
        kept[number] = not kept[number - 1] or (touches_gap and not is_urgent)
    return kept


@njit(cache=True, nogil=True)
def _choose(count, length, came, run, chosen):
    """Places of a batch's events that are taken.

    Args:
        count: number of events of the batch.
        length: mean length of a run.
        came: number of events before the batch.
        run: number of a run that begins no later than the batch.
        chosen: room for the places.

    Returns:
        How many they are, and `run` for the next batch.
    """
    taken = 0
    first = np.int64(np.ceil(run * length)) - came
    while first < count:
        after = np.int64(np.ceil((run + 1) * length)) - came
        place = first + np.int64(_chance(run) * (after - first))
        if 0 <= place < count:
            chosen[taken] = place
            taken += 1
        if after > count:
            break
        first = after
        run += 1
    return taken, run


@njit(cache=True, nogil=True)
def _chance(number):
    """A hash of a number, 0 <= chance < 1."""
    bits = _U64(number) * _STEP
    bits = (bits ^ (bits >> _U64(30))) * _MIX_1
    bits = (bits ^ (bits >> _U64(27))) * _MIX_2
    bits ^= bits >> _U64(31)
    return np.float64(bits >> _U64(11)) * (1.0 / 9007199254740992.0)
