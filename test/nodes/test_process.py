from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


@pytest.mark.parametrize("name", ["driver", "rotation_detector", "container"])
@pytest.mark.parametrize("seconds", [0.3, 1.0])
def test_ctrl_c_while_modules_are_loaded_is_silent(name, seconds):
    command = [sys.executable, str(SCRIPTS / name)]
    node = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    time.sleep(seconds)
    node.send_signal(signal.SIGINT)
    _, errors = node.communicate(timeout=20)
    assert "Traceback" not in errors
    assert len(errors.splitlines()) <= 1


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
