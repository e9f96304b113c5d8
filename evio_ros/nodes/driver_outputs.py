"""What a driver publishes besides events: packets, clock, the camera's frame and calibration."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo

from evio_ros.events import EventWindow
from evio_ros.nodes.packet_topic import PacketPublisher
from evio_ros.parameters import Parameters, parameter
from evio_ros.ros.base_node import EvioNode
from evio_ros.ros.camera_info import read_camera_info
from evio_ros.ros.quality_of_service import kept_quality, results_quality
from evio_ros.ros.stamps import stamp_of

__all__ = ["DriverOutputs", "OutputParameters"]

_CAMERA_INFO_TOPIC = "camera_info"
_CLOCK_TOPIC = "/clock"
_TF_TOPIC = "/tf_static"


def _place() -> Any:
    return parameter(
        0.0,
        unit="m",
        minimum=-1e6,
        maximum=1e6,
        read_only=True,
        doc="Position of the camera in outputs.parent_frame.",
    )


def _turn(doc: str) -> Any:
    return parameter(0.0, unit="rad", minimum=-6.29, maximum=6.29, read_only=True, doc=doc)


@dataclass(frozen=True)
class OutputParameters(Parameters):
    """What is published besides events."""

    publish_clock: bool = parameter(
        False,
        read_only=True,
        doc="Publish the time of the replay on /clock, for nodes with use_sim_time.",
    )
    camera_info_file: str = parameter(
        "",
        read_only=True,
        doc="Calibration, as a YAML file written by camera_calibration; published on camera_info.",
    )
    parent_frame: str = parameter(
        "",
        read_only=True,
        doc="Frame in which the camera is mounted; its pose there is published on /tf_static. "
        "Empty for none.",
    )
    x_m: float = _place()
    y_m: float = _place()
    z_m: float = _place()
    roll_rad: float = _turn("Rotation about x, applied first.")
    pitch_rad: float = _turn("Rotation about y, applied second.")
    yaw_rad: float = _turn("Rotation about z, applied third.")


class DriverOutputs:
    """Publishes what the parameters ask for.

    Args:
        node: a node with `OutputParameters` under the prefix "outputs".
        frame_id: optical frame of the camera.
        packets: whether events are published as packets too.

    Attributes:
        gives_time: whether /clock is published.

    Raises:
        EvioError: if the calibration cannot be read.
    """

    def __init__(self, node: EvioNode, frame_id: str, packets: bool) -> None:
        chosen = node.parameters.get(OutputParameters, "outputs")
        self._with_each: list[Callable[[EventWindow, int], None]] = []
        self.gives_time = chosen.publish_clock
        if packets:
            self._with_each.append(PacketPublisher(node, frame_id).publish)
        if chosen.publish_clock:
            self._clock = node.create_publisher(Clock, _CLOCK_TOPIC, results_quality())
            self._with_each.append(self._publish_clock)
        if chosen.camera_info_file:
            info = read_camera_info(chosen.camera_info_file)
            info.header.frame_id = frame_id
            info.header.stamp = node.get_clock().now().to_msg()
            node.create_publisher(CameraInfo, _CAMERA_INFO_TOPIC, kept_quality()).publish(info)
        if chosen.parent_frame:
            _publish_frame(node, frame_id, chosen)

    def publish(self, window: EventWindow, stamp_ns: int) -> None:
        """Publish what goes with a window whose start has the ROS time `stamp_ns`."""
        for publish in self._with_each:
            publish(window, stamp_ns)

    def _publish_clock(self, window: EventWindow, stamp_ns: int) -> None:
        self._clock.publish(Clock(clock=stamp_of(stamp_ns + 1000 * window.length_us)))


def _publish_frame(node: EvioNode, frame_id: str, chosen: OutputParameters) -> None:
    """Publish the camera's frame once, latched, if tf2_msgs is installed."""
    try:
        from tf2_msgs.msg import TFMessage
    except ImportError:
        node.get_logger().error(
            "outputs.parent_frame: tf2_msgs is not installed (apt install ros-$ROS_DISTRO-tf2-msgs)"
        )
        return
    from geometry_msgs.msg import TransformStamped

    place = TransformStamped(child_frame_id=frame_id)
    place.header.frame_id = chosen.parent_frame
    place.header.stamp = node.get_clock().now().to_msg()
    moved, turned = place.transform.translation, place.transform.rotation
    moved.x, moved.y, moved.z = chosen.x_m, chosen.y_m, chosen.z_m
    turned.x, turned.y, turned.z, turned.w = _quaternion(
        chosen.roll_rad, chosen.pitch_rad, chosen.yaw_rad
    )
    node.create_publisher(TFMessage, _TF_TOPIC, kept_quality()).publish(
        TFMessage(transforms=[place])
    )


def _quaternion(roll: float, pitch: float, yaw: float) -> tuple[float, float, float, float]:
    """Rotations about the fixed axes x, y and z, in this order, as a quaternion (x, y, z, w)."""
    (sr, sp, sy), (cr, cp, cy) = (
        tuple(map(function, (roll / 2, pitch / 2, yaw / 2))) for function in (math.sin, math.cos)
    )
    return (
        sr * cp * cy - cr * sp * sy,
        cr * sp * cy + sr * cp * sy,
        cr * cp * sy - sr * sp * cy,
        cr * cp * cy + sr * sp * sy,
    )
