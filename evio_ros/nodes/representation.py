"""The representation node: events in, dense tensors and a picture for the eye out."""

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
from evio_ros.ros.diagnostics import Report
from evio_ros.ros.event_subscription import SensorClock
from evio_ros.ros.kernel_log import compilation_logged
from evio_ros.ros.process import run_node
from evio_ros.ros.quality_of_service import EventsQualityParameters

__all__ = ["RepresentationNode", "main"]


class RepresentationNode(EvioNode):
    """Publishes `representation/<kind>` and `representation/image`, each while it is wanted."""

    TASK = "representations"
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
        self._topics: list[TopicOnDemand] = [
            *(TensorTopic(self, kind) for kind in KINDS),
            ImageTopic(self),
        ]
        with compilation_logged(self):
            self._change_parameters()
        self.parameters.on_change(self._change_parameters)
        self._events = subscribe_to_events(self, self._take)

    def report(self) -> Report:
        """What is published, and what was lost on the way."""
        received = self._events.statistics
        late = sum(topic.late_events for topic in self._topics)
        wanted = [topic.name for topic in self._topics if topic.is_wanted]
        problems = [topic.problem for topic in self._topics if topic.problem]
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
            warning=bool(received.lost or received.refused or late or problems),
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
