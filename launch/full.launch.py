"""Everything: a recording or camera in, /rotation_state out."""

from launch import LaunchDescription

from evio_ros.ros.launch_actions import Arguments, description


def _entities(arguments: Arguments) -> list:
    takers = ["rotation_detector"]
    if arguments.is_true("representation"):
        takers.append("representation")
    shown = arguments.dashboard() if arguments.is_true("dashboard") else []
    return [*arguments.with_driver(takers, ["fusion"]), *shown]


def generate_launch_description() -> LaunchDescription:
    """Launch driver, rotation detector, fusion and, if asked, representations and dashboard."""
    return description("full", _entities)
