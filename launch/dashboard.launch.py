"""The dashboard's page and API, for a graph that is already running."""

from launch import LaunchDescription

from evio_ros.ros.launch_actions import description


def generate_launch_description() -> LaunchDescription:
    """Launch the dashboard."""
    return description("dashboard", lambda arguments: arguments.dashboard())
