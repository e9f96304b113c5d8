"""The rotation detector and the fusion node, for events that another driver publishes."""

from launch import LaunchContext, LaunchDescription
from launch.actions import OpaqueFunction

from evio_ros.ros.launch_actions import arguments, dds_profile, node


def _nodes(context: LaunchContext) -> list:
    return [node(context, name) for name in ("rotation_detector", "fusion")]


def generate_launch_description() -> LaunchDescription:
    """Launch the rotation detector and the fusion node."""
    return LaunchDescription(
        [
            *arguments("namespace", "config", "log_level"),
            *dds_profile(),
            OpaqueFunction(function=_nodes),
        ]
    )
