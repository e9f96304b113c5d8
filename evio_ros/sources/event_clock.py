"""Telling the sensor's clock from single wrong times, and following it where it starts anew.

A clock is what many events agree on. While each event is within a window of the newest one, before
or after, nothing is in question. Where one is not, it and all that follow are held back until what
follows decides. Held events are grouped into runs, in each of which the time goes on without a
jump; a chain is a sequence of runs, in the file's order, in which time does not go back. A run
weighs as many events as there are different times in it, since a clock that stands still is none.

- A chain that goes on from the clock so far has grown to `AGREED`: its events are good, jumps ahead
  in it are gaps in the data, and all others are outliers or too late.
- A chain from before the clock's time has grown to `AGREED` first: the clock has started anew.
- The data end: the heaviest chain that goes on from the clock is good.

The beginning of the data is such a question too, with no clock to go on from. A few events that are
parted by a second or more from the many before or behind them are outliers even though time does
not go back: those left over from an earlier run, or the last event with a bit flipped.

The heaviest chain is the heaviest increasing subsequence of the runs, by dynamic programming.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.sources.base import ClockRestart, SourceStatistics
from evio_ros.sources.raw_columns import RawColumns

__all__ = ["NOMINAL_GAP_US", "EventClock"]

AGREED = 256
"""Different times that make a clock; as many wrong ones in a row are the most that are told."""
MOST_STRAY = 32
"""Different times of a group that may be outliers without being contradicted."""
STRAY_GAP_US = 1_000_000
"""Shortest time between such a group and all others."""
STRAY_GAP_FACTOR = 4
"""How many times the data's longest gap it must be, too: quiet scenes have long gaps."""
MOST_HELD = 1 << 17
"""Events that are held back at most."""
MOST_RUNS = 1 << 10
"""Runs that are held back at most; noise makes one of each event."""
NOMINAL_GAP_US = 10_000_000
"""Time between two epochs of a clock where nothing tells it: the longest window of any consumer, so
that no window holds events of both."""

_UNDECIDED, _GOES_ON, _STARTS_ANEW, _FULL = range(4)
_NO_TIME = np.iinfo(np.int64).min


@njit(cache=True, nogil=True)
def _undisputed(t, newest, window_us):
    """Number of leading events within the window around the newest one, and the newest then."""
    for i in range(t.size):
        if t[i] > newest + window_us or t[i] < newest - window_us:
            return i, newest
        newest = max(newest, t[i])
    return t.size, newest


@njit(cache=True, nogil=True)
def _weigh(t, settled, newest, window_us, first, top, weight, best, before, behind, run_of):
    """Group events into runs and find the heaviest chain to each, until one decides.

    Per run: its first and its newest time, its own and its chain's weight, the run before it in its
    chain (-1 for none) and whether it lies before the clock's time. `run_of` is the run of each
    event.

    Returns what is decided, the number of events that it took, and the number of runs.
    """
    runs = 0
    for i in range(t.size):
        time = t[i]
        is_behind = settled and time < newest - window_us
        last = runs - 1
        if (
            runs
            and behind[last] == is_behind
            and top[last] - window_us <= time <= top[last] + window_us
        ):
            if time > top[last]:
                top[last] = time
                weight[last] += 1
                best[last] += 1
        else:
            if runs == first.size:
                return _FULL, i, runs
            first[runs] = top[runs] = time
            weight[runs] = best[runs] = 1
            before[runs], behind[runs] = -1, is_behind
            for earlier in range(runs):
                if (
                    behind[earlier] == is_behind
                    and top[earlier] - window_us <= time
                    and best[earlier] + 1 > best[runs]
                ):
                    best[runs], before[runs] = best[earlier] + 1, earlier
            runs += 1
        run_of[i] = runs - 1
        if best[runs - 1] >= AGREED:
            return (_STARTS_ANEW if is_behind else _GOES_ON), i + 1, runs
        if i + 1 == MOST_HELD:
            return _FULL, i + 1, runs
    return _UNDECIDED, t.size, runs


class _Runs:
    """The runs of held events and the heaviest chains of them; arguments as of `_weigh`."""

    def __init__(self, t: NDArray[np.int64], settled: bool, newest: int, window_us: int) -> None:
        self._first, self._top, self._weight, self._best, self._before = (
            np.empty(MOST_RUNS, np.int64) for _ in range(5)
        )
        self._behind = np.empty(MOST_RUNS, np.bool_)
        self._run_of = np.empty(min(len(t), MOST_HELD), np.int64)
        self.decision, self.events, self._count = _weigh(
            t[:MOST_HELD],
            settled,
            newest,
            window_us,
            self._first,
            self._top,
            self._weight,
            self._best,
            self._before,
            self._behind,
            self._run_of,
        )
        self._run_of = self._run_of[: self.events]

    def chain(self, behind: bool, until: int | None = None) -> list[int]:
        """The heaviest chain, of runs before the clock's time or of the others, oldest run first.

        Args:
            behind: which runs.
            until: only runs that begin before this event; None for all.
        """
        runs = range(self._count if until is None else int(self._run_of[until]))
        candidates = [run for run in runs if bool(self._behind[run]) == behind]
        if not candidates:
            return []
        run = max(candidates, key=lambda candidate: int(self._best[candidate]))
        chain = [run]
        while (run := int(self._before[run])) >= 0:
            chain.append(run)
        return chain[::-1]

    def weight(self, chain: list[int]) -> int:
        """Number of different times in a chain."""
        return int(self._weight[chain].sum())

    def top(self, run: int) -> int:
        """Newest time of a run."""
        return int(self._top[run])

    def jumps(self, chain: list[int], newest: int | None) -> NDArray[np.int64]:
        """Time from before each run of a chain to its first event; 0 where nothing is before."""
        tops = self._top[chain]
        first = int(self._first[chain[0]])
        before = np.concatenate(([first if newest is None else newest], tops[:-1]))
        return self._first[chain] - before

    def first_event(self, run: int) -> int:
        """Number of the first event of a run."""
        return int(np.searchsorted(self._run_of, run))

    def members(self, chain: list[int]) -> NDArray[np.bool_]:
        """Which of the decided events are in a chain."""
        wanted = np.zeros(max(self._count, 1), np.bool_)
        wanted[chain] = True
        return wanted[self._run_of]


@dataclass(frozen=True, slots=True)
class _Anchor:
    """When events were received: by the receiver's clock, and the sensor's at the same event."""

    received_us: int
    t_us: int


class _Held:
    """Events held back, in one, and when they were received."""

    def __init__(self, pieces: list[RawColumns]) -> None:
        self._pieces = pieces
        self.events = RawColumns.concatenate(pieces) if len(pieces) > 1 else pieces[0]

    def anchor(self, event: int) -> _Anchor | None:
        """When the piece of an event was received."""
        for piece in self._pieces:
            if event < len(piece):
                return _anchor_of(piece)
            event -= len(piece)
        return None


def _anchor_of(columns: RawColumns) -> _Anchor | None:
    if columns.received_us is None:
        return None
    return _Anchor(columns.received_us, int(columns.t[0]))


def _rest(columns: RawColumns, count: int) -> RawColumns:
    """Events but for the first few; when the next one was received is not known then."""
    if not count:
        return columns
    return replace(columns.select(slice(count, None)), received_us=None)


class EventClock:
    """Passes on the events that agree with the sensor's clock, and drops and counts the others.

    The result does not depend on how the events are split into columns. Events that are passed on
    keep their order; each is at most `window_us` behind the newest, but for a few at the seams of
    runs. In each epoch after the first, times are shifted so that they go on.

    Args:
        window_us: how far from the newest event nothing is in question.
        statistics: where late events, outliers and restarts are counted.
        at_beginning: whether the first event to come is the first there is, so that what is left
            over from an earlier run may come before the data.
    """

    def __init__(
        self, window_us: int, statistics: SourceStatistics, at_beginning: bool = True
    ) -> None:
        self._window_us = window_us
        self._statistics = statistics
        self._at_beginning = at_beginning
        self._settled = False
        self._newest_us = _NO_TIME
        self._shift_us = 0
        self._since_gap = 0
        self._longest_gap_us = 0
        self._held: list[RawColumns] = []
        self._anchor: _Anchor | None = None

    @property
    def newest_us(self) -> int | None:
        """Time of the newest event, not shifted; None while events are held back."""
        return self._newest_us if self._settled and not self._held else None

    @property
    def shift_us(self) -> int:
        """What is added to the times of this epoch."""
        return self._shift_us

    def pass_on(self, columns: RawColumns) -> RawColumns:
        """Take events of which the caller knows that each is 0 to `window_us` after the last.

        To be called only while `newest_us` is not None.
        """
        self._since_gap += len(columns)
        self._newest_us = int(columns.t[-1])
        self._anchor = _anchor_of(columns) or self._anchor
        return self._shifted(columns)

    def follow(self, columns: RawColumns) -> Iterator[RawColumns]:
        """Take the next events; yields those that are good, which may be earlier ones."""
        while len(columns):
            if self._settled and not self._held:
                count, self._newest_us = _undisputed(columns.t, self._newest_us, self._window_us)
                if count:
                    self._since_gap += count
                    self._anchor = _anchor_of(columns) or self._anchor
                    yield self._shifted(columns.select(slice(0, count)))
                columns = _rest(columns, count)
                if not len(columns):
                    return
            self._held.append(columns)
            held = _Held(self._held)
            runs = _Runs(held.events.t, self._settled, self._newest_us, self._window_us)
            if runs.decision == _UNDECIDED:
                return
            self._held = []
            columns = _rest(columns, len(columns) + runs.events - len(held.events))
            yield from self._decide(held, runs)

    def finish(self, ended: bool = True) -> Iterator[RawColumns]:
        """Decide on what is held back from what there is, and yield the good events.

        Args:
            ended: whether no more events come. A live source that is silent only for now keeps
                what is far ahead of the clock until more events agree.
        """
        if not self._held:
            return
        held = _Held(self._held)
        runs = _Runs(held.events.t, self._settled, self._newest_us, self._window_us)
        chain = runs.chain(behind=False)
        if not ended and self._settled and len(self._without_stray_end(runs, chain)) < len(chain):
            return
        self._held = []
        yield from self._accept(held, runs, self._without_stray_end(runs, chain))
        self._settled = True

    def _decide(self, held: _Held, runs: _Runs) -> Iterator[RawColumns]:
        """Act on a decision about the events held back."""
        if runs.decision == _STARTS_ANEW:
            yield from self._start_anew(held, runs)
        elif runs.decision == _FULL and self._settled:
            # Nothing agrees, neither with the clock nor with itself.
            yield from self._accept(held, runs, [])
        else:
            chain = runs.chain(behind=False)
            if not self._settled:
                chain = self._without_stray_start(runs, chain)
            yield from self._accept(held, runs, chain)
            self._settled = True

    def _start_anew(self, held: _Held, runs: _Runs) -> Iterator[RawColumns]:
        chain = runs.chain(behind=True)
        first = runs.first_event(chain[0])
        end = self._without_stray_end(runs, runs.chain(behind=False, until=first))
        yield from self._accept(held, runs, end, first)
        members = runs.members(chain)[first:]
        begun = held.events.select(slice(first, runs.events))
        start_us = int(begun.t[members].min())
        anchor = held.anchor(first)
        known_us = self._gap_by_receipt(anchor, start_us)
        gap_us = NOMINAL_GAP_US if known_us is None else known_us
        shifted_us = self._newest_us + self._shift_us + gap_us
        self._statistics.clock_restarts += 1
        self._statistics.restarts.append(ClockRestart(shifted_us, known_us))
        self._shift_us = shifted_us - start_us
        self._since_gap = self._longest_gap_us = 0
        self._newest_us = runs.top(chain[-1])
        self._statistics.outliers += int(np.count_nonzero(~members))
        self._anchor = anchor
        self._since_gap = int(np.count_nonzero(members))
        yield self._shifted(begun.select(members))

    def _accept(
        self, held: _Held, runs: _Runs, chain: list[int], count: int | None = None
    ) -> Iterator[RawColumns]:
        """Yield the events of a chain, and count the others; of all decided, or the first few."""
        members = runs.members(chain)[:count]
        events = held.events.select(slice(0, len(members)))
        if chain:
            self._note_gaps(runs, chain)
            self._newest_us = max(self._newest_us, runs.top(chain[-1]))
        dropped = events.t[~members]
        late = int(np.count_nonzero(dropped < self._newest_us))
        self._statistics.late += late
        self._statistics.outliers += len(dropped) - late
        if members.any():
            self._anchor = held.anchor(int(members.argmax())) or self._anchor
            yield self._shifted(events.select(members))

    def _note_gaps(self, runs: _Runs, chain: list[int]) -> None:
        """Follow the longest gap and the number of events since the last long one."""
        jumps = runs.jumps(chain, self._newest_us if self._newest_us != _NO_TIME else None)
        long = np.flatnonzero(jumps > STRAY_GAP_US)
        self._longest_gap_us = max(self._longest_gap_us, int(jumps.max()))
        if len(long):
            self._since_gap = int(np.count_nonzero(runs.members(chain[int(long[-1]) :])))
        else:
            self._since_gap += int(np.count_nonzero(runs.members(chain)))

    def _without_stray_end(self, runs: _Runs, chain: list[int]) -> list[int]:
        """The chain without a few events at its end, long after many."""
        if not chain or not self._settled or self._since_gap < AGREED - MOST_STRAY:
            return chain
        shortest_us = max(STRAY_GAP_US, STRAY_GAP_FACTOR * self._longest_gap_us)
        for place in np.flatnonzero(runs.jumps(chain, self._newest_us) > shortest_us).tolist():
            if runs.weight(chain[place:]) <= MOST_STRAY:
                return chain[:place]
        return chain

    def _without_stray_start(self, runs: _Runs, chain: list[int]) -> list[int]:
        """The chain without a few events at its beginning, long before many."""
        if not self._at_beginning:
            return chain
        long = np.flatnonzero(runs.jumps(chain, None) > STRAY_GAP_US)
        if not len(long):
            return chain
        place = int(long[-1])
        many = runs.weight(chain[place:]) >= AGREED - MOST_STRAY
        return chain[place:] if many else chain

    def _gap_by_receipt(self, anchor: _Anchor | None, start_us: int) -> int | None:
        """Time between two epochs by the receiver's clock; None where that says nothing."""
        if anchor is None or self._anchor is None:
            return None
        before_us = self._anchor.received_us + self._newest_us - self._anchor.t_us
        gap_us = anchor.received_us + start_us - anchor.t_us - before_us
        return gap_us if gap_us > 0 else None

    def _shifted(self, columns: RawColumns) -> RawColumns:
        if not self._shift_us:
            return columns
        return replace(columns, t=columns.t + self._shift_us)
