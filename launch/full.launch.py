"""Everything, from a recording or camera to /rotation_state."""

from launch import LaunchDescription

from evio_ros.detection.inference import missing_packages
from evio_ros.detection.model_store import stored_models
from evio_ros.ros.launch_actions import Arguments, description


def _entities(arguments: Arguments) -> list:
    takers, others = ["rotation_detector"], ["fusion"]
    if arguments.is_true("representation"):
        takers.append("representation")
    can_detect = not missing_packages()
    if arguments.is_chosen("use_rvt", auto=lambda: can_detect and bool(stored_models())):
        # If it stays idle, nobody must wait until it takes events.
        (takers if can_detect else others).append("rvt_detector")
    shown = arguments.dashboard() if arguments.is_true("dashboard") else []
    return [*arguments.with_driver(takers, others), *shown]


def generate_launch_description() -> LaunchDescription:
    """Launch the driver, the rotation detector and the fusion node, and others on request."""
    return description("full", _entities)
