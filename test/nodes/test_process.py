from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from evio_ros.ros.signal_watch import STARTED_AGAIN, STARTED_BY

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


@pytest.mark.parametrize("name", ["driver", "container"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_modules_are_loaded_ends_a_node_as_later(name, number, tmp_path):
    """A package of the test stands for one that takes long to load."""
    (tmp_path / "evio_ros").mkdir()
    slow = "import time\nprint('loading', flush=True)\ntime.sleep(60)\n"
    (tmp_path / "evio_ros" / "__init__.py").write_text(slow)
    node = subprocess.Popen(
        [sys.executable, str(SCRIPTS / name)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert node.stdout is not None
    assert node.stdout.readline() == "loading\n"
    node.send_signal(number)
    _, errors = node.communicate(timeout=20)
    assert (node.returncode, errors) == (0, "")


_SLEEP = """
import time
from evio_ros.ros.signal_watch import ended_by_signals
with ended_by_signals():
    print("within", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("lives_on", [True, False])
def test_the_end_of_the_process_that_launched_a_node_counts_as_sigterm(lives_on):
    with subprocess.Popen(["sleep", "60"]) as launch:
        if not lives_on:
            launch.kill()
            launch.wait()
        node = subprocess.Popen(
            [sys.executable, "-c", _SLEEP],
            stdout=subprocess.PIPE,
            env={**os.environ, STARTED_BY: str(launch.pid)},
        )
        assert node.stdout is not None
        node.stdout.readline()
        launch.kill()
        try:
            assert node.wait(20.0) == -signal.SIGTERM
        finally:
            node.kill()


@pytest.mark.parametrize(
    "arguments", [("-p", "foo"), ("--params-file", "none.yaml"), ("--log-level", "loud")]
)
def test_arguments_that_ros_refuses_are_one_line_and_exit_code_2(arguments, tmp_path):
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / "fusion"), "--ros-args", *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=30,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    ours = [line for line in done.stderr.splitlines() if line.startswith("fusion: ")]
    assert len(ours) == 1


_COUNT_CALLBACKS = """
import threading, time
from evio_ros.nodes.fusion import Fusion
from evio_ros.ros.process import run_node

def make():
    node = Fusion()
    threading.Thread(target=look, args=(node,), daemon=True).start()
    return node

def look(node):
    node.every(0.001, lambda: None)
    time.sleep(2.0)
    print(len(node.done._callbacks), flush=True)
    node.finish()

run_node(make)
"""


def test_a_node_keeps_nothing_of_the_turns_of_its_executor():
    done = subprocess.run(
        [sys.executable, "-c", _COUNT_CALLBACKS], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    # One that wakes it at the end, and rclpy's own at most.
    assert int(done.stdout) <= 2


_PORTS = """
import os, rclpy
from evio_ros.ros.process import other_ports
rclpy.init()
with other_ports():
    node = rclpy.create_node("ports")
fds = "/proc/self/fd/"
own = {os.readlink(fds + fd) for fd in os.listdir(fds) if os.path.islink(fds + fd)}
rows = [line.split() for line in open("/proc/self/net/udp").readlines()[1:]]
print(*(int(row[1].partition(":")[2], 16) for row in rows if f"socket:[{row[9]}]" in own))
"""


def test_a_process_that_is_started_again_has_other_ports():
    """Of those that a domain has, 250, the first two are for all its processes."""
    first = 7400 + 250 * int(os.environ["ROS_DOMAIN_ID"])
    found = []
    for more in ({}, {STARTED_AGAIN: "1"}):
        out = subprocess.check_output([sys.executable, "-c", _PORTS], env={**os.environ, **more})
        found.append({int(port) for port in out.split()} & set(range(first + 2, first + 250)))
    assert len(found[0]) == len(found[1]) == 2
    assert found[0].isdisjoint(found[1])
