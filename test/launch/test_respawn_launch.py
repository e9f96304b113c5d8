"""full.launch.py, composed and apart from that as it is, while its process is killed."""

from __future__ import annotations

import os
import signal
import unittest
from pathlib import Path

import pytest

for module in ("launch", "launch_ros", "launch_testing"):
    pytest.importorskip(
        module, reason=f"{module} comes with a ROS 2 installation; no package registry has it"
    )

import launch
import launch_testing.actions
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
RECORDING = Path(os.environ.get("TMPDIR", "/tmp")) / f"evio_respawn_{os.getpid()}.dat"


@pytest.mark.launch_test
@launch_testing.markers.keep_alive
def generate_test_description():
    with DatWriter(RECORDING, SIZE) as writer:
        writer.append(events_of([ROTOR], 1_000_000, noise_hz=2e4))
    full = PythonLaunchDescriptionSource(str(share_file("launch/full.launch.py")))
    arguments = {"source": str(RECORDING), "loop": "true", "composed": "true"}
    included = launch.actions.IncludeLaunchDescription(full, launch_arguments=arguments.items())
    return launch.LaunchDescription([included, launch_testing.actions.ReadyToTest()])


def containers(proc_info) -> list[str]:
    return [name for name in proc_info.process_names() if "container" in name]


class TestRespawn(unittest.TestCase):
    def test_states_come_again_after_a_kill(self, proc_info):
        with Probe() as probe:
            states = probe.collect(RotationState, "/rotation_state")
            probe.wait_until(lambda: len(states) >= 3)
            (first,) = containers(proc_info)
            os.kill(proc_info[first].pid, signal.SIGKILL)
            probe.wait_until(lambda: len(containers(proc_info)) == 2)
            before = len(states)
            probe.wait_until(lambda: len(states) >= before + 3)
            truth = 60 * ROTOR.frequency_hz
            assert abs(states[-1].rpm / truth - 1) < 1e-3


@launch_testing.post_shutdown_test()
class TestShutdown(unittest.TestCase):
    def test_only_the_killed_process_failed(self, proc_info):
        RECORDING.unlink(missing_ok=True)
        codes = [info.returncode for info in proc_info]
        assert sorted(codes) == [-signal.SIGKILL, 0]
