"""Motion, vehicles and normals as the fusion node tells them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from evio_ros.msg import EventArray, ImageMotionArray, RotationState, RotationStateArray
from rclpy.qos import QoSProfile
from ros_probe import Probe
from rotor_estimates import FAN
from sensor_msgs.msg import CameraInfo
from state_messages import state_array
from std_msgs.msg import Header

from evio_ros.ellipse import Ellipse
from evio_ros.estimate import RotorEstimate
from evio_ros.events import EventBatch, EventWindow, SensorSize
from evio_ros.ros.event_messages import to_message
from evio_ros.ros.node_process import NodeProcess
from evio_ros.ros.quality_of_service import results_quality
from evio_ros.ros.stamps import stamp_of

SIZE = SensorSize(320, 240)
STEP_US = 50_000
VELOCITY = (60.0, -30.0)
PLACES = {1: (70.0, 150.0), 2: (180.0, 160.0)}
AXES, TILT = (24.0, 16.0), 0.4


def rotor(number: int, t_us: int) -> RotorEstimate:
    """A rotor at 1200 rpm that drifts."""
    turns = 20.0 * 1e-6 * t_us
    x, y = (p + v * 1e-6 * t_us for p, v in zip(PLACES[number], VELOCITY, strict=True))
    return replace(
        FAN,
        id=number,
        t_us=t_us,
        window_us=STEP_US,
        rpm=1200.0,
        blade_count=2,
        angle_rad=2 * math.pi * (turns % 1.0),
        turns=turns,
        center=(x, y),
        axes=AXES,
        tilt_rad=TILT,
        velocity=VELOCITY,
    )


def events_of(start_us: int, random: np.random.Generator) -> EventWindow:
    """Discs full of events, where the rotors are."""
    t = np.sort(random.integers(start_us, start_us + STEP_US, 12_000))
    columns = np.zeros((len(t), 2))
    for index, number in enumerate(PLACES):
        mine = slice(index, None, len(PLACES))
        radius = np.sqrt(random.uniform(0.0, 1.0, len(t[mine])))
        angle = random.uniform(0, 2 * math.pi, len(radius))
        on_disc = Ellipse((0.0, 0.0), AXES, TILT).image_point(radius, angle).T
        drift = 1e-6 * t[mine, None] * np.array(VELOCITY)
        columns[mine] = on_disc + PLACES[number] + drift
    x, y = np.rint(columns).astype(np.uint16).T
    return EventWindow(start_us, STEP_US, EventBatch(SIZE, t, x, y, t % 2 == 0))


def test_motion_vehicles_and_normals_of_two_drifting_rotors():
    pytest.importorskip("cv2")
    random = np.random.default_rng(1)
    with Probe() as probe, NodeProcess("fusion", {"motion.method": "dis"}) as fusion:
        make = probe.node.create_publisher
        states = make(RotationStateArray, "rotation_detector/rotation_states", results_quality())
        events = make(EventArray, "events", QoSProfile(depth=100))
        cameras = make(CameraInfo, "camera_info", results_quality())
        fused = probe.collect(RotationStateArray, "rotation_states")
        motions = probe.collect(ImageMotionArray, "fusion/motion")
        for publisher in (states, events, cameras):
            probe.wait_until(lambda one=publisher: one.get_subscription_count() == 1)
        probe.wait_for_publisher("rotation_states")
        probe.wait_for_publisher("fusion/motion")
        cameras.publish(CameraInfo(k=[200.0, 0.0, 160.0, 0.0, 200.0, 120.0, 0.0, 0.0, 1.0]))
        for step in range(30):
            start_us, end_us = step * STEP_US, (step + 1) * STEP_US
            header = Header(stamp=stamp_of(10**9 + 1000 * end_us), frame_id="camera")
            estimates = [rotor(number, end_us) for number in PLACES]
            states.publish(state_array(estimates, header, end_us, STEP_US, 12_000))
            window = events_of(start_us, random)
            events.publish(to_message(window, step, "camera", 10**9 + 1000 * start_us))
            probe.wait_until(lambda count=step: len(fused) > count)
        probe.wait_until(lambda: len(motions) >= 20)
        assert fusion.exit_code is None
    motion = motions[-1]
    assert {region.id for region in motion.regions} == set(PLACES)
    for region in motion.regions:
        assert math.dist((region.velocity_x, region.velocity_y), VELOCITY) < 12.0
        assert region.pixels > 500
        assert min(region.covariance[0], region.covariance[3]) > 0
    assert motion.background.pixels == 0
    assert motion.background.covariance[0] == -1.0
    last = fused[-1].states
    assert {state.group for state in last} == {last[0].group} != {0}
    assert any(
        state.sources & RotationState.SOURCE_MOTION for one in fused[10:] for state in one.states
    )
    for state in last:
        assert np.linalg.norm(state.normal) in (pytest.approx(1.0), 0.0)
