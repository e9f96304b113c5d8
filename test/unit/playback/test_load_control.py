"""The controller beside a simulated node: messages that come at a pace and take time to work on."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

import numpy as np
import pytest

from evio_ros.playback.load_control import LoadControl, OverloadParameters

MESSAGE_US = 10_000
EVENTS = 47_000


@dataclass
class Node:
    """Works on messages, one after the other; what it does takes time by a clock of its own.

    Attributes:
        pace: sensor time over time, from some time on.
        fixed_s, event_s: time that a message takes, and each of its events.
        disturbed: factor of that time, a message's number to it.
    """

    pace: dict[float, float]
    fixed_s: float
    event_s: float
    disturbed: dict[int, float] = field(default_factory=dict)
    now_s: float = 0.0
    busy_s: float = 0.0

    def run(self, until_s: float) -> dict[str, np.ndarray]:
        """Shares, waiting times, and when, of all messages."""
        control = LoadControl(OverloadParameters(), lambda: self.now_s)
        waiting: deque[float] = deque()
        came_s, number = 0.0, 0
        rows = []
        while self.now_s < until_s:
            while came_s <= self.now_s:
                waiting.append(came_s)
                began = max(start_s for start_s in self.pace if start_s <= came_s)
                came_s += 1e-6 * MESSAGE_US / self.pace[began]
            if not waiting:
                self.now_s = came_s
                continue
            taken_s = waiting.popleft()
            waited_s = self.now_s - taken_s
            places, share = control.choose(EVENTS)
            taken = EVENTS if places is None else len(places)
            assert taken == pytest.approx(share * EVENTS, abs=2.0)
            spent_s = (self.fixed_s + self.event_s * taken) * self.disturbed.get(number, 1.0)
            self.now_s += spent_s
            self.busy_s += spent_s
            number += 1
            control.note_arrival(number * MESSAGE_US, taken_s)
            oldest_s = self.now_s - waiting[0] if waiting else waited_s
            late_s = max(waited_s, oldest_s)
            control.end_step(MESSAGE_US, self.busy_s, late_s, len(waiting))
            rows.append((self.now_s, share, waited_s))
        columns = np.array(rows).T
        return dict(zip(("t_s", "share", "waited_s"), columns, strict=True))


def test_all_events_are_taken_where_there_is_time_for_them():
    seen = Node({0.0: 2.0}, 5e-4, 4e-8).run(10.0)
    assert (seen["share"] == 1.0).all()


def test_a_search_that_takes_long_makes_no_events_thinned():
    """Of 0.35 s, at a load of 0.5: the queue goes away by itself."""
    usual_s = 5e-4 + 4e-8 * EVENTS
    seen = Node({0.0: 2.0}, 5e-4, 4e-8, disturbed={25: 0.35 / usual_s}).run(10.0)
    assert seen["waited_s"].max() > 0.3
    assert (seen["share"] == 1.0).all()
    assert seen["waited_s"][-1] == 0.0


@pytest.mark.parametrize("pace", [5.0, 8.0, 12.0])
def test_the_queue_stays_short_and_the_time_is_used(pace):
    seen = Node({0.0: pace}, 4e-4, 6e-8).run(8.0)
    late = seen["t_s"] > 3.0
    assert np.percentile(seen["waited_s"][late], 99) < 0.05
    # The shares for which the node would just keep up, and with a third of the time to spare.
    most, two_thirds = (
        (load * 1e-6 * MESSAGE_US / pace - 4e-4) / (6e-8 * EVENTS) for load in (1.0, 2 / 3)
    )
    assert two_thirds < np.median(seen["share"][late]) < most


def test_thinning_ends_when_the_overload_does():
    seen = Node({0.0: 8.0, 5.0: 1.0}, 4e-4, 6e-8).run(10.0)
    assert seen["share"][seen["t_s"] < 5.0].min() < 0.5
    assert (seen["share"][seen["t_s"] > 7.0] == 1.0).all()


def test_an_overload_that_grows_slowly_makes_no_long_queue():
    pace = {float(s): 2.0 + 0.3 * s for s in range(20)}
    seen = Node(pace, 4e-4, 6e-8).run(16.0)
    assert seen["share"][-1] < 1.0
    assert seen["waited_s"].max() < 1.0
    assert np.percentile(seen["waited_s"][seen["t_s"] > 13.0], 99) < 0.1


def test_more_than_can_be_helped_is_thinned_to_the_minimum_share():
    seen = Node({0.0: 50.0}, 4e-4, 6e-8).run(5.0)
    assert seen["share"][-1] == pytest.approx(OverloadParameters().minimum_share)


def test_a_node_that_is_to_take_all_events_does():
    control = LoadControl(OverloadParameters(minimum_share=1.0))
    for step in range(1, 50):
        control.end_step(MESSAGE_US, 10.0 * step, 5.0, 100)
    assert control.choose(5) == (None, 1.0)
    assert not control.is_thinning
    assert control.wait_limits_s == (math.inf, math.inf)


def test_a_driver_that_waits_for_the_node_is_no_overload():
    """It sends four messages ahead; the node works all the time, and at times for long."""
    control = LoadControl(OverloadParameters())
    for step in range(1, 50):
        control.note_arrival(MESSAGE_US * step, 1.0 * step)
        control.end_step(MESSAGE_US, 1.0 * step, 4.0, 4)
    assert control.choose(5) == (None, 1.0)
    assert control.may_search(False, 4, 4.0)


def test_a_search_takes_its_share_of_the_time_while_messages_wait():
    now_s = 0.0
    control = LoadControl(OverloadParameters(), lambda: now_s)
    assert control.may_search(False, messages=50, waiting_s=0.3)
    searched_s = 0.0
    for _ in range(2000):
        if control.may_search(False, messages=500, waiting_s=2.0):
            now_s, searched_s = now_s + 1e-3, searched_s + 1e-3
            control.end_search()
        else:
            now_s += 1e-3
    assert 0.2 < searched_s / now_s < 0.4
    assert control.may_search(False, messages=0, waiting_s=0.0)


def test_the_share_taken_is_reported_since_the_last_report():
    control = LoadControl(OverloadParameters())
    assert control.values()["share_taken"] == 1.0
    control.choose(100)
    control.share = 0.25
    control.choose(300)
    assert control.values()["share_taken"] == pytest.approx(175 / 400, abs=0.01)
    control.choose(400)
    assert control.values()["share_taken"] == pytest.approx(0.25, abs=0.01)


def test_messages_may_wait_as_the_parameter_says_and_less_long_at_the_minimum_share():
    control = LoadControl(OverloadParameters(maximum_wait_us=400_000))
    assert control.wait_limits_s == pytest.approx((0.8, 1.0))
    for maximum_wait_us, limits_s in ((400_000, (0.15, 0.6)), (20_000, (0.04, 0.05))):
        chosen = OverloadParameters(maximum_wait_us=maximum_wait_us)
        control = LoadControl(chosen)
        for step in range(1, 200):
            control.end_step(MESSAGE_US, 10.0 * step, 5.0, 100)
        assert control.share == chosen.minimum_share
        assert control.wait_limits_s == pytest.approx(limits_s)
