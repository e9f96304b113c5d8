"""A C++ program finds the package, links its messages and reads what Python has written."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from evio_ros.msg import Blade, RotationState
from rclpy.serialization import serialize_message
from std_msgs.msg import Header

SOURCE = Path(__file__).resolve().parents[1] / "cpp_consumer"


def prefixes() -> list[str]:
    found = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    return [prefix for prefix in (*found, sys.prefix) if prefix]


def library_path() -> str:
    """Where the libraries of ROS 2 lie, those of the wheels included."""
    folders = [str(Path(prefix) / "lib") for prefix in prefixes()]
    folders += map(str, Path(sysconfig.get_path("purelib")).glob("ros_*.libs"))
    return os.pathsep.join([*folders, os.environ.get("LD_LIBRARY_PATH", "")])


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> Path:
    build = tmp_path_factory.mktemp("cpp_consumer")
    search = os.pathsep.join(prefixes())
    environment = {**os.environ, "CMAKE_PREFIX_PATH": search, "AMENT_PREFIX_PATH": search}
    environment["LD_LIBRARY_PATH"] = library_path()
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    configure = ["cmake", str(SOURCE), f"-DPython3_EXECUTABLE={sys.executable}"]
    for command in (configure, ["cmake", "--build", "."]):
        done = subprocess.run(command, cwd=build, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    return build / "print_rotation"


def test_a_cpp_program_reads_a_rotation_state(program):
    header = Header(frame_id="camera")
    state = RotationState(header=header, id=3, rpm=-1234.5, blades=[Blade(), Blade()])
    done = subprocess.run(
        [program],
        input=serialize_message(state),
        env={**os.environ, "LD_LIBRARY_PATH": library_path()},
        capture_output=True,
        timeout=60,
    )
    assert (done.stdout, done.stderr) == (b"3 -1234.500 camera 2\n", b"")
