from __future__ import annotations

import numpy as np
import pytest
from whole_recordings import simulated_preset

from evio_ros.errors import ParameterError
from evio_ros.simulation.presets import PRESETS, preset
from evio_ros.simulation.simulator import simulate


@pytest.mark.parametrize("name", PRESETS)
def test_every_scene_gives_events(name):
    events = simulated_preset(name, 5_000)
    assert len(events) > 500
    assert events.t[-1] < 5_000


def test_the_fan_is_like_a_recorded_one():
    """2.8 million events a second, of which a third is isolated noise; 140 pixels across."""
    events = simulated_preset("fan_constant", 100_000)
    assert len(events) / 0.1 == pytest.approx(2.8e6, rel=0.1)
    (rotor,) = preset("fan_constant").scene.rotors
    assert rotor.path.shapes[0].axes == (70.0, 70.0)
    radius, _ = rotor.path.shapes[0].disc_coordinates(events.x, events.y)
    assert (radius > 1.05).mean() == pytest.approx(0.33, abs=0.05)


def test_the_drone_is_like_a_recorded_one():
    """9 million events a second, ON to OFF 23 to 1; two rotors of each sense, 5000 to 8000 rpm."""
    events = simulated_preset("drone_idle", 50_000)
    on = int(events.polarity.sum())
    assert len(events) / 0.05 == pytest.approx(9e6, rel=0.2)
    assert on / (len(events) - on) == pytest.approx(23, rel=0.2)
    rpm = [rotor.speed.rpm[0] for rotor in preset("drone_idle").scene.rotors]
    assert sorted(np.sign(rpm)) == [-1, -1, 1, 1]
    assert all(5000 <= abs(value) <= 8000 for value in rpm)


def test_dim_light_drowns_the_fan_in_noise():
    chosen = preset("fan_dim_noisy")
    with_noise = simulated_preset("fan_dim_noisy", 50_000)
    silent = chosen.camera.replaced({"noise_hz": 0.0, "hot_pixels": 0})
    signal = sum(map(len, simulate(chosen.scene, silent, 50_000)))
    assert len(with_noise) >= 2 * signal


def test_a_speed_for_the_first_rotor_scales_all():
    rotors = preset("drone_idle", rpm=2731.85).scene.rotors
    half = [2731.85, -2806.45, -2946.65, 2865.55]
    assert [rotor.speed.rpm[0] for rotor in rotors] == pytest.approx(half)


@pytest.mark.parametrize(
    ("name", "duration_s", "rpm"),
    [("no_such", None, None), ("lamp", None, 100.0), ("lamp", 0.0, None), ("lamp", 4000.0, None)],
)
def test_what_cannot_be_is_refused(name, duration_s, rpm):
    with pytest.raises(ParameterError):
        preset(name, duration_s, rpm)
