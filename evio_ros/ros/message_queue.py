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

from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.signals import SignalHandlerGuardCondition
from rclpy.subscription import Subscription

from evio_ros.thinning import kept_messages

__all__ = ["MessageQueue", "WorkQueue"]

_TURN_S = 0.02
"""Time of work after which other callbacks of the node have their turn."""
_PATIENCE_S = 0.1
"""How long the next messages are waited for without the executor, unless it is needed."""
_MOST_BYTES = 1 << 28
_DROP_EVERY_S, _URGENT_EVERY_S = 0.02, 0.25
_FEWEST_DROPPED_OF = 8
"""The first bounds the memory of waiting messages. If they have waited for too long, single ones
are dropped, at most this often, and less often if gaps may grow. But only if this many wait: a
driver that waits itself for them to be taken sends fewer ahead."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A message, its size, when it came, and whether the one before it was dropped."""

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
        limits_s: if messages have waited for longer than the first, every second one is dropped
            that is not next to a gap; for longer than the second, every second one, so that gaps
            grow.
    """

    def __init__(
        self, node: Node, take: Callable[[Any], None], size_of: Callable[[Any], int]
    ) -> None:
        self.limits_s = math.inf, math.inf
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

    def _append(self, message: Any, came_s: float) -> None:
        """Take over a message that came at a time by the monotonic clock."""
        size = self._size_of(message)
        self._waiting.append(_Waiting(message, size, came_s))
        self._bytes += size
        self._drop_some()

    def _drop_some(self) -> None:
        """Drop messages if they wait for too long, or there is no room for them."""
        if len(self._waiting) < _FEWEST_DROPPED_OF:
            return
        now_s = time.monotonic()
        single_s, urgent_s = self.limits_s
        waiting_s = now_s - self._waiting[0].came_s
        is_full = self._bytes > _MOST_BYTES
        is_urgent = is_full or waiting_s > urgent_s
        is_due = now_s - self._dropped_s > (_URGENT_EVERY_S if is_urgent else _DROP_EVERY_S)
        if not is_full and not (is_due and waiting_s > single_s):
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

    def wait(self) -> bool:
        """Wait for the next message; returns whether it came before any other work of the node."""
        return False

    def _work(self) -> None:
        """Hand on what waits and what comes next, as long as other callbacks may wait."""
        end_s = time.monotonic() + _PATIENCE_S
        self._work_off()
        while not self._waiting and time.monotonic() < end_s and self.wait():
            self.fetch()
            self._work_off()
        if self._waiting:
            self._more.trigger()

    def _work_off(self) -> None:
        """Hand on what waits."""
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
        self._wait = _MessageWait(node, self.subscription)
        self._newest_s = time.monotonic()

    def wait(self) -> bool:
        """Wait for the next message."""
        return self._wait.wait(_PATIENCE_S)

    def fetch(self) -> None:
        """Take over what waits in the middleware."""
        handle, kind = self.subscription.handle, self.subscription.msg_type
        with handle:
            while (taken := handle.take_message(kind, self.subscription.raw)) is not None:
                self._take_over(*taken)

    def _receive(self, message: Any, info: Mapping[str, Any]) -> None:
        self._take_over(message, info)
        self._work()

    def _take_over(self, message: Any, info: Mapping[str, Any]) -> None:
        received_ns = info["received_timestamp"]  # 0 where the middleware does not know
        age_s = 1e-9 * (time.time_ns() - received_ns) if received_ns > 0 else 0.0
        # The machine's clock may be set meanwhile; messages come in order all the same.
        now_s = time.monotonic()
        self._newest_s = min(max(now_s - age_s, self._newest_s), now_s)
        self._append((message, info), self._newest_s)


class _MessageWait:
    """Waits, within a callback of a node, for a subscription of the same node.

    A turn of rclpy's executor asks every entity of its node in Python, which costs several times as
    much as waiting for all of them in the middleware.

    Args:
        node: the node.
        subscription: the subscription.
    """

    def __init__(self, node: Node, subscription: Subscription) -> None:
        self._node = node
        self._subscription = subscription
        # Signals end the wait at once.
        self._signal = SignalHandlerGuardCondition(context=node.context)

    def wait(self, most_s: float) -> bool:
        """Wait until a message has come, or the executor is needed for something else.

        Args:
            most_s: longest time to wait.

        Returns:
            Whether a message has come and nothing else.
        """
        try:
            return self._ready(most_s) == [self._subscription.handle.pointer]
        except RuntimeError:
            return False  # all is being shut down, which the executor knows how to tell

    def _ready(self, most_s: float) -> list[int]:
        """Handles of what is ready of a node; its services and clients can wait a while."""
        node = self._node
        subscriptions, timers = list(node.subscriptions), list(node.timers)
        guards = [*node.guards, self._signal]
        counts = len(subscriptions), len(guards), len(timers), 0, 0, 0
        waits = rclpy_implementation.WaitSet(*counts, node.context.handle)
        waits.clear_entities()
        for entities, add in (
            (subscriptions, waits.add_subscription),
            (guards, waits.add_guard_condition),
            (timers, waits.add_timer),
        ):
            for entity in entities:
                add(entity.handle)
        waits.wait(round(1e9 * most_s))
        kinds = ("subscription", "guard_condition", "timer")
        return [pointer for kind in kinds for pointer in waits.get_ready_entities(kind)]
