"""Count time: events numbered through, by which a rotor turns almost evenly.

An edge that passes over a pixel gives about as many events whether it passes fast or slowly, so the
number of events n(t) that a disc has given up to the time t grows with the angle that it has turned
and not with time. Counted by n, a disc that a hand has spun and that comes to rest within a second
turns at a nearly constant speed. Where only noise is left n grows with time. Once it is known how
many events a radian the visible part of the disc gives off at each phase, L(phi), every event
counts 1 / L(phi): then that holds within a turn as well where the disc is half hidden.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evio_ros.events import EventBatch

__all__ = ["COUNT_SPAN", "CountedEvents", "active_span", "active_spans"]

COUNT_SPAN = 1 << 40
"""Count time goes from 0 to this: whole numbers that hold a weight of any size."""
_ACTIVITY_BIN_US = 5_000
"""Bins in which activity is told: a spin that a hand gives lasts for a hundred of them."""
_BUSIEST_SHARE = 0.05
"""Share of the bins, those with most events, whose mean is the busiest rate."""
_LEAST_ACTIVITY = 0.03
"""Share of the busiest rate, above noise, below which nothing turns any more."""
QUIET_SHARE, MOST_NOISE = 0.1, 0.1
"""Noise is the rate that this share of the bins stays below; no more than this share of the busiest
rate, for a recording without a quiet time."""
_LONGEST_LULL_BINS = 20
"""After so long a lull what goes on is another motion."""


def active_span(t: NDArray[np.int64]) -> tuple[int, int]:
    """The stretch of time with most events in which events keep coming, see `active_spans`."""
    return active_spans(t)[0]


def active_spans(t: NDArray[np.int64]) -> list[tuple[int, int]]:
    """The stretches of time in which events keep coming, apart from one another.

    Args:
        t: int64 (n,), times of at least one event in order, µs.

    Returns:
        start_us, end_us of each; those with most events first.
    """
    first = int(t[0])
    rate = np.bincount((t - first) // _ACTIVITY_BIN_US)
    busiest = np.sort(rate)[-max(int(_BUSIEST_SHARE * len(rate)), 4) :].mean()
    # Where the rate is low for a while that is noise, and goes on meanwhile.
    noise = min(float(np.quantile(rate, QUIET_SHARE)), MOST_NOISE * busiest)
    active = np.flatnonzero(rate > noise + _LEAST_ACTIVITY * busiest)
    runs = np.split(active, np.flatnonzero(np.diff(active) > _LONGEST_LULL_BINS) + 1)
    runs.sort(key=lambda bins: -int(rate[bins].sum()))
    ends = [(int(run[0]) * _ACTIVITY_BIN_US, (int(run[-1]) + 1) * _ACTIVITY_BIN_US) for run in runs]
    return [(first + start_us, first + end_us) for start_us, end_us in ends]


@dataclass(frozen=True, slots=True)
class CountedEvents:
    """Events with their count time.

    Attributes:
        events: the events with count times, 0 to `COUNT_SPAN`, in place of `t`.
        t_us: int64 (n,), their sensor times.
        stride: of so many events each is one.
    """

    events: EventBatch
    t_us: NDArray[np.int64]
    stride: int = 1

    @classmethod
    def of(cls, events: EventBatch, most_events: int) -> CountedEvents:
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

    def weighted(self, weight: NDArray[np.float64]) -> CountedEvents:
        """The same, where each event counts as much as its weight, (n,), of any unit."""
        ends = np.cumsum(weight)
        # Half of its own weight at either side: none lies at the end of the span.
        count_times = ((ends - 0.5 * weight) * (COUNT_SPAN / ends[-1])).astype(np.int64)
        was = self.events
        batch = EventBatch.trusted(was.size, count_times, was.x, was.y, was.polarity)
        return CountedEvents(batch, self.t_us, self.stride)

    def at(self, t_us: NDArray[np.float64]) -> NDArray[np.float64]:
        """Count time, 0 to 1 for the whole span, at some sensor times."""
        number = np.searchsorted(self.t_us, t_us).astype(np.float64)
        middles = np.arange(len(self)) + 0.5
        return np.interp(number, middles, self.events.t / COUNT_SPAN)
