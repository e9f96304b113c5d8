"""A queue of messages that is seen and bounded by who works on them.

The middleware says neither how many messages wait in it nor for how long. So all that waits there
is taken over before each message is worked on, and whenever the work allows for it.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile

from evio_ros.thinning import kept_messages

__all__ = ["MessageQueue", "WorkQueue"]

_TURN_S = 0.02
"""After so long other callbacks of the node have their turn."""
_MOST_BYTES = 1 << 28
_DROP_EVERY_S, _URGENT_EVERY_S = 0.02, 0.25
_URGENT = 4.0
_FEWEST_DROPPED_OF = 8
"""What waits takes no more memory than the first. Where messages have waited for too long, single
ones are dropped, so often at the most; where for so many times as long, gaps may grow. But only
where so many wait: a driver that waits itself for them to be taken sends fewer ahead."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A message, its size, when it was taken over, and whether the one before it was dropped."""

    message: Any
    size: int
    came_s: float
    follows_gap: bool = False


class WorkQueue:
    """Messages that wait, handed on one after the other.

    Args:
        node: the node.
        take: called with each message.
        size_of: bytes of a message, about.

    Attributes:
        longest_wait_s: where messages have waited for longer, every second one is dropped.
    """

    def __init__(
        self, node: Node, take: Callable[[Any], None], size_of: Callable[[Any], int]
    ) -> None:
        self.longest_wait_s = math.inf
        self._take = take
        self._size_of = size_of
        self._waiting: deque[_Waiting] = deque()
        self._bytes = 0
        self._dropped_s = 0.0
        self._busy_s = 0.0
        self._began_s: float | None = None
        self._waited_s = self._came_s = 0.0
        self._more = node.create_guard_condition(self._work)

    @property
    def came_s(self) -> float:
        """When the message that is worked on came, by the monotonic clock."""
        return self._came_s

    def __len__(self) -> int:
        """Number of messages that are known to wait."""
        return len(self._waiting)

    @property
    def waiting_s(self) -> float:
        """For how long the oldest message has waited, or the one that is worked on had."""
        since_s = self._waiting[0].came_s if self._waiting else time.monotonic()
        return max(time.monotonic() - since_s, self._waited_s)

    @property
    def busy_s(self) -> float:
        """Time by the clock for which there was work on messages, until now."""
        since_s = time.monotonic() - self._began_s if self._began_s is not None else 0.0
        return self._busy_s + since_s

    def values(self) -> dict[str, object]:
        """Time at work and what waits, as a report names them."""
        return {
            "busy_s": round(self.busy_s, 3),
            "messages_waiting": len(self),
            "messages_waiting_s": round(self.waiting_s, 3),
        }

    def fetch(self) -> None:
        """Take over what waits elsewhere; it is called while a message is worked on."""

    def _append(self, message: Any) -> None:
        size = self._size_of(message)
        self._waiting.append(_Waiting(message, size, time.monotonic()))
        self._bytes += size
        self._drop_some()

    def _drop_some(self) -> None:
        """Drop messages where they wait for too long, or there is no room for them."""
        now_s = time.monotonic()
        waiting_s = now_s - self._waiting[0].came_s
        is_full = self._bytes > _MOST_BYTES
        is_urgent = is_full or waiting_s > _URGENT * self.longest_wait_s
        is_due = now_s - self._dropped_s > (_URGENT_EVERY_S if is_urgent else _DROP_EVERY_S)
        is_late = waiting_s > self.longest_wait_s and is_due
        if len(self._waiting) < _FEWEST_DROPPED_OF or not (is_full or is_late):
            return
        self._dropped_s = now_s
        kept = kept_messages([it.follows_gap for it in self._waiting], is_urgent)
        before = [True, *kept[:-1]]
        self._waiting = deque(
            replace(it, follows_gap=it.follows_gap or not is_before_kept)
            for it, is_kept, is_before_kept in zip(self._waiting, kept, before, strict=True)
            if is_kept
        )
        self._bytes = sum(it.size for it in self._waiting)

    def _work(self) -> None:
        """Hand on what waits, as long as other callbacks may wait."""
        self._began_s = begin_s = time.monotonic()
        while self._waiting and time.monotonic() - begin_s < _TURN_S:
            self._drop_some()
            first = self._waiting.popleft()
            self._bytes -= first.size
            self._came_s, self._waited_s = first.came_s, time.monotonic() - first.came_s
            self._take(first.message)
            self.fetch()
        self._busy_s += time.monotonic() - begin_s
        self._began_s = None
        self._waited_s = 0.0
        if self._waiting:
            self._more.trigger()


class MessageQueue(WorkQueue):
    """Subscribes to a topic and hands on its messages, each with what the middleware says of it.

    Args:
        node: the node.
        message_type, topic, quality: what is subscribed to.
        take: called with each message and its information.
        size_of: bytes of a message, about.
        raw: whether messages are handed on as the bytes that came over the wire.

    Attributes:
        subscription: the subscription.
    """

    def __init__(
        self,
        node: Node,
        message_type: type,
        topic: str,
        quality: QoSProfile,
        take: Callable[[Any, Mapping[str, Any]], None],
        size_of: Callable[[Any], int],
        raw: bool = False,
    ) -> None:
        super().__init__(node, lambda taken: take(*taken), lambda taken: size_of(taken[0]))
        # rclpy passes what the middleware knows of a message to who has two arguments.
        receive: Callable[..., None] = self._receive
        self.subscription = node.create_subscription(message_type, topic, receive, quality, raw=raw)

    def fetch(self) -> None:
        """Take over what waits in the middleware."""
        handle, kind = self.subscription.handle, self.subscription.msg_type
        with handle:
            while (taken := handle.take_message(kind, self.subscription.raw)) is not None:
                self._append(taken)

    def _receive(self, message: Any, info: Mapping[str, Any]) -> None:
        self._append((message, info))
        self._work()
