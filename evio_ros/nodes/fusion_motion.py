"""Motion of the image for fusion: from events to `~/motion` and the velocity of every hub."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from evio_ros.events import EventWindow, SensorSize
from evio_ros.motion.image_motion import (
    ImageMotion,
    ImageMotionEstimator,
    MotionParameters,
    Region,
    warm_up,
)
from evio_ros.msg import ImageMotionArray
from evio_ros.nodes.event_input import subscribe_to_events
from evio_ros.opencv import opencv
from evio_ros.ros.base_node import EvioNode
from evio_ros.ros.event_subscription import SensorClock
from evio_ros.ros.motion_messages import motion_array
from evio_ros.ros.quality_of_service import results_quality
from evio_ros.windowing import WindowAssembler

__all__ = ["MotionInput"]

_BYTES_PER_PIXEL = 32
"""Counts of as many pictures as the baseline spans at most, and one more."""


class MotionInput:
    """Measures motion if the parameter `motion.method` is set; otherwise takes no events.

    Args:
        node: fusion, with `MotionParameters` under the prefix "motion", and those of events.

    Raises:
        EvioError: if `motion.method` is set and OpenCV is missing.

    Attributes:
        windows: motions measured.
    """

    def __init__(self, node: EvioNode) -> None:
        self.windows = 0
        self._node = node
        self._parameters = node.parameters.get(MotionParameters, "motion")
        self._windows: WindowAssembler | None = None
        self._publisher = node.create_publisher(ImageMotionArray, "~/motion", results_quality())
        if self._parameters.is_asked_for:
            opencv("optical flow")
            warm_up(self._parameters)

    def activate(
        self, regions: Callable[[int], Sequence[Region]], take: Callable[[ImageMotion], None]
    ) -> None:
        """Subscribe to events.

        Args:
            regions: gives the rotors at a sensor time.
            take: called with every motion.
        """
        self._regions, self._note = regions, take
        if self._parameters.is_asked_for:
            self._events = subscribe_to_events(self._node, _BYTES_PER_PIXEL, self._take)

    def deactivate(self) -> None:
        """Stop taking events."""
        if self._parameters.is_asked_for:
            self._events.close()

    def _take(self, window: EventWindow, clock: SensorClock) -> None:
        if self._windows is None or self._windows.size != window.events.size:
            self._begin(window.events.size)
        assert self._windows is not None
        for picture in self._windows.push(window.events):
            regions = self._regions(picture.end_us)
            motion = self._estimator.process(picture, regions)
            if motion is not None:
                self.windows += 1
                self._note(motion)
                if self._publisher.get_subscription_count():
                    header = clock.header(motion.end_us)
                    self._publisher.publish(motion_array(header, motion, regions))

    def _begin(self, size: SensorSize) -> None:
        self._windows = WindowAssembler(size, self._parameters.frame_us)
        self._estimator = ImageMotionEstimator(size, self._parameters)
