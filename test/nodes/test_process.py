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
