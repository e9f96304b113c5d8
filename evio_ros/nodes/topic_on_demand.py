"""A topic of the representation node, computed only while somebody has subscribed."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.publisher import Publisher

from evio_ros.events import EventBatch, EventWindow, SensorSize
from evio_ros.representations.base import Representation, TensorArray, represent
from evio_ros.representations.tensor_stream import TensorStream
from evio_ros.ros.event_subscription import SensorClock
from evio_ros.ros.quality_of_service import pictures_quality

__all__ = ["WARM_UP_SIZE", "TopicOnDemand", "warm_up"]

WARM_UP_SIZE = SensorSize(4, 4)


class TopicOnDemand:
    """A topic with a stream of tensors behind it, which exists only while somebody listens.

    Attributes:
        name: last part of the topic's name.
        published: messages sent.
        problem: why nothing can be published; empty if something can.
    """

    def __init__(self, node: Node, name: str, message: type) -> None:
        self.name = name
        self.published = 0
        self.problem = ""
        self._node = node
        self._stream: TensorStream | None = None
        self._late_events = 0
        self._publisher: Publisher = node.create_publisher(
            message, f"representation/{name}", pictures_quality()
        )

    @property
    def is_wanted(self) -> bool:
        """Whether somebody has subscribed and it can be published."""
        return not self.problem and self._publisher.get_subscription_count() > 0

    @property
    def late_events(self) -> int:
        """Events dropped since the start; see `TensorStream.late_events`."""
        return self._late_events + (self._stream.late_events if self._stream else 0)

    def take(self, window: EventWindow, clock: SensorClock) -> None:
        """Add events, and publish every window that they complete."""
        if not self.is_wanted:
            self._close()
            return
        size = window.events.size
        if self._stream is None or self._stream.representation.size != size:
            self._close()
            self._stream = self._open(size)
        for start_us in self._stream.push(window):
            self._publish(self._message(self._stream, start_us, clock))
            self.published += 1

    def _publish(self, message: Any) -> None:
        self._publisher.publish(message)

    def _close(self) -> None:
        """Let go of the stream and its memory; the next event makes a new one."""
        self._late_events = self.late_events
        self._stream = None

    @abstractmethod
    def _open(self, size: SensorSize) -> TensorStream:
        """Make the stream for a sensor."""

    @abstractmethod
    def _message(self, stream: TensorStream, start_us: int, clock: SensorClock) -> object:
        """The message of the window that is complete."""


def warm_up(representation: Representation) -> TensorArray:
    """Have everything compiled before the first event comes; gives a tensor."""
    pixels = np.array([0, 3], np.uint16)
    events = EventBatch(WARM_UP_SIZE, np.array([0, 9]), pixels, pixels, np.array([False, True]))
    return represent(representation, EventWindow(0, 10, events))
