"""A node of the tests' own that listens, speaks and calls services while it waits."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription

TIMEOUT_S = 30.0


class Probe:
    """Collects the messages of topics; spins only while a test waits."""

    def __init__(self, name: str = "probe") -> None:
        self._context = rclpy.Context()
        rclpy.init(context=self._context, args=[])
        self.node = rclpy.create_node(name, context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._subscriptions: dict[str, Subscription] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        self._context.try_shutdown()

    def collect(
        self, message_type: type, topic: str, quality: QoSProfile | None = None
    ) -> list[Any]:
        """A list that grows with every message of a topic."""
        messages: list[Any] = []
        self._subscriptions[topic] = self.node.create_subscription(
            message_type, topic, messages.append, quality or QoSProfile(depth=1000)
        )
        return messages

    def wait_for_publisher(self, topic: str) -> None:
        """Spin until a collected topic is connected."""
        self.wait_until(lambda: self._subscriptions[topic].get_publisher_count() > 0)

    def wait_until(self, condition: Callable[[], bool], timeout_s: float = TIMEOUT_S) -> None:
        """Spin until a condition holds; fails the test where it never does."""
        end_s = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < end_s, "the condition did not come true in time"
            self._executor.spin_once(timeout_sec=0.05)

    def spin_for(self, seconds: float) -> None:
        """Spin for some time."""
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            self._executor.spin_once(timeout_sec=0.02)

    def call(self, service_type: type, name: str, request: Any) -> Any:
        """Call a service and return its response."""
        client = self.node.create_client(service_type, name)
        self.wait_until(client.service_is_ready)
        future = client.call_async(request)
        self.wait_until(future.done)
        self.node.destroy_client(client)
        return future.result()


def diagnostics_of(messages: list[Any], node: str) -> dict[str, str]:
    """The newest values that a node has reported, its message line as "message"."""
    for message in reversed(messages):
        for status in message.status:
            if status.name == node:
                values = {value.key: value.value for value in status.values}
                return {**values, "message": status.message}
    return {}
