"""A recording in, its rotation states out into a file, as fast as it goes; ends by itself."""

from launch import LaunchDescription

from evio_ros.ros.launch_actions import description


def generate_launch_description() -> LaunchDescription:
    """Launch driver, rotation detector, fusion and recorder in one process."""
    return description("offline", lambda arguments: arguments.offline())
