"""Everything: a recording in, /rotation_state out."""

from launch.actions import OpaqueFunction

from evio_ros.ros.launch_actions import ARGUMENTS, arguments, dds_profile, is_wanted, node
from launch import LaunchContext, LaunchDescription

NODES = ("rotation_detector", "fusion", "driver")


def _nodes(context: LaunchContext) -> list:
    extra = ["representation"] if is_wanted(context, "representation") else []
    return [node(context, name) for name in (*extra, *NODES)]


def generate_launch_description() -> LaunchDescription:
    """Launch the driver, the rotation detector, the fusion node and, if asked, representations."""
    return LaunchDescription(
        [*arguments(*ARGUMENTS), *dds_profile(), OpaqueFunction(function=_nodes)]
    )
