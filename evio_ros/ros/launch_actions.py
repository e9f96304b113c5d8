"""What the launch files share: arguments, the DDS profile and nodes with their parameters."""

from __future__ import annotations

import difflib
import itertools
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import (
    DeclareLaunchArgument,
    LogInfo,
    OpaqueFunction,
    SetEnvironmentVariable,
    Shutdown,
    TimerAction,
)
from launch.events.process import ProcessExited
from launch_ros.actions import Node

from evio_ros.errors import EvioError
from evio_ros.ros.launch_arguments import LAUNCH_FILES, Declared
from evio_ros.ros.parameters_file import (
    misspelt_nodes,
    names_source,
    read_parameters_file,
    written_parameters,
)
from evio_ros.ros.share import share_file, use_dds_profile
from evio_ros.ros.signal_watch import STARTED_AGAIN, STARTED_BY

__all__ = ["Arguments", "description"]

_NODES = (
    "driver",
    "rotation_detector",
    "rvt_detector",
    "fusion",
    "representation",
    "state_recorder",
    "dashboard",
)
"""The nodes of the package, by the name of their executables."""

_BUILT_IN = "scene:fan"
_EXIT_ERROR = 2
"""Exit code of a node that has said what is wrong; restarting it would not help."""
_RESPAWN_S = 0.05
_CRASHES, _CRASHES_S = 5, 60.0
"""A node that crashes this often in this many seconds is not restarted."""
_NO_SOURCE = (
    "no source is given, so a simulated fan is played over and over; "
    "give your own: source:=fan.dat, or source:=camera:evk4"
)

_Entities = list[LaunchDescriptionEntity]


def description(name: str, entities: Callable[[Arguments], _Entities]) -> LaunchDescription:
    """The launch description of one of `LAUNCH_FILES`: its arguments, DDS profile and nodes.

    Args:
        name: of the launch file.
        entities: gives what is to be launched when the arguments' values are known.
    """
    _, declared = LAUNCH_FILES[name]
    arguments = [
        DeclareLaunchArgument(argument, default_value=default, description=text)
        for argument, (default, text) in declared.items()
    ]

    def launched(context: LaunchContext) -> _Entities:
        _refuse_unknown_arguments(sys.argv, f"{name}.launch.py", declared)
        given = Arguments.of(context, declared)
        return [*given.doubts(), *entities(given)]

    return LaunchDescription([*arguments, *_dds_profile(), OpaqueFunction(function=launched)])


def _refuse_unknown_arguments(command: Sequence[str], file: str, declared: Declared) -> None:
    """Refuse arguments that a launch file has not; `ros2 launch` passes over them.

    If the file is included by another one, the arguments of that one are not checked.

    Args:
        command: the words of the command line.
        file: name of the launch file.
        declared: its arguments.

    Raises:
        EvioError: names the first of them, with the nearest of the file's own.
    """
    if not any(_names_launch_file(*words, file) for words in itertools.pairwise(command)):
        return
    for word in command[1:]:
        given, mark, _ = word.partition(":=")
        if not mark or given in declared:
            continue
        near = difflib.get_close_matches(given, declared, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(declared)}"
        raise EvioError(f"{given}: {file} has no such argument; {hint}")


def _names_launch_file(before: str, word: str, file: str) -> bool:
    """Whether a word of a command line, by the one before it, is a launch file of this package."""
    if word == file and before == "evio_ros":
        return True
    return os.path.isfile(word) and os.path.samefile(word, share_file(f"launch/{file}"))


def _dds_profile() -> list[SetEnvironmentVariable]:
    """Name the package's Fast DDS profile, unless the environment names one."""
    chosen = dict(os.environ)
    use_dds_profile(chosen)
    return [
        SetEnvironmentVariable(name, value)
        for name, value in chosen.items()
        if os.environ.get(name) != value
    ]


@dataclass(frozen=True)
class Arguments:
    """The values of launch arguments, and nodes made by them.

    An empty value leaves what the parameters file says.

    Attributes:
        values: by the arguments' names.
        file: the parameters file.
        file_names_source: whether the file names a source for the driver.
    """

    values: Mapping[str, str]
    file: str
    file_names_source: bool

    @classmethod
    def of(cls, context: LaunchContext, declared: Declared) -> Arguments:
        """The values that a launch context holds.

        Raises:
            EvioError: if the parameters file cannot be read.
        """
        found = {name: context.launch_configurations.get(name, "") for name in declared}
        file = found["params_file"] or found["config"] or str(share_file("config/evio.yaml"))
        return cls(found, file, names_source(read_parameters_file(file)))

    def doubts(self) -> _Entities:
        """What to say of names in the parameters file that ROS would pass over."""
        return [
            LogInfo(msg=f"{self.file}: {doubt}")
            for doubt in misspelt_nodes(read_parameters_file(self.file), _NODES)
        ]

    def is_true(self, name: str) -> bool:
        """Whether an argument is true.

        Raises:
            EvioError: if it is neither true nor false.
        """
        return _truth(name, self.values.get(name) or "false")

    def is_chosen(self, name: str, auto: Callable[[], bool]) -> bool:
        """Whether an argument is true, or is `auto` and that says yes.

        Raises:
            EvioError: if it is neither true, false nor auto.
        """
        value = self.values.get(name) or "auto"
        if value.lower() == "auto":
            return auto()
        if value.lower() not in ("true", "false"):
            raise EvioError(f"{name}: {value!r} is not true, false or auto")
        return self.is_true(name)

    def nodes(
        self, names: Sequence[str], given: Mapping[str, Mapping[str, object]] | None = None
    ) -> _Entities:
        """Nodes of this package; all of them in one process if `composed` is true.

        Args:
            names: the nodes.
            given: parameters that the launch file itself sets, by the node's name.
        """
        common = self._common()
        parameters = {name: {**common, **(given or {}).get(name, {})} for name in names}
        if self.is_true("composed"):
            return [self._process("container", parameters, names)]
        return [self._process(name, {name: parameters[name]}) for name in names]

    def driver(self, takers: Sequence[str]) -> tuple[_Entities, dict[str, object]]:
        """What to say of the source, and the parameters of the driver.

        Args:
            takers: the nodes that must be ready before the replay begins.
        """
        given: dict[str, object] = {"wait_for": ",".join(takers)}
        for name, parameter in (("rate", "replay.rate"), ("loop", "replay.loop")):
            if self.values.get(name):
                given[parameter] = _value(name, self.values[name])
        if self.values.get("packets"):
            given["packets"] = self.is_true("packets")
        source = self.values["source"]
        if source:
            # Relative to where the user launches; nodes may run elsewhere.
            given["source"] = os.path.abspath(source) if os.path.exists(source) else source
        elif not self.file_names_source:
            return [LogInfo(msg=_NO_SOURCE)], {"replay.loop": True, **given, "source": _BUILT_IN}
        return [], given

    def with_driver(self, takers: Sequence[str], others: Sequence[str]) -> _Entities:
        """A driver, the nodes that take its events, and others."""
        said, given = self.driver(takers)
        return [*said, *self.nodes(("driver", *takers, *others), {"driver": given})]

    def offline(self) -> _Entities:
        """All that measures a recording into the file `output`, in one process."""
        output = os.path.abspath(self.values["output"])
        takers = ["rotation_detector"]
        said, driver = self.driver(takers)
        driver |= {"replay.rate": 0.0, "replay.loop": False}
        given: dict[str, dict[str, object]] = {
            "driver": driver,
            "state_recorder": {"output": output},
        }
        names = ("driver", *takers, "fusion", "state_recorder")
        parameters = {name: given.get(name, {}) for name in names}
        return [*said, self._process("container", parameters, names)]

    def with_events(self, takers: Sequence[str], others: Sequence[str]) -> _Entities:
        """Nodes that take the events of another driver, and others."""
        given = {"input.packets": self.is_true("packets")} if self.values["packets"] else {}
        return self.nodes((*takers, *others), dict.fromkeys(takers, given))

    def dashboard(self) -> _Entities:
        """The dashboard, in a process of its own: what it does holds up no other node."""
        given = self._common()
        if self.values.get("host"):
            given["web.host"] = self.values["host"]
        if self.values.get("port"):
            given["web.port"] = _whole("port", self.values["port"])
        if self.values.get("token_file"):
            given["web.token_file"] = os.path.abspath(self.values["token_file"])
        return [self._process("dashboard", {"dashboard": given})]

    def _common(self) -> dict[str, object]:
        """The parameters that every node gets."""
        common: dict[str, object] = {"use_sim_time": self.is_true("use_sim_time")}
        if self.values.get("autostart"):
            common["autostart"] = self.is_true("autostart")
        return common

    def _process(
        self,
        executable: str,
        nodes: Mapping[str, Mapping[str, object]],
        first: Sequence[str] = (),
    ) -> Node:
        """A process of one or several nodes."""
        given = written_parameters(nodes)
        arguments = [*first, "--ros-args", "--params-file", self.file, "--params-file", given]
        arguments += self._log_levels(tuple(nodes))
        options: dict[str, Any] = {} if executable == "container" else {"name": executable}
        ending = _Ending(executable, self.is_true("respawn"))

        def make(environment: Mapping[str, str]) -> Node:
            return Node(
                package="evio_ros",
                executable=executable,
                namespace=self.values.get("namespace", ""),
                remappings=self._remappings(),
                arguments=arguments,
                # Killed or terminated, launch leaves its nodes to themselves.
                additional_env={STARTED_BY: str(os.getpid()), **environment},
                output="screen",
                on_exit=ending.entities,
                **options,
            )

        ending.make_again = partial(make, {STARTED_AGAIN: "1"})
        return make({})

    def _remappings(self) -> list[tuple[str, str]]:
        topic = self.values.get("events", "")
        return [("events", topic), ("events/receipts", f"{topic}/receipts")] if topic else []

    def _log_levels(self, names: Sequence[str]) -> list[str]:
        """ROS arguments for the log levels that concern some nodes."""
        namespace = self.values.get("namespace", "").strip("/").replace("/", ".")
        options = []
        for entry in filter(None, self.values["log_level"].split(",")):
            name, _, level = entry.strip().rpartition(":=")
            if name and name not in _NODES:
                raise EvioError(f"log_level: {name!r} is not one of {', '.join(_NODES)}")
            if not name or name in names:
                logger = f"{namespace}.{name}" if namespace else name
                options += ["--log-level", f"{logger}:={level}" if name else level]
        return options


@dataclass
class _Ending:
    """What follows when a process ends: the end of all, a new start, or a failure.

    Attributes:
        name: executable of the process.
        respawn: whether it is started again after a crash.
        make_again: makes the process again.
        crashes_s: when it crashed.
    """

    name: str
    respawn: bool
    make_again: Callable[[], Node] = field(init=False)
    crashes_s: list[float] = field(default_factory=list)

    def entities(self, event: ProcessExited, context: LaunchContext) -> _Entities:
        """What is to be done after the process has ended."""
        if context.is_shutdown:
            return []
        if event.returncode == 0:
            return [Shutdown(reason=f"{self.name} has ended")]
        how = f"{self.name} has {_ending(event.returncode)}"
        if event.returncode == _EXIT_ERROR or not self.respawn:
            return [OpaqueFunction(function=lambda _: _fail(how))]
        now_s = time.monotonic()
        self.crashes_s = [then_s for then_s in self.crashes_s if now_s - then_s < _CRASHES_S]
        self.crashes_s.append(now_s)
        if len(self.crashes_s) >= _CRASHES:
            how += f", {_CRASHES} times within {_CRASHES_S:g} s"
            return [OpaqueFunction(function=lambda _: _fail(how))]
        again = TimerAction(period=_RESPAWN_S, actions=[self.make_again()])
        return [LogInfo(msg=f"{how}; it is restarted"), again]


def _fail(how: str) -> None:
    """End the launch with an exit status that is not 0."""
    raise EvioError(how)


def _ending(returncode: int) -> str:
    if returncode < 0:
        return f"been ended by {signal.Signals(-returncode).name}"
    return f"failed with exit code {returncode}"


def _truth(argument: str, text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise EvioError(f"{argument}: {text!r} is not true or false")
    return text.lower() == "true"


def _whole(argument: str, text: str) -> int:
    if not text.isdecimal():
        raise EvioError(f"{argument}: {text!r} is not a whole number")
    return int(text)


def _value(argument: str, text: str) -> object:
    if argument == "loop":
        return _truth(argument, text)
    try:
        return float(text)
    except ValueError:
        raise EvioError(f"{argument}: {text!r} is not a number") from None
