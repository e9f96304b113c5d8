"""A subscription that is polled, instead of waking its node with every message.

A wait of rclpy's executor costs as much as a message of events that is only thinned.
"""

from __future__ import annotations

from collections.abc import Iterator

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import QoSProfile

__all__ = ["PolledSubscription"]


class PolledSubscription:
    """Messages of a topic as bytes; for use in the node's own thread only.

    Args:
        node: the node.
        message_type: type of the messages.
        topic: name of the topic.
        quality: how many may wait is up to its depth.
    """

    def __init__(self, node: Node, message_type: type, topic: str, quality: QoSProfile) -> None:
        self._node = node
        self._subscription = node.create_subscription(
            message_type, topic, _never, quality, callback_group=_Idle(), raw=True
        )

    def take(self, most: int) -> Iterator[bytes]:
        """Messages that wait, at most the given number, oldest first."""
        handle, kind = self._subscription.handle, self._subscription.msg_type
        for _ in range(most):
            with handle:
                taken = handle.take_message(kind, True)
            if taken is None:
                return
            yield taken[0]

    def close(self) -> None:
        """Unsubscribe."""
        self._node.destroy_subscription(self._subscription)


class _Idle(CallbackGroup):
    """A group that an executor passes over."""

    def can_execute(self, entity: object) -> bool:
        """Never."""
        return False

    def beginning_execution(self, entity: object) -> bool:
        """Never."""
        return False

    def ending_execution(self, entity: object) -> None:
        """Nothing is executed."""


def _never(_: bytes) -> None:
    """Not called."""
