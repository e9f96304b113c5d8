"""Queues of messages, with a clock's messages and work that takes too long."""

from __future__ import annotations

import itertools
import math
import threading
import time

import pytest
from rclpy.qos import QoSProfile
from ros_probe import Probe
from std_msgs.msg import Int64

from evio_ros.ros.message_queue import MessageQueue, WorkQueue

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

    def run(self, for_s: float = FOR_S) -> None:
        while time.monotonic() - self.begin_s < for_s:
            self.fetch()
            self.node.work()


def test_nothing_is_dropped_where_no_limit_is_set():
    stream = Stream((math.inf, math.inf))
    stream.run()
    assert stream.taken == list(range(len(stream.taken)))
    # Four of five messages still wait.
    assert stream.waited_s[-1] > 0.5 * FOR_S


def test_gaps_grow_evenly_where_messages_wait_for_longer_than_the_second_limit():
    stream = Stream((0.03, 0.06))
    stream.run(0.7)
    steps = [after - before for before, after in itertools.pairwise(stream.taken)]
    # A rotor is followed over many short gaps, and lost in a long one.
    assert 2 < max(steps) <= 8
    assert len(stream) < 0.7 * (stream.sent - len(stream.taken))


def test_single_messages_are_dropped_first():
    stream = Stream((0.03, math.inf))
    stream.run()
    steps = {after - before for before, after in itertools.pairwise(stream.taken)}
    assert steps == {1, 2}


def test_few_messages_are_never_dropped():
    """A driver that waits for them to be taken sends no more than four ahead."""
    stream = Stream((math.inf, math.inf))
    stream.fetch = lambda: None
    for number in range(6):
        stream._append(number, stream.begin_s - 1.0)
    stream.limits_s = 0.0, 0.0
    stream.node.work()
    stream.node.work()
    stream.node.work()
    assert stream.taken == list(range(6))


@pytest.fixture
def numbered():
    """A queue on a topic of a node's own, its publisher, and what it has handed on."""
    with Probe() as probe:
        taken: list[int] = []
        queue = MessageQueue(
            probe.node,
            Int64,
            "numbers",
            QoSProfile(depth=100),
            lambda message, _: taken.append(message.data),
            lambda _: 8,
        )
        publisher = probe.node.create_publisher(Int64, "numbers", QoSProfile(depth=100))
        probe.wait_until(lambda: publisher.get_subscription_count() > 0)
        yield probe, queue, publisher, taken


def test_messages_wait_from_when_the_middleware_got_them(numbered):
    probe, queue, publisher, taken = numbered
    began_s = time.monotonic()
    publisher.publish(Int64(data=1))
    time.sleep(0.3)
    queue.fetch()
    assert 0.25 < queue.waiting_s <= time.monotonic() - began_s
    probe.spin_once(0.0)
    publisher.publish(Int64(data=2))
    probe.wait_until(lambda: len(taken) == 2)
    assert taken == [1, 2]


def test_timers_and_others_of_the_node_have_their_turn_while_messages_come(numbered):
    """A message each 5 ms, so that the next one is always waited for."""
    probe, _, publisher, taken = numbered
    ticks, others = [], []
    probe.node.create_timer(0.02, lambda: ticks.append(time.monotonic()))
    probe.node.create_subscription(Int64, "others", lambda _: others.append(1), 10)
    other = probe.node.create_publisher(Int64, "others", 10)
    probe.wait_until(lambda: other.get_subscription_count() > 0)
    over = threading.Event()

    def publish() -> None:
        for number in itertools.count():
            if over.wait(0.005):
                return
            publisher.publish(Int64(data=number))

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        probe.spin_for(0.2)
        before = len(ticks)
        other.publish(Int64())
        probe.spin_for(0.6)
    finally:
        over.set()
        thread.join()
    assert len(others) == 1
    assert len(ticks) - before > 5
    assert len(taken) > 20
