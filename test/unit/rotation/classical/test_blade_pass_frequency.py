"""What every classical method must do, on simulated pixels whose rotor's speed is exact."""

from __future__ import annotations

import numpy as np
import pytest
from rotor_events import events_of

from evio_ros.ellipse import Ellipse
from evio_ros.events import EventBatch
from evio_ros.rotation.classical.registry import CLASSICAL_METHODS
from evio_ros.simulation.camera import SensorParameters
from evio_ros.simulation.scene import BladePattern, Path, Rotor, Scene
from evio_ros.simulation.simulator import simulate
from evio_ros.simulation.speed import SpeedProfile

METHODS = pytest.mark.parametrize("name", CLASSICAL_METHODS)
CAMERA = SensorParameters(width=96, height=80, noise_hz=1.0, hot_pixels=2)
SIZE = CAMERA.size


def fan(rpm: float, blades: int, duration_us: int) -> EventBatch:
    pattern = BladePattern(blades, half_width_rad=0.25, differences=0.02)
    path = Path.fixed(Ellipse((47.6, 40.3), (36.0, 30.0), 0.2))
    scene = Scene("fan", (Rotor(path, SpeedProfile.constant(rpm), pattern),))
    return EventBatch.concatenate(SIZE, simulate(scene, CAMERA, duration_us))


@METHODS
@pytest.mark.parametrize(("rpm", "blades"), [(1150.0, 3), (-1150.0, 3), (5700.0, 2)])
def test_the_blade_pass_frequency_of_a_rotor(name, rpm, blades):
    found = CLASSICAL_METHODS[name](fan(rpm, blades, 200_000), 0, 200_000, blades)
    assert found == pytest.approx(abs(rpm) / 60 * blades, rel=1e-3)


@METHODS
def test_only_the_time_span_counts(name):
    first, second = fan(1200.0, 3, 200_000), fan(1980.0, 3, 200_000)
    later = EventBatch(SIZE, second.t + 200_000, second.x, second.y, second.polarity)
    events = EventBatch.concatenate(SIZE, [first, later])
    measure = CLASSICAL_METHODS[name]
    assert measure(events, 0, 200_000, 3) == pytest.approx(60.0, rel=1e-3)
    assert measure(events, 200_000, 200_000, 3) == pytest.approx(99.0, rel=1e-3)


@METHODS
def test_noise_has_no_frequency(name):
    events = events_of([], 300_000, noise_hz=2e5, seed=4)
    assert CLASSICAL_METHODS[name](events, 0, 300_000, 0) is None


@METHODS
def test_windows_without_anything_to_measure(name):
    measure = CLASSICAL_METHODS[name]
    empty = EventBatch.empty(SIZE)
    assert measure(empty, 0, 100_000, 3) is None
    rotor = fan(1150.0, 3, 100_000)
    assert measure(rotor.slice(0, 1), 0, 100_000, 3) is None
    assert measure(rotor, 0, 500, 3) is None
    same = np.zeros(5000, np.int64)
    # A burst at one time stamp.
    burst = EventBatch(SIZE, same, rotor.x[:5000], rotor.y[:5000], rotor.polarity[:5000])
    assert measure(burst, 0, 100_000, 3) is None
