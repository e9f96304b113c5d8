"""Writes the rotation states of a recording to a file, as fast as possible, then exits."""

from launch import LaunchDescription

from evio_ros.ros.launch_actions import description


def generate_launch_description() -> LaunchDescription:
    """Launch driver, rotation detector, fusion and recorder in one process."""
    return description("offline", lambda arguments: arguments.offline())
