"""Publishing events, and waiting for those who take them where nothing may be lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from rclpy.duration import Duration
from rclpy.node import Node

from evio_ros.events import EventWindow
from evio_ros.msg import EventArray, EventReceipt
from evio_ros.ros.event_messages import to_message
from evio_ros.ros.quality_of_service import (
    EventsQualityParameters,
    events_quality,
    receipts_quality,
)
from evio_ros.windowing import split_missing

__all__ = ["EVENTS_TOPIC", "RECEIPTS_TOPIC", "EventPublisher"]

EVENTS_TOPIC = "events"
RECEIPTS_TOPIC = "events/receipts"
_IN_FLIGHT = 4
"""Messages that a node may have before it while the replay waits for it."""
_PATIENCE_S = 5.0
"""A node that has not taken a message for so long is no longer waited for."""
_POLL_S = 0.05
_LAST_WORDS_S = 2.0


class EventPublisher:
    """Publishes windows of events, numbered, with stamps from one offset between the clocks.

    Args:
        node: the node; must be spun while `wait_for_receivers` waits.
        frame_id: optical frame of the camera.
        quality: reliability and depth.
        also: called with every window and its stamp in ns, e.g. to publish it in another form.

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
    ) -> None:
        self.messages = 0
        self.events = 0
        self.skipped = 0
        self.forsaken: set[str] = set()
        # Number of the last message.
        self._sent = -1
        self._node = node
        self._frame_id = frame_id
        self._offset_ns: int | None = None
        self._publisher = node.create_publisher(EventArray, EVENTS_TOPIC, events_quality(quality))
        self._also = also
        self._received = threading.Condition()
        self._receipts: dict[str, int] = {}
        self._answered_at: dict[str, float] = {}
        self._awaited_since_s: float | None = None
        node.create_subscription(
            EventReceipt, RECEIPTS_TOPIC, self._note_receipt, receipts_quality()
        )

    def is_awaited(self, subscribers: int) -> bool:
        """Whether so many subscribers are connected, and those that send receipts are ready.

        Without their word the first messages would be lost: a publisher is connected earlier than
        its subscriber. A node that does not answer for `_PATIENCE_S` is no longer waited for.
        """
        if self._publisher.get_subscription_count() < subscribers:
            return False
        self._awaited_since_s = self._awaited_since_s or time.monotonic()
        if time.monotonic() - self._awaited_since_s > _PATIENCE_S:
            return True
        return self._receipts.keys() >= set(self._receivers())

    def start_clock(self, sensor_time_us: int) -> None:
        """Take `sensor_time_us` as now; stamps follow sensor time from here."""
        self._offset_ns = self._node.get_clock().now().nanoseconds - 1000 * sensor_time_us

    def publish(self, window: EventWindow) -> None:
        """Send a window; its stamp is the ROS time of its start.

        Nothing is sent of what is missing of it, but a number is left out, as if a message had been
        lost: so whoever takes the events knows.
        """
        for part in split_missing(window) if window.missing else (window,):
            if part.missing:
                self.skipped += 1
            else:
                self._send(part)

    def _send(self, window: EventWindow) -> None:
        if self._offset_ns is None:
            self.start_clock(window.end_us)
        assert self._offset_ns is not None
        stamp_ns = self._offset_ns + 1000 * window.start_us
        seq = self._sent = self.messages + self.skipped
        self._publisher.publish(to_message(window, seq, self._frame_id, stamp_ns))
        if self._also is not None:
            self._also(window, stamp_ns)
        self.messages += 1
        self.events += len(window.events)

    def drain(self, give_up: Callable[[], bool]) -> None:
        """Wait until all that was sent has been taken, before the publisher goes away."""
        self.wait_for_receivers(give_up, in_flight=0)
        self._publisher.wait_for_all_acked(Duration(seconds=_LAST_WORDS_S))

    def wait_for_receivers(
        self, give_up: Callable[[], bool], in_flight: int = _IN_FLIGHT - 1
    ) -> None:
        """Wait until every node that sends receipts has at most `in_flight` messages before it.

        Not to be called from the thread that spins the node. Nodes that send no receipts are not
        waited for; a node that does not answer for `_PATIENCE_S` is forsaken until it answers.

        Args:
            give_up: asked now and then; True ends the waiting.
            in_flight: by default so few that one more may be sent; 0 for the very last message.
        """
        started_s = time.monotonic()
        while not give_up():
            slow = self._slow_receivers(in_flight, started_s)
            if not slow:
                return
            with self._received:
                self._received.wait(_POLL_S)

    def _slow_receivers(self, in_flight: int, started_s: float) -> list[str]:
        receivers = self._receivers()
        slow = []
        with self._received:
            for name in receivers:
                behind = self._sent - self._receipts.get(name, -1)
                if behind <= in_flight:
                    self._answered_at[name] = time.monotonic()
                    continue
                answered_s = max(self._answered_at.get(name, 0.0), started_s)
                if time.monotonic() - answered_s > _PATIENCE_S:
                    self.forsaken.add(name)
                if name not in self.forsaken:
                    slow.append(name)
        return slow

    def _receivers(self) -> list[str]:
        """Nodes that take events and say so."""
        publishers = self._node.get_publishers_info_by_topic(self._resolved(RECEIPTS_TOPIC))
        return [f"{info.node_namespace.rstrip('/')}/{info.node_name}" for info in publishers]

    def _resolved(self, topic: str) -> str:
        return self._node.resolve_topic_name(topic)

    def _note_receipt(self, receipt: EventReceipt) -> None:
        if receipt.seq > self._sent:
            return  # kept from an earlier driver
        with self._received:
            self._receipts[receipt.node] = receipt.seq
            self._answered_at[receipt.node] = time.monotonic()
            self.forsaken.discard(receipt.node)
            self._received.notify_all()
