"""Telling events that lie in no order of time from those of a clock that starts anew.

Tools leave events shuffled, newest first, pixel by pixel, or each polarity by itself, of all the
recording or of each frame. Either many steps of time go back, or few do and the events after such a
step are of the same time as those before it. So they are, too, where a clock starts anew; but where
a tool sorted them by something, all events of that time before the step have one value of it and
all after it another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.sources.event_runs import MOST_STRAY
from evio_ros.sources.readers.recording import REORDER_WINDOW_US

__all__ = ["MOST_SORTED", "are_nearly_of_one_value", "lie_in_no_order", "remark_on_sorting"]

MOST_SORTED = 1 << 23
"""Events that are sorted at most, since they are held in memory."""
_FEWEST_SORTED = 64
_LEAST_BACK = 0.2
"""Share of steps of time that go back where events are shuffled."""
_LEAST_BEHIND = 0.01
"""Share of events there that are too far out of order to be put right while they are read."""
_LEAST_PURE = 0.9
"""Share of events of one value, of those that a tool has sorted by it; the others are outliers."""


@njit(cache=True, nogil=True)
def _run_starts(t, window_us):
    """Numbers of the events that are more than a window before the newest since the last such."""
    starts = [0]
    newest = t[0]
    for i in range(1, t.size):
        if t[i] < newest - window_us:
            starts.append(i)
            newest = t[i]
        newest = max(newest, t[i])
    return np.array(starts)


@njit(cache=True, nogil=True)
def _within(t, values, first_us, last_us):
    """Number of events of a span of time, how many have the first one's value, and this value."""
    count, same, value = 0, 0, values[0]
    for i in range(t.size):
        if first_us <= t[i] <= last_us:
            if not count:
                value = values[i]
            count += 1
            same += values[i] == value
    return count, same, value


@njit(cache=True, nogil=True)
def _parted(t, values, starts, least_pure):
    """Number of events that lie after those of the same time only since their value is another.

    `starts` are where runs of events begin, and the number of events. `least_pure` is the share
    that must have the same value, of a run's events of the time that it shares with the next.
    """
    total = 0
    for run in range(len(starts) - 2):
        before = slice(starts[run], starts[run + 1])
        after = slice(starts[run + 1], starts[run + 2])
        t_before, t_after = t[before], t[after]
        count, same, value = _within(t_before, values[before], t_after.min(), t_after.max())
        next_count, next_same, next_value = _within(
            t_after, values[after], t_before.min(), t_before.max()
        )
        are_pure = same >= least_pure * count and next_same >= least_pure * next_count
        if are_pure and value != next_value:
            total += min(count, next_count)
    return total


def lie_in_no_order(t_us: NDArray[np.int64], others: Sequence[NDArray[Any]]) -> bool:
    """Whether events lie in no order of time, and are to be sorted.

    A clock that starts anew, and outliers, are no such disorder.

    Args:
        t_us: int64 (n,) times in the file's order.
        others: columns (n,) that the events may be sorted by instead: polarity, x, y.
    """
    if len(t_us) < _FEWEST_SORTED:
        return False
    behind = np.mean(t_us < np.maximum.accumulate(t_us) - REORDER_WINDOW_US)
    if behind <= _LEAST_BEHIND:
        return False
    if np.mean(np.diff(t_us) < 0) > _LEAST_BACK:
        return True
    starts = np.append(_run_starts(t_us, REORDER_WINDOW_US), len(t_us))
    fewest = max(MOST_STRAY, _LEAST_BEHIND * len(t_us))
    return any(
        _parted(t_us, values.astype(np.float64), starts, _LEAST_PURE) > fewest for values in others
    )


def are_nearly_of_one_value(values: NDArray[Any]) -> bool:
    """Whether so many of the first events have one value that they may be sorted by it.

    Only all of the recording tells then.

    Args:
        values: (n,) of any numbers, one at least.
    """
    return bool(np.mean(values == values[0]) >= _LEAST_PURE)


def remark_on_sorting(count: int) -> str:
    """What to tell the user where so many events were sorted."""
    return f"events lie in no order of time; all {count} were sorted, in memory"
