"""Publishing events, and waiting for subscribers if nothing may be lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from rclpy.clock import Clock
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.topic_endpoint_info import TopicEndpointInfo

from evio_ros.events import EventWindow
from evio_ros.msg import EventArray, EventReceipt
from evio_ros.ros.confirmation import unconfirmed_topics
from evio_ros.ros.event_messages import to_message
from evio_ros.ros.live_clock import LiveClock
from evio_ros.ros.local_events import LocalMessage, local_channel
from evio_ros.ros.quality_of_service import (
    EventsQualityParameters,
    events_quality,
    receipts_quality,
)
from evio_ros.ros.topic_graph import publishers_of
from evio_ros.windowing import split_missing

__all__ = ["EVENTS_TOPIC", "RECEIPTS_TOPIC", "EventPublisher"]

EVENTS_TOPIC = "events"
RECEIPTS_TOPIC = "events/receipts"
_IN_FLIGHT = 4
"""Messages that a node may have before it while the replay waits for it."""
_PATIENCE_S = 5.0
"""Time without a receipt after which a node is no longer waited for."""
_POLL_S = 0.05


class EventPublisher:
    """Publishes windows of events, numbered, with stamps from the offset between the clocks.

    For a recording that is one offset; a live camera's clock is followed by `follow_clock`.

    Args:
        node: the node; must be spun while `wait_for_receivers` waits.
        frame_id: optical frame of the camera.
        quality: reliability and depth.
        also: called with every window and its stamp in ns, e.g. to publish it in another form.
        gives_time: whether other nodes take their time from the stamps; they then come from the
            machine's clock, also under use_sim_time, and never go back.

    Attributes:
        messages, events: numbers sent.
        skipped: numbers of messages that were left out for events that are missing.
        forsaken: names of nodes that are no longer waited for because they do not answer.
    """

    def __init__(
        self,
        node: Node,
        frame_id: str,
        quality: EventsQualityParameters,
        also: Callable[[EventWindow, int], None] | None = None,
        gives_time: bool = False,
    ) -> None:
        self.messages = 0
        self.events = 0
        self.skipped = 0
        self.forsaken: set[str] = set()
        # Number of the last message.
        self._sent = -1
        self._node = node
        self._frame_id = frame_id
        self._sensor_clock: LiveClock | None = None
        self._newest_ns = 0
        self._gives_time = gives_time
        self._clock = Clock() if gives_time else node.get_clock()
        self._quality = events_quality(quality)
        self._publisher = node.create_publisher(EventArray, EVENTS_TOPIC, self._quality)
        self._also = also
        self._topic = node.resolve_topic_name(EVENTS_TOPIC)
        self._channel = local_channel(node, EVENTS_TOPIC)
        self._received = self._channel.taken
        self._receipts: dict[str, int] = {}
        self._answered_at: dict[str, float] = {}
        self._awaited_since_s: float | None = None
        node.create_subscription(
            EventReceipt, RECEIPTS_TOPIC, self._note_receipt, receipts_quality()
        )

    def not_ready(self, names: Iterable[str]) -> list[str]:
        """Those of some nodes that do not take events yet.

        Other subscribers, e.g. `ros2 bag record`, do not count.

        Args:
            names: of nodes of this package; names without a slash are of this node's namespace.
        """
        namespace = self._node.get_namespace().rstrip("/")
        full = [name if name.startswith("/") else f"{namespace}/{name}" for name in names]
        local = {inbox.name for inbox in self._channel.inboxes if inbox.is_ready()}
        known = self._subscriptions()
        connected = self._receipts.keys() & set(_names(known))
        if self._publisher.get_subscription_count() < len(known):
            connected = set()  # the graph is known earlier than all of them are connected
        return [name for name in full if name not in local | connected]

    def is_awaited(self, subscribers: int) -> bool:
        """Whether enough subscribers are connected, and those that send receipts are ready.

        Without their word the first messages would be lost: a publisher is connected earlier than
        its subscriber. A node that does not answer for `_PATIENCE_S` is no longer waited for.
        """
        connected = self._publisher.get_subscription_count()
        if connected + len(self._channel.inboxes) < subscribers:
            return False
        self._awaited_since_s = self._awaited_since_s or time.monotonic()
        if time.monotonic() - self._awaited_since_s > _PATIENCE_S:
            return True
        # All that the graph knows of must be connected, too, so that all get the first message.
        known = self._subscriptions()
        return connected >= len(known) and self._receipts.keys() >= set(self._receivers())

    def start_clock(self, sensor_time_us: int) -> None:
        """Take `sensor_time_us` as now; stamps follow sensor time from here."""
        now_ns = self._clock.now().nanoseconds
        if self._gives_time:
            now_ns = max(now_ns, self._newest_ns)
        self._sensor_clock = LiveClock(sensor_time_us, now_ns)

    def follow_clock(self, sensor_time_us: int) -> None:
        """Note that it is now `sensor_time_us` by a live camera; stamps follow it slowly."""
        if self._sensor_clock is None:
            self.start_clock(sensor_time_us)
        else:
            self._sensor_clock.note(sensor_time_us, self._clock.now().nanoseconds)

    def stamp_ns(self, sensor_time_us: int) -> int:
        """ROS time of a sensor time, not earlier than the last one that was asked for."""
        if self._sensor_clock is None:
            self.start_clock(sensor_time_us)
        assert self._sensor_clock is not None
        return self._sensor_clock.offset_ns(sensor_time_us) + 1000 * sensor_time_us

    def publish(self, window: EventWindow) -> None:
        """Send a window; its stamp is the ROS time of its start.

        Nothing is sent of what is missing of it, but a number is left out, as if a message had been
        lost, and subscribers know it.
        """
        for part in split_missing(window) if window.missing else (window,):
            if part.missing:
                self.skipped += 1
            else:
                self._send(part)

    def _send(self, window: EventWindow) -> None:
        if self._sensor_clock is None:
            self.start_clock(window.end_us)
        stamp_ns = self.stamp_ns(window.start_us)
        seq = self._sent = self.messages + self.skipped
        self._channel.send(LocalMessage(seq, window, stamp_ns, self._frame_id))
        if self._publisher.get_subscription_count():
            self._publisher.publish(to_message(window, seq, self._frame_id, stamp_ns))
        if self._also is not None:
            self._also(window, stamp_ns)
        self._newest_ns = stamp_ns + 1000 * window.length_us
        self.messages += 1
        self.events += len(window.events)

    def drain(self, until_s: float, give_up: Callable[[], bool]) -> bool:
        """Wait until all that the node has sent is confirmed, before its publishers go away.

        Nodes that send receipts confirm what they have worked on; while they do so they are waited
        for. What is not confirmed in the end is logged in a line.

        Args:
            until_s: no longer for who does not answer, by `time.monotonic`.
            give_up: asked now and then; True ends the waiting, and nothing is logged.

        Returns:
            Whether the wait was not given up, and the node not shut down meanwhile.
        """
        node = self._node

        def is_over() -> bool:
            return give_up() or not node.context.ok()

        self.wait_for_receivers(is_over, 0, until_s - time.monotonic())
        topics = unconfirmed_topics(list(node.publishers), until_s, is_over)
        if is_over():
            return False
        behind = {name: self._sent - taken for name, taken in self._taken().items()}
        left = [f"{n} messages by {name}" for name, n in sorted(behind.items()) if n > 0]
        left += [f"{topic} by a subscriber" for topic in topics]
        if left:
            node.get_logger().warning(f"not confirmed at the end: {', '.join(left)}")
        return True

    def log_end(self) -> None:
        """Log that all of a recording has been sent."""
        sent = f"{self.events} events in {self.messages} messages"
        self._node.get_logger().info(f"end of the recording: {sent}")

    def wait_for_receivers(
        self,
        give_up: Callable[[], bool],
        in_flight: int = _IN_FLIGHT - 1,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        """Wait until every node that sends receipts has at most `in_flight` messages before it.

        Not to be called from the thread that spins the node. Nodes that send no receipts are not
        waited for; a node that does not answer for `patience_s` is forsaken until it answers.

        Args:
            give_up: asked now and then; True ends the waiting.
            in_flight: by default so few that one more may be sent; 0 for the very last message.
            patience_s: how long a node may take to answer.
        """
        started_s = time.monotonic()
        while not give_up():
            slow = self._slow_receivers(in_flight, started_s, patience_s)
            if not slow:
                return
            with self._received:
                self._received.wait(_POLL_S)

    def _slow_receivers(self, in_flight: int, started_s: float, patience_s: float) -> list[str]:
        slow = []
        taken_by = self._taken()
        with self._received:
            for name, taken in taken_by.items():
                behind = self._sent - taken
                if behind <= in_flight:
                    self._answered_at[name] = time.monotonic()
                    continue
                answered_s = max(self._answered_at.get(name, 0.0), started_s)
                if time.monotonic() - answered_s > patience_s:
                    self.forsaken.add(name)
                if name not in self.forsaken:
                    slow.append(name)
        return slow

    def _taken(self) -> dict[str, int]:
        """The newest message that each node has taken, by the nodes' names."""
        taken = {name: self._receipts.get(name, -1) for name in self._receivers()}
        return taken | {inbox.name: inbox.taken for inbox in self._channel.inboxes}

    def _receivers(self) -> list[str]:
        """Nodes that take events and say so."""
        return publishers_of(self._node, RECEIPTS_TOPIC)

    def _subscriptions(self) -> list[TopicEndpointInfo]:
        """The subscriptions that the graph knows, but for those that can never be connected."""
        return [
            info
            for info in self._node.get_subscriptions_info_by_topic(self._topic)
            if _can_connect(self._quality, info.qos_profile)
        ]

    def _note_receipt(self, receipt: EventReceipt) -> None:
        if receipt.seq > self._sent:
            return  # kept from an earlier driver
        with self._received:
            self._receipts[receipt.node] = receipt.seq
            self._answered_at[receipt.node] = time.monotonic()
            self.forsaken.discard(receipt.node)
            self._received.notify_all()


def _names(endpoints: Iterable[TopicEndpointInfo]) -> list[str]:
    """Full names of the nodes that endpoints of a topic belong to."""
    return [f"{each.node_namespace.rstrip('/')}/{each.node_name}" for each in endpoints]


def _can_connect(offered: QoSProfile, asked: QoSProfile) -> bool:
    """Whether a subscription asks for no more than is offered.

    `qos_check_compatible` misreads the durations of a profile that comes from the graph.
    """
    reliable = offered.reliability == ReliabilityPolicy.RELIABLE
    if asked.reliability == ReliabilityPolicy.RELIABLE and not reliable:
        return False
    return asked.durability != DurabilityPolicy.TRANSIENT_LOCAL
