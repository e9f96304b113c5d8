"""Scenes before a slow and noisy sensor."""

from __future__ import annotations

import math

import numpy as np
import pytest
from whole_recordings import simulated_preset

from evio_ros.simulation.presets import PRESETS, REALISTIC_PRESETS, preset
from evio_ros.simulation.truth import Truth


@pytest.mark.parametrize("name", [name for name in REALISTIC_PRESETS if name != "half_disc"])
def test_every_scene_gives_events_of_both_signs(name):
    events = simulated_preset(name, 40_000)
    assert len(events) > 2_000
    assert 0.2 < events.polarity.mean() < 0.8
    assert preset(name).description


def test_names_are_not_given_twice():
    assert not set(PRESETS) & set(REALISTIC_PRESETS)


def test_the_half_disc_is_like_the_recorded_ones():
    """Peak of 290 to 550 rpm, one to two turns, at rest within half a second or little more."""
    chosen = preset("half_disc")
    (rotor,) = Truth.of(chosen.scene, round(1e6 * chosen.duration_s)).rotors
    times = np.arange(0, round(1e6 * chosen.duration_s), 1000)
    rpm = 60 * rotor.speed.frequency_hz(times)
    assert 290 < rpm.max() < 550
    moving = times[rpm > 1]
    assert 300_000 < moving[-1] - moving[0] < 600_000
    turned = (rotor.angle_rad(times[-1]) - rotor.angle_rad(0)) / (2 * math.pi)
    assert 1.0 < turned < 2.0
    events = simulated_preset("half_disc", 500_000)
    rest, motion = events.between(0, 200_000), events.between(220_000, 500_000)
    assert len(motion) > 50 * len(rest)
    # Up to 10 events a pixel and turn: about 5 of each sign, which no pixel of the disc misses.
    inside = np.hypot(motion.x - 79.6, motion.y - 69.3) < 60
    pixels = math.pi * 60**2
    turns = (rotor.angle_rad(500_000) - rotor.angle_rad(220_000)) / (2 * math.pi)
    assert 7 < inside.sum() / pixels / turns < 11


def test_a_speed_for_a_disc_at_rest_is_its_greatest():
    (rotor,) = preset("half_disc", rpm=600.0).scene.rotors
    assert max(rotor.speed.rpm) == pytest.approx(600.0)
