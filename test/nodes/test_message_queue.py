"""Queues of messages, with a clock's messages and work that takes too long."""

from __future__ import annotations

import itertools
import math
import time

from evio_ros.ros.message_queue import WorkQueue

EVERY_S = 0.002
LONG_S = 0.01
FOR_S = 0.4


class Idle:
    """A node whose executor has nothing to do but the queue's work."""

    def create_guard_condition(self, work):
        self.work = work
        return self

    def trigger(self) -> None:
        """The work is done in turns all the same."""


class Stream(WorkQueue):
    """Numbered messages, one every two milliseconds, each of which takes ten to work on."""

    def __init__(self, limits_s: tuple[float, float]) -> None:
        self.node = Idle()
        super().__init__(self.node, self.work_on, lambda _: 1)
        self.limits_s = limits_s
        self.taken: list[int] = []
        self.waited_s: list[float] = []
        self.begin_s = time.monotonic()
        self.sent = 0

    def fetch(self) -> None:
        while (came_s := self.begin_s + EVERY_S * self.sent) <= time.monotonic():
            self._append(self.sent, came_s)
            self.sent += 1

    def work_on(self, number: int) -> None:
        self.taken.append(number)
        self.waited_s.append(time.monotonic() - self.came_s)
        time.sleep(LONG_S)

    def run(self) -> None:
        while time.monotonic() - self.begin_s < FOR_S:
            self.fetch()
            self.node.work()


def test_nothing_is_dropped_where_no_limit_is_set():
    stream = Stream((math.inf, math.inf))
    stream.run()
    assert stream.taken == list(range(len(stream.taken)))
    # Four of five messages still wait.
    assert stream.waited_s[-1] > 0.5 * FOR_S


def test_no_message_is_worked_on_that_has_waited_for_longer_than_the_limit():
    stream = Stream((math.inf, 0.06))
    stream.run()
    assert stream.taken == sorted(stream.taken)
    assert max(stream.waited_s) < 0.06 + LONG_S
    # What is worked on is as new at the end as the limit says.
    assert EVERY_S * (stream.sent - stream.taken[-1]) < 0.06 + 4 * LONG_S
    assert len(stream) < (0.06 + 4 * LONG_S) / EVERY_S


def test_single_messages_are_dropped_first():
    stream = Stream((0.03, math.inf))
    stream.run()
    steps = {after - before for before, after in itertools.pairwise(stream.taken)}
    assert steps == {1, 2}


def test_few_messages_are_never_dropped():
    """A driver that waits for them to be taken sends no more than four ahead."""
    stream = Stream((0.0, 0.0))
    stream.begin_s = time.monotonic() - 5.5 * EVERY_S
    stream.fetch()
    assert len(stream) == 6
    stream.fetch = lambda: None
    stream.node.work()
    stream.node.work()
    stream.node.work()
    assert stream.taken == list(range(6))
