"""The objects that the RVT detector follows, as fusion takes them in."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from evio_ros.ros.base_node import EvioNode
from evio_ros.ros.quality_of_service import results_quality
from evio_ros.tracked_object import TrackedObject

__all__ = ["ObjectInput"]

_TRACKS_TOPIC = "rvt_detector/tracks"


class ObjectInput:
    """Subscribes to the tracks of objects, where vision_msgs is installed.

    Args:
        node: fusion.
        offset_ns: tells ROS time minus sensor time.
        take: called with the objects of each message.

    Attributes:
        refused: objects that no camera can have seen.
    """

    def __init__(
        self,
        node: EvioNode,
        offset_ns: Callable[[], int],
        take: Callable[[Sequence[TrackedObject]], None],
    ) -> None:
        self.refused = 0
        self._offset_ns, self._note = offset_ns, take
        try:
            from vision_msgs.msg import Detection2DArray
        except ImportError:
            node.get_logger().info("no objects: vision_msgs is not installed")
        else:
            node.create_subscription(Detection2DArray, _TRACKS_TOPIC, self._take, results_quality())

    def _take(self, message: object) -> None:
        from evio_ros.ros.detection_messages import objects_of

        objects, refused = objects_of(message, self._offset_ns())
        self.refused += refused
        self._note(objects)
