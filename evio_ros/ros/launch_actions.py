"""What the launch files share: arguments, the DDS profile and nodes with their parameters."""

from __future__ import annotations

import os
from collections.abc import Mapping

from launch import LaunchContext, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, SetEnvironmentVariable, Shutdown
from launch_ros.actions import Node

from evio_ros.errors import EvioError
from evio_ros.ros.share import share_file, use_dds_profile

__all__ = ["ARGUMENTS", "arguments", "dds_profile", "is_wanted", "node"]

ARGUMENTS: dict[str, tuple[str, str]] = {
    "source": ("", "The recording to play."),
    "rate": ("", "Speed of the replay: 1.0 is real time, 0.0 as fast as it goes."),
    "loop": ("", "true: begin again at the end."),
    "representation": (
        "false",
        "true: also run the representation node, for tensors and pictures.",
    ),
    "namespace": ("", "Namespace of all nodes; one for each camera."),
    "config": ("", "YAML file with the nodes' parameters; by default the package's evio.yaml."),
    "log_level": ("info", "debug, info, warn, error or fatal."),
}
"""Launch arguments: name to default and description. An empty value leaves what `config` says."""

_DRIVER_PARAMETERS = {"source": "source", "rate": "replay.rate", "loop": "replay.loop"}
"""Launch arguments that set a parameter of the driver."""


def arguments(*names: str) -> list[DeclareLaunchArgument]:
    """Declare some of `ARGUMENTS`."""
    return [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (default, text) in ARGUMENTS.items()
        if name in names
    ]


def dds_profile() -> list[SetEnvironmentVariable]:
    """Name the package's Fast DDS profile, unless the environment names one."""
    chosen = dict(os.environ)
    use_dds_profile(chosen)
    return [
        SetEnvironmentVariable(name, value)
        for name, value in chosen.items()
        if os.environ.get(name) != value
    ]


def node(
    context: LaunchContext, name: str, given: Mapping[str, object] | None = None
) -> LaunchDescriptionEntity:
    """One node of this package; the whole launch ends with it.

    Args:
        context: where the launch arguments are.
        name: the node's executable and name.
        given: parameters that the launch file itself sets.

    Raises:
        EvioError: where the driver has no source.
    """
    values = {key: context.launch_configurations.get(key, "") for key in ARGUMENTS}
    parameters: list[object] = [values["config"] or str(share_file("config/evio.yaml"))]
    if name == "driver":
        parameters.append(_driver_parameters(values))
    if given:
        parameters.append(dict(given))
    return Node(
        package="evio_ros",
        executable=name,
        name=name,
        namespace=values["namespace"],
        parameters=parameters,
        arguments=["--ros-args", "--log-level", values["log_level"] or "info"],
        output="screen",
        on_exit=Shutdown(reason=f"{name} has ended"),
    )


def is_wanted(context: LaunchContext, argument: str) -> bool:
    """Whether a launch argument is true.

    Raises:
        EvioError: where it is neither true nor false.
    """
    return _truth(argument, context.launch_configurations.get(argument, "false"))


def _truth(argument: str, text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise EvioError(f"{argument}: {text!r} is not true or false")
    return text.lower() == "true"


def _driver_parameters(values: Mapping[str, str]) -> dict[str, object]:
    if not values["source"] and not values["config"]:
        raise EvioError("name a recording: source:=fan.dat")
    given: dict[str, object] = {}
    for argument, parameter in _DRIVER_PARAMETERS.items():
        if values[argument]:
            given[parameter] = _value(argument, values[argument])
    return given


def _value(argument: str, text: str) -> object:
    if argument == "rate":
        try:
            return float(text)
        except ValueError:
            raise EvioError(f"rate: {text!r} is not a number") from None
    if argument == "loop":
        return _truth(argument, text)
    # Relative to where the user launches; nodes may run elsewhere.
    return os.path.abspath(text) if os.path.exists(text) else text
