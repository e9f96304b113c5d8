"""C++ programs find the package, link its messages and read what Python has written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import rclpy
from evio_ros.msg import Blade, RotationState, RotationStateArray
from rclpy.serialization import serialize_message
from std_msgs.msg import Header

ROOT = Path(__file__).resolve().parents[2]
CONSUMER = ROOT / "test" / "cpp_consumer"
EXAMPLE = ROOT / "examples" / "cpp_subscriber"


def prefixes() -> list[str]:
    found = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    return [prefix for prefix in (*found, sys.prefix) if prefix]


def library_path() -> str:
    """Where the libraries of ROS 2 lie, those of the wheels included."""
    folders = [str(Path(prefix) / "lib") for prefix in prefixes()]
    folders += map(str, Path(sysconfig.get_path("purelib")).glob("ros_*.libs"))
    return os.pathsep.join([*folders, os.environ.get("LD_LIBRARY_PATH", "")])


def has_rclcpp() -> bool:
    return any((Path(prefix) / "share" / "rclcpp").is_dir() for prefix in prefixes())


def build(source: Path, folder: Path) -> Path:
    """The folder in which a program is built."""
    search = os.pathsep.join(prefixes())
    environment = {**os.environ, "CMAKE_PREFIX_PATH": search, "AMENT_PREFIX_PATH": search}
    environment["LD_LIBRARY_PATH"] = library_path()
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    configure = ["cmake", str(source), f"-DPython3_EXECUTABLE={sys.executable}"]
    for command in (configure, ["cmake", "--build", "."]):
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def state() -> RotationState:
    header = Header(frame_id="camera")
    blades = [Blade(), Blade()]
    return RotationState(header=header, id=3, rpm=-1234.5, rpm_std=0.25, blades=blades)


TEXT = "rotor 3: -1234.500 +- 0.250 rpm, 2 blades, camera\n"


def test_a_cpp_program_reads_a_rotation_state(state, tmp_path):
    done = subprocess.run(
        [build(CONSUMER, tmp_path) / "print_rotation"],
        input=serialize_message(state),
        env={**os.environ, "LD_LIBRARY_PATH": library_path()},
        capture_output=True,
        timeout=60,
    )
    assert (done.stdout, done.stderr) == (TEXT.encode(), b"")


@pytest.mark.skipif(not has_rclcpp(), reason="rclcpp is not installed")
def test_the_example_node_prints_what_is_published(state, tmp_path):
    program = build(EXAMPLE, tmp_path) / "print_rotation"
    environment = {**os.environ, "LD_LIBRARY_PATH": library_path()}
    listening = subprocess.Popen([program], env=environment, stdout=subprocess.PIPE, text=True)
    try:
        with rclpy.init():
            node = rclpy.create_node("sender")
            publisher = node.create_publisher(RotationStateArray, "rotation_states", 100)
            end_s = time.monotonic() + 30
            while not publisher.get_subscription_count() and time.monotonic() < end_s:
                time.sleep(0.05)
            publisher.publish(RotationStateArray(states=[state]))
            assert listening.stdout is not None
            assert listening.stdout.readline() == TEXT
            node.destroy_node()
    finally:
        listening.kill()
        listening.wait()


def test_the_example_is_a_package_that_names_what_it_includes():
    manifest = ElementTree.parse(EXAMPLE / "package.xml").getroot()
    named = {element.text for element in manifest.iter("depend")}
    sources = [*EXAMPLE.rglob("*.cpp"), *EXAMPLE.rglob("*.hpp")]
    included = {
        name for path in sources for name in re.findall(r"#include <(\w+)/", path.read_text())
    }
    assert named == included == {"evio_ros", "rclcpp"}
