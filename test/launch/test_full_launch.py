"""full.launch.py, started by the real launch system."""

from __future__ import annotations

import os
import time
import unittest
from pathlib import Path

import pytest

for module in ("launch", "launch_ros", "launch_testing"):
    pytest.importorskip(
        module, reason=f"{module} comes with a ROS 2 installation; no package registry has it"
    )

import launch
import launch_testing.actions
import launch_testing.asserts
import launch_testing.markers
from launch.launch_description_sources import PythonLaunchDescriptionSource

os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))

from evio_ros.msg import RotationState
from node_recording import ROTOR
from ros_probe import Probe
from rotor_events import SIZE, events_of

from evio_ros.ros.share import share_file, use_dds_profile
from evio_ros.sources.writers.dat import DatWriter

use_dds_profile(os.environ)
RECORDING = Path(os.environ.get("TMPDIR", "/tmp")) / f"evio_launch_{os.getpid()}.dat"


@pytest.mark.launch_test
@launch_testing.markers.keep_alive
def generate_test_description():
    with DatWriter(RECORDING, SIZE) as writer:
        writer.append(events_of([ROTOR], 2_000_000, noise_hz=2e4))
    full = PythonLaunchDescriptionSource(str(share_file("launch/full.launch.py")))
    arguments = {"source": str(RECORDING), "namespace": "cam1", "rate": "0.5", "loop": "true"}
    included = launch.actions.IncludeLaunchDescription(full, launch_arguments=arguments.items())
    return launch.LaunchDescription([included, launch_testing.actions.ReadyToTest()])


class TestFullLaunch(unittest.TestCase):
    def test_the_state_comes_in_the_namespace(self):
        with Probe() as probe:
            states = probe.collect(RotationState, "/cam1/rotation_state")
            probe.wait_until(lambda: len(states) >= 3)
            truth = 60 * ROTOR.frequency_hz
            assert abs(states[-1].rpm / truth - 1) < 1e-3
            time.sleep(0.1)


@launch_testing.post_shutdown_test()
class TestShutdown(unittest.TestCase):
    def test_all_nodes_end_cleanly(self, proc_info):
        RECORDING.unlink(missing_ok=True)
        launch_testing.asserts.assertExitCodes(proc_info)
