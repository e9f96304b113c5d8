"""Everything: a recording or camera in, /rotation_state out."""

from launch import LaunchDescription

from evio_ros.ros.launch_actions import Arguments, description


def _entities(arguments: Arguments) -> list:
    takers = ["rotation_detector"]
    if arguments.is_true("representation"):
        takers.append("representation")
    return arguments.with_driver(takers, ["fusion"])


def generate_launch_description() -> LaunchDescription:
    """Launch the driver, the rotation detector, the fusion node and, if asked, representations."""
    return description("full", _entities)
