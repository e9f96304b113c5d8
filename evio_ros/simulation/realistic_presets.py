"""Scenes seen by a realistic sensor in a room: slow and noisy in the dark, out of focus.

The sensor's parameters are fitted to recordings of a DAVIS346, see docs/realism.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from evio_ros.ellipse import Ellipse
from evio_ros.simulation.camera import SensorParameters
from evio_ros.simulation.scene import BladePattern, MovingTexture, Path, Rotor, Scene
from evio_ros.simulation.speed import SpeedProfile

__all__ = ["REALISTIC_SCENES"]

_BLACK, _WHITE = 0.06, 0.8
"""Reflectance of printed black and of paper."""
_SIZE = {"width": 160, "height": 140}
_MIDDLE = (79.6, 69.3)
_RADIUS_PX = 60.0
_RPM = 613.7
_HALF_DISC = BladePattern(1, math.pi / 2, 0.0, 0.0, _BLACK, _WHITE, differences=0.0, hub_radius=0.0)


def _camera(**values: object) -> SensorParameters:
    """A DAVIS346 in a room, which is read out by columns."""
    fitted: dict[str, object] = {
        "pixel_model": "photoreceptor",
        "threshold_on": 0.187,
        "threshold_off": 0.385,
        "threshold_mismatch": 0.03,
        "odd_threshold": 0.74,
        "cutoff_hz": 62.0,
        "cutoff_growth": 0.07,
        "pixel_spread": 0.4,
        "buffer_hz": 1350.0,
        "dark_light": 0.02,
        "shot_noise": 0.0125,
        "shot_noise_growth": 0.5,
        "on_lag_us": 410.0,
        "off_lag_us": 10.0,
        "refractory_us": 255.0,
        "odd_refractory": 2.7,
        "jitter_us": 10.0,
        "noise_hz": 0.0,
        "hot_pixels": 0,
        "readout_line": "column",
        "readout_line_us": 0.3,
        "readout_event_us": 0.05,
    }
    return SensorParameters.from_mapping({**_SIZE, **fitted, **values})


def _by_hand() -> SpeedProfile:
    """Spun by hand: accelerates in 0.05 s, then slows down unevenly and stops after 0.5 s."""
    times = np.arange(0.0, 0.5, 0.01)
    fall = 460.0 * (np.exp(-times / 0.2) - math.exp(-0.5 / 0.2))
    turns = np.cumsum(fall / 60 * 0.01)
    uneven = fall * (1 + 0.08 * np.sin(2 * math.pi * turns) + 0.05 * np.sin(4 * math.pi * turns))
    knots = [(0.25 + float(time), float(rpm)) for time, rpm in zip(times, uneven, strict=True)]
    return SpeedProfile.through((0.0, 0.0), (0.2, 0.0), *knots, (0.75, 0.0))


def _disc(speed: SpeedProfile, pattern: BladePattern, radius_px: float = _RADIUS_PX) -> Rotor:
    disc = Ellipse(_MIDDLE, (radius_px, radius_px), 0.0)
    return Rotor(Path.fixed(disc), speed, pattern)


def _constant(name: str, pattern: BladePattern, rpm: float = _RPM) -> Scene:
    return Scene(name, (_disc(SpeedProfile.constant(rpm), pattern),), background=0.3)


def _sectors(blades: int, share: float) -> BladePattern:
    """White sectors on black, equal except for the printing."""
    half = share * math.pi / blades
    return BladePattern(blades, half, 0.0, 0.0, _WHITE, _BLACK, differences=0.02, hub_radius=0.08)


_GRILLE = tuple((x, 0, x + 4, 140) for x in range(12, 160, 18))
_MARK = replace(_sectors(1, 0.05), reflectance=_BLACK, disc_reflectance=_WHITE)
_FAN = BladePattern(3, reflectance=0.5, hub_radius=0.2)


def _handheld(name: str, seconds: float) -> Scene:
    """A fan in front of a wall, seen by a hand-held camera: both move together."""
    times = np.arange(0.0, seconds + 0.1, 0.005)
    x = 2.5 * np.sin(2 * math.pi * 2.3 * times) + 0.8 * np.sin(2 * math.pi * 8.7 * times)
    y = 2.0 * np.sin(2 * math.pi * 1.7 * times + 0.6) + 0.6 * np.sin(2 * math.pi * 9.6 * times)
    knots_us = tuple((1e6 * times).tolist())
    shifts = tuple(zip(x.tolist(), y.tolist(), strict=True))
    shapes = tuple(
        Ellipse((_MIDDLE[0] + dx, _MIDDLE[1] + dy), (45.0, 45.0), 0.0) for dx, dy in shifts
    )
    wall = MovingTexture((0, 0, 160, 140), 0.25, 9.0, knots_us, shifts)
    rotor = Rotor(Path(knots_us, shapes), SpeedProfile.constant(_RPM), _FAN)
    return Scene(name, (rotor,), (wall,), background=0.15)


REALISTIC_SCENES: dict[
    str, tuple[str, float, Callable[[str, float], tuple[Scene, SensorParameters]]]
] = {
    "half_disc": (
        "a half black, half white disc, spun by hand to 440 rpm, at rest half a second later",
        1.1,
        lambda name, _: (
            Scene(name, (_disc(_by_hand(), _HALF_DISC, 66.0),), background=0.1),
            _camera(),
        ),
    ),
    "pinwheel": (
        "four white sectors on a black disc",
        1.0,
        lambda name, _: (_constant(name, _sectors(4, 0.5)), _camera()),
    ),
    "spokes": (
        "seven thin bright spokes in front of a dark wall",
        1.0,
        lambda name, _: (
            _constant(
                name,
                BladePattern(7, 0.0, 0.03, 0.0, 0.6, _BLACK, differences=0.05, hub_radius=0.1),
                311.3,
            ),
            _camera(),
        ),
    ),
    "textured_hub": (
        "a disc with a fine texture and no blades",
        1.0,
        lambda name, _: (
            _constant(
                name,
                BladePattern(
                    0, disc_reflectance=0.35, texture=0.6, texture_grain_px=4.0, hub_radius=0.0
                ),
                311.3,
            ),
            _camera(),
        ),
    ),
    "shiny_hub": (
        "a fan whose hub has five facets that flash in the light",
        1.0,
        lambda name, _: (_constant(name, replace(_FAN, hub_radius=0.4, glint=6.0)), _camera()),
    ),
    "disc_mark_dim": (
        "a white disc with one black mark",
        1.0,
        lambda name, _: (_constant(name, _MARK, 311.3), _camera()),
    ),
    "fan_grille": (
        "a fan behind the bars of its grille",
        1.0,
        lambda name, _: (replace(_constant(name, _FAN), hidden=_GRILLE), _camera()),
    ),
    "fan_handheld": (
        "a fan in front of a wall, seen by a hand-held camera",
        1.0,
        lambda name, s: (_handheld(name, s), _camera()),
    ),
    "fan_mains": (
        "a fan under mains lighting, which flickers at 100 Hz",
        1.0,
        lambda name, _: (replace(_constant(name, _FAN), flicker_depth=0.3), _camera()),
    ),
}
