"""The RVT detector, for events that another driver publishes."""

from launch import LaunchDescription

from evio_ros.ros.launch_actions import description


def generate_launch_description() -> LaunchDescription:
    """Launch the RVT detector."""
    return description(
        "rvt_detector", lambda arguments: arguments.with_events(["rvt_detector"], [])
    )
