"""The driver alone: a recording in, /events out."""

from launch import LaunchContext, LaunchDescription
from launch.actions import OpaqueFunction

from evio_ros.ros.launch_actions import ARGUMENTS, arguments, dds_profile, node


def _driver(context: LaunchContext) -> list:
    return [node(context, "driver")]


def generate_launch_description() -> LaunchDescription:
    """Launch the driver."""
    return LaunchDescription(
        [*arguments(*ARGUMENTS), *dds_profile(), OpaqueFunction(function=_driver)]
    )
