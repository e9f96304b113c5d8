"""Taking events from the wire: checked, counted, and acknowledged to the driver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rclpy.node import Node
from std_msgs.msg import Header

from evio_ros.errors import EventError
from evio_ros.events import EventWindow
from evio_ros.msg import EventArray, EventReceipt
from evio_ros.ros.event_messages import from_message, stamp_of
from evio_ros.ros.event_publisher import EVENTS_TOPIC, RECEIPTS_TOPIC
from evio_ros.ros.local_events import LocalInbox, LocalMessage, is_composed, local_channel
from evio_ros.ros.quality_of_service import (
    EventsQualityParameters,
    events_quality,
    receipts_quality,
)

__all__ = ["EventSubscription", "ReceptionStatistics", "SensorClock"]

_CONNECTION_POLL_S = 0.05
_READY = -1


@dataclass(slots=True)
class ReceptionStatistics:
    """What has come over the wire.

    Attributes:
        messages, events: numbers taken.
        missed: messages that had been sent before the first one came, from its number.
        lost: messages that never came, from gaps in their numbers.
        refused: messages dropped because they break the rules of `from_message`.
        restarts: how often the numbers began anew: another driver, or a restarted one.
    """

    messages: int = 0
    events: int = 0
    missed: int = 0
    lost: int = 0
    refused: int = 0
    restarts: int = 0

    def values(self) -> dict[str, object]:
        """The counters as a report names them."""
        return {
            "messages": self.messages,
            "events": self.events,
            "messages_missed": self.missed,
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

    Attributes:
        statistics: what has come so far.
    """

    def __init__(
        self,
        node: Node,
        quality: EventsQualityParameters,
        take: Callable[[EventWindow, SensorClock], None],
    ) -> None:
        self.statistics = ReceptionStatistics()
        self._node = node
        self._take = take
        self._next_seq: int | None = None
        self._name = node.get_fully_qualified_name()
        if is_composed():
            self._subscribe_locally(quality.depth)
        else:
            self._subscribe(quality)

    def _subscribe_locally(self, depth: int) -> None:
        self._channel = local_channel(self._node, EVENTS_TOPIC)
        self._inbox = LocalInbox(self._node, depth, self._receive_locally)
        self._channel.inboxes.append(self._inbox)

    def _subscribe(self, quality: EventsQualityParameters) -> None:
        node = self._node
        self._receipts = node.create_publisher(EventReceipt, RECEIPTS_TOPIC, receipts_quality())
        self._subscription = node.create_subscription(
            EventArray, EVENTS_TOPIC, self._receive, events_quality(quality)
        )
        self._drivers = 0
        node.create_timer(_CONNECTION_POLL_S, self._greet)

    def _greet(self) -> None:
        """Tell a driver that has just been connected: it knows of us before we know of it."""
        drivers = self._subscription.get_publisher_count()
        if drivers > self._drivers:
            self._receipts.publish(EventReceipt(node=self._name, seq=_READY))
        self._drivers = drivers

    def _receive(self, message: EventArray) -> None:
        self._count(message.seq)
        try:
            window = from_message(message)
        except EventError as error:
            self.statistics.refused += 1
            self._node.get_logger().warning(
                f"events message {message.seq} refused: {error}", throttle_duration_sec=5.0
            )
        else:
            stamp = message.header.stamp
            stamp_ns = 1_000_000_000 * stamp.sec + stamp.nanosec
            self._pass_on(window, stamp_ns, message.header.frame_id)
        self._receipts.publish(EventReceipt(node=self._name, seq=message.seq))

    def _receive_locally(self, message: LocalMessage) -> None:
        self._count(message.seq)
        self._pass_on(message.window, message.stamp_ns, message.frame_id)
        self._channel.note_taken(self._inbox, message.seq)

    def _pass_on(self, window: EventWindow, stamp_ns: int, frame_id: str) -> None:
        self.statistics.events += len(window.events)
        self._take(window, SensorClock(stamp_ns - 1000 * window.start_us, frame_id))

    def _count(self, seq: int) -> None:
        statistics = self.statistics
        statistics.messages += 1
        if self._next_seq is None:
            self._note_missed(seq)
        elif seq < self._next_seq:
            statistics.restarts += 1
            self._note_missed(seq)
        else:
            statistics.lost += seq - self._next_seq
        self._next_seq = seq + 1

    def _note_missed(self, messages: int) -> None:
        """Count and tell what a driver had sent before it was heard."""
        self.statistics.missed += messages
        if messages:
            self._node.get_logger().warning(
                f"events: came late, {messages} messages had been sent before"
            )
