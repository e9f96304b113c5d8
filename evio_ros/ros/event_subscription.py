"""Taking events from the wire: checked, counted, and acknowledged to the driver."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from std_msgs.msg import Header

from evio_ros.errors import EventError
from evio_ros.events import EventWindow
from evio_ros.msg import EventArray, EventReceipt
from evio_ros.ros.delay_statistics import DelayStatistics
from evio_ros.ros.event_messages import from_message
from evio_ros.ros.event_publisher import EVENTS_TOPIC, RECEIPTS_TOPIC
from evio_ros.ros.geometry_limit import GeometryLimit
from evio_ros.ros.local_events import LocalInbox, LocalMessage, is_composed, local_channel
from evio_ros.ros.message_queue import MessageQueue, WorkQueue
from evio_ros.ros.publisher_choice import MessageMark, follow_one
from evio_ros.ros.quality_of_service import (
    EventsQualityParameters,
    events_quality,
    receipts_quality,
)
from evio_ros.ros.raw_event_array import RawEventArray, read_event_array
from evio_ros.ros.stamps import stamp_of
from evio_ros.ros.steady_timer import restart_timer, steady_timer
from evio_ros.windowing import LONGEST_GAP_US

__all__ = ["Choice", "EventSubscription", "ReceptionStatistics", "SensorClock"]

_CONNECTION_POLL_S, _FLOWING_POLL_S = 0.05, 0.25
"""Drivers are greeted so often, and less often while messages come: a turn of the executor costs as
much as half of a message."""
_MESSAGES_A_RECEIPT = 2
"""A receipt takes as long to send as a result. A driver that waits for them sends four messages
ahead, so that it need not hear of each."""
_READY = -1
_TROUBLED_S = 10.0

Choice = Callable[[int], tuple[NDArray[np.int64] | None, float]]
"""Asked with each message's number of events: indices of those to be taken, None for all, and what
share of them they are."""


@dataclass(slots=True)
class ReceptionStatistics:
    """What has been received.

    Attributes:
        messages, events: numbers taken.
        missed: messages that had been sent before the first one came, from its number.
        lost: messages that never came, from gaps in their numbers.
        refused: messages dropped because they break the rules of `from_message`.
        restarts: how often the numbers started again: another driver, or a restarted one.
        ignored: messages of publishers that are not followed, see `PublisherChoice`.
        problem: what a person should know, in words; empty for nothing.
        last_s: when the newest message came, by `time.monotonic`.
        wait: how long messages wait between their arrival and this node.
        camera: frame of the camera, "none" if it is not known; hardware_id of reports.
    """

    messages: int = 0
    events: int = 0
    missed: int = 0
    lost: int = 0
    refused: int = 0
    restarts: int = 0
    ignored: int = 0
    problem: str = ""
    last_s: float = 0.0
    wait: DelayStatistics = field(default_factory=lambda: DelayStatistics("wait_in_queue"))
    camera: str = "none"
    _trouble_s: float = field(default=-math.inf, init=False)
    _troubles: int = field(default=0, init=False)

    @property
    def is_troubled(self) -> bool:
        """Whether something was lost, refused or ignored in the last ten seconds."""
        troubles = self.lost + self.refused + self.ignored
        if troubles != self._troubles:
            self._troubles, self._trouble_s = troubles, time.monotonic()
        return time.monotonic() - self._trouble_s < _TROUBLED_S

    def note_arrival(self, frame_id: str, arrived_ns: int | None = None) -> None:
        """Note that a message came, from which camera, and when the middleware got it."""
        self.last_s = time.monotonic()
        self.camera = frame_id or "none"
        if arrived_ns is not None:
            self.wait.note(1e-9 * max(0, time.time_ns() - arrived_ns))

    def ignore(self, node: Node, names: list[str]) -> None:
        """Count a message of a publisher that is not followed, and say whose it may be."""
        self.ignored += 1
        self.problem = f"another publisher of {EVENTS_TOPIC} is ignored: {', '.join(names)}"
        node.get_logger().warning(self.problem, throttle_duration_sec=10.0)

    def values(self) -> dict[str, object]:
        """The counters as a report names them."""
        return {
            "messages": self.messages,
            "events": self.events,
            "messages_missed": self.missed,
            "messages_lost": self.lost,
            "messages_refused": self.refused,
            "messages_ignored": self.ignored,
            "driver_restarts": self.restarts,
            **self.wait.values(),
        }


@dataclass(frozen=True, slots=True)
class SensorClock:
    """From sensor time to ROS headers, by the offset that the newest message shows.

    Attributes:
        offset_ns: ROS time minus sensor time.
        frame_id: optical frame of the camera.
    """

    offset_ns: int
    frame_id: str

    def header(self, t_us: int) -> Header:
        """Header of sensor time `t_us`."""
        return Header(stamp=stamp_of(self.offset_ns + 1000 * t_us), frame_id=self.frame_id)


class EventSubscription:
    """Subscribes a node to events.

    Args:
        node: the node.
        quality: reliability and depth.
        take: called with every window and the clock of its message. When it returns, the driver is
            told that the node is ready for more.
        choose: see `Choice`; None to take all events.
        limit: the largest sensor; messages of larger ones are refused. None for none.

    Attributes:
        statistics: what has come so far.
        queue: the messages that wait.
    """

    def __init__(
        self,
        node: Node,
        quality: EventsQualityParameters,
        take: Callable[[EventWindow, SensorClock], None],
        choose: Choice | None = None,
        limit: GeometryLimit | None = None,
    ) -> None:
        self.statistics = ReceptionStatistics()
        self._node = node
        self._limit = limit
        self._choice = follow_one(node, EVENTS_TOPIC)
        self._take = take
        self._choose = choose
        self._next_seq: int | None = None
        # End of the last window, and whether messages after it were lost or refused.
        self._end_us: int | None = None
        self._is_missing = False
        self._name = node.get_fully_qualified_name()
        self.queue: WorkQueue = (
            self._subscribe_locally(quality.depth) if is_composed() else self._subscribe(quality)
        )

    def close(self) -> None:
        """Take no more of a driver in this process; a topic is the node's to destroy."""
        if isinstance(self.queue, LocalInbox):
            self._channel.leave(self.queue)

    def _subscribe_locally(self, depth: int) -> WorkQueue:
        self._channel = local_channel(self._node, EVENTS_TOPIC)
        self._inbox = LocalInbox(self._node, depth, self._receive_locally)
        self._channel.join(self._inbox)
        return self._inbox

    def _subscribe(self, quality: EventsQualityParameters) -> WorkQueue:
        node = self._node
        from_message(EventArray(width=1, height=1))  # has the kernel compiled
        self._receipts = node.create_publisher(EventReceipt, RECEIPTS_TOPIC, receipts_quality())
        queue = MessageQueue(
            node, EventArray, EVENTS_TOPIC, events_quality(quality), self._receive, len, raw=True
        )
        self._subscription = queue.subscription
        self._drivers = 0
        # The last message that was worked on, how many were since the last receipt.
        self._seq = self._unreceipted = 0
        # The last message when drivers were greeted before.
        self._greeted_seq, self._poll_s = 0, _CONNECTION_POLL_S
        self._greeting = steady_timer(node, _CONNECTION_POLL_S, self._greet)
        return queue

    def _greet(self) -> None:
        """Tell a driver that has just been connected: it knows of us before we know of it.

        And acknowledge messages that were taken when no more arrive.
        """
        self._acknowledge()
        drivers = self._subscription.get_publisher_count()
        if drivers > self._drivers:
            self._receipts.publish(EventReceipt(node=self._name, seq=_READY))
        self._drivers = drivers
        poll_s = _CONNECTION_POLL_S if self._seq == self._greeted_seq else _FLOWING_POLL_S
        self._greeted_seq = self._seq
        if poll_s != self._poll_s:
            self._poll_s = poll_s
            restart_timer(self._greeting, poll_s)

    def _receive(self, data: bytes, info: Mapping[str, Any]) -> None:
        try:
            message = read_event_array(data)
        except EventError as error:
            self.statistics.refused += 1
            self._node.get_logger().warning(
                f"events message refused: {error}", throttle_duration_sec=5.0
            )
            return
        self.statistics.note_arrival(message.frame_id, info["received_timestamp"])
        if not self._choice.follows(_mark_of(message)):
            # A receipt would be taken for one of the first publisher's messages.
            self.statistics.ignore(self._node, self._choice.ignored)
            return
        self._is_missing |= self._count(message.seq) > 0
        try:
            window = self._window_of(message)
        except EventError as error:
            self.statistics.refused += 1
            self._is_missing = True
            self._node.get_logger().warning(
                f"events message {message.seq} refused: {error}", throttle_duration_sec=5.0
            )
        else:
            self._pass_on(window, message.stamp_ns, message.frame_id, len(message.t))
        self._seq = message.seq
        self._unreceipted += 1
        if self._unreceipted >= _MESSAGES_A_RECEIPT:
            self._acknowledge()

    def _receive_locally(self, message: LocalMessage) -> None:
        self.statistics.note_arrival(message.frame_id)
        self._is_missing |= self._count(message.seq) > 0
        window, count = message.window, len(message.window.events)
        if self._choose is not None:
            window = window.thinned(*self._choose(count))
        self._pass_on(window, message.stamp_ns, message.frame_id, count)
        self._channel.note_taken(self._inbox, message.seq)

    def _pass_on(self, window: EventWindow, stamp_ns: int, frame_id: str, count: int) -> None:
        self.statistics.events += count
        clock = SensorClock(stamp_ns - 1000 * window.start_us, frame_id)
        if self._is_missing:
            self._take_missing(window, clock)
        self._take(window, clock)
        self._end_us, self._is_missing = window.end_us, False

    def _acknowledge(self) -> None:
        """Acknowledge the messages that were taken since the last receipt."""
        if self._unreceipted:
            self._unreceipted = 0
            self._receipts.publish(EventReceipt(node=self._name, seq=self._seq))

    def _window_of(self, message: RawEventArray) -> EventWindow:
        """A message's events, as many of them as are wanted."""
        if self._limit is not None:
            self._limit.check(message.width, message.height)
        if self._choose is None:
            return from_message(message)
        return from_message(message, *self._choose(len(message.t)))

    def _take_missing(self, window: EventWindow, clock: SensorClock) -> None:
        """Pass on that nothing is known of the time between the last window and one.

        Where that is longer than windows may be apart, or time has gone back, the subscriber
        starts afresh anyhow.
        """
        if self._end_us is not None and 0 < window.start_us - self._end_us <= LONGEST_GAP_US:
            size = window.events.size
            self._take(EventWindow.of_missing(size, self._end_us, window.start_us), clock)

    def _count(self, seq: int) -> int:
        """Count a message; how many were lost before it."""
        lost = 0
        statistics = self.statistics
        statistics.messages += 1
        if not self._choice.ignored:
            statistics.problem = ""
        if self._next_seq is None:
            self._note_missed(seq)
        elif seq < self._next_seq:
            statistics.restarts += 1
            self._note_missed(seq)
        else:
            lost = seq - self._next_seq
        statistics.lost += lost
        self._next_seq = seq + 1
        return lost

    def _note_missed(self, messages: int) -> None:
        """Count and log what a driver had sent before this node was connected."""
        self.statistics.missed += messages
        if messages:
            self._node.get_logger().warning(
                f"events: joined late, {messages} messages had been sent before"
            )


def _mark_of(message: RawEventArray) -> MessageMark:
    camera = (message.frame_id, message.width, message.height)
    return MessageMark(camera, message.seq, message.stamp_ns - 1000 * message.time_base)
