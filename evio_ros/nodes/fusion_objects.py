"""The objects that the RVT detector tracks, as input of fusion."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rclpy.serialization import deserialize_message
from vision_msgs.msg import Detection2DArray

from evio_ros.ros.base_node import EvioNode
from evio_ros.ros.detection_messages import TRACKS_TOPIC, objects_of
from evio_ros.ros.quality_of_service import results_quality
from evio_ros.tracked_object import TrackedObject

__all__ = ["ObjectInput"]


_MOST_BYTES = 1 << 18
"""Some 500 objects, more than any detector reports: Python needs a third of a ms to read one."""


class ObjectInput:
    """Subscribes to the tracks of objects.

    Args:
        node: fusion.
        offset_ns: gives ROS time minus sensor time.
        take: called with the objects of each message.

    Attributes:
        refused: objects with impossible boxes, and messages that are invalid or far too large.
    """

    def __init__(
        self,
        node: EvioNode,
        offset_ns: Callable[[], int],
        take: Callable[[Sequence[TrackedObject]], None],
    ) -> None:
        self.refused = 0
        self._node, self._offset_ns, self._note = node, offset_ns, take

    def activate(self) -> None:
        """Subscribe."""
        self._node.create_subscription(
            Detection2DArray, TRACKS_TOPIC, self._take, results_quality(), raw=True
        )

    def _take(self, data: bytes) -> None:
        if len(data) > _MOST_BYTES:
            self.refused += 1
            return
        try:
            message = deserialize_message(data, Detection2DArray)
        except RuntimeError:  # the middleware's: the bytes are no such message
            self.refused += 1
            return
        objects, refused = objects_of(message, self._offset_ns())
        self.refused += refused
        self._note(objects)
