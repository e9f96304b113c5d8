"""Bytes of rotation states are those that the middleware reads and writes."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from evio_ros.msg import Blade, RotationState, RotationStateArray
from rclpy.serialization import deserialize_message, serialize_message
from rotor_estimates import FAN
from state_messages import state_array
from std_msgs.msg import Header

from evio_ros.errors import EventError
from evio_ros.ros.raw_rotation_states import (
    SerialisedStates,
    read_rotation_states,
    serialised_estimates,
)
from evio_ros.ros.stamps import stamp_of
from evio_ros.rotor_state import BladeState, RotorState, Source

STAMP_NS = 1_700_000_000_123_456_789
TEXTS = ["", "a", "ab", "abc", "abcd", "caméra"]


def rotor(number: int, blades: int, text: str) -> RotorState:
    """A state every value of which is another."""
    random = np.random.default_rng(number)
    spread = random.normal(size=(6, 6))
    return RotorState(
        id=number,
        t_us=-(2**40) + number,
        window_us=2**31 + number,
        events=2**63 + number,
        rpm=-1150.5,
        rpm_std=0.25,
        rpm_rate=3.5,
        angle_rad=1.25,
        turns=-77.5,
        blade_count=blades,
        center=(320.5, -240.25),
        axes=(70.0, 60.0),
        tilt_rad=-0.5,
        velocity=(5.0, -3.0),
        covariance=spread @ spread.T,
        confidence=0.75,
        sources=Source.MOTION | Source.PREDICTION,
        blades=tuple(
            BladeState(index, 0.5 + index, (1.0, 2.0), (3.0, 4.0), random.normal(size=(4, 4)))
            for index in range(blades)
        ),
        group=9,
        class_id=text,
        track_id=text[1:],
        normal=(0.0, 0.6, -0.8),
        normal_covariance=tuple(random.normal(size=9)),
    )


def message_of(state: RotorState, header: Header) -> RotationState:
    """The message of such a state, field by field."""
    message = RotationState(header=header, id=state.id)
    message.window_end, message.window_length = state.t_us, state.window_us
    message.event_count = state.events
    message.rpm, message.rpm_std, message.rpm_rate = -1150.5, 0.25, 3.5
    message.angular_velocity = -1150.5 * math.pi / 30
    message.angular_velocity_std = 0.25 * math.pi / 30
    message.angle, message.angle_std = 1.25, math.sqrt(state.covariance[0, 0])
    message.turns, message.blade_count = -77.5, state.blade_count
    message.center_x, message.center_y = 320.5, -240.25
    message.axis_major, message.axis_minor, message.tilt = 70.0, 60.0, -0.5
    message.velocity_x, message.velocity_y = 5.0, -3.0
    message.covariance = state.covariance.ravel()
    message.confidence = 0.75
    message.sources = RotationState.SOURCE_MOTION + RotationState.SOURCE_PREDICTION
    message.blades = [
        Blade(
            index=one.index,
            angle=0.5 + one.index,
            x=1.0,
            y=2.0,
            velocity_x=3.0,
            velocity_y=4.0,
            covariance=one.covariance.ravel(),
        )
        for one in state.blades
    ]
    message.group, message.class_id, message.track_id = 9, state.class_id, state.track_id
    message.normal, message.normal_covariance = state.normal, state.normal_covariance
    return message


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("frame_id", TEXTS)
def test_states_are_written_as_the_middleware_writes_them(frame_id, text):
    header = Header(stamp=stamp_of(STAMP_NS), frame_id=frame_id)
    states = [rotor(number, number % 4, text) for number in range(5)]
    expected = RotationStateArray(header=header, window_end=-5, window_length=7, event_count=2**40)
    expected.states = [message_of(state, header) for state in states]
    serialised = SerialisedStates(states, header)
    data = serialised.array(-5, 7, 2**40)
    assert deserialize_message(data, RotationStateArray) == expected
    # The middleware leaves what was in memory between fields.
    assert len(data) == len(serialize_message(expected))
    for state, message in zip(states, expected.states, strict=True):
        data = serialised.single(state)
        assert deserialize_message(data, RotationState) == message
        assert len(data) == len(serialize_message(message))
    empty = RotationStateArray(header=header, window_end=1)
    data = SerialisedStates([], header).array(1, 0, 0)
    assert deserialize_message(data, RotationStateArray) == empty


@pytest.mark.parametrize("frame_id", TEXTS)
def test_estimates_are_written_as_the_middleware_writes_them(frame_id):
    header = Header(stamp=stamp_of(STAMP_NS), frame_id=frame_id)
    known = [replace(FAN, id=number, blade_count=number, angle_rad=6.2) for number in range(5)]
    unknown = replace(FAN, id=5, center_std=(math.inf, math.inf), angle_std_rad=math.inf)
    for estimates in ([], known, [unknown, *known]):
        expected = state_array(estimates, header, 200_000, 100_000, 2**40)
        data = serialised_estimates(estimates, header, 200_000, 100_000, 2**40)
        assert deserialize_message(data, RotationStateArray) == expected
        assert len(data) == len(serialize_message(expected))


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("frame_id", TEXTS)
def test_estimates_are_read_as_they_were_written(frame_id, text):
    header = Header(stamp=stamp_of(STAMP_NS), frame_id=frame_id)
    estimates = [
        replace(FAN, id=number, blade_count=number, turns=-1.5 * number) for number in range(5)
    ]
    estimates.append(replace(FAN, id=5, center_std=(math.inf, math.inf)))
    message = state_array(estimates, header, 200_000, 100_000, 42)
    for state in message.states:
        state.class_id = state.track_id = text
    read = read_rotation_states(serialize_message(message))
    assert read.estimates == [
        replace(one, center_std=pytest.approx(one.center_std)) for one in estimates
    ]
    assert (read.header, read.unsound) == (header, 0)
    assert (read.window_end, read.window_length, read.event_count) == (200_000, 100_000, 42)


def test_an_array_without_a_frame_has_that_of_its_first_state():
    message = state_array([FAN], Header(frame_id="camera"), 100_000, 100_000, 1)
    message.header = Header()
    assert read_rotation_states(serialize_message(message)).header.frame_id == "camera"


def with_covariance(change: dict[int, float]) -> RotationState:
    (state,) = state_array([FAN], Header(), 100_000, 100_000, 1).states
    for place, value in change.items():
        state.covariance[place] = value
    return state


@pytest.mark.parametrize(
    "change",
    [
        {0: math.nan},
        {7: -4.0},
        {14: 1e300},
        {1: math.inf, 6: math.inf},
        {1: 1e-6},  # asymmetric
        {1: 1.0, 6: 1.0},  # a correlation of 50 000
        {21: -1e-12},
    ],
)
def test_what_is_no_covariance_is_left_out(change):
    message = RotationStateArray(states=[with_covariance(change), with_covariance({})])
    read = read_rotation_states(serialize_message(message))
    assert (len(read.estimates), read.unsound) == (1, 1)


def test_a_singular_covariance_and_that_of_unknown_values_are_covariances():
    # Angle and speed as one: 1e-3 rad and 0.02 turns/min.
    states = [with_covariance({1: 2e-5, 6: 2e-5}), with_covariance({1: 5.0, 6: 5.0, 0: -1.0})]
    read = read_rotation_states(serialize_message(RotationStateArray(states=states)))
    assert (len(read.estimates), read.unsound) == (2, 0)


def test_bytes_that_end_too_early_are_refused():
    data = serialize_message(state_array([FAN, FAN], Header(frame_id="camera"), 1, 1, 1))
    for length in range(4, len(data), 5):
        with pytest.raises(EventError, match="ends within its fields"):
            read_rotation_states(data[:length])


@pytest.mark.parametrize(
    "data", [b"", b"\0", b"\0\0\0\0" + b"\xff" * 40, b"\0\1\0\0" + b"\xff" * 400]
)
def test_bytes_that_are_no_message_are_refused(data):
    with pytest.raises(EventError, match="ends within its fields"):
        read_rotation_states(data)


def test_bytes_of_the_other_order_are_read_by_the_middleware():
    message = RotationStateArray(window_end=1, window_length=2)
    data = b"\x00\x00" + bytes(2 + 4 + 4) + b"\x00\x00\x00\x01" + bytes(4)
    data += (1).to_bytes(8, "big") + (2).to_bytes(4, "big") + bytes(4 + 8 + 4)
    assert deserialize_message(data, RotationStateArray) == message
    read = read_rotation_states(data)
    assert (read.window_end, read.window_length, read.estimates) == (1, 2, [])
