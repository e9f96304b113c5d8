from __future__ import annotations

import math

import pytest
from rotor_events import DISC, SIZE, IdealRotor, events_of
from rotor_templates import RINGS, template_of

from evio_ros.rotation.tracking.disc_map import DiscMap
from evio_ros.rotation.tracking.reacquisition import find_motion

MAP = DiscMap.of(DISC, SIZE, RINGS, 0.15, 1.1)
SPAN_US = 15_000


@pytest.mark.parametrize("frequency_hz", [40.0, 22.0, -35.0])
def test_a_motion_is_found_in_both_senses(frequency_hz):
    rotor = IdealRotor(frequency_hz)
    events = events_of([rotor], SPAN_US)
    usual_speed = 2 * math.pi * 30.0
    found = find_motion(events, 0, SPAN_US, MAP, template_of(rotor), usual_speed)
    assert found is not None
    phase_std, speed_std, _ = found.deviations
    assert abs(found.speed - 2 * math.pi * frequency_hz) < 2 * speed_std
    pitch = 2 * math.pi / rotor.blades
    away = (found.phase - rotor.angle(SPAN_US) + pitch / 2) % pitch - pitch / 2
    assert abs(away) < 2 * phase_std


def test_noise_has_no_motion():
    events = events_of([], SPAN_US, noise_hz=1e6)
    assert find_motion(events, 0, SPAN_US, MAP, template_of(IdealRotor(40.0)), 250.0) is None


def test_too_few_events_have_none_either():
    rotor = IdealRotor(40.0, event_rate_hz=500.0)
    events = events_of([rotor], SPAN_US, noise_hz=0.0)
    assert find_motion(events, 0, SPAN_US, MAP, template_of(rotor), 250.0) is None
