"""A simulated fan on a small sensor, for fast tests."""

from __future__ import annotations

from pathlib import Path

from evio_ros.ellipse import Ellipse
from evio_ros.playback.simulated_recording import record
from evio_ros.simulation.camera import SensorParameters
from evio_ros.simulation.presets import Preset
from evio_ros.simulation.scene import BladePattern, Rotor, Scene
from evio_ros.simulation.scene import Path as DiscPath
from evio_ros.simulation.speed import SpeedProfile

RPM = 1150.0
BLADES = 3
DISC = Ellipse((50.3, 40.6), (30.0, 30.0), 0.0)
SCENE = Scene(
    "small_fan",
    (Rotor(DiscPath.fixed(DISC), SpeedProfile.constant(RPM), BladePattern(BLADES)),),
)
CAMERA = SensorParameters(width=100, height=80, hot_pixels=2)
DURATION_US = 600_000


def small_fan(duration_us: int = DURATION_US) -> Preset:
    """The fan as a preset."""
    return Preset(SCENE, CAMERA, duration_us * 1e-6, "a small fan")


def record_small_fan(path: Path, duration_us: int = DURATION_US) -> Path:
    """Record the fan, with its ground truth beside it."""
    record(small_fan(duration_us), path)
    return path
