"""The RVT detector node: from events to boxes and tracks of objects."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from vision_msgs.msg import Detection2DArray

from evio_ros.detection.inference import Network, missing_packages
from evio_ros.detection.network import NetworkParameters, open_network
from evio_ros.detection.object_tracker import TrackingParameters
from evio_ros.events import EventWindow
from evio_ros.nodes.event_input import EventSubscriber, subscribe_to_events
from evio_ros.nodes.object_stream import ObjectStream
from evio_ros.nodes.tensor_input import EventOrTensorParameters, subscribe_to_histograms
from evio_ros.object_detection import DetectedObjects, ObjectDetectionParameters
from evio_ros.parameters import Parameters, parameter
from evio_ros.ros.base_node import EvioNode
from evio_ros.ros.delay_statistics import DelayStatistics
from evio_ros.ros.detection_messages import detection_array, object_values
from evio_ros.ros.diagnostics import Report
from evio_ros.ros.event_subscription import ReceptionStatistics, SensorClock
from evio_ros.ros.process import run_node
from evio_ros.ros.quality_of_service import EventsQualityParameters, results_quality
from evio_ros.tracked_object import TrackedObject

__all__ = ["RvtDetectorNode", "main"]

_BYTES_PER_PIXEL = 60
"""The stacked histogram of ten bins, what it is made with, and the network's input."""
_FEWEST_WAITING = 5
"""If fewer messages wait, they may come from a driver that waits itself: it sends four ahead."""


@dataclass(frozen=True)
class _OverloadParameters(Parameters):
    """What the node does if events come faster than it can process them."""

    maximum_wait_us: int = parameter(
        100_000,
        unit="us",
        minimum=1_000,
        maximum=10_000_000,
        doc="Longest wait of messages, by the clock, before the next window is skipped.",
    )


class RvtDetectorNode(EvioNode):
    """Detects and tracks objects, and publishes the boxes and tracks of every window.

    A recurrent vision transformer finds the boxes, and norfair keeps their identities. Arrays are
    empty if nothing is seen. Without PyTorch or another package of the extra `rvt` the node says so
    and stays idle. If the network is slower than the stream, windows are skipped and counted.
    """

    TASK = "object detection"
    INPUT = "events"
    PARAMETERS: ClassVar[Mapping[str, type[Parameters]]] = {
        "": ObjectDetectionParameters,
        "network": NetworkParameters,
        "tracking": TrackingParameters,
        "overload": _OverloadParameters,
        "input": EventOrTensorParameters,
        "qos": EventsQualityParameters,
    }

    def __init__(self) -> None:
        super().__init__("rvt_detector")
        self._network: Network | None = None
        self._stream: ObjectStream  # where there is a network
        self._events: EventSubscriber | None = None
        self._idle_because = ""
        self._received = ReceptionStatistics()
        self._delay = DelayStatistics("window_end_to_boxes")
        self._boxes: list[TrackedObject] = []
        self._tracks: list[TrackedObject] = []
        self.parameters.on_change(self._start_afresh)

    def configure(self) -> None:
        """Load the network and run it once, so that no window waits for that."""
        self._box_publisher, self._track_publisher = (
            self.create_publisher(Detection2DArray, topic, results_quality())
            for topic in ("~/detections", "~/tracks")
        )
        missing = missing_packages()
        if missing:
            what = f"{', '.join(missing)} not installed (pip install 'evio_ros[rvt]')"
            self._idle_because = f"idle: {what}"
            self.get_logger().warning(self._idle_because)
            return
        # Threads of PyTorch that wait for work would take it from the other nodes.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        began_s = time.monotonic()
        model, network = open_network(self.parameters.get(NetworkParameters, "network"))
        self._network = network
        self._start_afresh()
        took_s, classes = time.monotonic() - began_s, ", ".join(network.configuration.classes)
        how = f"{model} for {classes} on {network.backend}, loaded in {took_s:.1f} s"
        self.get_logger().info("; ".join(filter(None, (how, network.remark))))

    def activate(self) -> None:
        """Subscribe to events or tensors; what was before is forgotten."""
        self._start_afresh()
        if self._network is None:
            return
        if self.parameters.get(EventOrTensorParameters, "input").tensors:
            self._received = subscribe_to_histograms(self, self._take_histogram)
            return
        self._events = subscribe_to_events(self, _BYTES_PER_PIXEL, self._take)
        self._received = self._events.statistics

    def deactivate(self) -> None:
        """Stop taking input."""
        if self._events is not None:
            self._events.close()
            self._events = None

    def cleanup(self) -> None:
        """Free the network."""
        self._network = None

    def last_input_s(self) -> float | None:
        """When input last came; None while the node is idle, as none is due."""
        return self._received.last_s if self._network is not None else None

    def report(self) -> Report:
        """Objects in view, counters, and what was lost on the way."""
        if self._network is None:
            return Report(self._idle_because, warning=True)
        received, counters = self._received, self._stream.values()
        boxes, tracks = ([], []) if self.is_stale else (self._boxes, self._tracks)
        found = f"{len(boxes)} boxes, {len(tracks)} tracks"
        view = found if received.messages else "waiting for input"
        return Report(
            "; ".join(filter(None, (view, received.problem))),
            {
                **received.values(),
                **counters,
                "backend": self._network.backend,
                **(self._events.queue.values() if self._events is not None else {}),
                **self._delay.values(),
                **object_values(tracks),
            },
            warning=received.is_troubled or bool(counters["windows_failed"]),
            hardware_id=received.camera,
            rates=("messages", "events", "windows"),
        )

    def _start_afresh(self) -> None:
        """Forget the past, and use the present parameters."""
        self._boxes, self._tracks = [], []
        if self._network is not None:
            self._stream = ObjectStream(
                self._network,
                self.parameters.get(ObjectDetectionParameters),
                self.parameters.get(TrackingParameters, "tracking"),
                lambda line: self.get_logger().warning(line, throttle_duration_sec=5.0),
            )

    def _take(self, window: EventWindow, clock: SensorClock) -> None:
        for found in self._stream.push(window, self._is_behind):
            self._show(found, clock)

    def _take_histogram(
        self, tensor: NDArray[np.uint8], start_us: int, length_us: int, clock: SensorClock
    ) -> None:
        for found in self._stream.push_histogram(tensor, start_us, length_us):
            self._show(found, clock)

    def _is_behind(self) -> bool:
        """Whether the next window is to be skipped, so that messages do not pile up."""
        assert self._events is not None
        queue = self._events.queue
        queue.fetch()
        longest_us = self.parameters.get(_OverloadParameters, "overload").maximum_wait_us
        return len(queue) >= _FEWEST_WAITING and queue.waiting_s > 1e-6 * longest_us

    def _show(self, found: DetectedObjects, clock: SensorClock) -> None:
        self._boxes, self._tracks = found.boxes_as_objects(), found.tracks_as_objects()
        about = (found.t_us, clock.offset_ns, clock.frame_id)
        message = detection_array(self._boxes, *about)
        self._box_publisher.publish(message)
        self._track_publisher.publish(detection_array(self._tracks, *about))
        self._delay.note_age(message.header.stamp, self.get_clock())


def main() -> None:
    """Run the node."""
    run_node(RvtDetectorNode)


if __name__ == "__main__":
    main()
