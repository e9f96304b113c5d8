"""The driver alone: a recording or camera in, /events out."""

from launch import LaunchDescription

from evio_ros.ros.launch_actions import description


def generate_launch_description() -> LaunchDescription:
    """Launch the driver."""
    return description("driver", lambda arguments: arguments.with_driver([], []))
