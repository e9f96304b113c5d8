"""Everything: a recording or camera in, /rotation_state out."""

from launch import LaunchDescription

from evio_ros.ros.launch_actions import COMMON, PLAYED, Arguments, description

_ARGUMENTS = {
    **PLAYED,
    "representation": (
        "false",
        "true: also run the representation node, for tensors and pictures.",
    ),
    "composed": ("false", "true: all nodes in one process, which hands events over by itself."),
    **COMMON,
}


def _entities(arguments: Arguments) -> list:
    takers = ["rotation_detector"]
    if arguments.is_true("representation"):
        takers.append("representation")
    return arguments.with_driver(takers, ["fusion"])


def generate_launch_description() -> LaunchDescription:
    """Launch the driver, the rotation detector, the fusion node and, if asked, representations."""
    return description(_ARGUMENTS, _entities)
