"""Everything: a recording in, /rotation_state out."""

from launch.actions import OpaqueFunction

from evio_ros.ros.launch_actions import ARGUMENTS, arguments, dds_profile, node
from launch import LaunchContext, LaunchDescription

NODES = ("rotation_detector", "fusion", "driver")


def _nodes(context: LaunchContext) -> list:
    return [node(context, name) for name in NODES]


def generate_launch_description() -> LaunchDescription:
    """Launch the driver, the rotation detector and the fusion node."""
    return LaunchDescription(
        [*arguments(*ARGUMENTS), *dds_profile(), OpaqueFunction(function=_nodes)]
    )
