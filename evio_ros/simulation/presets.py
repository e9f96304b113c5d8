"""Named scenes for `evio simulate`, the demo, tests and benchmarks."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from evio_ros.ellipse import Ellipse
from evio_ros.errors import ParameterError
from evio_ros.simulation.camera import SensorParameters
from evio_ros.simulation.realistic_presets import REALISTIC_SCENES
from evio_ros.simulation.scene import BladePattern, Lamp, MovingTexture, Path, Rotor, Scene
from evio_ros.simulation.speed import SpeedProfile

__all__ = ["PRESETS", "REALISTIC_PRESETS", "Preset", "preset"]

_FASTEST_RPM = 1_000_000
_FAN_BLADES = BladePattern(blades=3)
_DRONE_BLADES = BladePattern(
    blades=2, half_width_rad=0.06, half_width=0.07, sweep_rad=0.0, reflectance=0.05, hub_radius=0.1
)
# No period below is a whole number of microseconds or milliseconds: a rotor at the same few angles
# in all windows would be measured better, or worse, than others.
_FAN_RPM = 1153.7
_DRONE_RPM = (5463.7, -5612.9, -5893.3, 5731.1)
_OUTDOOR_CAMERA = {
    # A bright sky: leak events are ON, and an edge gives many ON events but only one OFF event.
    "threshold_on": 0.1,
    "threshold_off": 2.42,
    "refractory_us": 10.0,
    "noise_hz": 4.0,
    "noise_on_share": 0.99,
}
_FAST_BLADES = replace(_DRONE_BLADES, half_width_rad=0.25, reflectance=0.12)
_FAN_DISC = Ellipse((640.3, 360.6), (70.0, 70.0), 0.0)


@dataclass(frozen=True)
class Preset:
    """A scene, a camera that suits it and a duration.

    Attributes:
        scene: rotors, textures and lamps.
        camera: the sensor.
        duration_s: length of the recording in s.
        description: one line for users.
    """

    scene: Scene
    camera: SensorParameters
    duration_s: float
    description: str


def _fan(name: str, speed: SpeedProfile, path: Path | None = None) -> Scene:
    rotor = Rotor(path or Path.fixed(_FAN_DISC), speed, _FAN_BLADES)
    return Scene(name, (rotor,))


def _turning_path(duration_s: float) -> Path:
    """Path of an oscillating fan's disc, which narrows and moves."""
    times = np.arange(0.0, duration_s + 0.01, 0.01)
    shapes = []
    for time in times:
        view = 0.9 * math.sin(2 * math.pi * 0.25 * time)
        center = (640.3 + 60 * math.sin(view), 360.6)
        a, b = 70.0, 70.0 * math.cos(view)
        shapes.append(Ellipse(center, (a, b), math.pi / 2))
    return Path(tuple(1e6 * times), tuple(shapes))


def _drone(
    name: str,
    seconds: float,
    drift_px_s: tuple[float, float] = (0.0, 0.0),
    speeds: Callable[[float, int], SpeedProfile] = lambda rpm, _: _constant(rpm),
    aeroplane: bool = False,
) -> Scene:
    """A quadrotor seen obliquely against the sky, and a tree at the left border."""
    places = ((560.2, 330.4), (700.6, 320.3), (590.7, 400.8), (735.4, 390.1))
    rotors = []
    for index, (x, y) in enumerate(places):
        begin = Ellipse((x, y), (30.0, 9.0), 0.08)
        shift = (seconds + 1.0) * np.array(drift_px_s)
        end = replace(begin, center=(float(x + shift[0]), float(y + shift[1])))
        path = Path((0.0, 1e6 * (seconds + 1.0)), (begin, end))
        speed = speeds(_DRONE_RPM[index], index)
        rotors.append(Rotor(path, speed, _DRONE_BLADES, phase_rad=0.1 * x))
    textures = _tree(seconds, (0, 100, 160, 640))
    if aeroplane:
        textures += (_aeroplane(seconds),)
    return Scene(name, tuple(rotors), textures)


def _wandering(rpm: float, index: int) -> SpeedProfile:
    """Speed varied by a flight controller: knots every 0.4 s, within 8 % of `rpm`."""
    random = np.random.default_rng((index, 7))
    factors = 1 + np.clip(0.04 * random.normal(size=3600), -0.08, 0.08)
    return SpeedProfile.through(*((0.4 * i, rpm * float(f)) for i, f in enumerate(factors)))


def _tree(
    seconds: float, region: tuple[int, int, int, int], side_px: int = 80
) -> tuple[MovingTexture, ...]:
    """Branches, each swaying differently."""
    random = np.random.default_rng(5)
    x0, y0, x1, y1 = region
    branches = []
    for y in range(y0, y1, side_px):
        for x in range(x0, x1, side_px):
            sway = _sway(seconds, random.uniform(4.0, 8.0), tuple(random.uniform(0.5, 2.5, 2)))
            tile = (x, y, min(x + side_px, x1), min(y + side_px, y1))
            branches.append(MovingTexture(tile, 0.7, 6.0, *sway))
    return tuple(branches)


def _aeroplane(seconds: float) -> MovingTexture:
    """A distant aeroplane that crosses the sky above the drone from the left."""
    times = np.arange(0.0, seconds + 0.1, 0.01)
    x, y = 250.0 + 150.0 * times, 140.0 - 20.0 * times
    region = (190, max(int(y[-1]) - 20, 0), min(int(x[-1]) + 60, 1280), 160)
    middle = (0.5 * (region[0] + region[2]), 0.5 * (region[1] + region[3]))
    shifts = tuple(zip((x - middle[0]).tolist(), (y - middle[1]).tolist(), strict=True))
    return MovingTexture(region, 0.4, 5.0, tuple(1e6 * times), shifts, (45.0, 8.0))


def _sway(
    duration_s: float, amplitude_px: float, frequencies_hz: tuple[float, float]
) -> tuple[tuple[float, ...], tuple[tuple[float, float], ...]]:
    """Knots [µs] and shifts [px] of an irregular oscillation in x and y."""
    times = np.arange(0.0, duration_s + 0.1, 0.005)
    f, g = (2 * math.pi * frequency for frequency in frequencies_hz)
    x = amplitude_px * (np.sin(f * times) + 0.5 * np.sin(2.7 * g * times + 1.0))
    y = 0.6 * amplitude_px * (np.sin(g * times + 0.5) + 0.4 * np.sin(3.1 * f * times))
    return tuple(1e6 * times), tuple(zip(x.tolist(), y.tolist(), strict=True))


def _camera(**values: object) -> SensorParameters:
    return SensorParameters.from_mapping(values)


def _indoor_camera(**values: object) -> SensorParameters:
    """Isolated noise events everywhere, as in recordings of a fan indoors."""
    return _camera(noise_hz=1.0, **values)


def _constant(rpm: float) -> SpeedProfile:
    return SpeedProfile.constant(rpm)


def _one(name: str, rpm: float, pattern: BladePattern, radius_px: float = 70.0) -> Scene:
    disc = Ellipse(_FAN_DISC.center, (radius_px, radius_px), 0.0)
    return Scene(name, (Rotor(Path.fixed(disc), _constant(rpm), pattern),))


def _overlapping(name: str) -> Scene:
    first = Ellipse((600.4, 350.7), (60.0, 60.0), 0.0)
    second = Ellipse((675.2, 372.1), (60.0, 60.0), 0.0)
    return Scene(
        name,
        (
            Rotor(Path.fixed(first), _constant(_FAN_RPM), _FAN_BLADES),
            Rotor(Path.fixed(second), _constant(-1487.3), _FAN_BLADES),
        ),
    )


def _walker(name: str, duration_s: float) -> Scene:
    times = np.arange(0.0, duration_s + 0.1, 0.01)
    x = 120.0 * times
    y = 6.0 * np.abs(np.sin(2 * math.pi * 1.8 * times))
    shifts = tuple(zip((x - 120.0).tolist(), y.tolist(), strict=True))
    body = MovingTexture((60, 60, 580, 460), 0.5, 4.0, tuple(1e6 * times), shifts, (35.0, 110.0))
    return Scene(name, textures=(body,))


_PRESETS: dict[str, tuple[str, float, Callable[[str, float], tuple[Scene, SensorParameters]]]] = {
    "fan_constant": (
        "a three-blade fan at 1153.7 rpm",
        2.0,
        lambda name, _: (_fan(name, _constant(_FAN_RPM)), _indoor_camera()),
    ),
    "fan_ramp": (
        "the fan while it speeds up from 1100 to 1300 rpm",
        2.0,
        lambda name, s: (
            _fan(name, SpeedProfile.through((0.0, 1100.0), (s, 1300.0))),
            _indoor_camera(),
        ),
    ),
    "fan_turning": (
        "the fan while it oscillates on its stand",
        2.0,
        lambda name, s: (_fan(name, _constant(_FAN_RPM), _turning_path(s)), _indoor_camera()),
    ),
    "drone_idle": (
        "four two-blade rotors seen obliquely, a tree at the border, far more ON than OFF events",
        2.0,
        lambda name, s: (_drone(name, s), _camera(**_OUTDOOR_CAMERA)),
    ),
    "drone_moving": (
        "the drone while it drifts by 100 pixels a second, and an aeroplane",
        2.0,
        lambda name, s: (
            _drone(name, s, (100.0, 15.0), aeroplane=True),
            _camera(**_OUTDOOR_CAMERA),
        ),
    ),
    "drone_flying": (
        "the drone drifting while every rotor's speed keeps changing",
        2.0,
        lambda name, s: (
            _drone(name, s, (-80.0, -30.0), _wandering),
            _camera(**_OUTDOOR_CAMERA),
        ),
    ),
    "disc_mark": (
        "a disc with one mark at 3.2 turns a second",
        3.0,
        lambda name, _: (
            _one(
                name,
                192.7,
                BladePattern(1, 0.0, 0.06, 0.0, 0.1, disc_reflectance=0.6, differences=0.0),
                110.0,
            ),
            _camera(),
        ),
    ),
    "disc_velcro": (
        "a disc of fine texture without blades at 21 turns a second",
        2.0,
        lambda name, _: (
            _one(
                name,
                1263.1,
                BladePattern(
                    0, disc_reflectance=0.4, texture=0.35, texture_grain_px=2.5, hub_radius=0.0
                ),
                60.0,
            ),
            _camera(),
        ),
    ),
    "two_blade_60000": (
        "two blades at 60 014 rpm",
        1.5,
        lambda name, _: (
            _one(name, 60_013.7, _FAST_BLADES, 20.0),
            _camera(cutoff_hz=8000.0, refractory_us=20.0, jitter_us=5.0),
        ),
    ),
    "five_blades": (
        "five nearly identical blades",
        2.0,
        lambda name, _: (
            _one(
                name,
                _FAN_RPM,
                replace(_FAN_BLADES, blades=5, half_width_rad=0.2, differences=0.005),
            ),
            _camera(),
        ),
    ),
    "fan_dim_noisy": (
        "the fan in dim light, with more noise than signal events",
        2.0,
        lambda name, _: (
            _fan(name, _constant(_FAN_RPM)),
            _camera(
                threshold_on=0.45,
                threshold_off=0.45,
                threshold_mismatch=0.1,
                cutoff_hz=60.0,
                jitter_us=500.0,
                noise_hz=2.0,
            ),
        ),
    ),
    "fan_steps": (
        "sudden changes of speed, a stop and a restart",
        3.0,
        lambda name, _: (
            _fan(
                name,
                SpeedProfile.through(
                    (0.0, _FAN_RPM),
                    (0.8, _FAN_RPM),
                    (0.8, 1407.3),
                    (1.4, 1407.3),
                    (1.4, 0.0),
                    (2.0, 0.0),
                    (2.0, 991.9),
                ),
            ),
            _camera(),
        ),
    ),
    "fan_reversing": (
        "a fan that slows down, stops and reverses",
        3.0,
        lambda name, s: (
            _fan(name, SpeedProfile.through((0.0, 907.3), (s / 3, 907.3), (s * 2 / 3, -907.3))),
            _camera(),
        ),
    ),
    "disc_partly_hidden": (
        "the fan, a third of it hidden by a board",
        1.5,
        lambda name, _: (
            replace(_fan(name, _constant(_FAN_RPM)), hidden=((500, 385, 800, 500),)),
            _camera(),
        ),
    ),
    "rotors_overlapping": (
        "two fans that overlap in the image",
        1.5,
        lambda name, _: (_overlapping(name), _camera()),
    ),
    "lamp": (
        "a lamp that flickers at 100 Hz, without a rotor",
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
    "foliage": (
        "a tree in the wind, without a rotor",
        1.0,
        lambda name, s: (
            Scene(name, textures=_tree(s, (80, 40, 560, 440))),
            _camera(width=640, height=480),
        ),
    ),
    "camera_shake": (
        "a textured view, seen by a shaking camera",
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
"""Scenes seen by a modern camera in good light; results are in docs/accuracy.md."""
REALISTIC_PRESETS: tuple[str, ...] = tuple(REALISTIC_SCENES)
"""Scenes seen by a realistic sensor in dim light; results are in docs/realism.md."""


def preset(name: str, duration_s: float | None = None, rpm: float | None = None) -> Preset:
    """A scene by name.

    Args:
        name: one of `PRESETS` or `REALISTIC_PRESETS`.
        duration_s: length of the recording in s; None for the scene's own.
        rpm: speed of the first rotor at the beginning, or its greatest if it starts from rest, in
            turns per minute; other rotors are scaled by the same factor. None for the scene's own.

    Raises:
        ParameterError: if there is no such scene, a value is out of range, or `rpm` is given for a
            scene without a rotor.
    """
    scenes = _PRESETS | REALISTIC_SCENES
    if name not in scenes:
        raise ParameterError(f"scene: {name!r} is not one of {', '.join(scenes)}")
    description, usual_s, make = scenes[name]
    seconds = usual_s if duration_s is None else duration_s
    if not 0 < seconds <= 3600:
        raise ParameterError(f"duration: {seconds:g} s is not above 0 and at most 3600")
    scene, camera = make(name, seconds)
    if rpm is not None:
        if not abs(rpm) <= _FASTEST_RPM:
            raise ParameterError(f"rpm: {rpm:g} is not in -{_FASTEST_RPM} to {_FASTEST_RPM}")
        if not scene.rotors:
            raise ParameterError(f"rpm: scene {name} has no rotor")
        first = scene.rotors[0].speed
        # For a rotor that starts from rest, `rpm` is its greatest speed.
        factor = rpm / (first.rpm[0] or max(first.rpm, key=abs))
        rotors = [replace(rotor, speed=rotor.speed.scaled(factor)) for rotor in scene.rotors]
        scene = replace(scene, rotors=tuple(rotors))
    return Preset(scene, camera, seconds, description)
