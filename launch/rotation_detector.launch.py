"""The rotation detector and the fusion node, for events that another driver publishes."""

from launch import LaunchDescription

from evio_ros.ros.launch_actions import description


def generate_launch_description() -> LaunchDescription:
    """Launch the rotation detector and the fusion node."""
    return description(
        "rotation_detector",
        lambda arguments: arguments.with_events(["rotation_detector"], ["fusion"]),
    )
