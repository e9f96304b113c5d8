"""What fusion publishes: all rotors, the primary one by itself, joints and markers.

Messages are made only for topics that somebody subscribes to.
"""

from __future__ import annotations

from collections.abc import Sequence

from rclpy.serialization import deserialize_message
from sensor_msgs.msg import JointState
from std_msgs.msg import Header

from evio_ros.fusion.primary import PrimaryParameters, PrimaryRotor
from evio_ros.msg import RotationState, RotationStateArray
from evio_ros.nodes.marker_topic import MarkerTopic
from evio_ros.ros.base_node import EvioNode
from evio_ros.ros.quality_of_service import results_quality
from evio_ros.ros.raw_rotation_states import SerialisedStates
from evio_ros.ros.rotation_messages import joint_state
from evio_ros.rotor_state import RotorState

__all__ = ["FusionOutputs"]


class FusionOutputs:
    """The topics, and what was sent last.

    Args:
        node: a node with `PrimaryParameters` under the prefix "primary", and those of markers.

    Attributes:
        states: those sent last.
    """

    def __init__(self, node: EvioNode) -> None:
        self.states: Sequence[RotorState] = []
        self._node = node
        self._best = node.create_publisher(RotationState, "rotation_state", results_quality())
        self._all = node.create_publisher(RotationStateArray, "rotation_states", results_quality())
        self._joints = node.create_publisher(JointState, "~/joint_states", results_quality())
        self._markers = MarkerTopic(node)
        self._primary = PrimaryRotor(PrimaryParameters())

    def send(
        self, states: Sequence[RotorState], header: Header, end_us: int, length_us: int, events: int
    ) -> None:
        """Send the states of all rotors at one time.

        Args:
            states: the most confident first.
            header: its stamp is the ROS time for which they hold.
            end_us: that time by the sensor's clock.
            length_us: length of the window that ends then; 0 for states of a moment.
            events: events of the window.
        """
        self.states = states
        primary = self._chosen(states, end_us)
        is_marked = self._markers.is_wanted
        serialised = SerialisedStates(states, header)
        if is_marked or self._all.get_subscription_count():
            data = serialised.array(end_us, length_us, events)
            self._all.publish(data)
            if is_marked:
                self._markers.show(deserialize_message(data, RotationStateArray))
        if primary is not None and self._best.get_subscription_count():
            self._best.publish(serialised.single(primary))
        if states and self._joints.get_subscription_count():
            self._joints.publish(joint_state(states, header))

    def _chosen(self, states: Sequence[RotorState], end_us: int) -> RotorState | None:
        """The primary rotor, by the present rule."""
        rule = self._node.parameters.get(PrimaryParameters, "primary")
        if rule != self._primary.parameters:
            self._primary = PrimaryRotor(rule)
        return self._primary.choose(states, end_us)
