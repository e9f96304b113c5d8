"""What a driver publishes besides events."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest
from evio_ros.msg import EventArray
from ros_probe import Probe
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo

from evio_ros.errors import EvioError
from evio_ros.ros.camera_info import read_camera_info
from evio_ros.ros.node_process import NodeProcess
from evio_ros.ros.quality_of_service import kept_quality

# As `ros2 run camera_calibration cameracalibrator` writes it.
CALIBRATION = """\
image_width: 320
image_height: 240
camera_name: event_camera
camera_matrix:
  rows: 3
  cols: 3
  data: [310.5, 0.0, 159.5, 0.0, 311.25, 119.5, 0.0, 0.0, 1.0]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [-0.25, 0.0625, 0.0, 0, 0.0]
rectification_matrix:
  rows: 3
  cols: 3
  data: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
projection_matrix:
  rows: 3
  cols: 4
  data: [300.0, 0.0, 160.0, 0.0, 0.0, 301.0, 120.0, 0.0, 0.0, 0.0, 1.0, 0.0]
"""


@pytest.fixture
def calibration(tmp_path) -> Path:
    path = tmp_path / "camera.yaml"
    path.write_text(CALIBRATION)
    return path


def nanoseconds(stamp) -> int:
    return 1_000_000_000 * stamp.sec + stamp.nanosec


def test_the_clock_is_that_of_the_replay_and_never_goes_back(recording):
    with Probe() as probe:
        clocks = probe.collect(Clock, "/clock")
        messages = probe.collect(EventArray, "events")
        parameters = {
            "source": str(recording),
            "replay.rate": 8.0,
            "replay.loop": True,
            "outputs.publish_clock": True,
            "use_sim_time": True,
        }
        with NodeProcess("driver", parameters):
            probe.wait_until(lambda: len(messages) > 150)
    times = [nanoseconds(clock.clock) for clock in clocks]
    assert times == sorted(times)
    ends = [nanoseconds(one.header.stamp) + 1000 * one.duration for one in messages]
    assert set(times[:100]) <= set(ends)
    # 60 windows of 10 ms are one round: the time of the replay goes on through the loop.
    assert times[120] - times[0] == pytest.approx(1.2e9, abs=3e7)


def test_the_calibration_comes_to_late_subscribers(recording, calibration):
    parameters = {
        "source": str(recording),
        "replay.loop": True,
        "outputs.camera_info_file": str(calibration),
        "frame_id": "left",
    }
    with Probe() as probe, NodeProcess("driver", parameters):
        messages = probe.collect(EventArray, "events")
        probe.wait_until(lambda: bool(messages))
        infos = probe.collect(CameraInfo, "camera_info", kept_quality())
        probe.wait_until(lambda: bool(infos))
    (info,) = infos
    assert (info.header.frame_id, info.width, info.height) == ("left", 320, 240)
    assert (info.k[0], info.k[4], info.p[5], info.d[1]) == (310.5, 311.25, 301.0, 0.0625)


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("image_width: 320", "image_width: wide", "image_width: 'wide' is not a number of pixels"),
        ("image_height: 240\n", "", "image_height: None is not a number of pixels"),
        ("0.0, 0.0, 1.0]\ndist", "0.0]\ndist", "camera_matrix has 7 elements, not 9"),
        ("-0.25", ".nan", "distortion_coefficients.data is not a list of numbers"),
        ("  data: [-0.25, 0.0625, 0.0, 0, 0.0]\n", "", "distortion_coefficients.data is not a"),
        ("image_width: 320", "image_width: [", "is not YAML"),
        (CALIBRATION, "3", "is not a camera calibration"),
    ],
)
def test_a_broken_calibration_is_refused_by_name(calibration, old, new, text):
    calibration.write_text(CALIBRATION.replace(old, new))
    with pytest.raises(EvioError, match=text.replace("[", r"\[")):
        read_camera_info(str(calibration))


def test_a_driver_with_a_missing_calibration_is_one_line_and_exit_code_2(recording):
    parameters = {"source": str(recording), "outputs.camera_info_file": "none.yaml"}
    with NodeProcess("driver", parameters) as driver:
        assert driver.wait(30.0) == 2
        assert "none.yaml: cannot be read: No such file" in driver.output()
        assert "Traceback" not in driver.output()


def test_the_camera_stands_in_its_parents_frame(recording):
    tf2_msgs = pytest.importorskip("tf2_msgs.msg", reason="tf2_msgs is not installed")
    parameters = {
        "source": str(recording),
        "replay.loop": True,
        "outputs.parent_frame": "base_link",
        "outputs.x_m": 0.5,
        "outputs.yaw_rad": math.pi / 2,
    }
    with Probe() as probe, NodeProcess("driver", parameters):
        frames = probe.collect(tf2_msgs.TFMessage, "/tf_static", kept_quality())
        probe.wait_until(lambda: bool(frames))
    (place,) = frames[0].transforms
    assert (place.header.frame_id, place.child_frame_id) == ("base_link", "event_camera")
    turned = place.transform.rotation
    assert place.transform.translation.x == 0.5
    # A quarter turn about z.
    assert (turned.z, turned.w) == pytest.approx((math.sqrt(0.5), math.sqrt(0.5)))
    assert (turned.x, turned.y) == pytest.approx((0.0, 0.0))


def test_nodes_under_sim_time_without_a_clock_work_and_speak():
    """Nobody publishes /clock: timers of a node must not stand still."""
    from diagnostic_msgs.msg import DiagnosticArray

    with Probe() as probe, NodeProcess("fusion", {"use_sim_time": True}) as fusion:
        reports = probe.collect(DiagnosticArray, "/diagnostics")
        clock = probe.node.create_publisher(Clock, "/clock", 10)
        probe.wait_until(lambda: len(reports) > 2)
        for seconds in (1000, 5, 2_000_000_000, 0):
            message = Clock()
            message.clock.sec = seconds
            clock.publish(message)
            before = len(reports)
            probe.wait_until(lambda before=before: len(reports) > before + 1)
        assert fusion.exit_code is None


def test_without_tf2_msgs_the_driver_says_so_and_plays(recording, tmp_path):
    (tmp_path / "tf2_msgs").mkdir()
    (tmp_path / "tf2_msgs" / "__init__.py").write_text("raise ImportError('gone')\n")
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    parameters = {"source": str(recording), "outputs.parent_frame": "base_link"}
    environment = {**os.environ, "PYTHONPATH": path}
    with Probe() as probe, NodeProcess("driver", parameters, environment=environment) as driver:
        messages = probe.collect(EventArray, "events")
        probe.wait_until(lambda: driver.exit_code is not None)
        assert driver.exit_code == 0
        assert "tf2_msgs is not installed" in driver.output()
    assert messages
