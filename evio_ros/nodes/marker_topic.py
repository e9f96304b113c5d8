"""The topic `rotor_markers`: rotors as shapes that rviz and Foxglove show."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from evio_ros.ellipse import Ellipse
from evio_ros.msg import RotationState, RotationStateArray
from evio_ros.parameters import Parameters, parameter
from evio_ros.ros.base_node import EvioNode
from evio_ros.ros.quality_of_service import results_quality
from evio_ros.rotor_colors import rotor_color

__all__ = ["MarkerParameters", "MarkerTopic"]

_RIM_POINTS = 48
_LIFETIME_S = 2


@dataclass(frozen=True)
class MarkerParameters(Parameters):
    """Where markers are drawn: on a plane in the camera's optical frame, x right, y down."""

    pixel_size_m: float = parameter(
        0.01,
        unit="m",
        minimum=1e-6,
        maximum=10.0,
        doc="Size of a pixel on the plane in which the markers are drawn.",
    )
    distance_m: float = parameter(
        0.0, unit="m", minimum=-1e3, maximum=1e3, doc="Distance of that plane from the camera."
    )


class MarkerTopic:
    """Publishes visualization_msgs/MarkerArray, if that is installed and somebody subscribes.

    Args:
        node: a node with `MarkerParameters` under the prefix "markers".
    """

    def __init__(self, node: EvioNode) -> None:
        self._node = node
        self._publisher = None
        try:
            from visualization_msgs.msg import MarkerArray
        except ImportError:
            node.get_logger().info("no rotor_markers: visualization_msgs is not installed")
        else:
            self._publisher = node.create_publisher(MarkerArray, "rotor_markers", results_quality())

    @property
    def is_wanted(self) -> bool:
        """Whether anybody subscribes."""
        return self._publisher is not None and self._publisher.get_subscription_count() > 0

    def show(self, message: RotationStateArray) -> None:
        """Show the rotors of a window, and only these."""
        if self._publisher is None:
            return
        from visualization_msgs.msg import Marker, MarkerArray

        parameters = self._node.parameters.get(MarkerParameters, "markers")
        clear = Marker(header=message.header, action=Marker.DELETEALL)
        shapes = [clear]
        for state in message.states:
            shapes += _shapes(state, parameters)
        self._publisher.publish(MarkerArray(markers=shapes))


def _shapes(state: RotationState, parameters: MarkerParameters) -> list[Any]:
    """A rotor's rim, the line from its hub to the reference blade, and its speed as text."""
    from visualization_msgs.msg import Marker

    disc = Ellipse(
        (state.center_x, state.center_y), (state.axis_major, state.axis_minor), state.tilt
    )
    rim = _marker(state, "rim", Marker.LINE_STRIP, parameters)
    rim.points = [_point(place, parameters) for place in disc.rim(_RIM_POINTS).T]
    blade = _marker(state, "blade", Marker.LINE_STRIP, parameters)
    line = disc.image_point([0.0, 1.0], state.angle)
    blade.points = [_point(place, parameters) for place in line.T]
    label = _marker(state, "label", Marker.TEXT_VIEW_FACING, parameters)
    label.text = f"{state.id}: {state.rpm:.0f} rpm"
    above = (state.center_x, state.center_y - 1.2 * state.axis_major)
    label.pose.position = _point(above, parameters)
    label.scale.z = 16 * parameters.pixel_size_m
    return [rim, blade, label]


def _marker(state: RotationState, part: str, shape: int, parameters: MarkerParameters) -> Any:
    from visualization_msgs.msg import Marker

    marker = Marker(header=state.header, ns=part, id=state.id % (1 << 31), type=shape)
    marker.pose.orientation.w = 1.0
    marker.scale.x = 2 * parameters.pixel_size_m
    red, green, blue = rotor_color(state.id)
    marker.color.r, marker.color.g, marker.color.b = red / 255, green / 255, blue / 255
    marker.color.a = 1.0
    marker.lifetime.sec = _LIFETIME_S
    return marker


def _point(place_px: Iterable[Any], parameters: MarkerParameters) -> Any:
    from geometry_msgs.msg import Point

    scale = parameters.pixel_size_m
    x, y = (scale * float(value) for value in place_px)
    return Point(x=x, y=y, z=parameters.distance_m)
