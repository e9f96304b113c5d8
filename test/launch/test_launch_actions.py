"""What the launch files make of their arguments, without starting anything."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

pytest.importorskip("launch", reason="launch comes with a ROS 2 installation")
pytest.importorskip("launch_ros", reason="launch_ros comes with a ROS 2 installation")

from launch import LaunchContext
from launch.actions import LogInfo, OpaqueFunction, Shutdown, TimerAction
from launch.events.process import ProcessExited
from launch.substitutions import TextSubstitution
from launch_ros.actions import Node

from evio_ros.errors import EvioError
from evio_ros.ros.launch_actions import Arguments, _refuse_unknown_arguments
from evio_ros.ros.launch_arguments import LAUNCH_FILES
from evio_ros.ros.share import share_file
from evio_ros.ros.signal_watch import STARTED_AGAIN, STARTED_BY

_, DECLARED = LAUNCH_FILES["full"]
CRASH, MISTAKE = 1, 2
"""Exit codes of Python after an exception and of a node that has said what is wrong."""


def arguments_of(**values: str) -> Arguments:
    """The arguments of full.launch.py."""
    context = LaunchContext()
    context.launch_configurations.update(
        {name: default for name, (default, _) in DECLARED.items()} | values
    )
    return Arguments.of(context, DECLARED)


def made(takers: list[str], **values: str) -> list:
    """The entities of a launch with a driver."""
    return arguments_of(**values).with_driver(takers, ["fusion"])


def command_of(node: Node) -> str:
    """The arguments that a node's process gets."""
    parts = [part for argument in node.cmd[1:] for part in argument]
    return " ".join(part.text for part in parts if isinstance(part, TextSubstitution))


def parameters_of(node: Node, name: str) -> dict:
    """What the launch itself gives to a node of a process."""
    file = command_of(node).split("--params-file ")[2].split()[0]
    return yaml.safe_load(Path(file).read_text())[f"/**/{name}"]["ros__parameters"]


def after(node: Node, code: int, context: LaunchContext | None = None) -> list:
    """What follows when the process of a node ends."""
    event = ProcessExited(
        action=node, name="a", cmd=["a"], cwd=None, env=None, pid=1, returncode=code
    )
    return node._ExecuteLocal__on_exit(event, context or LaunchContext())


def test_without_a_source_a_fan_is_simulated_and_said_so():
    said, driver, *_ = made(["rotation_detector"])
    assert isinstance(said, LogInfo)
    assert "simulated fan" in said.msg[0].text
    assert "source:=fan.dat" in said.msg[0].text
    given = parameters_of(driver, "driver")
    assert (given["source"], given["replay.loop"]) == ("scene:fan", True)


def test_a_source_in_the_parameters_file_is_not_replaced(tmp_path):
    file = tmp_path / "my.yaml"
    file.write_text("/**/driver:\n  ros__parameters:\n    source: fan.dat\n")
    driver, *_ = made([], params_file=str(file))
    assert "source" not in parameters_of(driver, "driver")
    file.write_text("/**/driver:\n  ros__parameters:\n    frame_id: camera\n")
    assert len(made([], params_file=str(file))) == 3


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: b: c\n", "my.yaml:1:5: mapping values are not allowed here"),
        ("[1, 2]\n", "has no parameters"),
        ("driver:\n  rate: 1\n", "driver: the key ros__parameters is missing"),
    ],
)
def test_a_broken_parameters_file_is_one_line(tmp_path, text, problem):
    file = tmp_path / "my.yaml"
    file.write_text(text)
    with pytest.raises(EvioError) as caught:
        made([], params_file=str(file))
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_node_that_is_misspelt_in_the_parameters_file_is_named(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(
        "/**/fuson: {ros__parameters: {}}\n/front: {drivr: {ros__parameters: {}}}\n"
        "/**/driver: {ros__parameters: {}}\nplanner_server: {ros__parameters: {}}\n"
    )
    said = [doubt.msg[0].text for doubt in arguments_of(params_file=str(file)).doubts()]
    assert said == [
        f"{file}: /**/fuson: not a node of this package; did you mean fusion?",
        f"{file}: drivr: not a node of this package; did you mean driver?",
    ]


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("represenation:=true", "did you mean representation?"),
        ("source=fan.dat:=", "did you mean source?"),
        ("x:=1", "known are source, rate, loop, "),
    ],
)
@pytest.mark.parametrize("by_path", [False, True])
def test_an_argument_that_the_file_has_not_is_refused(word, hint, by_path):
    named = ["evio_ros", "full.launch.py"]
    if by_path:
        named = [str(share_file("launch/full.launch.py"))]
    command = ["ros2", "launch", *named, "rate:=1", word]
    with pytest.raises(EvioError) as refusal:
        _refuse_unknown_arguments(command, "full.launch.py", DECLARED)
    given = word.partition(":=")[0]
    assert str(refusal.value).startswith(f"{given}: full.launch.py has no such argument; {hint}")


def test_arguments_of_a_file_that_includes_this_one_are_its_own():
    for file in ("robot.launch.py", "full.launch.py"):
        command = ["ros2", "launch", "my_robot", file, "arm:=left"]
        _refuse_unknown_arguments(command, "full.launch.py", DECLARED)


def test_a_missing_parameters_file_is_named():
    with pytest.raises(EvioError, match=r"none\.yaml: cannot be opened"):
        made([], config="none.yaml")


def test_the_driver_waits_for_those_who_take_its_events_and_not_for_fusion():
    driver, *_ = made(["rotation_detector", "representation"], source="x")
    assert parameters_of(driver, "driver")["wait_for"] == "rotation_detector,representation"


def test_a_composed_launch_is_one_process_with_all_parameters():
    (container,) = made(["rotation_detector"], source="x", rate="2", composed="true")
    assert command_of(container).startswith("driver rotation_detector fusion --ros-args")
    assert parameters_of(container, "driver")["replay.rate"] == 2.0
    assert parameters_of(container, "fusion") == {"use_sim_time": False}


def test_nodes_end_with_their_launch_however_it_ends():
    """A launch leaves them running when it is terminated or killed."""
    for node in made(["rotation_detector"], source="x"):
        ((name, value),) = node.additional_env
        assert (name[0].text, value[0].text) == (STARTED_BY, str(os.getpid()))


def test_the_dashboard_has_a_process_of_its_own_even_where_others_share_one():
    (dashboard,) = arguments_of(
        source="x", composed="true", port="9000", host="0.0.0.0", token_file="token"
    ).dashboard()
    assert command_of(dashboard).startswith("--ros-args")
    given = parameters_of(dashboard, "dashboard")
    assert (given["web.port"], given["web.host"]) == (9000, "0.0.0.0")
    assert given["web.token_file"] == str(Path("token").absolute())
    with pytest.raises(EvioError, match="port: 'http' is not a whole number"):
        arguments_of(port="http").dashboard()


def test_nodes_can_be_left_to_a_lifecycle_manager():
    _, driver, detector, fusion = made(["rotation_detector"], autostart="false")
    assert parameters_of(driver, "driver")["autostart"] is False
    assert parameters_of(detector, "rotation_detector")["autostart"] is False
    assert parameters_of(fusion, "fusion")["autostart"] is False


def test_log_levels_of_single_nodes():
    driver, detector, _ = made(
        ["rotation_detector"], source="x", namespace="cam", log_level="warn,driver:=debug"
    )
    assert command_of(driver).count("--log-level") == 2
    assert "--log-level cam.driver:=debug" in command_of(driver)
    assert command_of(detector).count("--log-level") == 1
    with pytest.raises(EvioError, match="drivr"):
        made([], source="x", log_level="drivr:=debug")


@pytest.mark.parametrize(
    ("value", "can_detect", "chosen"),
    [("auto", True, True), ("auto", False, False), ("true", False, True), ("false", True, False)],
)
def test_a_node_is_chosen_or_is_run_where_it_can_work(value, can_detect, chosen):
    context = LaunchContext()
    context.launch_configurations.update({**dict.fromkeys(DECLARED, ""), "use_rvt": value})
    arguments = Arguments.of(context, DECLARED)
    assert arguments.is_chosen("use_rvt", auto=lambda: can_detect) is chosen


def test_a_choice_that_is_none_is_refused():
    context = LaunchContext()
    context.launch_configurations.update({**dict.fromkeys(DECLARED, ""), "use_rvt": "maybe"})
    with pytest.raises(EvioError, match="use_rvt: 'maybe' is not true, false or auto"):
        Arguments.of(context, DECLARED).is_chosen("use_rvt", auto=lambda: True)


@pytest.mark.parametrize(
    ("name", "value"), [("rate", "fast"), ("loop", "yes"), ("respawn", "1"), ("composed", "on")]
)
def test_a_wrong_value_is_refused_by_name(name, value):
    with pytest.raises(EvioError, match=f"{name}: '{value}'"):
        made([], source="x", **{name: value})


def test_the_end_of_a_node_ends_all():
    driver, *_ = made([], source="x")
    (action,) = after(driver, 0)
    assert isinstance(action, Shutdown)


def test_a_crashed_node_is_started_again():
    driver, *_ = made([], source="x")
    said, timer = after(driver, -9)
    assert isinstance(timer, TimerAction)
    assert "driver has been ended by SIGKILL; it is restarted" in said.msg[0].text
    (again,) = timer.actions
    assert command_of(again) == command_of(driver)
    # Beside the one that every node has.
    assert STARTED_AGAIN in [name[0].text for name, _ in again.additional_env]


@pytest.mark.parametrize(("code", "respawn"), [(MISTAKE, "true"), (CRASH, "false")])
def test_what_would_fail_again_ends_the_launch_with_an_error(code, respawn):
    driver, *_ = made([], source="x", respawn=respawn)
    (action,) = after(driver, code)
    assert isinstance(action, OpaqueFunction)
    with pytest.raises(EvioError, match=f"driver has failed with exit code {code}"):
        action.execute(LaunchContext())


def test_a_node_that_crashes_over_and_over_is_given_up():
    driver, *_ = made([], source="x")
    kinds = [type(after(driver, CRASH)[-1]) for _ in range(8)]
    assert kinds[0] is TimerAction
    assert OpaqueFunction in kinds
    assert TimerAction not in kinds[kinds.index(OpaqueFunction) :]


def test_the_end_that_a_shutdown_brings_has_no_consequence():
    driver, *_ = made([], source="x")
    context = LaunchContext()
    context._set_is_shutdown(True)
    assert after(driver, 0, context) == []
