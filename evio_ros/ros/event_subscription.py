"""Taking events from the wire: checked, counted, and acknowledged to the driver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from std_msgs.msg import Header

from evio_ros.errors import EventError
from evio_ros.events import EventWindow
from evio_ros.msg import EventArray, EventReceipt
from evio_ros.ros.event_messages import from_message, stamp_of
from evio_ros.ros.event_publisher import EVENTS_TOPIC, RECEIPTS_TOPIC
from evio_ros.ros.message_queue import MessageQueue
from evio_ros.ros.quality_of_service import (
    EventsQualityParameters,
    events_quality,
    receipts_quality,
)
from evio_ros.ros.raw_event_array import RawEventArray, read_event_array
from evio_ros.windowing import LONGEST_GAP_US

__all__ = ["Choice", "EventSubscription", "ReceptionStatistics", "SensorClock"]

_CONNECTION_POLL_S = 0.05
_MESSAGES_A_RECEIPT = 2
"""A receipt takes as long to send as a result. A driver that waits for them sends four messages
ahead, so that it need not hear of each."""
_READY = -1

Choice = Callable[[int], tuple[NDArray[np.int64] | None, float]]
"""Asked with each message's number of events: indices of those to be taken, None for all, and what
share of them they are."""


@dataclass(slots=True)
class ReceptionStatistics:
    """What has come over the wire.

    Attributes:
        messages, events: numbers taken.
        lost: messages that never came, from gaps in their numbers.
        refused: messages dropped because they break the rules of `from_message`.
        restarts: how often the numbers began anew: another driver, or a restarted one.
    """

    messages: int = 0
    events: int = 0
    lost: int = 0
    refused: int = 0
    restarts: int = 0

    def values(self) -> dict[str, object]:
        """The counters as a report names them."""
        return {
            "messages": self.messages,
            "events": self.events,
            "messages_lost": self.lost,
            "messages_refused": self.refused,
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
    ) -> None:
        self.statistics = ReceptionStatistics()
        self._node = node
        self._take = take
        self._choose = choose
        self._next_seq: int | None = None
        # End of the last window, and whether messages after it were lost or refused.
        self._end_us: int | None = None
        self._is_missing = False
        self._receipts = node.create_publisher(EventReceipt, RECEIPTS_TOPIC, receipts_quality())
        self._name = node.get_fully_qualified_name()
        self.queue = MessageQueue(
            node, EventArray, EVENTS_TOPIC, events_quality(quality), self._receive, len, raw=True
        )
        self._drivers = 0
        # The last message that was worked on, how many were since the last receipt.
        self._seq = self._unreceipted = 0
        node.create_timer(_CONNECTION_POLL_S, self._greet)

    def _greet(self) -> None:
        """Tell a driver that has just been connected: it knows of us before we know of it.

        And tell of messages that were taken when no more have come.
        """
        self._acknowledge()
        drivers = self.queue.subscription.get_publisher_count()
        if drivers > self._drivers:
            self._receipts.publish(EventReceipt(node=self._name, seq=_READY))
        self._drivers = drivers

    def _receive(self, data: bytes) -> None:
        try:
            message = read_event_array(data)
        except EventError as error:
            self.statistics.refused += 1
            self._node.get_logger().warning(
                f"events message refused: {error}", throttle_duration_sec=5.0
            )
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
            self.statistics.events += len(message.t)
            clock = SensorClock(message.stamp_ns - 1000 * window.start_us, message.frame_id)
            if self._is_missing:
                self._take_missing(window, clock)
            self._take(window, clock)
            self._end_us, self._is_missing = window.end_us, False
        self._seq = message.seq
        self._unreceipted += 1
        if self._unreceipted >= _MESSAGES_A_RECEIPT:
            self._acknowledge()

    def _acknowledge(self) -> None:
        """Tell the driver of the messages that were taken since it was told last."""
        if self._unreceipted:
            self._unreceipted = 0
            self._receipts.publish(EventReceipt(node=self._name, seq=self._seq))

    def _window_of(self, message: RawEventArray) -> EventWindow:
        """A message's events, as many of them as are wanted."""
        if self._choose is None:
            return from_message(message)
        return from_message(message, *self._choose(len(message.t)))

    def _take_missing(self, window: EventWindow, clock: SensorClock) -> None:
        """Pass on that nothing is known of the time between the last window and one.

        Where that is longer than windows may be apart, or time has gone back, whoever takes them
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
        if self._next_seq is not None:
            if seq < self._next_seq:
                statistics.restarts += 1
            else:
                lost = seq - self._next_seq
        statistics.lost += lost
        self._next_seq = seq + 1
        return lost
