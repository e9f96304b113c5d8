"""Detecting outliers among time stamps, and following a sensor's clock through restarts.

The clock is the time on which many events agree. As long as each event is within a window before or
after the newest one, there is nothing to decide. From the first one outside it on, all events are
held back until the following ones decide. Held events are grouped into runs, within which the time
has no jump; a chain is a sequence of runs, in the file's order, in which time does not go back. The
weight of a run is its number of different times, because a clock that does not advance is none.

- A chain that continues the clock is the first to have the weight `AGREED` and to last `AGREED_US`:
  its events are good, forward jumps in it are gaps in the data, and all other events are outliers
  or too late.
- A chain that starts before the clock's time is the first: the clock has restarted.
- The data end: the heaviest chain that continues the clock is good.

The beginning of the data is decided in the same way, but without a clock to continue. A few events
at the beginning or the end, far from the many others, are outliers even if time does not go back:
those left from an earlier run, or the last event with a flipped bit.

The heaviest chain is the heaviest increasing subsequence of the runs, by dynamic programming.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numba import njit

from evio_ros.sources.base import ClockRestart, SourceStatistics
from evio_ros.sources.event_runs import (
    AGREED,
    AGREED_US,
    FULL,
    MOST_STRAY,
    NO_TIME,
    RESTARTS,
    UNDECIDED,
    EventRuns,
)
from evio_ros.sources.raw_columns import RawColumns

__all__ = ["NOMINAL_GAP_US", "EventClock", "agreeing_events", "agreeing_share"]

_WORD_US = 1 << 12
"""Maximum length of a group of events that share one wrong time word, at the data's start or
end."""
_MOST_LONE = 2
"""Maximum number of events that are outliers if they are `_LONE_GAP_US` from all others."""
_STRAY_GAP_US = 1_000_000
_LONE_GAP_US = 100_000
_COUNTERS_US = (1 << 24, 1 << 31, 1 << 32, round((1 << 31) / 1000), round((1 << 32) / 1000))
"""Periods of the counters of cameras and tools, in µs: of 24, 31 and 32 bits of µs, and of ns."""
_GAP_FACTOR = 4
"""Minimum ratio of such a gap to the data's longest gap, because quiet scenes have long gaps."""
NOMINAL_GAP_US = 10_000_000
"""Time between two epochs of a clock if it is unknown: the longest window of any consumer, so that
no window contains events of both."""


@njit(cache=True, nogil=True)
def _accepted_at_once(t, newest, window_us):
    """Number of leading events within the window around the newest one, and its time."""
    for i in range(t.size):
        if t[i] > newest + window_us or t[i] < newest - window_us:
            return i, newest
        newest = max(newest, t[i])
    return t.size, newest


@dataclass(frozen=True, slots=True)
class _Anchor:
    """When an event was received: by the receiver's clock and by the sensor's, both in µs."""

    received_us: int
    t_us: int


class _Held:
    """Events held back, and when they were received."""

    def __init__(self, pieces: list[RawColumns]) -> None:
        self._pieces = pieces

    @property
    def events(self) -> RawColumns:
        """All events in one."""
        if len(self._pieces) == 1:
            return self._pieces[0]
        return RawColumns.concatenate(self._pieces)

    def before(self, event: int) -> Iterator[RawColumns]:
        """The events before number `event`."""
        for piece in self._pieces:
            if event > 0:
                yield piece.select(slice(0, event))
            event -= len(piece)

    def after(self, event: int) -> list[RawColumns]:
        """The events from number `event` on."""
        pieces = []
        for piece in self._pieces:
            if event < len(piece):
                pieces.append(_without_first(piece, max(event, 0)))
            event -= len(piece)
        return pieces

    def anchor(self, event: int) -> _Anchor | None:
        """When the piece with an event was received; None if unknown."""
        for piece in self._pieces:
            if event < len(piece):
                return _anchor_of(piece)
            event -= len(piece)
        return None


def _anchor_of(columns: RawColumns) -> _Anchor | None:
    if columns.received_us is None:
        return None
    return _Anchor(columns.received_us, int(columns.t[0]))


def _without_first(columns: RawColumns, count: int) -> RawColumns:
    """The events without the first few; when the next one was received is then unknown."""
    if not count:
        return columns
    return replace(columns.select(slice(count, None)), received_us=None)


def _counter_wrap_us(back_us: int, window_us: int) -> int:
    """The period of a counter that has wrapped, if time steps back by nearly as much; 0 for none.

    A counter's times were stored without unwrapping them. That a clock restarts at such a distance
    by chance is unlikely: the window is 10 ms, and the shortest period 2 s.
    """
    return next((period for period in _COUNTERS_US if 0 <= period - back_us <= window_us), 0)


def _are_stray(runs: EventRuns, group: list[int], gap_us: int) -> bool:
    """Whether a group of runs may be outliers, given its gap to all others."""
    weight, age_us = runs.weight(group), runs.age(group)
    if gap_us <= _STRAY_GAP_US:
        return weight <= _MOST_LONE
    return age_us <= _WORD_US or (weight <= MOST_STRAY and age_us <= AGREED_US)


class EventClock:
    """Passes on the events that agree with the sensor's clock, and drops and counts the others.

    The result does not depend on how the events are split into columns. Events keep their order;
    each is at most `window_us` behind the newest, except for a few at the borders of runs. After a
    restart of the clock, times are shifted so that they continue.

    Args:
        window_us: distance from the newest event, in µs, within which events are accepted at once.
        statistics: counts late events, outliers and restarts.
        at_beginning: whether the next event is the first of all, so that events left from an
            earlier run may precede the data.
    """

    def __init__(
        self, window_us: int, statistics: SourceStatistics, at_beginning: bool = True
    ) -> None:
        self._window_us = window_us
        self._statistics = statistics
        self._at_beginning = at_beginning
        self._settled = False
        self._newest_us = NO_TIME
        self._shift_us = 0
        self._since_gap = 0
        self._longest_gap_us = 0
        self._held: list[RawColumns] = []
        self._runs: EventRuns | None = None
        self._anchor: _Anchor | None = None

    @property
    def newest_us(self) -> int | None:
        """Time of the newest event in µs, not shifted; None while events are held back."""
        return self._newest_us if self._settled and self._runs is None else None

    @property
    def shift_us(self) -> int:
        """Offset added to the times of the present epoch, in µs."""
        return self._shift_us

    def pass_on(self, columns: RawColumns) -> RawColumns:
        """Take events that the caller knows to be 0 to `window_us` after the last one each.

        Allowed only while `newest_us` is not None.
        """
        self._since_gap += len(columns)
        self._newest_us = int(columns.t[-1])
        self._anchor = _anchor_of(columns) or self._anchor
        return self._shifted(columns)

    def follow(self, columns: RawColumns) -> Iterator[RawColumns]:
        """Take the next events; yields the good ones, which may include earlier ones."""
        waiting = [columns]
        while waiting:
            columns = waiting.pop()
            if self._runs is None and self._settled:
                count, self._newest_us = _accepted_at_once(
                    columns.t, self._newest_us, self._window_us
                )
                if count:
                    self._since_gap += count
                    self._anchor = _anchor_of(columns) or self._anchor
                    yield self._shifted(columns.select(slice(0, count)))
                columns = _without_first(columns, count)
            if not len(columns):
                continue
            if self._runs is None:
                self._runs = EventRuns(self._newest_us if self._settled else None, self._window_us)
            taken = self._runs.add(columns.t)
            self._held.append(columns.select(slice(0, taken)))
            if self._runs.decision == UNDECIDED:
                continue
            waiting.append(_without_first(columns, taken))
            held, runs = self._release()
            if runs.decision == RESTARTS:
                yield from self._restart(held, runs)
                continue
            chain = self._deciding_chain(runs)
            if stray := self._stray_start(runs, chain):
                waiting.append(self._without(held, runs, stray))
                continue
            chain, count = self._supported(runs, chain)
            yield from self._accept(held, runs, chain, count)
            waiting += held.after(count)[::-1]

    def finish(self, ended: bool = True) -> Iterator[RawColumns]:
        """Decide on the events held back from what is there, and yield the good ones.

        Args:
            ended: whether no more events come. A live source that is silent for a while keeps
                events far ahead of the clock until more events agree.
        """
        while self._runs is not None:
            chain = self._runs.best_chain()
            stray = self._stray_end(self._runs, chain)
            if stray and not ended and self._settled:
                return
            stray = stray or self._stray_start(self._runs, chain)
            held, runs = self._release()
            if stray:
                yield from self.follow(self._without(held, runs, stray))
            else:
                yield from self._accept(held, runs, chain, runs.events)

    def _without(self, held: _Held, runs: EventRuns, stray: list[int]) -> RawColumns:
        """The held events without outliers; other events may then be on the best chain."""
        are_stray = runs.members(stray)
        self._statistics.outliers += int(np.count_nonzero(are_stray))
        return held.events.select(slice(0, runs.events)).select(~are_stray)

    def _release(self) -> tuple[_Held, EventRuns]:
        """Remove and return everything that is held back."""
        held, runs = _Held(self._held), self._runs
        assert runs is not None
        self._held, self._runs = [], None
        return held, runs

    def _deciding_chain(self, runs: EventRuns) -> list[int]:
        """The good chain; empty if nothing agrees, neither with the clock nor with itself."""
        if runs.decision != FULL:
            return runs.deciding_chain()
        chain = runs.best_chain()
        return chain if not self._settled or runs.is_majority(chain) else []

    def _supported(self, runs: EventRuns, chain: list[int]) -> tuple[list[int], int]:
        """The part of the chain that enough events support, and the number of events it decides.

        Events after a jump that too few events support yet are decided later.
        """
        if runs.decision == FULL:
            return chain, runs.events
        end = len(chain)
        while end > 1 and not runs.is_supported(chain[end - 1 :]):
            end -= 1
        return chain[:end], runs.after(chain[end - 1])

    def _restart(self, held: _Held, runs: EventRuns) -> Iterator[RawColumns]:
        """End the clock's epoch with the events before the deciding chain, and start another."""
        chain = runs.deciding_chain()
        first = runs.first_event(chain[0])
        yield from self.follow(held.events.select(slice(0, first)))
        yield from self.finish()
        members = runs.members(chain)[first:]
        begun = held.events.select(slice(first, runs.events))
        start_us = int(begun.t[members].min())
        anchor = held.anchor(first)
        last_us = self._newest_us + self._shift_us
        back_us = self._newest_us - start_us
        wrap_us = _counter_wrap_us(back_us, self._window_us)
        if wrap_us:
            shifted_us = last_us + wrap_us - back_us
        else:
            known_us = self._gap_by_receipt(anchor, start_us)
            shifted_us = last_us + (NOMINAL_GAP_US if known_us is None else known_us)
            self._statistics.clock_restarts += 1
            restart = ClockRestart(shifted_us, known_us, last_us)
            if restart not in self._statistics.restarts:
                self._statistics.restarts.append(restart)
        self._statistics.outliers += int(np.count_nonzero(~members))
        self._shift_us = shifted_us - start_us
        self._newest_us = runs.top(chain[-1])
        self._since_gap, self._longest_gap_us = int(np.count_nonzero(members)), 0
        self._anchor = anchor
        yield self._shifted(begun.select(members))

    def _accept(
        self, held: _Held, runs: EventRuns, chain: list[int], count: int
    ) -> Iterator[RawColumns]:
        """Yield those of the first `count` events that are in a chain, and count the others."""
        if chain:
            self._newest_us = max(self._newest_us, runs.top(chain[-1]))
            self._note_gaps(runs, chain)
            self._settled = True
        if runs.is_continuous:
            self._anchor = held.anchor(0) or self._anchor
            yield from map(self._shifted, held.before(count))
            return
        members = runs.members(chain)[:count]
        events = held.events.select(slice(0, count))
        dropped = events.t[~members]
        late = int(np.count_nonzero(dropped < self._newest_us))
        self._statistics.late += late
        self._statistics.outliers += len(dropped) - late
        if members.any():
            self._anchor = held.anchor(int(members.argmax())) or self._anchor
            yield self._shifted(events.select(members))

    def _note_gaps(self, runs: EventRuns, chain: list[int]) -> None:
        """Update the longest gap and the number of events since the last long one."""
        jumps = runs.jumps(chain)
        if not self._settled:
            jumps[0] = 0
        long = np.flatnonzero(jumps > _STRAY_GAP_US)
        self._longest_gap_us = max(self._longest_gap_us, int(jumps.max()))
        if len(long):
            self._since_gap = runs.events_of(chain[int(long[-1]) :])
        else:
            self._since_gap += runs.events_of(chain)

    def _stray_end(self, runs: EventRuns, chain: list[int]) -> list[int]:
        """A few events at the chain's end, long after many; empty for none."""
        if not chain:
            return []
        jumps = runs.jumps(chain)
        for place in np.flatnonzero(jumps > _LONE_GAP_US).tolist():
            before = self._since_gap + runs.weight(chain[:place])
            longest_us = max(self._longest_gap_us, int(jumps[:place].max(initial=0)))
            is_far = before >= AGREED - MOST_STRAY and jumps[place] > _GAP_FACTOR * longest_us
            if is_far and _are_stray(runs, chain[place:], int(jumps[place])):
                return chain[place:]
        return []

    def _stray_start(self, runs: EventRuns, chain: list[int]) -> list[int]:
        """A few events at the beginning of all data, long before many; empty for none."""
        if self._settled or not self._at_beginning or not chain:
            return []
        jumps = runs.jumps(chain)
        for place in np.flatnonzero(jumps > _LONE_GAP_US)[::-1].tolist():
            are_many = runs.weight(chain[place:]) >= AGREED - MOST_STRAY
            is_far = jumps[place] > _GAP_FACTOR * int(jumps[place + 1 :].max(initial=0))
            if are_many and is_far and _are_stray(runs, chain[:place], int(jumps[place])):
                return chain[:place]
        return []

    def _gap_by_receipt(self, anchor: _Anchor | None, start_us: int) -> int | None:
        """Time between two epochs in µs by the receiver's clock; None if it gives none."""
        if anchor is None or self._anchor is None:
            return None
        before_us = self._anchor.received_us + self._newest_us - self._anchor.t_us
        gap_us = anchor.received_us + start_us - anchor.t_us - before_us
        return gap_us if gap_us > 0 else None

    def _shifted(self, columns: RawColumns) -> RawColumns:
        if not self._shift_us:
            return columns
        return replace(columns, t=columns.t + self._shift_us)


def agreeing_events(columns: RawColumns, window_us: int) -> RawColumns:
    """The events that agree on a clock.

    Args:
        columns: the events.
        window_us: as for `EventClock`.
    """
    clock = EventClock(window_us, SourceStatistics())
    none = columns.select(slice(0, 0))
    return RawColumns.concatenate([none, *clock.follow(columns), *clock.finish()])


def agreeing_share(columns: RawColumns, window_us: int) -> float:
    """Share of events that agree on a clock: near 1 for a camera, near 0 for random times.

    Args:
        columns: the events.
        window_us: as for `EventClock`.
    """
    return len(agreeing_events(columns, window_us)) / max(len(columns), 1)
