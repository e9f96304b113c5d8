"""Scenes with names, for `evio simulate`, the demo, tests and benchmarks."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from evio_ros.ellipse import Ellipse
from evio_ros.errors import ParameterError
from evio_ros.simulation.camera import CameraParameters
from evio_ros.simulation.scene import BladePattern, Lamp, MovingTexture, Path, Rotor, Scene
from evio_ros.simulation.speed import SpeedProfile

__all__ = ["PRESETS", "Preset", "preset"]

FASTEST_RPM = 1_000_000
FAN_BLADES = BladePattern(blades=3)
DRONE_BLADES = BladePattern(
    blades=2, half_width_rad=0.06, half_width=0.07, sweep_rad=0.0, reflectance=0.12, hub_radius=0.1
)
FAN_DISC = Ellipse((640.3, 360.6), (70.0, 70.0), 0.0)


@dataclass(frozen=True)
class Preset:
    """A scene, the camera that suits it and a usual length.

    Attributes:
        scene: what is seen.
        camera: the sensor.
        duration_s: usual length of the recording.
        description: one line for users.
    """

    scene: Scene
    camera: CameraParameters
    duration_s: float
    description: str


def _fan(name: str, speed: SpeedProfile, path: Path | None = None, **scene: object) -> Scene:
    rotor = Rotor(path or Path.fixed(FAN_DISC), speed, FAN_BLADES)
    return Scene(name, (rotor,), **scene)  # type: ignore[arg-type]


def _turning_path(duration_s: float) -> Path:
    """A fan on a stand that turns to and fro: its disc narrows and moves."""
    times = np.arange(0.0, duration_s + 0.01, 0.01)
    shapes = []
    for time in times:
        view = 0.9 * math.sin(2 * math.pi * 0.25 * time)
        center = (640.3 + 60 * math.sin(view), 360.6)
        a, b = 70.0, 70.0 * math.cos(view)
        shapes.append(Ellipse(center, (a, b), math.pi / 2))
    return Path(tuple(1e6 * times), tuple(shapes))


def _drone(name: str, drift_px_s: tuple[float, float], duration_s: float) -> Scene:
    """Four rotors of a quadrotor seen obliquely, and a tree in the wind at the border."""
    places = ((560.2, 330.4), (700.6, 320.3), (590.7, 400.8), (735.4, 390.1))
    speeds = (5460.0, -5610.0, -5890.0, 5730.0)
    rotors = []
    for (x, y), rpm in zip(places, speeds, strict=True):
        begin = Ellipse((x, y), (30.0, 9.0), 0.08)
        seconds = duration_s + 1.0
        end = replace(begin, center=(x + drift_px_s[0] * seconds, y + drift_px_s[1] * seconds))
        path = Path((0.0, 1e6 * seconds), (begin, end))
        rotors.append(Rotor(path, SpeedProfile.constant(rpm), DRONE_BLADES, phase_rad=0.1 * x))
    tree = MovingTexture((0, 120, 130, 600), 0.5, 6.0, *_sway(duration_s, 3.0, (0.7, 1.3)))
    return Scene(name, tuple(rotors), (tree,))


def _sway(
    duration_s: float, amplitude_px: float, frequencies_hz: tuple[float, float]
) -> tuple[tuple[float, ...], tuple[tuple[float, float], ...]]:
    """Knots of an irregular to-and-fro in x and y."""
    times = np.arange(0.0, duration_s + 0.1, 0.005)
    f, g = (2 * math.pi * frequency for frequency in frequencies_hz)
    x = amplitude_px * (np.sin(f * times) + 0.5 * np.sin(2.7 * g * times + 1.0))
    y = 0.6 * amplitude_px * (np.sin(g * times + 0.5) + 0.4 * np.sin(3.1 * f * times))
    return tuple(1e6 * times), tuple(zip(x.tolist(), y.tolist(), strict=True))


def _camera(**values: object) -> CameraParameters:
    return CameraParameters.from_mapping(values)


def _constant(rpm: float) -> SpeedProfile:
    return SpeedProfile.constant(rpm)


def _one(name: str, rpm: float, pattern: BladePattern, radius_px: float = 70.0) -> Scene:
    disc = Ellipse(FAN_DISC.center, (radius_px, radius_px), 0.0)
    return Scene(name, (Rotor(Path.fixed(disc), _constant(rpm), pattern),))


def _overlapping(name: str) -> Scene:
    first = Ellipse((600.4, 350.7), (60.0, 60.0), 0.0)
    second = Ellipse((675.2, 372.1), (60.0, 60.0), 0.0)
    return Scene(
        name,
        (
            Rotor(Path.fixed(first), _constant(1150.0), FAN_BLADES),
            Rotor(Path.fixed(second), _constant(-1480.0), FAN_BLADES),
        ),
    )


def _walker(name: str, duration_s: float) -> Scene:
    times = np.arange(0.0, duration_s + 0.1, 0.01)
    x = 120.0 * times
    y = 6.0 * np.abs(np.sin(2 * math.pi * 1.8 * times))
    shifts = tuple(zip((x - 120.0).tolist(), y.tolist(), strict=True))
    body = MovingTexture((60, 60, 580, 460), 0.5, 4.0, tuple(1e6 * times), shifts, (35.0, 110.0))
    return Scene(name, textures=(body,))


_PRESETS: dict[str, tuple[str, float, Callable[[str, float], tuple[Scene, CameraParameters]]]] = {
    "fan_constant": (
        "a three-blade fan at 1150 rpm",
        1.0,
        lambda name, _: (_fan(name, _constant(1150.0)), _camera()),
    ),
    "fan_ramp": (
        "the fan while it speeds up from 1100 to 1300 rpm",
        2.0,
        lambda name, s: (_fan(name, SpeedProfile.through((0.0, 1100.0), (s, 1300.0))), _camera()),
    ),
    "fan_turning": (
        "the fan while it turns to and fro on its stand",
        2.0,
        lambda name, s: (_fan(name, _constant(1150.0), _turning_path(s)), _camera()),
    ),
    "drone_idle": (
        "four two-blade rotors seen obliquely, a tree at the border, ON far more than OFF",
        1.0,
        lambda name, s: (
            _drone(name, (0.0, 0.0), s),
            _camera(threshold_on=0.2, threshold_off=1.4, refractory_us=50.0),
        ),
    ),
    "drone_moving": (
        "the drone while it drifts by 100 pixels a second",
        1.0,
        lambda name, s: (
            _drone(name, (100.0, 15.0), s),
            _camera(threshold_on=0.2, threshold_off=1.4, refractory_us=50.0),
        ),
    ),
    "disc_mark": (
        "a disc with one mark at 3.2 turns a second",
        2.0,
        lambda name, _: (
            _one(
                name,
                192.0,
                BladePattern(1, 0.0, 0.06, 0.0, 0.1, disc_reflectance=0.6, differences=0.0),
                110.0,
            ),
            _camera(),
        ),
    ),
    "disc_velcro": (
        "a disc of fine texture without blades at 21 turns a second",
        1.0,
        lambda name, _: (
            _one(
                name,
                1260.0,
                BladePattern(
                    0, disc_reflectance=0.4, texture=0.35, texture_grain_px=2.5, hub_radius=0.0
                ),
                60.0,
            ),
            _camera(),
        ),
    ),
    "two_blade_60000": (
        "two blades at 60 000 rpm",
        0.4,
        lambda name, _: (
            _one(name, 60_000.0, replace(DRONE_BLADES, half_width_rad=0.25), 40.0),
            _camera(cutoff_hz=8000.0, refractory_us=20.0, jitter_us=5.0),
        ),
    ),
    "five_blades": (
        "five blades that are almost alike",
        1.0,
        lambda name, _: (
            _one(
                name, 1150.0, replace(FAN_BLADES, blades=5, half_width_rad=0.2, differences=0.005)
            ),
            _camera(),
        ),
    ),
    "fan_dim_noisy": (
        "the fan in dim light, with as many noise as signal events",
        1.0,
        lambda name, _: (
            _fan(name, _constant(1150.0)),
            _camera(cutoff_hz=150.0, jitter_us=200.0, noise_hz=2.2, threshold_mismatch=0.1),
        ),
    ),
    "fan_steps": (
        "sudden changes of speed, a stop and a restart",
        3.0,
        lambda name, _: (
            _fan(
                name,
                SpeedProfile.through(
                    (0.0, 1150.0),
                    (0.8, 1150.0),
                    (0.8, 1400.0),
                    (1.4, 1400.0),
                    (1.4, 0.0),
                    (2.0, 0.0),
                    (2.0, 1000.0),
                ),
            ),
            _camera(),
        ),
    ),
    "fan_reversing": (
        "a fan that slows down, stops and turns the other way",
        3.0,
        lambda name, s: (
            _fan(name, SpeedProfile.through((0.0, 900.0), (s / 3, 900.0), (s * 2 / 3, -900.0))),
            _camera(),
        ),
    ),
    "disc_partly_hidden": (
        "the fan behind a board that hides a third of it",
        1.0,
        lambda name, _: (
            _fan(name, _constant(1150.0), hidden=((500, 385, 800, 500),)),
            _camera(),
        ),
    ),
    "rotors_overlapping": (
        "two fans that overlap in the image",
        1.0,
        lambda name, _: (_overlapping(name), _camera()),
    ),
    "lamp": (
        "a lamp that flickers at 100 Hz and turns not at all",
        1.0,
        lambda name, _: (
            Scene(name, lamps=(Lamp((640.0, 360.0), 60.0, 100.0),)),
            _camera(),
        ),
    ),
    "walker": (
        "a person who walks through the image",
        2.0,
        lambda name, s: (_walker(name, s), _camera(width=640, height=480)),
    ),
    "camera_shake": (
        "a textured view before a shaking camera",
        1.0,
        lambda name, s: (
            Scene(
                name,
                textures=(MovingTexture((0, 0, 640, 480), 0.35, 8.0, *_sway(s, 4.0, (9.0, 13.0))),),
            ),
            _camera(width=640, height=480),
        ),
    ),
}

PRESETS: tuple[str, ...] = tuple(_PRESETS)


def preset(name: str, duration_s: float | None = None, rpm: float | None = None) -> Preset:
    """A scene by its name.

    Args:
        name: one of `PRESETS`.
        duration_s: length for which the scene is laid out; None for its usual one.
        rpm: speed of its first rotor at the beginning; all others are scaled alike. None for as is.

    Raises:
        ParameterError: where there is no such scene, or nothing in it turns.
    """
    if name not in _PRESETS:
        raise ParameterError(f"scene: {name!r} is not one of {', '.join(PRESETS)}")
    description, usual_s, make = _PRESETS[name]
    seconds = usual_s if duration_s is None else duration_s
    if not 0 < seconds <= 3600:
        raise ParameterError(f"duration: {seconds:g} s is not above 0 and at most 3600")
    scene, camera = make(name, seconds)
    if rpm is not None:
        if not abs(rpm) <= FASTEST_RPM:
            raise ParameterError(f"rpm: {rpm:g} is not in -{FASTEST_RPM} to {FASTEST_RPM}")
        if not scene.rotors:
            raise ParameterError(f"rpm: nothing turns in scene {name}")
        factor = rpm / scene.rotors[0].speed.rpm[0]
        rotors = [replace(rotor, speed=rotor.speed.scaled(factor)) for rotor in scene.rotors]
        scene = replace(scene, rotors=tuple(rotors))
    return Preset(scene, camera, seconds, description)
