"""`make setup`: what it finds, what it says, and that it does nothing twice."""

import os
import shutil
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest
import setup_environment
from mend_wheels import mend_include_directories
from setup_environment import (
    INTERFACES,
    ROOT,
    VENV,
    SetupError,
    base_python,
    build_environment,
    built_files,
    check_tools,
    digest_of,
    installed_files,
    is_done,
    mark_done,
    missing_interfaces,
    ros_is_sourced,
    run,
    wheel_python,
)

PYTHON_INCLUDE = sysconfig.get_path("include")
EXPORT = """\
add_library(std_msgs::std_msgs__rosidl_generator_py SHARED IMPORTED)
set_target_properties(std_msgs::std_msgs__rosidl_generator_py PROPERTIES
  INTERFACE_INCLUDE_DIRECTORIES "{python};{numpy}"
  INTERFACE_LINK_LIBRARIES "std_msgs::std_msgs__rosidl_generator_c"
)
"""
FOREIGN = EXPORT.format(
    python="/opt/python/cp311-cp311/include/python3.11",
    numpy="/opt/_internal/cpython-3.11.9/lib/python3.11/site-packages/numpy/_core/include",
)
MENDED = EXPORT.format(python=PYTHON_INCLUDE, numpy=np.get_include())


def executable(folder: Path, name: str, text: str = "#!/bin/sh\n") -> Path:
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def prefix(tmp_path) -> Path:
    """Two message packages of a machine where Python and numpy lie elsewhere."""
    for package in ("std_msgs", "sensor_msgs"):
        folder = tmp_path / "share" / package / "cmake"
        folder.mkdir(parents=True)
        (folder / f"{package}__rosidl_generator_pyExport.cmake").write_text(FOREIGN)
        (folder / f"{package}__rosidl_generator_cExport.cmake").write_text(FOREIGN)
    return tmp_path


def exports(prefix: Path, kind: str) -> list[Path]:
    return sorted(prefix.glob(f"share/*/cmake/*rosidl_generator_{kind}Export.cmake"))


def test_foreign_include_directories_become_this_interpreters(prefix):
    mend_include_directories(prefix, Path(sys.executable))
    assert [path.read_text() for path in exports(prefix, "py")] == [MENDED] * 2
    assert [path.read_text() for path in exports(prefix, "c")] == [FOREIGN] * 2


def test_mending_again_changes_nothing_and_follows_another_numpy(prefix):
    mend_include_directories(prefix, Path(sys.executable))
    first, second = exports(prefix, "py")
    os.utime(first, (1, 1))
    second.write_text(EXPORT.format(python=PYTHON_INCLUDE, numpy="/old/numpy/core/include"))
    mend_include_directories(prefix, Path(sys.executable))
    assert first.stat().st_mtime == 1
    assert second.read_text() == MENDED


def test_missing_tools_are_named_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError) as missing:
        check_tools()
    assert str(missing.value) == (
        "missing: a C++ compiler, cmake, make; on Debian and Ubuntu: "
        "apt install build-essential cmake python3-dev python3-venv"
    )
    executable(tmp_path, "g++")
    executable(tmp_path, "make")
    with pytest.raises(SetupError, match="missing: cmake; "):
        check_tools()
    executable(tmp_path, "cmake")
    check_tools()


def test_the_command_ends_with_2_and_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert setup_environment.main() == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("setup: missing: a C++ compiler")
    assert err.count("\n") == 1


@pytest.fixture
def rclpy(tmp_path, monkeypatch):
    """A module that the interpreter outside the venv can import."""
    (tmp_path / "rclpy.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


@pytest.mark.usefixtures("rclpy")
@pytest.mark.parametrize(
    ("distribution", "prefixes", "sourced"),
    [
        ("jazzy", ["/opt/ros/jazzy"], True),
        ("jazzy", [str(VENV), "/opt/ros/jazzy"], True),
        ("jazzy", [str(VENV)], False),  # our own environment is no reason to leave out the wheels
        ("jazzy", [""], False),
        ("", ["/opt/ros/jazzy"], False),
    ],
)
def test_a_sourced_ros_is_told_from_our_own(monkeypatch, distribution, prefixes, sourced):
    monkeypatch.setenv("ROS_DISTRO", distribution)
    monkeypatch.setenv("AMENT_PREFIX_PATH", os.pathsep.join(prefixes))
    assert ros_is_sourced() is sourced


def test_a_sourced_ros_that_python_cannot_import_is_none(monkeypatch, tmp_path):
    (tmp_path / "rclpy.py").write_text("raise ImportError('built for another Python')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("ROS_DISTRO", "jazzy")
    monkeypatch.setenv("AMENT_PREFIX_PATH", "/opt/ros/jazzy")
    assert not ros_is_sourced()


def test_the_wheels_interpreter_is_looked_for_where_this_one_does_not_do(tmp_path, monkeypatch):
    monkeypatch.setattr(setup_environment, "WHEEL_VERSIONS", (sys.version_info[:2],))
    assert wheel_python() == base_python()
    monkeypatch.setattr(setup_environment, "WHEEL_VERSIONS", ((3, 98), (3, 99)))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match=r"Python 3\.98 or 3\.99 is needed for the ROS 2 wheels"):
        wheel_python()
    older = executable(tmp_path, "python3.98")
    assert wheel_python() == str(older)
    newer = executable(tmp_path, "python3.99")
    assert wheel_python() == str(newer)


def test_interfaces_are_built_only_where_no_other_prefix_has_them(tmp_path):
    ours = sorted(path.parent for path in INTERFACES.glob("*/package.xml"))
    assert [path.name for path in ours] == ["event_camera_msgs", "vision_msgs"]
    assert missing_interfaces({}) == ours
    share = tmp_path / "share" / "vision_msgs"
    share.mkdir(parents=True)
    (share / "package.xml").touch()
    prefixes = os.pathsep.join([str(VENV), str(tmp_path)])
    assert missing_interfaces({"AMENT_PREFIX_PATH": prefixes}) == ours[:1]


def test_the_build_sees_the_venv_first_and_once(monkeypatch):
    monkeypatch.setenv("PATH", os.pathsep.join(["/bin", str(VENV / "bin")]))
    monkeypatch.setenv("AMENT_PREFIX_PATH", "/opt/ros/jazzy")
    monkeypatch.delenv("CMAKE_PREFIX_PATH", raising=False)
    environment = build_environment(uses_wheels=True)
    assert environment["PATH"] == os.pathsep.join([str(VENV / "bin"), "/bin"])
    assert environment["AMENT_PREFIX_PATH"] == os.pathsep.join([str(VENV), "/opt/ros/jazzy"])
    assert environment["CMAKE_PREFIX_PATH"] == str(VENV)
    assert build_environment(uses_wheels=False)["AMENT_PREFIX_PATH"] == "/opt/ros/jazzy"
    assert os.environ["AMENT_PREFIX_PATH"] == "/opt/ros/jazzy"


def test_what_decides_the_build_is_all_in_the_digest():
    files = {str(path.relative_to(ROOT)) for path in built_files([INTERFACES / "vision_msgs"])}
    assert {"CMakeLists.txt", "package.xml", "msg/EventArray.msg", "srv/Seek.srv"} <= files
    assert "tools/interfaces/vision_msgs/msg/Detection2D.msg" in files
    installed = {str(path.relative_to(ROOT)) for path in installed_files()}
    assert {"evio_ros/events.py", "scripts/evio", "config/fastdds_profile.xml"} <= installed
    assert not any("__pycache__" in name for name in installed)


def test_a_digest_changes_with_every_content_and_word(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("ab")
    two.write_text("c")
    digests = {digest_of([one, two]), digest_of([one]), digest_of([one], ["d"])}
    one.write_text("a")
    two.write_text("bc")
    digests |= {digest_of([one, two]), digest_of([one, two], ["word"])}
    assert len(digests) == 5
    assert digest_of([one, two]) == digest_of([one, two])


def test_a_finished_step_is_remembered_until_its_digest_changes(tmp_path, monkeypatch):
    monkeypatch.setattr(setup_environment, "STAMPS", tmp_path / "stamps")
    assert not is_done("build", "1")
    (tmp_path / "stamps").mkdir()
    mark_done("build", "1")
    assert is_done("build", "1")
    assert not is_done("build", "2")
    assert not is_done("venv", "1")


def test_a_command_says_what_it_does_and_shows_its_output_only_if_it_fails(capsys):
    run("greet", [sys.executable, "-c", "print('hello')"])
    out, err = capsys.readouterr()
    assert out.startswith("setup: greet ... ")
    assert out.endswith(" s\n")
    assert (out.count("\n"), err) == (1, "")
    with pytest.raises(SetupError, match=r"failed to greet: .* ended with 3"):
        run("greet", [sys.executable, "-c", "print('no such person'); exit(3)"])
    assert "no such person" in capsys.readouterr().err


def test_a_command_sees_the_environment_it_is_given(tmp_path):
    touch = shutil.which("touch")
    made = tmp_path / "made"
    run("make a file", ["sh", "-c", f'{touch} "$MADE"'], {"MADE": str(made), "PATH": "/bin"})
    assert made.exists()
