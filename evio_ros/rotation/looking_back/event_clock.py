"""A clock that ticks with the events of a region, by which a rotor turns almost evenly.

An edge that passes over a pixel gives about as many events whether it passes fast or slowly, so the
number of events n(t) that a disc has given up to the time t grows with the angle that it has turned
and not with time. Counted by n, a disc that a hand has spun and that comes to rest within a second
turns at a nearly constant speed. Where only noise is left the clock falls back to being one of
time. Once it is known how many events a radian the visible part of the disc gives off at each
phase, L(phi), every event counts 1 / L(phi): then that holds within a turn as well where the disc
is half hidden.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evio_ros.events import EventBatch

__all__ = ["TICKS", "EventClock", "active_span"]

TICKS = 1 << 40
"""The clock goes from 0 to this."""
ACTIVITY_BIN_US = 5_000
BUSIEST_SHARE = 0.05
LEAST_ACTIVITY = 0.03
"""Of the busiest bins' rate: below it nothing turns any more."""
QUIET_SHARE, MOST_NOISE = 0.1, 0.1
LONGEST_LULL_BINS = 20
"""After so long a lull what goes on is another motion."""


def active_span(t: NDArray[np.int64]) -> tuple[int, int]:
    """The stretch of time about the busiest moment in which events keep coming.

    Args:
        t: int64 (n,), times of at least one event in order, µs.

    Returns:
        start_us, end_us.
    """
    first = int(t[0])
    rate = np.bincount((t - first) // ACTIVITY_BIN_US)
    busiest = np.sort(rate)[-max(int(BUSIEST_SHARE * len(rate)), 4) :].mean()
    # Where the rate is low for a while that is noise, and goes on meanwhile.
    noise = min(float(np.quantile(rate, QUIET_SHARE)), MOST_NOISE * busiest)
    active = np.flatnonzero(rate > noise + LEAST_ACTIVITY * busiest)
    runs = np.split(active, np.flatnonzero(np.diff(active) > LONGEST_LULL_BINS) + 1)
    run = max(runs, key=lambda bins: int(rate[bins].sum()))
    return first + int(run[0]) * ACTIVITY_BIN_US, first + (int(run[-1]) + 1) * ACTIVITY_BIN_US


@dataclass(frozen=True, slots=True)
class EventClock:
    """Events with the time of the clock.

    Attributes:
        ticked: the events with ticks, 0 to TICKS, in place of `t`.
        t_us: int64 (n,), their times.
        stride: of so many events each is one.
    """

    ticked: EventBatch
    t_us: NDArray[np.int64]
    stride: int = 1

    @classmethod
    def of(cls, events: EventBatch, most_events: int) -> EventClock:
        """Number events through; of more than `most_events` every second, third ... one."""
        stride = max(-(-len(events) // most_events), 1)
        part = EventBatch.trusted(
            events.size,
            *(
                np.ascontiguousarray(column[::stride])
                for column in (events.t, events.x, events.y, events.polarity)
            ),
        )
        return cls(part, part.t, stride).weighted(np.ones(len(part)))

    def __len__(self) -> int:
        return len(self.t_us)

    def weighted(self, weight: NDArray[np.float64]) -> EventClock:
        """A clock by which each event takes a time, (n,), of any unit."""
        ends = np.cumsum(weight)
        # Half a tick of its own at either side: none lies at the clock's end.
        ticks = ((ends - 0.5 * weight) * (TICKS / ends[-1])).astype(np.int64)
        was = self.ticked
        batch = EventBatch.trusted(was.size, ticks, was.x, was.y, was.polarity)
        return EventClock(batch, self.t_us, self.stride)

    def at(self, t_us: NDArray[np.float64]) -> NDArray[np.float64]:
        """Clock at some times, 0 to 1."""
        number = np.searchsorted(self.t_us, t_us).astype(np.float64)
        middles = np.arange(len(self)) + 0.5
        return np.interp(number, middles, self.ticked.t / TICKS)
