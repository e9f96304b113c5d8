"""The stacked histograms that a node works on, as the representation node publishes them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy

from evio_ros.errors import EventError
from evio_ros.msg import EventTensor
from evio_ros.nodes.event_input import EventInputParameters
from evio_ros.parameters import parameter
from evio_ros.ros.base_node import EvioNode
from evio_ros.ros.event_subscription import ReceptionStatistics, SensorClock
from evio_ros.ros.stamps import nanoseconds_of
from evio_ros.ros.tensor_messages import tensor_of

__all__ = ["EventOrTensorParameters", "subscribe_to_histograms"]

_TOPIC = "representation/stacked_histogram"
_KIND = "stacked_histogram"


@dataclass(frozen=True)
class EventOrTensorParameters(EventInputParameters):
    """In which form a node takes its events, or what others have made of them."""

    tensors: bool = parameter(
        False,
        read_only=True,
        doc="Take the representation/stacked_histogram that the representation node publishes, "
        "instead of events.",
    )


_Take = Callable[[NDArray[np.uint8], int, int, SensorClock], None]


def subscribe_to_histograms(node: EvioNode, take: _Take) -> ReceptionStatistics:
    """Subscribe a node to the newest stacked histogram; what it has no time for is never queued.

    Args:
        node: the node.
        take: called with each tensor, the start and length of its window, and its clock.

    Returns:
        What has come so far; it is kept up to date.
    """
    statistics = ReceptionStatistics()

    def receive(message: EventTensor) -> None:
        statistics.last_s = time.monotonic()
        statistics.note_arrival(message.header.frame_id)
        try:
            tensor = _histogram(message)
        except EventError as error:
            statistics.refused += 1
            node.get_logger().warning(f"{_TOPIC} refused: {error}", throttle_duration_sec=5.0)
            return
        statistics.messages += 1
        statistics.events += message.event_count
        offset_ns = nanoseconds_of(message.header.stamp) - 1000 * message.window_start
        clock = SensorClock(offset_ns, message.header.frame_id)
        take(tensor, message.window_start, message.window_length, clock)

    newest = QoSProfile(
        history=HistoryPolicy.KEEP_LAST, depth=1, reliability=ReliabilityPolicy.RELIABLE
    )
    node.create_subscription(EventTensor, _TOPIC, receive, newest)
    return statistics


def _histogram(message: EventTensor) -> NDArray[np.uint8]:
    if message.kind != _KIND or message.dtype != "uint8" or not message.window_length:
        raise EventError(
            f"{message.kind!r} of {message.dtype!r} over {message.window_length} us, not a "
            f"{_KIND} of uint8"
        )
    return tensor_of(message)
