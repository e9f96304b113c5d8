"""Vehicles and tilts for fusion: the camera's intrinsics in, groups and normals into the states."""

from __future__ import annotations

from collections.abc import Sequence

from sensor_msgs.msg import CameraInfo

from evio_ros.errors import ParameterError
from evio_ros.fusion.disc_normal import Intrinsics
from evio_ros.fusion.vehicles import VehicleObserver, VehicleParameters
from evio_ros.ros.base_node import EvioNode
from evio_ros.ros.quality_of_service import results_quality
from evio_ros.rotor_state import RotorState

__all__ = ["VehicleInput"]

_CAMERA_INFO_TOPIC = "camera_info"
_FX, _CX, _FY, _CY = 0, 2, 4, 5
"""Places in CameraInfo.k."""


class VehicleInput:
    """Follows vehicles, with the intrinsics that `camera_info` tells, if anybody does.

    Args:
        node: fusion, with `VehicleParameters` under the prefix "vehicles".
    """

    def __init__(self, node: EvioNode) -> None:
        self._node = node
        self._observer = VehicleObserver(node.parameters.get(VehicleParameters, "vehicles"))
        self._camera = (0.0, 0.0)
        node.create_subscription(
            CameraInfo, _CAMERA_INFO_TOPIC, self._take_camera, results_quality()
        )

    def note_camera(self, velocity: tuple[float, float]) -> None:
        """Take in how the image moves as the camera turns, px/s."""
        self._camera = velocity

    def note(self, states: Sequence[RotorState]) -> None:
        """Take in the states of a window."""
        self._observer.note(states, self._camera)

    def completed(self, states: Sequence[RotorState]) -> list[RotorState]:
        """The states with their vehicles and normals."""
        return self._observer.completed(states)

    def _take_camera(self, info: CameraInfo) -> None:
        k = info.k
        try:
            self._observer.intrinsics = Intrinsics((k[_FX], k[_FY]), (k[_CX], k[_CY]))
        except ParameterError as error:
            self._observer.intrinsics = None
            self._node.get_logger().warning(f"camera_info: {error}", throttle_duration_sec=5.0)
