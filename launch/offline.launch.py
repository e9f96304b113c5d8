"""A recording in, its rotation states out into a file, as fast as it goes; ends by itself."""

import os

from launch import LaunchDescription

from evio_ros.ros.launch_actions import COMMON, PLAYED, Arguments, description

_ARGUMENTS = {
    "source": PLAYED["source"],
    "output": (
        "rotation_states.csv",
        "What is written: a table where the name ends in .csv, else a bag of rotation_states.",
    ),
    **{name: COMMON[name] for name in ("params_file", "config", "log_level")},
}


def _entities(arguments: Arguments) -> list:
    return arguments.offline(os.path.abspath(arguments.values["output"]))


def generate_launch_description() -> LaunchDescription:
    """Launch driver, rotation detector, fusion and recorder in one process."""
    return description(_ARGUMENTS, _entities)
