"""Drawing what other nodes have found in a picture: rotors, boxes and tracks."""

from __future__ import annotations

from functools import partial

from rclpy.node import Node
from vision_msgs.msg import Detection2DArray

from evio_ros.msg import RotationState, RotationStateArray
from evio_ros.representations.object_overlay import draw_objects
from evio_ros.representations.picture import Picture
from evio_ros.representations.rotor_overlay import draw_rotors
from evio_ros.ros.detection_messages import DETECTIONS_TOPIC, TRACKS_TOPIC, objects_of
from evio_ros.ros.quality_of_service import results_quality
from evio_ros.ros.rotation_messages import estimate_of

__all__ = ["PictureOverlay"]

_ROTORS_TOPIC = "rotation_states"
_FRESH_US = 500_000


class PictureOverlay:
    """Keeps the newest of what is to be drawn.

    Args:
        node: the node that subscribes.
    """

    def __init__(self, node: Node) -> None:
        self._rotors: RotationStateArray | None = None
        self._objects: dict[str, Detection2DArray] = {}
        node.create_subscription(
            RotationStateArray, _ROTORS_TOPIC, self._note_rotors, results_quality()
        )
        for topic in (DETECTIONS_TOPIC, TRACKS_TOPIC):
            note = partial(self._objects.__setitem__, topic)
            node.create_subscription(Detection2DArray, topic, note, results_quality())

    def draw_rotors(self, picture: Picture, t_us: int) -> None:
        """Draw the rotors, unless they are of another time than `t_us`."""
        if self._rotors is not None and abs(t_us - self._rotors.window_end) <= _FRESH_US:
            states = self._rotors.states
            only = RotationState.SOURCE_PREDICTION
            predicted = {state.id for state in states if state.sources == only}
            draw_rotors(map(estimate_of, states), picture, predicted)

    def draw_objects(self, picture: Picture, t_us: int, offset_ns: int) -> None:
        """Draw boxes and tracks, unless they are of another time than `t_us`.

        Args:
            picture: is drawn into.
            t_us: sensor time of the picture.
            offset_ns: ROS time minus sensor time.
        """
        for message in self._objects.values():
            objects, _ = objects_of(message, offset_ns)
            draw_objects((one for one in objects if abs(t_us - one.t_us) <= _FRESH_US), picture)

    def _note_rotors(self, message: RotationStateArray) -> None:
        self._rotors = message
