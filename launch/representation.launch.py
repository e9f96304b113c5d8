"""The representation node, for events that another driver publishes."""

from launch import LaunchDescription

from evio_ros.ros.launch_actions import description


def generate_launch_description() -> LaunchDescription:
    """Launch the representation node."""
    return description(
        "representation", lambda arguments: arguments.with_events(["representation"], [])
    )
