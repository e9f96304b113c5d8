"""The representation node: from events to dense tensors and a picture."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import ClassVar

from evio_ros.events import EventWindow
from evio_ros.nodes.event_input import EventInputParameters, subscribe_to_events
from evio_ros.nodes.image_topic import ImageParameters, ImageTopic
from evio_ros.nodes.tensor_topic import TensorTopic, TensorWindowParameters
from evio_ros.nodes.topic_on_demand import TopicOnDemand
from evio_ros.parameters import Parameters
from evio_ros.representations.base import RepresentationParameters
from evio_ros.representations.registry import KINDS
from evio_ros.ros.base_node import EvioNode
from evio_ros.ros.camera_info import read_camera_info
from evio_ros.ros.diagnostics import Report
from evio_ros.ros.event_subscription import ReceptionStatistics, SensorClock
from evio_ros.ros.kernel_log import compilation_logged
from evio_ros.ros.process import run_node
from evio_ros.ros.quality_of_service import EventsQualityParameters

__all__ = ["RepresentationNode", "main"]

_BYTES_PER_PIXEL = 120
"""The most that one kind takes with default parameters: its counts and its message."""


class RepresentationNode(EvioNode):
    """Publishes `representation/<kind>` and `representation/image`, each if somebody subscribes."""

    TASK = "representations"
    INPUT = "events"
    PARAMETERS: ClassVar[Mapping[str, type[Parameters]]] = {
        "window_us": TensorWindowParameters,
        "image": ImageParameters,
        **{kind: member.parameters for kind, member in KINDS.items()},
        "input": EventInputParameters,
        "qos": EventsQualityParameters,
    }

    def __init__(self) -> None:
        super().__init__("representation")
        self._busy_s = 0.0
        self._topics: list[TopicOnDemand] = []
        self.parameters.on_change(self._change_parameters)

    def configure(self) -> None:
        """Make the topics and have everything compiled."""
        file = self.parameters.get(ImageParameters, "image").camera_info_file
        image = ImageTopic(self, read_camera_info(file) if file else None)
        self._topics = [*(TensorTopic(self, kind) for kind in KINDS), image]
        with compilation_logged(self):
            self._change_parameters()
        self._received = ReceptionStatistics()

    def activate(self) -> None:
        """Subscribe to events."""
        self._events = subscribe_to_events(self, _BYTES_PER_PIXEL, self._take)
        self._received = self._events.statistics

    def deactivate(self) -> None:
        """Stop taking events."""
        self._events.close()

    def cleanup(self) -> None:
        """Free the tensors."""
        self._topics = []

    def last_input_s(self) -> float | None:
        """When events last came."""
        return self._received.last_s

    def report(self) -> Report:
        """What is published, and what was lost on the way."""
        received = self._received
        late = sum(topic.late_events for topic in self._topics)
        wanted = [topic.name for topic in self._topics if topic.is_wanted]
        problems = [topic.problem for topic in self._topics if topic.problem]
        problems += [received.problem] if received.problem else []
        message = f"publishing {', '.join(wanted)}" if wanted else "nobody has subscribed"
        waiting = [] if received.messages else ["waiting for events"]
        return Report(
            "; ".join([message, *waiting, *problems]),
            {
                **received.values(),
                "events_dropped_late": late,
                **{f"published_{topic.name}": topic.published for topic in self._topics},
                "busy_s": round(self._busy_s, 3),
            },
            warning=received.is_troubled or bool(late or problems),
            hardware_id=received.camera,
            rates=("messages", "events"),
        )

    def _change_parameters(self) -> None:
        windows = self.parameters.get(TensorWindowParameters, "window_us")
        for topic in self._topics:
            if isinstance(topic, TensorTopic):
                chosen = self.parameters.get(RepresentationParameters, topic.name)
                topic.change(chosen, windows.of(topic.name))
            elif isinstance(topic, ImageTopic):
                topic.change(self.parameters.get(ImageParameters, "image"))

    def _take(self, window: EventWindow, clock: SensorClock) -> None:
        started_s = time.monotonic()
        for topic in self._topics:
            topic.take(window, clock)
        self._busy_s += time.monotonic() - started_s


def main() -> None:
    """Run the node."""
    run_node(RepresentationNode)


if __name__ == "__main__":
    main()
