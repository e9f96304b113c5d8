"""Vehicles and tilts for fusion: adds groups and normals to the states."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sensor_msgs.msg import CameraInfo

from evio_ros.errors import ParameterError
from evio_ros.fusion.disc_normal import Intrinsics
from evio_ros.fusion.rotor_bank import RotorBank
from evio_ros.fusion.rotor_filter import HubVelocity
from evio_ros.fusion.vehicles import VehicleObserver, VehicleParameters
from evio_ros.motion.image_motion import ImageMotion, Region
from evio_ros.ros.base_node import EvioNode
from evio_ros.ros.quality_of_service import results_quality
from evio_ros.rotor_state import RotorState

__all__ = ["VehicleInput"]

_CAMERA_INFO_TOPIC = "camera_info"
_FX, _CX, _FY, _CY = 0, 2, 4, 5
"""Places in CameraInfo.k."""


class VehicleInput:
    """Groups rotors into vehicles, with the intrinsics of `camera_info` if there are any.

    Args:
        node: fusion, with `VehicleParameters` under the prefix "vehicles".
        bank: gives the rotors.
    """

    def __init__(self, node: EvioNode, bank: Callable[[], RotorBank]) -> None:
        self._node, self._bank = node, bank
        self._observer = VehicleObserver(node.parameters.get(VehicleParameters, "vehicles"))
        self._camera = (0.0, 0.0)
        node.create_subscription(
            CameraInfo, _CAMERA_INFO_TOPIC, self._take_camera, results_quality()
        )

    def noted(self, states: Sequence[RotorState]) -> list[RotorState]:
        """Take the states of a window, and return them with their vehicles and normals."""
        self._observer.note(states, self._camera)
        return self._observer.completed(states)

    def completed(self, states: Sequence[RotorState]) -> list[RotorState]:
        """The same for states that were predicted since."""
        return self._observer.completed(states)

    def regions(self, t_us: int) -> list[Region]:
        """Where the rotors are at a sensor time."""
        return [
            Region(one.id, one.ellipse, one.velocity)
            for one in self._bank().states(t_us)
            if one.axes[1] > 0
        ]

    def take_motion(self, motion: ImageMotion) -> None:
        """Take the motion of hubs and image."""
        self._camera = motion.background.velocity
        for number, found in motion.regions.items():
            if found.pixels:
                covariance = motion.independent_covariance(number)
                measured = HubVelocity(motion.middle_us, found.velocity, covariance)
                self._bank().note_velocity(number, measured)

    def _take_camera(self, info: CameraInfo) -> None:
        k = info.k
        try:
            self._observer.intrinsics = Intrinsics((k[_FX], k[_FY]), (k[_CX], k[_CY]))
        except ParameterError as error:
            self._observer.intrinsics = None
            self._node.get_logger().warning(f"camera_info: {error}", throttle_duration_sec=5.0)
