"""Count time: the cumulative number of events, in which a rotor turns almost evenly.

An edge that passes over a pixel causes about as many events whether it passes fast or slowly, so
the number of events n(t) of a disc up to the time t grows with the angle that it has turned, not
with time. As a function of n, a disc that is spun by hand and comes to rest within a second turns
at a nearly constant speed. If there is only noise, n grows with time. Once L(phi) is known, the
events per radian of the visible part of the disc at each phase, every event counts 1 / L(phi): then
the speed is also even within a turn of a disc that is half hidden.

Noise, and a lamp that lights the whole view, cause events without any rotation. What all parts of
the view have in common is attributed to them, and each event counts by the share of the rest.

If data are missing, a disc continues to turn, but no events show by how much. Such a gap takes the
count time that the rates before and after it suggest.
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
"""Count time goes from 0 to this: integers, so fine that weights of any size can be represented."""
_ACTIVITY_BIN_US = 5_000
"""Bins in which activity is determined: a spin by hand lasts for a hundred of them."""
_BUSIEST_SHARE = 0.05
"""Share of the bins, those with most events, whose mean is the peak rate."""
_LEAST_ACTIVITY = 0.03
"""Share of the peak rate, above noise, below which nothing turns any more."""
_QUIET_SHARE, _MOST_NOISE = 0.1, 0.1
"""The rate of noise is this quantile of the bins' rates, but at most this share of the peak rate,
for recordings without a quiet time."""
_LONGEST_LULL_BINS = 20
"""Number of quiet bins after which activity counts as another motion."""
_RATE_US = 10_000
"""Time beside a gap over which the rate is averaged; if the gap is longer, its length is used."""
_LEAST_LIVE = 0.2
"""Minimum share of a bin that has data for its rate to be known."""

_BLOCKS, _COMMON_BIN_US, _QUIETEST = 5, 2_500, 10
"""Number of blocks along each side of the view, and length of the time bins and number of the
quietest blocks from which the common rate is determined: the edges of a disc that fills the view
leave that many blocks free."""
_BELOW_MEAN = 0.966
"""Distance, in standard deviations, of the mean of the lowest 40 % of normally distributed counts
below the mean of all."""
_AVERAGED_BINS, _SURE_DEVIATIONS = 9, 5.0
"""An excess over this many bins counts as motion if it exceeds this many square roots of the common
count: that is 3 standard deviations, because ten quiet blocks add about 1.3 times the variation of
the sum."""
_CLEAR = 0.7
"""If the share of events that are not common is larger, noise does little harm, and all events
count. In real takes all are larger; with noise of 5 Hz per pixel it is 0.73 or more while they
turn, with 30 Hz 0.37 to 0.49."""
_LEAST_SHARE = 0.02
"""Minimum share, so that count time always advances."""

_NO_GAPS: _Times = np.zeros((0, 2), np.int64)
_NO_GAPS.setflags(write=False)
"""Gaps of events without any gap."""


def data_gaps(t: _Times, missing: Iterable[range] = ()) -> _Times:
    """Find spans of time without data; absence of data does not mean absence of motion.

    Args:
        t: int64 (n,), times of all events of a sensor in order, µs.
        missing: spans whose events are known to be missing, µs.

    Returns:
        int64 (gaps, 2), start and end of each in order and disjoint, µs: the known ones, and those
        at which the rate of all pixels together suddenly drops to zero.
    """
    silence = np.diff(t)
    at = np.flatnonzero((silence >= shortest_silence_us(t)) & (silence <= LONGEST_SILENCE_US))
    starts_us, ends_us, silence = t[at], t[at + 1], silence[at]
    # As much time before and after a gap has many events. Without losses, the six real takes,
    # complete or thinned to a tenth or a thirtieth, have at most 14 around any silence; but one
    # take has three gaps of 0.6 ms with 800.
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
    """For each event, the share of the events at its time that is not common to the whole view.

    Args:
        events: at least one, in order.

    Returns:
        float64 (n,), `_LEAST_SHARE` to 1; all 1 if hardly any events are common.
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
    # With the mean m in a block, the quiet ones have m - c sqrt(m); with few events, about a
    # fourth.
    mean = (0.5 * (_BELOW_MEAN + np.sqrt(_BELOW_MEAN**2 + 4 * quiet))) ** 2
    common = blocks * np.minimum(mean, 4 * quiet)
    shares = 1.0 - common / np.maximum(counts.sum(axis=1), 1)
    of_events = np.maximum(shares, _LEAST_SHARE)[bins]
    return of_events if of_events.mean() < _CLEAR else np.ones(len(events))


def active_span(t: _Times) -> tuple[int, int]:
    """The stretch of continuous activity with most events, see `active_spans`."""
    return active_spans(t)[0]


def active_spans(
    t: _Times, gaps: _Times = _NO_GAPS, shares: _Real | None = None
) -> list[tuple[int, int]]:
    """Stretches of time with continuous activity.

    Args:
        t: int64 (n,), times of at least one event in order, µs.
        gaps: int64 (gaps, 2), spans without data, in which activity may have continued, µs.
        shares: float64 (n,), share of the events at each time that counts; None for all.

    Returns:
        start_us, end_us of each, disjoint; those with most events first.
    """
    first = int(t[0])
    bins = (t - first) // _ACTIVITY_BIN_US
    counts = np.bincount(bins, shares)
    common = np.bincount(bins) - counts
    live = _live_shares(len(counts), (gaps - first) / (len(counts) * _ACTIVITY_BIN_US))
    known = np.flatnonzero(live >= _LEAST_LIVE)
    rate = np.interp(np.arange(len(counts)), known, counts[known] / live[known])
    busiest = np.sort(rate)[-max(int(_BUSIEST_SHARE * len(rate)), 4) :].mean()
    # A low rate for a while is noise, which is present at other times as well.
    noise = min(float(np.quantile(rate, _QUIET_SHARE)), _MOST_NOISE * busiest)
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
    """Share of each of equal bins of 0 to 1 that is in no gap, (bins,); gaps: (gaps, 2)."""
    if not len(gaps):
        return np.ones(bins)
    dead = np.r_[0.0, np.cumsum(np.diff(gaps, axis=1))]
    # The length of gaps up to a position; constant between gaps.
    sums = np.stack((dead[:-1], dead[1:]), axis=1).ravel()
    shares = 1.0 - np.diff(np.interp(np.linspace(0.0, 1.0, bins + 1), gaps.ravel(), sums)) * bins
    return np.clip(shares, 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class CountedEvents:
    """Events with their count time.

    Attributes:
        events: the events with count times, 0 to `COUNT_SPAN`, in place of `t`.
        t_us: int64 (n,), their sensor times in µs.
        stride: one in this many of the original events is used.
        shares: float64 (n,), share of the events at that time that counts, see `moving_shares`.
        gaps: int64 (gaps, 2), sensor times in µs between which events are missing; all within the
            events' times, and without events.
        gap_counts: float64 (gaps, 2), count times of their starts and ends, 0 to 1.
        gap_rates: float64 (gaps, 2), weights per µs at their starts and ends.
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
        """Assign count times to events, or to every second, third, ... one if there are too many.

        Args:
            events: at least one.
            most_events: maximum number of events.
            gaps: int64 (gaps, 2), spans without data in order and disjoint, µs; events in them are
                dropped.
            shares: float64 (n,), share of the events at each time that counts; None for all.
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
        """The same events, with count time proportional to the sum of weights, (n,)."""
        weight = weight * self.shares
        rates = self._rates_beside_gaps(weight)
        gap_weight = 0.5 * rates.sum(axis=1) * np.diff(self.gaps, axis=1)[:, 0]
        gap_ends = np.cumsum(gap_weight)
        gaps_before = np.searchsorted(self.gaps[:, 1], self.t_us, "right")
        ends = np.cumsum(weight)
        to_gaps = np.r_[0.0, ends][self._events_before_gaps()] + gap_ends - gap_weight
        ends = ends + np.r_[0.0, gap_ends][gaps_before]
        # An event is in the middle of its own weight, so none is at the end of the span.
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
        """Count times, 0 to 1 for the whole span, (n,), at sensor times in µs, (n,)."""
        number = np.searchsorted(self.t_us, t_us).astype(np.float64)
        middles = np.arange(len(self)) + 0.5
        count_times = np.interp(number, middles, self.events.t / COUNT_SPAN)
        if len(self.gaps):
            gap = np.maximum(np.searchsorted(self.gaps[:, 0], t_us, "right") - 1, 0)
            inside = (self.gaps[gap, 0] <= t_us) & (t_us <= self.gaps[gap, 1])
            count_times[inside] = self._in_gaps(t_us[inside], gap[inside])
        return count_times

    def times_us(self, count_times: _Real) -> _Real:
        """Sensor times in µs, (n,), at count times, 0 to 1, (n,)."""
        return np.interp(count_times, self.events.t / COUNT_SPAN, self.t_us)

    def live_shares(self, bins: int) -> _Real:
        """Share of each of equal bins of count time that is in no gap, (bins,)."""
        return _live_shares(bins, self.gap_counts)

    def _in_gaps(self, t_us: _Real, gap: NDArray[np.intp]) -> _Real:
        """Count times in gaps, within which the rate changes linearly."""
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
        """Weight per µs at the start and end of each gap, (gaps, 2), from the time with data."""
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
        # These are rates half of that time away from the gap; between them, the rate changes
        # linearly.
        slope = (late - early) / (lengths_us + 0.5 * (early_us + late_us))
        ends = np.stack((early + 0.5 * early_us * slope, late - 0.5 * late_us * slope), axis=1)
        return np.maximum(ends, 1e-12)


def _is_inside(t_us: _Times, gaps: _Times) -> NDArray[np.bool_]:
    """Whether times are strictly between the start and the end of a gap, bool (n,)."""
    gap = np.maximum(np.searchsorted(gaps[:, 0], t_us) - 1, 0)
    inside: NDArray[np.bool_] = (gaps[gap, 0] < t_us) & (t_us < gaps[gap, 1])
    return inside
