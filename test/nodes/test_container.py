from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from diagnostic_msgs.msg import DiagnosticArray
from evio_ros.msg import EventArray, RotationStateArray
from ros_probe import Probe, diagnostics_of, undescribed

from evio_ros.pipeline import measure_source
from evio_ros.ros.share import share_file
from evio_ros.rotation.detector_parameters import RotationDetectorParameters
from evio_ros.sources.registry import open_source

STUB = "import sys; from evio_ros.nodes.container import main; main()"
SLOW_FUSION = """
import time
from evio_ros.nodes.fusion import Fusion
configure = Fusion.configure
Fusion.configure = lambda self: (time.sleep(2.0), configure(self))
"""
WINDOW_US = 50_000


def command(tmp_path: Path, names: list[str], given: dict[str, dict]) -> list[str]:
    """The command line of a container with parameters by the nodes' names."""
    file = tmp_path / "given.yaml"
    sections = {f"/**/{name}": {"ros__parameters": values} for name, values in given.items()}
    file.write_text(yaml.safe_dump(sections))
    files = ["--params-file", str(share_file("config/evio.yaml")), "--params-file", str(file)]
    return [sys.executable, "-c", STUB, *names, "--ros-args", *files]


def run(*args) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*args), capture_output=True, text=True, timeout=120)


def test_all_nodes_in_one_process_give_the_results_of_the_library(recording, tmp_path):
    output = tmp_path / "states.csv"
    window = {"window_us": WINDOW_US, "step_us": WINDOW_US}
    given = {
        "driver": {
            "source": str(recording),
            "replay.rate": 0.0,
            "wait_for": "rotation_detector",
        },
        "rotation_detector": window,
        "state_recorder": {"output": str(output)},
    }
    names = ["fusion", "state_recorder", "driver", "rotation_detector"]
    started = command(tmp_path, names, given)
    started[2] = SLOW_FUSION + STUB  # the driver waits for all, so that nothing is left out
    done = subprocess.run(started, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    with open_source(str(recording)) as source:
        expected = [
            (rotor.t_us, rotor.rpm, rotor.angle_rad)
            for measurement in measure_source(
                source, RotationDetectorParameters(**window), look_back=False
            )
            for rotor in measurement.rotors
        ]
    with output.open() as file:
        rows = [row for row in csv.DictReader(file) if row["id"]]
    found = [(int(row["t_us"]), float(row["rpm"]), float(row["angle_rad"])) for row in rows]
    assert len(expected) >= 5
    # The library leaves out a last window that the recording does not fill. Fusion passes speeds on
    # and smooths angles. Sums of vectorised loops may differ in the last bits.
    for (t_us, rpm, angle_rad), right in zip(found, expected, strict=False):
        assert t_us == right[0]
        assert rpm == pytest.approx(right[1], rel=1e-9)
        assert angle_rad == pytest.approx(right[2], abs=1e-3)
    assert len(found) >= len(expected)
    assert len(found) <= len(expected) + 1


FULL_DISK = """
import os
from rosbags.rosbag2 import Writer
def no_room(*_):
    raise OSError(28, os.strerror(28))
Writer.{} = no_room
"""


@pytest.mark.parametrize("method", ["write", "close"])
def test_a_full_disk_is_one_line_and_exit_code_2(recording, tmp_path, method):
    given = {
        "driver": {"source": str(recording), "replay.rate": 0.0, "wait_for": "rotation_detector"},
        "state_recorder": {"output": str(tmp_path / "bag")},
    }
    names = ["driver", "rotation_detector", "fusion", "state_recorder"]
    started = command(tmp_path, names, given)
    started[2] = FULL_DISK.format(method) + STUB
    done = subprocess.run(started, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("bag: cannot be written: No space left") == 1
    assert "Traceback" not in done.stderr


def test_whoever_else_subscribes_gets_the_same_messages_as_ever(recording, tmp_path):
    with Probe() as probe:
        messages = probe.collect(EventArray, "events")
        states = probe.collect(RotationStateArray, "rotation_detector/rotation_states")
        reports = probe.collect(DiagnosticArray, "/diagnostics")
        driver = {"source": str(recording), "wait_for_subscribers": 2, "replay.rate": 0.3}
        process = subprocess.Popen(
            command(tmp_path, ["driver", "rotation_detector"], {"driver": driver}),
            stderr=subprocess.DEVNULL,
        )
        try:
            probe.wait_until(lambda: process.poll() is not None, timeout_s=60.0)
        finally:
            process.kill()
        assert process.returncode == 0
        probe.spin_for(0.2)
    assert [message.seq for message in messages] == list(range(len(messages)))
    with open_source(str(recording)) as source:
        events = sum(len(batch) for batch in source.batches())
    assert sum(len(message.t) for message in messages) == events
    assert states
    assert diagnostics_of(reports, "/rotation_detector")["messages_lost"] == "0"
    assert "rotors_found" in diagnostics_of(reports, "/rotation_detector")
    assert undescribed(reports) == set()


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ([], "name the nodes to run: any of driver"),
        (["drivr"], "'drivr' is not one of driver"),
        (["driver"], "source: name a recording"),
    ],
)
def test_a_wrong_start_is_one_line_and_exit_code_2(tmp_path, names, text):
    done = run(tmp_path, names, {})
    assert done.returncode == 2
    assert text in done.stderr
    assert "Traceback" not in done.stderr
