"""Runs of events in which time has no jump, and the best chains of them.

See `evio_ros.sources.event_clock` for their use.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = [
    "AGREED",
    "AGREED_US",
    "FULL",
    "MOST_STRAY",
    "NO_TIME",
    "RESTARTS",
    "UNDECIDED",
    "EventRuns",
]

AGREED = 256
"""Minimum weight of a chain that decides, if it also lasts `AGREED_US`; twice this makes a
clock."""
AGREED_US = 10_000
"""Longer than 4096 µs, for which all events are wrong if one time-high word of EVT3 is."""
_JUMP_US = AGREED_US // AGREED
"""Contribution of a jump to the duration of a chain, however long the jump is."""
MOST_STRAY = 32
"""Maximum number of different times of events left from an earlier run, far from all others."""
_MOST_HELD = 1 << 20
"""Maximum number of events held back: those of 10 ms at 100 million events per second."""
_MOST_RUNS = 1 << 10
"""Maximum number of runs held back; noise makes a run of each event."""

# Columns of a run: its first and its newest time, its weight, its chain's weight, score and age,
# the previous run in its chain (-1 for none), and whether it is before the clock's time. The score
# of a chain is its weight, plus a bonus for each run that continues near the previous one; its age
# is how long its runs last, without the jumps between.
FIRST, TOP, WEIGHT, CHAIN_WEIGHT, SCORE, AGE, BEFORE, BEHIND = range(8)

UNDECIDED = 0
_CONTINUES = 1
RESTARTS = 2
FULL = 3
NO_TIME = np.iinfo(np.int64).min


@njit(cache=True, nogil=True)
def _weigh(t, held, runs, settled, newest, window_us, agreed, columns, run_of):
    """Group events into runs and find the heaviest chain to each, until one decides.

    `columns` has a row for each run. `run_of` is set to the run of each event; `held` events and
    `runs` runs are there already. `agreed` is the weight and age that decides.

    Returns the decision, the number of events that it took, and the number of runs.
    """
    for i in range(t.size):
        time = t[i]
        is_behind = settled and time < newest - window_us
        last = runs - 1
        if (
            runs
            and (columns[last, BEHIND] != 0) == is_behind
            and columns[last, TOP] - window_us <= time <= columns[last, TOP] + window_us
        ):
            if time > columns[last, TOP]:
                columns[last, AGE] += time - columns[last, TOP]
                columns[last, TOP] = time
                columns[last, WEIGHT] += 1
                columns[last, CHAIN_WEIGHT] += 1
                columns[last, SCORE] += 1
        else:
            if runs == len(columns):
                return FULL, i, runs
            _begin_run(columns, runs, time, is_behind, settled, newest, window_us)
            runs += 1
        run_of[i] = runs - 1
        run = columns[runs - 1]
        if run[CHAIN_WEIGHT] >= agreed[0] and run[AGE] >= agreed[1]:
            return (RESTARTS if is_behind else _CONTINUES), i + 1, runs
        if held + i + 1 == _MOST_HELD:
            return FULL, i + 1, runs
    return UNDECIDED, t.size, runs


@njit(cache=True, nogil=True)
def _begin_run(columns, run, time, is_behind, settled, newest, window_us):
    """Begin a run with one event, at the end of the best chain that allows it."""
    columns[run, FIRST] = columns[run, TOP] = time
    columns[run, WEIGHT] = columns[run, CHAIN_WEIGHT] = columns[run, SCORE] = 1
    columns[run, AGE], columns[run, BEFORE], columns[run, BEHIND] = 0, -1, is_behind
    if settled and not is_behind and time <= newest + window_us:
        columns[run, SCORE] += MOST_STRAY
    for earlier in range(run):
        top = columns[earlier, TOP]
        if (columns[earlier, BEHIND] != 0) != is_behind or top - window_us > time:
            continue
        score = columns[earlier, SCORE] + 1
        if time <= top + window_us:
            # Few events that continue many others are better than as many far from them.
            score += min(MOST_STRAY, columns[earlier, CHAIN_WEIGHT] - 1)
        if score > columns[run, SCORE]:
            columns[run, SCORE], columns[run, BEFORE] = score, earlier
            columns[run, CHAIN_WEIGHT] = columns[earlier, CHAIN_WEIGHT] + 1
            columns[run, AGE] = columns[earlier, AGE] + min(max(time - top, 0), _JUMP_US)


class EventRuns:
    """The runs of held events and the heaviest chains of them.

    Args:
        newest_us: the clock's time in µs; None if there is no clock yet.
        window_us: as for `EventClock`.

    Attributes:
        decision: what the events decide.
        events: number of events that decide it.
    """

    def __init__(self, newest_us: int | None, window_us: int) -> None:
        self._newest_us = newest_us
        self._window_us = window_us
        self._columns = np.empty((_MOST_RUNS, 8), np.int64)
        self._parts: list[NDArray[np.int64]] = []
        self._count = 0
        self.decision = UNDECIDED
        self.events = 0

    def add(self, t: NDArray[np.int64]) -> int:
        """Add the times of the next events, int64 (n,) in µs; returns how many were taken."""
        run_of = np.empty(len(t), np.int64)
        self.decision, taken, self._count = _weigh(
            t,
            self.events,
            self._count,
            self._newest_us is not None,
            NO_TIME if self._newest_us is None else self._newest_us,
            self._window_us,
            (AGREED, AGREED_US) if self._newest_us is not None else (2 * AGREED, 2 * AGREED_US),
            self._columns,
            run_of,
        )
        self._parts.append(run_of[:taken])
        self.events += taken
        return int(taken)

    @property
    def _run_of(self) -> NDArray[np.int64]:
        """The run of each event."""
        if len(self._parts) > 1:
            self._parts = [np.concatenate(self._parts)]
        return self._parts[0]

    @property
    def is_continuous(self) -> bool:
        """Whether no event jumps away from the others or from the clock."""
        return self._count == 1 and not self._columns[0, BEHIND]

    def deciding_chain(self) -> list[int]:
        """The chain that decides, oldest run first."""
        return self._chain_to(self._count - 1)

    def best_chain(self) -> list[int]:
        """The best chain that continues the clock, oldest run first; empty for none."""
        candidates = np.flatnonzero(self._columns[: self._count, BEHIND] == 0)
        if not len(candidates):
            return []
        return self._chain_to(int(candidates[self._columns[candidates, SCORE].argmax()]))

    def _chain_to(self, run: int) -> list[int]:
        chain = [run]
        while (run := int(self._columns[run, BEFORE])) >= 0:
            chain.append(run)
        return chain[::-1]

    def is_majority(self, chain: list[int]) -> bool:
        """Whether a chain outweighs all other runs together."""
        total = int(self._columns[: self._count, WEIGHT].sum())
        return 2 * self.weight(chain) > total

    def weight(self, chain: list[int]) -> int:
        """Number of different times in a chain."""
        return int(self._columns[chain, WEIGHT].sum())

    def top(self, run: int) -> int:
        """Newest time of a run."""
        return int(self._columns[run, TOP])

    def jumps(self, chain: list[int]) -> NDArray[np.int64]:
        """Time in µs to each run of a chain from the run or clock before it; 0 if there is none."""
        first = self._columns[chain, FIRST]
        start = first[0] if self._newest_us is None else self._newest_us
        return first - np.concatenate(([start], self._columns[chain, TOP][:-1]))

    def age(self, chain: list[int]) -> int:
        """How long the runs of a part of a chain last in µs, without the jumps to them."""
        first, last = self._columns[chain[0]], self._columns[chain[-1]]
        return int(last[AGE] - first[AGE] + first[TOP] - first[FIRST])

    def is_supported(self, chain: list[int]) -> bool:
        """Whether a chain has half of what decides: enough to accept the jump to its first run."""
        return 2 * self.weight(chain) >= AGREED and 2 * self.age(chain) >= AGREED_US

    def after(self, run: int) -> int:
        """Number of the event after a run's last."""
        if run == self._count - 1:
            return self.events
        return int(np.searchsorted(self._run_of, run, side="right"))

    def first_event(self, run: int) -> int:
        """Number of the first event of a run."""
        return int(np.searchsorted(self._run_of, run))

    def events_of(self, chain: list[int]) -> int:
        """Number of events in a chain."""
        return self.events if self.is_continuous else int(np.count_nonzero(self.members(chain)))

    def members(self, chain: list[int]) -> NDArray[np.bool_]:
        """Which of the events are in a chain."""
        wanted = np.zeros(self._count, np.bool_)
        wanted[chain] = True
        return wanted[self._run_of]
