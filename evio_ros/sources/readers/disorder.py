"""Distinguishing unsorted events from those of a clock that restarts.

Tools write events shuffled, newest first, pixel by pixel, or separated by polarity, in the whole
recording or in each frame. Then either many time steps are negative, or few are and the events
after such a step have the same times as those before it. The latter is also true if a clock
restarts; but if a tool sorted the events by a value, all events of these times before the step have
one value, and all after it another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.sources.event_runs import MOST_STRAY
from evio_ros.sources.readers.recording import REORDER_WINDOW_US

__all__ = ["MOST_SORTED", "are_nearly_constant", "are_unsorted", "sorting_remark"]

MOST_SORTED = 1 << 23
"""Maximum number of events to sort, because they are held in memory."""
_FEWEST_SORTED = 64
_LEAST_BACK = 0.2
"""Minimum share of negative time steps if events are shuffled."""
_LEAST_BEHIND = 0.01
"""Minimum share of events in a shuffled file that are too late to be sorted while reading."""
_LEAST_PURE = 0.9
"""Minimum share of a single value among events that a tool sorted by it; the others are
outliers."""


@njit(cache=True, nogil=True)
def _run_starts(t, window_us):
    """Indices of events more than a window before the newest one since the last such."""
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
    """Number of events in a time span, how many have the first one's value, and this value."""
    count, same, value = 0, 0, values[0]
    for i in range(t.size):
        if first_us <= t[i] <= last_us:
            if not count:
                value = values[i]
            count += 1
            same += values[i] == value
    return count, same, value


@njit(cache=True, nogil=True)
def _separated_by_value(t, values, starts, least_pure):
    """Number of events that follow others of the same time only because their value differs.

    `starts` has the starts of runs of events, and the number of events. `least_pure` is the minimum
    share of a single value among a run's events in the time that it shares with the next.
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


def are_unsorted(t_us: NDArray[np.int64], others: Sequence[NDArray[Any]]) -> bool:
    """Whether events are unsorted and need to be sorted.

    A restart of the clock and outliers do not count as unsorted.

    Args:
        t_us: int64 (n,), times in the file's order, in µs.
        others: columns (n,) by which the events may be sorted instead: polarity, x, y.
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
        _separated_by_value(t_us, values.astype(np.float64), starts, _LEAST_PURE) > fewest
        for values in others
    )


def are_nearly_constant(values: NDArray[Any]) -> bool:
    """Whether the first events are so nearly of a single value that they may be sorted by it.

    In that case, only the whole recording can decide.

    Args:
        values: (n,) numbers, n at least 1.
    """
    return bool(np.mean(values == values[0]) >= _LEAST_PURE)


def sorting_remark(count: int) -> str:
    """A remark for the user after `count` events were sorted."""
    return f"events are not in time order; all {count} were sorted in memory"
