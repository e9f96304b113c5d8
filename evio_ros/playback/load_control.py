"""Which share of the events a node takes if they arrive faster than it can process them.

Method: a feedback controller with hysteresis. The load is the processing time for a second of
sensor time, as the median of the latest steps, times the sensor time that arrives per second. At a
load above 1, the queue of messages grows. If messages have also waited for too long, events are
thinned: because most of the cost is proportional to the number of events, the share that is taken
is multiplied by the wanted load over the actual load. While a queue is left, the wanted load is
lower. Thinning ends when all events have been taken for a while.

Searches for new rotors get a limited share of the time while messages wait (token bucket).
"""

from __future__ import annotations

import math
import statistics
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evio_ros.parameters import Parameters, parameter
from evio_ros.thinning import Thinner

__all__ = ["LoadControl", "OverloadParameters"]

_WANTED_LOAD = 0.8
"""Wanted load without a queue: a fifth of the time is left for variations."""
_LEAST_WANTED_LOAD = 0.3
"""Minimum wanted load, however long the queue."""
_NOTABLE_WAIT_S, _LONGEST_AT_FULL_LOAD_S = 0.05, 1.0
"""Events are also thinned if the load was full and messages waited for longer than the first time
during all of the second time: such a queue does not shrink by itself."""
_DRAIN_S = 0.4
"""Time in which a queue is worked off: the wanted load is lower by the time that messages have
waited, divided by this."""
_FULL_LOAD, _HALF_LOAD = 0.9, 0.5
"""At a load below the first, a queue shrinks by itself; below the second, it does so in the time
that it took to build up."""
_FEWEST_MESSAGES = 8
"""With fewer waiting messages, they may come from a driver that waits for the node, which sends
four messages in advance."""
_STEPS, _FEWEST_STEPS = 9, 3
"""Number of steps whose median is the load, so that a single search or disturbance does not count;
and minimum number of steps between two changes of the share."""
_LARGEST_CUT, _LARGEST_RISE = 0.25, 1.3
"""Bounds of the factor by which the share changes in one step."""
_DEAD_BAND = 0.1
"""Relative changes of the share below this are not made."""
_HOLD_S = 1.0
"""Time for which all events must have been taken before thinning ends."""
_DROPPED_AFTER_S, _URGENT_AFTER_S = 0.15, 0.6
"""If the share is at its minimum: waiting times after which single messages are dropped, and after
which more of them are."""
_DROPPED_AFTER, _URGENT_AFTER = 2.0, 2.5
"""The same if the share can still be lowered, in units of the parameter `maximum_wait_us`."""
_PACE_S = 0.25
"""Minimum time over which the arrival of sensor time is measured."""
_SEARCH_SHARE, _IDLE_SEARCH_SHARE = 0.3, 0.6
"""Share of the time for searches while messages wait; and the same while no rotor is tracked,
because there is little else to do then."""
_MOST_SEARCH_S = 0.02
"""Bound of the time for searches that can be saved up, or used in advance."""


@dataclass(frozen=True)
class OverloadParameters(Parameters):
    """What a node does if events arrive faster than it can process them."""

    maximum_wait_us: int = parameter(
        800_000,
        unit="us",
        minimum=1_000,
        maximum=10_000_000,
        doc="Time that messages may wait, by the clock, before only a share of the events is "
        "taken. After twice this time, single messages are dropped, and after two and a half "
        "times, more of them.",
    )
    maximum_queue: int = parameter(
        100,
        unit="messages",
        minimum=8,
        maximum=100_000,
        doc="Number of messages that may wait before only a share of the events is taken.",
    )
    minimum_share: float = parameter(
        0.05,
        minimum=0.001,
        maximum=1.0,
        doc="Minimum share of the events that is taken; 1.0 takes all events, however late they "
        "are.",
    )


class LoadControl:
    """Measures the load, and selects as many events as can be processed.

    Args:
        parameters: limits of the queue and of the share.
        now_s: the clock in s; tests use their own.

    Attributes:
        share: share of the events that is taken from the next windows; 1 unless they are thinned.
        is_thinning: whether events are thinned, or were thinned in the last second.
    """

    def __init__(
        self, parameters: OverloadParameters, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self.share = 1.0
        self.is_thinning = False
        self._wait_s = 1e-6 * parameters.maximum_wait_us
        self._maximum_queue = parameters.maximum_queue
        self._minimum_share = parameters.minimum_share
        self._now_s = now_s
        self._thinner = Thinner()
        self._costs: deque[float] = deque(maxlen=_STEPS)
        self._busy_s = 0.0
        # Of the latest windows: time of arrival by the clock, and sensor time at the end.
        self._arrivals: deque[tuple[float, int]] = deque()
        self._unthinned_s = 0.0
        self._last_not_full_s = now_s()
        # Time that searches may take, when it was updated, and whether a search has run since.
        self._search_s = self._updated_s = 0.0
        self._is_searching = False

    @property
    def wait_limits_s(self) -> tuple[float, float]:
        """Waiting times in s after which single messages are dropped, and after which more are.

        They are shorter if the share is at its minimum, and infinite if all events must be taken.
        """
        if self._minimum_share >= 1.0:
            return math.inf, math.inf
        single_s, urgent_s = _DROPPED_AFTER * self._wait_s, _URGENT_AFTER * self._wait_s
        if self.share <= self._minimum_share:
            return min(_DROPPED_AFTER_S, single_s), min(_URGENT_AFTER_S, urgent_s)
        return single_s, urgent_s

    @property
    def load(self) -> float:
        """Processing time over the time in which the events arrive; 0 before the first step."""
        return statistics.median(self._costs) * self._pace() if self._costs else 0.0

    def choose(self, count: int) -> tuple[NDArray[np.int64] | None, float]:
        """Select from the next events.

        Args:
            count: number of events.

        Returns:
            Indices of the events to be taken, int64 (n,), or None for all; and their share of all.
        """
        if self.share >= 1.0:
            self._thinner.pass_all(count)
            return None, 1.0
        return self._thinner.places(count, self.share), self.share

    def note_arrival(self, end_us: int, arrived_s: float) -> None:
        """Record the arrival of a window.

        Args:
            end_us: sensor time of its end in µs.
            arrived_s: time of arrival by the clock.
        """
        arrivals = self._arrivals
        if arrivals and end_us < arrivals[-1][1]:
            arrivals.clear()
        arrivals.append((arrived_s, end_us))
        while len(arrivals) > 2 and arrivals[1][0] <= arrived_s - _PACE_S:
            arrivals.popleft()

    def values(self) -> dict[str, object]:
        """Load, and share of the events taken since the last call, by their diagnostic names."""
        taken, passed = self._thinner.taken, self._thinner.passed
        self._thinner.taken = self._thinner.passed = 0
        share = taken / passed if passed else 1.0
        return {"load": round(self.load, 3), "share_taken": round(share, 4)}

    def end_step(self, step_us: int, busy_s: float, waiting_s: float, messages: int) -> None:
        """Record the cost of a step, and choose the share for the next windows.

        Args:
            step_us: length of the step in µs.
            busy_s: total processing time since the start.
            waiting_s: time that the oldest waiting message has waited, or the current one had.
            messages: number of waiting messages.
        """
        spent_s, self._busy_s = busy_s - self._busy_s, busy_s
        self._costs.append(1e6 * spent_s / step_us)
        if len(self._costs) < _FEWEST_STEPS or self._minimum_share >= 1.0:
            return
        load = self.load
        if not self.is_thinning:
            full = _FULL_LOAD if waiting_s < 2 * self._wait_s else _HALF_LOAD
            is_long = messages >= self._maximum_queue or self._is_late(waiting_s, messages)
            is_stuck = self._is_stuck(load, waiting_s, messages)
            if not is_stuck and (not is_long or load < full):
                return
            self.is_thinning, self._unthinned_s = True, self._now_s()
        self._update_share(load, waiting_s)

    def may_search(self, is_idle: bool, messages: int, waiting_s: float) -> bool:
        """Whether another work unit of a search may be done now.

        If messages wait while events are thinned, or have waited for too long, searches may take
        only a share of the time; otherwise they are not limited.

        Args:
            is_idle: whether no rotor is tracked.
            messages: number of waiting messages.
            waiting_s: time that they have waited.
        """
        now_s = self._now_s()
        elapsed_s, self._updated_s = now_s - self._updated_s, now_s
        # If the last call allowed a work unit, the time since then was spent on the search.
        self._search_s -= elapsed_s if self._is_searching else 0.0
        share = _IDLE_SEARCH_SHARE if is_idle else _SEARCH_SHARE
        self._search_s = min(self._search_s + share * elapsed_s, _MOST_SEARCH_S)
        is_late = self._is_late(waiting_s, messages)
        is_free = not messages or not (self.is_thinning or is_late)
        self._is_searching = is_free or self._search_s > 0.0
        return self._is_searching

    def end_search(self) -> None:
        """Record that no work unit will be done until the next call of `may_search`."""
        if self._is_searching:
            now_s = self._now_s()
            self._search_s = max(self._search_s - (now_s - self._updated_s), -_MOST_SEARCH_S)
            self._updated_s, self._is_searching = now_s, False

    def _is_late(self, waiting_s: float, messages: int) -> bool:
        """Whether messages have waited for too long, and not only because the driver waits."""
        return messages >= _FEWEST_MESSAGES and waiting_s > self._wait_s

    def _is_stuck(self, load: float, waiting_s: float, messages: int) -> bool:
        """Whether the load has been full for long while messages waited; called once a step."""
        now_s = self._now_s()
        is_full = load >= _FULL_LOAD and waiting_s > _NOTABLE_WAIT_S
        if not is_full or messages < _FEWEST_MESSAGES:
            self._last_not_full_s = now_s
        return now_s - self._last_not_full_s > _LONGEST_AT_FULL_LOAD_S

    def _update_share(self, load: float, waiting_s: float) -> None:
        """Change the share such that the load becomes the wanted one; end thinning if possible."""
        wanted = max(_WANTED_LOAD - waiting_s / _DRAIN_S, _LEAST_WANTED_LOAD)
        factor = min(max(wanted / max(load, 1e-6), _LARGEST_CUT), _LARGEST_RISE)
        share = min(max(self.share * factor, self._minimum_share), 1.0)
        now_s = self._now_s()
        if share < 1.0:
            self._unthinned_s = now_s
        elif now_s - self._unthinned_s > _HOLD_S:
            self.is_thinning = False
        if share != self.share and (share == 1.0 or abs(share / self.share - 1.0) > _DEAD_BAND):
            self.share = share
            self._costs.clear()

    def _pace(self) -> float:
        """Sensor time in s that has recently arrived per second."""
        if len(self._arrivals) < 2:
            return 1.0
        (first_s, first_us), (last_s, last_us) = self._arrivals[0], self._arrivals[-1]
        return 1e-6 * (last_us - first_us) / max(last_s - first_s, 1e-3)
