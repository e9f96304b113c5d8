"""The representation node, for events that another driver publishes."""

from launch import LaunchContext, LaunchDescription
from launch.actions import OpaqueFunction

from evio_ros.ros.launch_actions import arguments, dds_profile, node


def _representation(context: LaunchContext) -> list:
    return [node(context, "representation")]


def generate_launch_description() -> LaunchDescription:
    """Launch the representation node."""
    return LaunchDescription(
        [
            *arguments("namespace", "config", "log_level"),
            *dds_profile(),
            OpaqueFunction(function=_representation),
        ]
    )
