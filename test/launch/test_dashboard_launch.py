"""full.launch.py with the dashboard, started by the real launch system."""

from __future__ import annotations

import os
import socket
import tempfile
import unittest
from pathlib import Path

import pytest

for module in ("launch", "launch_ros", "launch_testing"):
    pytest.importorskip(
        module, reason=f"{module} comes with a ROS 2 installation; no package registry has it"
    )
for module in ("fastapi", "uvicorn"):
    pytest.importorskip(module, reason="the dashboard's server: pip install 'evio_ros[web]'")

import launch
import launch_testing.actions
import launch_testing.asserts
import launch_testing.markers
from launch.launch_description_sources import PythonLaunchDescriptionSource

os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))

from node_recording import ROTOR
from rotor_events import SIZE, events_of
from web_desk import ask, wait_until

from evio_ros.ros.share import share_file, use_dds_profile
from evio_ros.sources.writers.dat import DatWriter

use_dds_profile(os.environ)
FOLDER = tempfile.TemporaryDirectory(prefix="evio_dashboard_")
os.environ["XDG_STATE_HOME"] = FOLDER.name
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    PORT = free.getsockname()[1]


@pytest.mark.launch_test
@launch_testing.markers.keep_alive
def generate_test_description():
    recording = Path(FOLDER.name) / "rotor.dat"
    with DatWriter(recording, SIZE) as writer:
        writer.append(events_of([ROTOR], 2_000_000, noise_hz=2e4))
    full = PythonLaunchDescriptionSource(str(share_file("launch/full.launch.py")))
    arguments = {
        "source": str(recording),
        "namespace": "cam1",
        "loop": "true",
        "dashboard": "true",
        "port": str(PORT),
    }
    included = launch.actions.IncludeLaunchDescription(full, launch_arguments=arguments.items())
    return launch.LaunchDescription([included, launch_testing.actions.ReadyToTest()])


def rotors() -> list:
    try:
        return ask(PORT, "/api/rotors")[1]
    except ConnectionRefusedError:
        return []


class TestDashboard(unittest.TestCase):
    def test_the_rotor_is_told_and_the_driver_of_the_namespace_is_commanded(self):
        wait_until(rotors, timeout_s=90.0)
        assert abs(rotors()[0]["rpm"] / (60 * ROTOR.frequency_hz) - 1) < 1e-3
        assert ask(PORT, "/api/pause", "POST", {"is_paused": True})[:2] == (
            200,
            {"message": "paused"},
        )
        assert ask(PORT, "/api/status")[1]["title"] == "cam1"
        history = Path(FOLDER.name) / "evio_ros" / "cam1_dashboard.sqlite"
        wait_until(history.exists)


@launch_testing.post_shutdown_test()
class TestShutdown(unittest.TestCase):
    def test_all_nodes_end_cleanly(self, proc_info):
        FOLDER.cleanup()
        launch_testing.asserts.assertExitCodes(proc_info)
