"""Handing events over within one process: the very arrays, without serialisation or copies.

Where a driver and those who take its events share a process, `compose` is called before they are
made. Over DDS the driver then publishes for others alone.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from rclpy.node import Node

from evio_ros.events import EventWindow
from evio_ros.ros.message_queue import WorkQueue
from evio_ros.ros.topic_graph import is_heard

__all__ = ["LocalInbox", "LocalMessage", "compose", "is_composed", "local_channel"]

_EVENT_BYTES = 13
"""Of time, x, y and polarity."""


@dataclass(frozen=True, slots=True)
class LocalMessage:
    """The content of an EventArray.

    Attributes:
        seq: number of the message.
        window: the events; not to be written to.
        stamp_ns: ROS time of the window's start.
        frame_id: optical frame of the camera.
    """

    seq: int
    window: EventWindow
    stamp_ns: int
    frame_id: str


class LocalInbox(WorkQueue):
    """The messages that wait for one node; its executor takes them.

    Args:
        node: the node.
        depth: messages that wait before the oldest is dropped, as over DDS.
        take: called by the node's executor with each message.

    Attributes:
        name: the node's full name.
        taken: number of the newest message that has been taken; -1 before the first.
    """

    def __init__(self, node: Node, depth: int, take: Callable[[LocalMessage], None]) -> None:
        super().__init__(node, take, lambda message: _EVENT_BYTES * len(message.window.events))
        self.name = node.get_fully_qualified_name()
        self.taken = -1
        self._arrived: deque[tuple[LocalMessage, float]] = deque(maxlen=depth)
        self._node = node
        self._made_s = time.monotonic()

    def is_ready(self) -> bool:
        """Whether all who listen to the node's own topics are connected, or seem not to come."""
        return is_heard(self._node, self._made_s)

    def put(self, message: LocalMessage) -> None:
        """Leave a message; called by the driver's thread."""
        self._arrived.append((message, time.monotonic()))
        self._more.trigger()

    def fetch(self) -> None:
        """Take over what the driver has left."""
        while self._arrived:
            self._append(*self._arrived.popleft())

    def _work(self) -> None:
        self.fetch()
        super()._work()


class LocalChannel:
    """A topic's driver and subscribers within this process.

    Attributes:
        inboxes: of those who take its events.
        taken: notified whenever one of them has taken a message.
    """

    def __init__(self) -> None:
        self.inboxes: list[LocalInbox] = []
        self.taken = threading.Condition()

    def join(self, inbox: LocalInbox) -> None:
        """Have a taker get the messages."""
        self.inboxes = [*self.inboxes, inbox]

    def leave(self, inbox: LocalInbox) -> None:
        """Have a taker get no more."""
        self.inboxes = [other for other in self.inboxes if other is not inbox]

    def send(self, message: LocalMessage) -> None:
        """Hand a message to all who take it."""
        for inbox in self.inboxes:
            inbox.put(message)

    def note_taken(self, inbox: LocalInbox, seq: int) -> None:
        """Remember how far a taker has come, and wake the driver if it waits for that."""
        inbox.taken = seq
        with self.taken:
            self.taken.notify_all()


_channels: dict[str, LocalChannel] = {}
_composed = threading.Event()


def compose() -> None:
    """Have the nodes of this process that are made from now on hand events over locally."""
    _composed.set()


def is_composed() -> bool:
    """Whether `compose` was called."""
    return _composed.is_set()


def local_channel(node: Node, topic: str) -> LocalChannel:
    """The channel of a topic, named as the node names it."""
    return _channels.setdefault(node.resolve_topic_name(topic), LocalChannel())
