"""Following rotation states from a program that is not itself a node."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import rclpy
from rclpy.executors import SingleThreadedExecutor

from evio_ros.estimate import Measurement
from evio_ros.msg import RotationStateArray
from evio_ros.ros.event_publisher import EVENTS_TOPIC
from evio_ros.ros.quality_of_service import results_quality
from evio_ros.ros.rotation_messages import estimate_of

__all__ = ["RotationListener"]


class RotationListener:
    """Subscribes to `rotation_states`; a context manager with a ROS context of its own.

    Args:
        namespace: namespace of the fusion node, "" for none.
    """

    def __init__(self, namespace: str = "") -> None:
        self._came: list[Measurement] = []
        self._context = rclpy.Context()
        rclpy.init(context=self._context, args=[])
        self._node = rclpy.create_node(
            "rotation_listener", context=self._context, namespace=namespace
        )
        self._subscription = self._node.create_subscription(
            RotationStateArray, "rotation_states", self._take, results_quality()
        )
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._executor.shutdown()
        self._node.destroy_node()
        self._context.try_shutdown()

    def is_connected(self) -> bool:
        """Whether rotation states are published here, and somebody is ready for events."""
        is_published = self._subscription.get_publisher_count() > 0
        return is_published and self._node.count_subscribers(EVENTS_TOPIC) > 0

    def listen(self, timeout_s: float) -> list[Measurement]:
        """Wait at most `timeout_s` for something; the windows that came, without events."""
        self._executor.spin_once(timeout_sec=timeout_s)
        came, self._came = self._came, []
        return came

    def _take(self, message: RotationStateArray) -> None:
        rotors = [estimate_of(state) for state in message.states]
        self._came.append(Measurement(message.window_end, message.window_length, None, rotors))
