"""full.launch.py with the RVT detector where PyTorch is missing: the graph runs all the same."""

from __future__ import annotations

import os
import tempfile
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

from diagnostic_msgs.msg import DiagnosticArray
from evio_ros.msg import RotationState
from ros_probe import Probe, diagnostics_of

from evio_ros.ros.share import share_file, use_dds_profile

use_dds_profile(os.environ)
FOLDER = Path(tempfile.mkdtemp(prefix="evio_rvt_launch_"))
WITHOUT_TORCH = """\
import importlib.util as u

find = u.find_spec
u.find_spec = lambda name, package=None: None if name == "torch" else find(name, package)
"""


@pytest.mark.launch_test
@launch_testing.markers.keep_alive
def generate_test_description():
    (FOLDER / "sitecustomize.py").write_text(WITHOUT_TORCH)
    path = os.pathsep.join([str(FOLDER), os.environ.get("PYTHONPATH", "")])
    full = PythonLaunchDescriptionSource(str(share_file("launch/full.launch.py")))
    arguments = {"namespace": "cam1", "use_rvt": "true"}
    included = launch.actions.IncludeLaunchDescription(full, launch_arguments=arguments.items())
    return launch.LaunchDescription(
        [
            launch.actions.SetEnvironmentVariable("PYTHONPATH", path),
            included,
            launch_testing.actions.ReadyToTest(),
        ]
    )


class TestRvtLaunch(unittest.TestCase):
    def test_rotors_are_measured_and_the_idle_node_says_what_is_missing(self):
        with Probe() as probe:
            states = probe.collect(RotationState, "/cam1/rotation_state")
            reports = probe.collect(DiagnosticArray, "/diagnostics")
            probe.wait_until(lambda: len(states) >= 3, 120.0)
            probe.wait_until(
                lambda: "torch" in diagnostics_of(reports, "/cam1/rvt_detector").get("message", "")
            )
            assert diagnostics_of(reports, "/cam1/rvt_detector")["message"].startswith("idle: ")


@launch_testing.post_shutdown_test()
class TestShutdown(unittest.TestCase):
    def test_all_nodes_end_cleanly(self, proc_info):
        launch_testing.asserts.assertExitCodes(proc_info)
