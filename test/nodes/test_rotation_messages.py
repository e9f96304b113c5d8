from __future__ import annotations

import math
from dataclasses import replace

import pytest
from state_messages import state_array, state_message
from std_msgs.msg import Header

from evio_ros.estimate import RotorEstimate
from evio_ros.ros.rotation_messages import estimate_of

ESTIMATE = RotorEstimate(
    id=7,
    t_us=200_000,
    window_us=100_000,
    rpm=-1200.0,
    rpm_std=0.5,
    blade_count=2,
    angle_rad=3.0,
    angle_std_rad=0.01,
    turns=-12.25,
    center=(100.0, 80.0),
    axes=(20.0, 10.0),
    tilt_rad=0.0,
    velocity=(5.0, -3.0),
    confidence=0.9,
    events=12_345,
    center_std=(0.5, 0.25),
)


def test_an_estimate_survives_the_message():
    assert estimate_of(state_message(ESTIMATE, Header(frame_id="camera"))) == ESTIMATE


def test_blades_stand_on_the_ellipse_half_a_turn_apart():
    first, second = state_message(ESTIMATE, Header()).blades
    assert first.angle == pytest.approx(3.0)
    assert second.angle == pytest.approx(3.0 + math.pi)
    # On the ellipse with semi-axes 20 and 10 about (100, 80).
    assert (first.x, first.y) == pytest.approx((100 + 20 * math.cos(3), 80 + 10 * math.sin(3)))
    assert (second.x, second.y) == pytest.approx((100 - 20 * math.cos(3), 80 - 10 * math.sin(3)))


def test_known_variances_are_on_the_diagonal_and_unknown_ones_are_marked():
    covariance = state_message(ESTIMATE, Header()).covariance.reshape(6, 6)
    assert covariance.diagonal() == pytest.approx([1e-4, 0.25, 0.25, 0.0625, -1, -1])


def test_a_centre_of_unknown_uncertainty_stays_so():
    unknown = replace(ESTIMATE, center_std=(math.inf, math.inf))
    assert estimate_of(state_message(unknown, Header())) == unknown


def test_a_window_without_rotors_is_an_empty_array():
    message = state_array([], Header(frame_id="camera"), 200_000, 100_000, 42)
    assert (message.window_end, message.window_length, message.event_count) == (
        200_000,
        100_000,
        42,
    )
    assert len(message.states) == 0
