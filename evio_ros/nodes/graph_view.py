"""The graph on the dashboard: states, events, pictures, detections, diagnostics.

Events and pictures are subscribed to only while there are viewers, and events by best effort
without receipts, so that a slow dashboard delays nobody. Of every message, only as many events are
read as the view keeps.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray

from evio_ros.errors import EventError
from evio_ros.msg import EventArray, RotationState, RotationStateArray
from evio_ros.ros.base_node import EvioNode
from evio_ros.ros.detection_messages import TRACKS_TOPIC, objects_of
from evio_ros.ros.event_messages import from_message
from evio_ros.ros.event_publisher import EVENTS_TOPIC
from evio_ros.ros.geometry_limit import GeometryLimit
from evio_ros.ros.polled_subscription import PolledSubscription
from evio_ros.ros.quality_of_service import results_quality
from evio_ros.ros.raw_event_array import read_event_array
from evio_ros.ros.rotation_messages import estimate_of
from evio_ros.ros.stamps import nanoseconds_of
from evio_ros.thinning import Thinner
from evio_ros.tracked_object import TrackedObject
from evio_ros.web.live_view import (
    Detection,
    EventSample,
    LiveView,
    NodeReport,
    ShownRotor,
    StateSample,
)

__all__ = ["GraphView"]

_LOOK_S = 0.1
_AGE_S = 1.0
_POLL_S = 0.05
_QUALITY = QoSProfile(depth=50, reliability=ReliabilityPolicy.BEST_EFFORT)
_LARGEST = GeometryLimit(16_000_000, 0)
_LEVELS = {
    DiagnosticStatus.OK: "ok",
    DiagnosticStatus.WARN: "warn",
    DiagnosticStatus.ERROR: "error",
    DiagnosticStatus.STALE: "stale",
}


class GraphView:
    """Subscribes a node to what is shown.

    Args:
        node: the node.
        view: where it is shown.

    Attributes:
        windows: windows that have come.
        refused: messages that break the rules.
        last_s: when a window last came, by `time.monotonic`; 0.0 for never.
    """

    def __init__(self, node: EvioNode, view: LiveView) -> None:
        self.windows = self.refused = 0
        self.last_s = 0.0
        self._node = node
        self._view = view
        self._end_us: int | None = None
        self._thinner = Thinner()
        self._events: PolledSubscription | None = None
        self._pictures: Any = None
        node.create_subscription(
            RotationStateArray, "rotation_states", self._take_states, results_quality()
        )
        node.create_subscription(DiagnosticArray, "/diagnostics", self._take_reports, 100)
        node.create_subscription(
            Detection2DArray, TRACKS_TOPIC, self._take_tracks, results_quality()
        )
        node.every(_LOOK_S, self._follow_demand)
        node.every(_POLL_S, self._poll)
        node.every(_AGE_S, view.age_reports)

    def _follow_demand(self) -> None:
        """Subscribe to what viewers need, and to nothing else."""
        if self._view.is_wanted("events") and self._events is None:
            self._events = PolledSubscription(self._node, EventArray, EVENTS_TOPIC, _QUALITY)
        elif self._events is not None and not self._view.is_wanted("events"):
            self._events.close()
            self._events = None
        if self._view.is_wanted("picture") and self._pictures is None:
            self._pictures = self._node.create_subscription(
                Image, "representation/image", self._take_picture, _QUALITY
            )
        elif self._pictures is not None and not self._view.is_wanted("picture"):
            self._node.destroy_subscription(self._pictures)
            self._pictures = None

    def _poll(self) -> None:
        """Take the events that have come since the last time."""
        if self._events is not None:
            for data in self._events.take(_QUALITY.depth):
                self._take_events(data)

    def _take_states(self, message: RotationStateArray) -> None:
        if message.window_end == self._end_us:
            return  # the detector is silent: fusion says so, and no window has passed
        self._end_us = message.window_end
        self.windows += 1
        self.last_s = time.monotonic()
        sample = StateSample(
            message.window_end,
            message.window_length,
            message.event_count,
            tuple(map(_rotor_of, message.states)),
            1e-9 * nanoseconds_of(message.header.stamp) or time.time(),
        )
        self._view.put_state(sample)

    def _take_events(self, data: bytes) -> None:
        try:
            message = read_event_array(data)
            _LARGEST.check(message.width, message.height)
            most = max(1, round(1e-6 * message.duration * self._view.events_a_second))
            # One of so many, a whole number: the thinner begins anew with every other share.
            share = 1.0 / max(1, -(-len(message.t) // most))
            places = self._thinner.places(len(message.t), share) if share < 1.0 else None
            window = from_message(message, places, share)
        except EventError as error:
            self.refused += 1
            self._node.get_logger().warning(
                f"events message refused: {error}", throttle_duration_sec=5.0
            )
            return
        self._view.put_events(
            EventSample(window.events, window.start_us, window.end_us, window.share)
        )

    def _take_picture(self, message: Image) -> None:
        if message.encoding != "rgb8" or len(message.data) < message.height * message.step:
            self.refused += 1
            return
        rows = np.frombuffer(message.data, np.uint8, message.height * message.step)
        picture = rows.reshape(message.height, message.step)[:, : 3 * message.width]
        self._view.put_picture(picture.reshape(message.height, message.width, 3))

    def _take_tracks(self, message: Detection2DArray) -> None:
        # Their time is not shown, so neither is the distance of the clocks needed.
        objects, refused = objects_of(message, offset_ns=0)
        self.refused += refused
        self._view.put_detections(tuple(map(_detection_of, objects)))

    def _take_reports(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self._view.put_report(
                NodeReport(
                    status.name,
                    _LEVELS.get(status.level, "error"),
                    status.message,
                    status.hardware_id,
                    {value.key: value.value for value in status.values},
                    time.monotonic(),
                )
            )


def _rotor_of(message: RotationState) -> ShownRotor:
    return ShownRotor(
        estimate_of(message),
        message.rpm_rate,
        message.group,
        message.class_id,
        message.track_id,
        message.sources == RotationState.SOURCE_PREDICTION,
    )


def _detection_of(found: TrackedObject) -> Detection:
    x0, y0, x1, y1 = found.corners
    center, size = (0.5 * (x0 + x1), 0.5 * (y0 + y1)), (x1 - x0, y1 - y0)
    return Detection(center, size, found.score, found.class_name, found.id)
