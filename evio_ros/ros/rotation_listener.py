"""Listening to nodes and rotation states from a program that is not itself a node."""

from __future__ import annotations

from typing import Self

import rclpy
from rclpy.executors import SingleThreadedExecutor

from evio_ros.estimate import Measurement
from evio_ros.msg import RotationStateArray
from evio_ros.ros.event_publisher import EVENTS_TOPIC
from evio_ros.ros.quality_of_service import results_quality
from evio_ros.ros.rotation_messages import estimate_of

__all__ = ["LocalNode", "RotationListener"]


class LocalNode:
    """A node in its own ROS context, spun only while waiting; a context manager.

    Args:
        name: the node's name.
        namespace: its namespace, "" for none.

    Attributes:
        node: the node.
    """

    def __init__(self, name: str, namespace: str = "") -> None:
        self._context = rclpy.Context()
        rclpy.init(context=self._context, args=[])
        self.node = rclpy.create_node(name, context=self._context, namespace=namespace)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        self._context.try_shutdown()

    def spin_once(self, timeout_s: float) -> None:
        """Wait at most `timeout_s` for a message, and handle it."""
        self._executor.spin_once(timeout_sec=timeout_s)


class RotationListener(LocalNode):
    """Subscribes to `rotation_states`.

    Args:
        namespace: namespace of the fusion node, "" for none.
    """

    def __init__(self, namespace: str = "") -> None:
        super().__init__("rotation_listener", namespace)
        self._came: list[Measurement] = []
        self._end_us: int | None = None
        self._subscription = self.node.create_subscription(
            RotationStateArray, "rotation_states", self._take, results_quality()
        )

    def is_connected(self) -> bool:
        """Whether rotation states are published, and a node is ready for events."""
        is_published = self._subscription.get_publisher_count() > 0
        return is_published and self.node.count_subscribers(EVENTS_TOPIC) > 0

    def listen(self, timeout_s: float) -> list[Measurement]:
        """Wait at most `timeout_s`; returns the windows that arrived, without events."""
        self.spin_once(timeout_s)
        came, self._came = self._came, []
        return came

    def _take(self, message: RotationStateArray) -> None:
        if message.window_end == self._end_us:
            return  # the detector is silent: fusion says so, and no window has passed
        self._end_us = message.window_end
        rotors = [estimate_of(state) for state in message.states]
        self._came.append(Measurement(message.window_end, message.window_length, None, rotors))
