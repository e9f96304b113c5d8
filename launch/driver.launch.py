"""The driver alone, from a recording or camera to /events."""

from launch import LaunchDescription

from evio_ros.ros.launch_actions import description


def generate_launch_description() -> LaunchDescription:
    """Launch the driver."""
    return description("driver", lambda arguments: arguments.with_driver([], []))
