"""Taking events from the wire: checked, counted, and acknowledged to the driver."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rclpy.node import Node
from std_msgs.msg import Header

from evio_ros.errors import EventError
from evio_ros.events import EventWindow
from evio_ros.msg import EventArray, EventReceipt
from evio_ros.ros.delay_statistics import DelayStatistics
from evio_ros.ros.event_messages import from_message, stamp_of
from evio_ros.ros.event_publisher import EVENTS_TOPIC, RECEIPTS_TOPIC
from evio_ros.ros.geometry_limit import GeometryLimit
from evio_ros.ros.local_events import LocalInbox, LocalMessage, is_composed, local_channel
from evio_ros.ros.publisher_choice import MessageMark, PublisherChoice
from evio_ros.ros.quality_of_service import (
    EventsQualityParameters,
    events_quality,
    receipts_quality,
)
from evio_ros.ros.steady_timer import steady_timer
from evio_ros.ros.topic_graph import publishers_of

__all__ = ["EventSubscription", "ReceptionStatistics", "SensorClock", "follow_one"]

_CONNECTION_POLL_S = 0.05
_READY = -1
_TROUBLED_S = 10.0
_SMOOTHING = 0.1


@dataclass(slots=True)
class ReceptionStatistics:
    """What has come over the wire.

    Attributes:
        messages, events: numbers taken.
        missed: messages that had been sent before the first one came, from its number.
        lost: messages that never came, from gaps in their numbers.
        refused: messages dropped because they break the rules of `from_message`.
        restarts: how often the numbers began anew: another driver, or a restarted one.
        ignored: messages of publishers that are not followed, see `PublisherChoice`.
        problem: what a person should know, in words; empty for nothing.
        last_s: when the newest message came, by `time.monotonic`.
        wait: how long messages wait between their arrival and this node.
        camera: frame of the camera, "none" where it is not known; hardware_id of reports.
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
    _wait_s: float = field(default=0.0, init=False)
    _arrived_ns: int = field(default=0, init=False)
    _interval_s: float = field(default=0.0, init=False)
    _trouble_s: float = field(default=-math.inf, init=False)
    _troubles: int = field(default=0, init=False)

    @property
    def is_troubled(self) -> bool:
        """Whether something was lost, refused or ignored in the last ten seconds."""
        troubles = self.lost + self.refused + self.ignored
        if troubles != self._troubles:
            self._troubles, self._trouble_s = troubles, time.monotonic()
        return time.monotonic() - self._trouble_s < _TROUBLED_S

    def note_arrival(self, info: Mapping[str, Any], frame_id: str) -> None:
        """Note when a message came, by what the middleware says of it, and from which camera."""
        self.last_s = time.monotonic()
        self.camera = frame_id or "none"
        arrived_ns = info["received_timestamp"]
        self._wait_s = 1e-9 * max(0, time.time_ns() - arrived_ns)
        self.wait.note(self._wait_s)
        if self._arrived_ns:
            interval_s = 1e-9 * max(0, arrived_ns - self._arrived_ns)
            self._interval_s += _SMOOTHING * (interval_s - self._interval_s)
        self._arrived_ns = arrived_ns

    @property
    def waiting(self) -> int:
        """About how many messages wait, by Little's law: time of waiting over their interval."""
        return round(self._wait_s / self._interval_s) if self._interval_s else 0

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
            "messages_waiting": self.waiting,
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
        limit: the largest sensor; messages of larger ones are refused. None for none.

    Attributes:
        statistics: what has come so far.
    """

    def __init__(
        self,
        node: Node,
        quality: EventsQualityParameters,
        take: Callable[[EventWindow, SensorClock], None],
        limit: GeometryLimit | None = None,
    ) -> None:
        self.statistics = ReceptionStatistics()
        self._node = node
        self._limit = limit
        self._choice = follow_one(node)
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
        self._channel.join(self._inbox)

    def _subscribe(self, quality: EventsQualityParameters) -> None:
        node = self._node
        self._receipts = node.create_publisher(EventReceipt, RECEIPTS_TOPIC, receipts_quality())
        # rclpy passes what the middleware knows of a message to who has two arguments.
        receive: Callable[..., None] = self._receive
        self._subscription = node.create_subscription(
            EventArray, EVENTS_TOPIC, receive, events_quality(quality)
        )
        self._drivers = 0
        steady_timer(node, _CONNECTION_POLL_S, self._greet)

    def _greet(self) -> None:
        """Tell a driver that has just been connected: it knows of us before we know of it."""
        drivers = self._subscription.get_publisher_count()
        if drivers > self._drivers:
            self._receipts.publish(EventReceipt(node=self._name, seq=_READY))
        self._drivers = drivers

    def _receive(self, message: EventArray, info: dict[str, Any]) -> None:
        self.statistics.note_arrival(info, message.header.frame_id)
        if not self._choice.follows(_mark_of(message)):
            # A receipt would be taken for one of the first publisher's messages.
            self.statistics.ignore(self._node, self._choice.ignored)
            return
        self._count(message.seq)
        try:
            if self._limit is not None:
                self._limit.check(message.width, message.height)
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
        if not self._choice.ignored:
            statistics.problem = ""
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


def follow_one(node: Node) -> PublisherChoice:
    """Whose events a node follows."""
    return PublisherChoice(lambda: publishers_of(node, EVENTS_TOPIC))


def _mark_of(message: EventArray) -> MessageMark:
    header = message.header
    stamp_ns = 1_000_000_000 * header.stamp.sec + header.stamp.nanosec
    camera = (header.frame_id, message.width, message.height)
    return MessageMark(camera, message.seq, stamp_ns - 1000 * message.time_base)
