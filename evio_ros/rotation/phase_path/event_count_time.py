"""Count time: events numbered through, by which a rotor turns almost evenly.

An edge that passes over a pixel gives about as many events whether it passes fast or slowly, so the
number of events n(t) that a disc has given up to the time t grows with the angle that it has turned
and not with time. Counted by n, a disc that a hand has spun and that comes to rest within a second
turns at a nearly constant speed. Where only noise is left n grows with time. Once it is known how
many events a radian the visible part of the disc gives off at each phase, L(phi), every event
counts 1 / L(phi): then that holds within a turn as well where the disc is half hidden.

Noise, and a lamp that lights the whole view, give events without any turn. What all parts of the
view have in common is taken for such, and each event counts by the share of the others.

Where data is missing a disc turns on and no event tells by how much. Such a gap gets as much count
time as the rates before and after it let expect.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from evio_ros.events import EventBatch
from evio_ros.rotation.dead_time import (
    LONGEST_SILENCE_US,
    SHORTEST_SILENCE_US,
    SILENT_INTERVALS,
    shortest_silence_us,
)

__all__ = [
    "COUNT_SPAN",
    "CountedEvents",
    "active_span",
    "active_spans",
    "data_gaps",
    "moving_shares",
]

_Real = NDArray[np.float64]
_Times = NDArray[np.int64]

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
_RATE_US = 10_000
"""The rate beside a gap is that of so much time, or of the gap's length where that is longer."""
_LEAST_LIVE = 0.2
"""Share of a bin that has data, for its rate to be known."""

_BLOCKS, _COMMON_BIN_US, _QUIETEST = 5, 2_500, 10
"""The quietest blocks of the view, which has so many along each side, tell in such times what all
have in common: edges of a disc that fills the view leave as many alone."""
_BELOW_MEAN = 0.966
"""The lowest 40 % of normal counts lie so many standard deviations below the mean of all."""
_AVERAGED_BINS, _SURE_DEVIATIONS = 9, 5.0
"""What remains over so many bins beyond this many square roots of what was common is no noise: that
is 3 standard deviations, for ten quiet blocks add about 1.3 times the variation of the sum."""
_CLEAR = 0.7
"""Where a larger share of the events is not common, noise does little harm, and all count. Of the
real takes all are not; in noise of 5 Hz a pixel 0.73 or more while they turn, in 30 Hz 0.37 to
0.49."""
_LEAST_SHARE = 0.02
"""Count time never stands still."""

_NO_GAPS: _Times = np.zeros((0, 2), np.int64)
_NO_GAPS.setflags(write=False)
"""Gaps of events that are all there."""


def data_gaps(t: _Times, missing: Iterable[range] = ()) -> _Times:
    """Spans of time without data: absence of data is no absence of motion.

    Args:
        t: int64 (n,), times of all events of a sensor in order, µs.
        missing: spans whose events are known to be missing.

    Returns:
        int64 (gaps, 2), start and end of each in order and apart, µs: those that are known, and
        those at which the rate of all pixels together drops to nothing at once.
    """
    silence = np.diff(t)
    at = np.flatnonzero((silence >= shortest_silence_us(t)) & (silence <= LONGEST_SILENCE_US))
    starts_us, ends_us, silence = t[at], t[at + 1], silence[at]
    # As long a time before and after a gap has many events. Where nothing was lost, the six real
    # takes, whole or thinned to a tenth or a thirtieth, have no more than 14 about any silence; but
    # one take has three gaps of 0.6 ms with 800.
    before = at + 1 - np.searchsorted(t, starts_us - silence)
    after = np.searchsorted(t, ends_us + silence, "right") - at - 1
    is_gap = np.minimum(before, after) >= SILENT_INTERVALS
    spans = [(span.start, span.stop) for span in missing if len(span) >= SHORTEST_SILENCE_US]
    spans += zip(starts_us[is_gap].tolist(), ends_us[is_gap].tolist(), strict=True)
    gaps: list[tuple[int, int]] = []
    for start_us, end_us in sorted(spans):
        if gaps and start_us <= gaps[-1][1]:
            gaps[-1] = gaps[-1][0], max(gaps[-1][1], end_us)
        else:
            gaps.append((start_us, end_us))
    return np.array(gaps, np.int64).reshape(-1, 2)


def moving_shares(events: EventBatch) -> _Real:
    """Share of the events at the time of each that not all parts of the view have in common.

    Args:
        events: at least one, in order.

    Returns:
        float64 (n,), `_LEAST_SHARE` to 1; all 1 where hardly any are common.
    """
    bins = (events.t - events.t[0]) // _COMMON_BIN_US
    block = np.zeros(len(events), np.int64)
    for column in (events.x, events.y):
        low, high = int(column.min()), int(column.max())
        block = block * _BLOCKS + (column.astype(np.int64) - low) * _BLOCKS // (high - low + 1)
    blocks = _BLOCKS**2
    counts = np.bincount(bins * blocks + block, minlength=(int(bins[-1]) + 1) * blocks)
    counts = counts.reshape(-1, blocks)
    quiet = np.sort(counts, axis=1)[:, :_QUIETEST].mean(axis=1)
    # Of the mean m in a block the quiet ones have m - c sqrt(m); of few events, about a fourth.
    mean = (0.5 * (_BELOW_MEAN + np.sqrt(_BELOW_MEAN**2 + 4 * quiet))) ** 2
    common = blocks * np.minimum(mean, 4 * quiet)
    shares = 1.0 - common / np.maximum(counts.sum(axis=1), 1)
    of_events = np.maximum(shares, _LEAST_SHARE)[bins]
    return of_events if of_events.mean() < _CLEAR else np.ones(len(events))


def active_span(t: _Times) -> tuple[int, int]:
    """The stretch of time with most events in which events keep coming, see `active_spans`."""
    return active_spans(t)[0]


def active_spans(
    t: _Times, gaps: _Times = _NO_GAPS, shares: _Real | None = None
) -> list[tuple[int, int]]:
    """The stretches of time in which events keep coming, apart from one another.

    Args:
        t: int64 (n,), times of at least one event in order, µs.
        gaps: int64 (gaps, 2), spans without data: events may have kept coming.
        shares: float64 (n,), of the events at that time that count; None for all.

    Returns:
        start_us, end_us of each; those with most events first.
    """
    first = int(t[0])
    bins = (t - first) // _ACTIVITY_BIN_US
    counts = np.bincount(bins, shares)
    common = np.bincount(bins) - counts
    live = _live_shares(len(counts), (gaps - first) / (len(counts) * _ACTIVITY_BIN_US))
    known = np.flatnonzero(live >= _LEAST_LIVE)
    rate = np.interp(np.arange(len(counts)), known, counts[known] / live[known])
    busiest = np.sort(rate)[-max(int(_BUSIEST_SHARE * len(rate)), 4) :].mean()
    # Where the rate is low for a while that is noise, and goes on meanwhile.
    noise = min(float(np.quantile(rate, QUIET_SHARE)), MOST_NOISE * busiest)
    is_active = rate > noise + _LEAST_ACTIVITY * busiest
    if common.any():
        excess, doubt = (
            scipy.ndimage.uniform_filter1d(part, _AVERAGED_BINS, mode="nearest")
            for part in (rate - noise, common)
        )
        is_active &= excess > _SURE_DEVIATIONS * np.sqrt(np.maximum(doubt, 0.0) / _AVERAGED_BINS)
    active = np.flatnonzero(is_active)
    if not len(active):
        return []
    runs = np.split(active, np.flatnonzero(np.diff(active) > _LONGEST_LULL_BINS) + 1)
    runs.sort(key=lambda bins: -float(counts[bins].sum()))
    ends = [(int(run[0]) * _ACTIVITY_BIN_US, (int(run[-1]) + 1) * _ACTIVITY_BIN_US) for run in runs]
    return [(first + start_us, first + end_us) for start_us, end_us in ends]


def _live_shares(bins: int, gaps: _Real) -> _Real:
    """Share of each of equal bins of 0 to 1 that lies in none of the gaps, (gaps, 2)."""
    if not len(gaps):
        return np.ones(bins)
    dead = np.r_[0.0, np.cumsum(np.diff(gaps, axis=1))]
    # The sum over gaps up to a place: flat between them.
    sums = np.stack((dead[:-1], dead[1:]), axis=1).ravel()
    shares = 1.0 - np.diff(np.interp(np.linspace(0.0, 1.0, bins + 1), gaps.ravel(), sums)) * bins
    return np.clip(shares, 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class CountedEvents:
    """Events with their count time.

    Attributes:
        events: the events with count times, 0 to `COUNT_SPAN`, in place of `t`.
        t_us: int64 (n,), their sensor times.
        stride: of so many events each is one.
        shares: float64 (n,), shares of the events at that time that count, see `moving_shares`.
        gaps: int64 (gaps, 2), sensor times between which events are missing; none outside of the
            events' times, and no event in any.
        gap_counts: float64 (gaps, 2), count times of their starts and ends, 0 to 1.
        gap_rates: float64 (gaps, 2), rates at their starts and ends.
    """

    events: EventBatch
    t_us: _Times
    stride: int
    shares: _Real
    gaps: _Times = field(default_factory=lambda: _NO_GAPS)
    gap_counts: _Real = field(default_factory=lambda: _NO_GAPS.astype(np.float64))
    gap_rates: _Real = field(default_factory=lambda: _NO_GAPS.astype(np.float64))

    @classmethod
    def of(
        cls,
        events: EventBatch,
        most_events: int,
        gaps: _Times = _NO_GAPS,
        shares: _Real | None = None,
    ) -> CountedEvents:
        """Number events through; of more than `most_events` every second, third ... one.

        Args:
            events: at least one.
            most_events: bound of their number.
            gaps: int64 (gaps, 2), spans without data in order and apart; events in them are left
                out.
            shares: float64 (n,), of the events at that time that count; None for all.
        """
        shares = np.ones(len(events)) if shares is None else shares
        if len(gaps):
            kept = np.flatnonzero(~_is_inside(events.t, gaps))
            events, shares = events.at(kept), shares[kept]
            gaps = gaps[(gaps[:, 0] >= events.t[0]) & (gaps[:, 1] <= events.t[-1])]
        stride = max(-(-len(events) // most_events), 1)
        part = EventBatch.trusted(
            events.size,
            *(
                np.ascontiguousarray(column[::stride])
                for column in (events.t, events.x, events.y, events.polarity)
            ),
        )
        counted = cls(part, part.t, stride, shares[::stride], gaps)
        return counted.weighted(np.ones(len(part)))

    def __len__(self) -> int:
        return len(self.t_us)

    def weighted(self, weight: _Real) -> CountedEvents:
        """The same, where each event counts as much as its weight, (n,), of any unit."""
        weight = weight * self.shares
        rates = self._rates_beside_gaps(weight)
        gap_weight = 0.5 * rates.sum(axis=1) * np.diff(self.gaps, axis=1)[:, 0]
        gap_ends = np.cumsum(gap_weight)
        gaps_before = np.searchsorted(self.gaps[:, 1], self.t_us, "right")
        ends = np.cumsum(weight)
        to_gaps = np.r_[0.0, ends][self._events_before_gaps()] + gap_ends - gap_weight
        ends = ends + np.r_[0.0, gap_ends][gaps_before]
        # Half of its own weight at either side: none lies at the end of the span.
        count_times = ((ends - 0.5 * weight) * (COUNT_SPAN / ends[-1])).astype(np.int64)
        was = self.events
        return CountedEvents(
            EventBatch.trusted(was.size, count_times, was.x, was.y, was.polarity),
            self.t_us,
            self.stride,
            self.shares,
            self.gaps,
            np.stack((to_gaps, to_gaps + gap_weight), axis=1) / ends[-1],
            rates,
        )

    def at(self, t_us: _Real) -> _Real:
        """Count time, 0 to 1 for the whole span, at some sensor times."""
        number = np.searchsorted(self.t_us, t_us).astype(np.float64)
        middles = np.arange(len(self)) + 0.5
        count_times = np.interp(number, middles, self.events.t / COUNT_SPAN)
        if len(self.gaps):
            gap = np.maximum(np.searchsorted(self.gaps[:, 0], t_us, "right") - 1, 0)
            inside = (self.gaps[gap, 0] <= t_us) & (t_us <= self.gaps[gap, 1])
            count_times[inside] = self._in_gaps(t_us[inside], gap[inside])
        return count_times

    def times_us(self, count_times: _Real) -> _Real:
        """Sensor times at some count times, 0 to 1."""
        return np.interp(count_times, self.events.t / COUNT_SPAN, self.t_us)

    def live_shares(self, bins: int) -> _Real:
        """Share of each of equal bins of count time that lies in no gap, (bins,)."""
        return _live_shares(bins, self.gap_counts)

    def _in_gaps(self, t_us: _Real, gap: NDArray[np.intp]) -> _Real:
        """Count times in gaps, in which the rate changes evenly."""
        (start, end), (first, last) = self.gaps[gap].T, self.gap_rates[gap].T
        share = (t_us - start) / (end - start)
        done = (
            (first + 0.5 * (last - first) * share) * share / np.maximum(0.5 * (first + last), 1e-12)
        )
        early, late = self.gap_counts[gap].T
        return early + (late - early) * done

    def _events_before_gaps(self) -> NDArray[np.intp]:
        return np.searchsorted(self.t_us, self.gaps[:, 0], "right")

    def _rates_beside_gaps(self, weight: _Real) -> _Real:
        """Weight a µs at the start and the end of each gap, (gaps, 2), of time with data."""
        lengths_us = np.diff(self.gaps, axis=1)[:, 0]
        lost_us = np.cumsum(lengths_us)
        before = np.searchsorted(self.gaps[:, 1], self.t_us, "right")
        live_us = self.t_us - np.r_[0, lost_us][before]
        at_us = self.gaps[:, 0] - (lost_us - lengths_us)
        reach_us = np.maximum(lengths_us, _RATE_US)
        sums = np.r_[0.0, np.cumsum(weight)]
        middle = sums[self._events_before_gaps()]
        early_us = np.clip(at_us - live_us[0], 1, reach_us)
        late_us = np.clip(live_us[-1] - at_us, 1, reach_us)
        before_gap = middle - sums[np.searchsorted(live_us, at_us - early_us)]
        after_gap = sums[np.searchsorted(live_us, at_us + late_us, "right")] - middle
        early, late = before_gap / early_us, after_gap / late_us
        # Those are rates half of that time away from the gap; between them they change evenly.
        slope = (late - early) / (lengths_us + 0.5 * (early_us + late_us))
        ends = np.stack((early + 0.5 * early_us * slope, late - 0.5 * late_us * slope), axis=1)
        return np.maximum(ends, 1e-12)


def _is_inside(t_us: _Times, gaps: _Times) -> NDArray[np.bool_]:
    """Whether times lie between the start and the end of a gap, both left out."""
    gap = np.maximum(np.searchsorted(gaps[:, 0], t_us) - 1, 0)
    inside: NDArray[np.bool_] = (gaps[gap, 0] < t_us) & (t_us < gaps[gap, 1])
    return inside
