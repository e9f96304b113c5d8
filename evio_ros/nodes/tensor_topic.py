"""The topics `representation/<kind>`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rclpy.node import Node

from evio_ros.events import SensorSize
from evio_ros.msg import EventTensor
from evio_ros.nodes.topic_on_demand import WARM_UP_SIZE, TopicOnDemand, warm_up
from evio_ros.parameters import Parameters, parameter
from evio_ros.representations.base import RepresentationParameters
from evio_ros.representations.registry import make
from evio_ros.representations.tensor_stream import TensorStream
from evio_ros.ros.event_subscription import SensorClock
from evio_ros.ros.tensor_messages import TensorMessage

__all__ = ["TensorTopic", "TensorWindowParameters"]


def _window(what: str, length_us: int) -> Any:
    doc = f"Length of the window of {what}."
    return parameter(length_us, unit="us", minimum=100, maximum=10_000_000, doc=doc)


@dataclass(frozen=True)
class TensorWindowParameters(Parameters):
    """Length of the windows of every kind, and so also the period: they follow one another."""

    activity: int = _window("an activity map", 50_000)
    event_frame: int = _window("an event frame", 50_000)
    mixed_density: int = _window("a mixed-density stack", 50_000)
    stacked_histogram: int = _window("a stacked histogram", 50_000)
    time_surface: int = _window("a time surface", 50_000)
    voxel_grid: int = _window("a voxel grid", 50_000)

    def of(self, kind: str) -> int:
        """Length of a kind's window in µs."""
        length_us: int = getattr(self, kind)
        return length_us


class TensorTopic(TopicOnDemand):
    """`representation/<kind>`."""

    def __init__(self, node: Node, kind: str) -> None:
        super().__init__(node, kind, EventTensor)

    def change(self, parameters: RepresentationParameters, window_us: int) -> None:
        """Use new parameters; the next event begins a new stream."""
        self._close()
        self._parameters, self._window_us = parameters, window_us
        warm_up(make(self.name, WARM_UP_SIZE, parameters))

    def _open(self, size: SensorSize) -> TensorStream:
        representation = make(self.name, size, self._parameters)
        self._tensor = TensorMessage(self.name, representation.shape, representation.dtype)
        return TensorStream(representation, self._window_us)

    def _message(self, stream: TensorStream, start_us: int, clock: SensorClock) -> EventTensor:
        made = stream.representation
        made.read(self._tensor.tensor)
        window = (start_us, stream.window_us)
        header = clock.header(start_us)
        return self._tensor.complete(header, *window, made.bin_edges_us(), made.event_count)
