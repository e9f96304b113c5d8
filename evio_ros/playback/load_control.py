"""How large a share of the events can be processed if they come too fast.

Method: a feedback controller with hysteresis. The load is the time that a second of sensor time
costs, the median of the latest steps, times the pace at which sensor time comes; above 1 messages
pile up. If they have also waited for too long, events are thinned: the share taken is multiplied by
the wanted load over the actual load, because most of the cost is proportional to the number of
events. A queue that has built up lowers the wanted load until it is gone. Thinning ends when all
events have been taken for a while without a queue.
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
"""A fifth of the time is left for variations."""
_LEAST_WANTED_LOAD = 0.3
_NOTABLE_WAIT_S, _LONGEST_FULL_S = 0.05, 1.0
"""Events are also thinned if messages have waited for longer than the first, at full load, during
all of the second: such a queue does not go away."""
_DRAIN_S = 0.4
"""Time in which a queue is worked off: for each second that messages have waited, the wanted load
is lower by its inverse."""
_FULL_LOAD, _HALF_LOAD = 0.9, 0.5
"""A queue goes away by itself if the load is below the first, and in the time that it took to build
up if the load is below the second."""
_FEWEST_MESSAGES = 8
"""If fewer wait, they may come from a driver that waits itself: it sends four ahead."""
_STEPS, _FEWEST_STEPS = 9, 3
"""The load is the median of the first number of steps, so that a single search or disturbance does
not count. A changed share is changed again after the second number of steps at the earliest."""
_LARGEST_CUT, _LARGEST_RISE = 0.25, 1.3
"""Bounds of the factor by which the share changes in one step."""
_DEAD_BAND = 0.1
"""Relative changes of the share below this are not made."""
_HOLD_S = 1.0
"""How long all events must have been taken before thinning ends."""
_DROPPED_AFTER_S, _URGENT_AFTER_S = 0.15, 0.6
"""If messages have waited for longer than the first and the share cannot get any smaller, single
ones are dropped, and after the second, more of them."""
_DROPPED_AFTER, _URGENT_AFTER = 2.0, 2.5
"""The same if it can, in units of the longest wait."""
_PACE_S = 0.25
"""The pace is measured over at least this time."""
_SEARCH_SHARE, _IDLE_SEARCH_SHARE = 0.3, 0.6
"""Share of the time for searches while events are thinned and messages wait; and while no rotor is
tracked, because there is little else to do then."""
_MOST_SEARCH_S = 0.02
"""Time for searches is saved up to this."""


@dataclass(frozen=True)
class OverloadParameters(Parameters):
    """What a node does if events come faster than it can process them."""

    maximum_wait_us: int = parameter(
        800_000,
        unit="us",
        minimum=1_000,
        maximum=10_000_000,
        doc="How long messages may wait, by the clock, before only a share of the events is "
        "taken. After twice as long single messages are dropped, and after two and a half "
        "times as long more of them.",
    )
    maximum_queue: int = parameter(
        100,
        unit="messages",
        minimum=8,
        maximum=100_000,
        doc="How many messages may wait before only a share of the events is taken.",
    )
    minimum_share: float = parameter(
        0.05,
        minimum=0.001,
        maximum=1.0,
        doc="Least share of the events that is taken; 1.0 takes all, however late.",
    )


class LoadControl:
    """Measures the load, and takes the share of events that it allows.

    Args:
        parameters: how long messages may wait.
        now_s: the clock, for tests.

    Attributes:
        share: share of the events that is taken of the next windows; 1 unless they are thinned.
        is_thinning: whether events are thinned, or were of late.
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
        # When windows came, and until when they reach.
        self._came: deque[tuple[float, int]] = deque()
        self._unthinned_s = 0.0
        self._not_full_s = now_s()
        # Time that searches may take, when that was worked out, and whether one goes on since.
        self._search_s = self._asked_s = 0.0
        self._is_searching = False

    @property
    def wait_limits_s(self) -> tuple[float, float]:
        """For how long messages may wait before single ones are dropped, and before gaps may grow.

        Shorter if even the least share of the events is too much.
        """
        if self._minimum_share >= 1.0:
            return math.inf, math.inf
        single_s, urgent_s = _DROPPED_AFTER * self._wait_s, _URGENT_AFTER * self._wait_s
        if self.share <= self._minimum_share:
            return min(_DROPPED_AFTER_S, single_s), min(_URGENT_AFTER_S, urgent_s)
        return single_s, urgent_s

    @property
    def load(self) -> float:
        """Time that work takes over the time in which it comes; 0 while nothing is known."""
        return statistics.median(self._costs) * self._pace() if self._costs else 0.0

    def choose(self, count: int) -> tuple[NDArray[np.int64] | None, float]:
        """Indices of the next events to be taken, None for all, and the share that they are."""
        if self.share >= 1.0:
            self._thinner.pass_all(count)
            return None, 1.0
        return self._thinner.places(count, self.share), self.share

    def note_arrival(self, end_us: int, came_s: float) -> None:
        """Take note of when, by the clock, a window came, and of the sensor time at its end."""
        came = self._came
        if came and end_us < came[-1][1]:
            came.clear()
        came.append((came_s, end_us))
        while len(came) > 2 and came[1][0] <= came_s - _PACE_S:
            came.popleft()

    def values(self) -> dict[str, object]:
        """Load and share of the events taken, since this was asked last, as a report names them."""
        taken, passed = self._thinner.taken, self._thinner.passed
        self._thinner.taken = self._thinner.passed = 0
        share = taken / passed if passed else 1.0
        return {"load": round(self.load, 3), "share_taken": round(share, 4)}

    def end_step(self, step_us: int, busy_s: float, waiting_s: float, messages: int) -> None:
        """Take note of a step that was worked on, and choose the share for the next windows.

        Args:
            step_us: its length.
            busy_s: time worked on messages since the beginning.
            waiting_s: for how long messages had waited, or have.
            messages: number of messages that wait.
        """
        spent_s, self._busy_s = busy_s - self._busy_s, busy_s
        self._costs.append(1e6 * spent_s / step_us)
        if len(self._costs) < _FEWEST_STEPS or self._minimum_share >= 1.0:
            return
        load = self.load
        if not self.is_thinning:
            full = _FULL_LOAD if waiting_s < 2 * self._wait_s else _HALF_LOAD
            is_much = messages >= self._maximum_queue or self._is_late(waiting_s, messages)
            is_lasting = self._is_lasting(load, waiting_s, messages)
            if not (is_much and load >= full) and not is_lasting:
                return
            self.is_thinning, self._unthinned_s = True, self._now_s()
        self._choose(load, waiting_s)

    def may_search(self, is_idle: bool, messages: int, waiting_s: float) -> bool:
        """Whether another work unit of a search may be done now.

        Always, unless events are thinned or messages have waited for too long; then it may take a
        share of the time.

        Args:
            is_idle: whether no rotor is tracked.
            messages: number of messages that wait.
            waiting_s: for how long they have.
        """
        now_s = self._now_s()
        elapsed_s, self._asked_s = now_s - self._asked_s, now_s
        # All the time since the last question went into the search if that was allowed.
        self._search_s -= elapsed_s if self._is_searching else 0.0
        share = _IDLE_SEARCH_SHARE if is_idle else _SEARCH_SHARE
        self._search_s = min(self._search_s + share * elapsed_s, _MOST_SEARCH_S)
        is_late = self._is_late(waiting_s, messages)
        is_free = not messages or not (self.is_thinning or is_late)
        self._is_searching = is_free or self._search_s > 0.0
        return self._is_searching

    def end_search(self) -> None:
        """Take note that no work unit is done any more until the next question."""
        if self._is_searching:
            now_s = self._now_s()
            self._search_s = max(self._search_s - (now_s - self._asked_s), -_MOST_SEARCH_S)
            self._asked_s, self._is_searching = now_s, False

    def _is_late(self, waiting_s: float, messages: int) -> bool:
        """Whether messages have waited for too long, and not at their own wish."""
        return messages >= _FEWEST_MESSAGES and waiting_s > self._wait_s

    def _is_lasting(self, load: float, waiting_s: float, messages: int) -> bool:
        """Whether messages have waited at full load for long."""
        now_s = self._now_s()
        is_full = load >= _FULL_LOAD and waiting_s > _NOTABLE_WAIT_S
        if not is_full or messages < _FEWEST_MESSAGES:
            self._not_full_s = now_s
        return now_s - self._not_full_s > _LONGEST_FULL_S

    def _choose(self, load: float, waiting_s: float) -> None:
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
        """Sensor time that comes in a second, of late."""
        if len(self._came) < 2:
            return 1.0
        (first_s, first_us), (last_s, last_us) = self._came[0], self._came[-1]
        return 1e-6 * (last_us - first_us) / max(last_s - first_s, 1e-3)
