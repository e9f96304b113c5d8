"""Random scenes, from easy to hopeless, for training the confidence.

None of them is a preset, so the trained confidence can be evaluated on the presets. A small sensor
keeps simulation and measurement short.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from evio_ros.ellipse import Ellipse
from evio_ros.evaluation.labelled_estimates import LabelledEstimates, measure_labelled
from evio_ros.events import EventBatch
from evio_ros.simulation.camera import SensorParameters
from evio_ros.simulation.presets import Preset
from evio_ros.simulation.scene import BladePattern, Lamp, MovingTexture, Path, Rotor, Scene
from evio_ros.simulation.simulator import simulate
from evio_ros.simulation.speed import SpeedProfile
from evio_ros.simulation.truth import Truth

__all__ = ["degraded", "measured_scene", "training_scene"]

_WIDTH, _HEIGHT = 160, 140
_DURATION_S = 0.9
_KNOT_S = 0.005
_VARIANTS = 4
_WINDOWS_US = (100_000, 50_000, 20_000)
_BLADE_SHARES = (0.04, 0.12, 0.2, 0.25, 0.12, 0.12, 0.1, 0.05)
"""Probabilities of 0, 1, 2, ... blades."""
_Random = np.random.Generator


def training_scene(seed: int) -> Preset:
    """The random scene of a seed: up to two rotors of any kind, and a camera in any light.

    The same seed gives the same scene. 8 % of the scenes have no rotor.
    """
    random = np.random.default_rng((seed, 11))
    camera = _camera(random).replaced({"seed": seed})
    count = int(random.choice((0, 1, 2), p=(0.08, 0.8, 0.12)))
    rotors = tuple(_rotor(random) for _ in range(count))
    scene = Scene(
        f"training_{seed}",
        rotors,
        _textures(random),
        _lamps(random),
        background=float(random.uniform(0.2, 0.7)),
        hidden=_hidden(random),
    )
    return Preset(scene, camera, _DURATION_S, "drawn at random")


def measured_scene(seed: int) -> list[LabelledEstimates]:
    """Labelled estimates of a training scene, as simulated and degraded in three ways."""
    chosen = training_scene(seed)
    duration_us = round(1e6 * chosen.duration_s)
    batches = list(simulate(chosen.scene, chosen.camera, duration_us))
    events = EventBatch.concatenate(chosen.camera.size, batches)
    truth = Truth.of(chosen.scene, duration_us)
    return [
        measure_labelled(
            degraded(events, _VARIANTS * seed + variant) if variant else events,
            truth,
            _WINDOWS_US[(seed + variant) % len(_WINDOWS_US)],
            f"{chosen.scene.name}_{variant}",
        )
        for variant in range(_VARIANTS)
    ]


def degraded(events: EventBatch, seed: int) -> EventBatch:
    """A recording with fewer events, more noise and less precise time stamps.

    Between 1/2 and 1/30 of the events are kept, up to 10 noise events per second and pixel are
    added, and time stamps get errors with a standard deviation of up to 0.9 ms.
    """
    random = np.random.default_rng((seed, 12))
    if not len(events):
        return events
    kept = random.random(len(events)) < 30.0 ** -random.uniform(0.2, 1.0)
    t = events.t[kept] + random.normal(0.0, 30.0 ** random.uniform(0.0, 2.0), kept.sum())
    span_s = 1e-6 * float(events.t[-1] - events.t[0])
    count = int(10.0 ** random.uniform(-2.0, 1.0) * events.size.pixels * span_s)
    noise = random.uniform(events.t[0], events.t[-1], count)
    t = np.clip(np.concatenate((t, noise)), events.t[0], events.t[-1]).astype(np.int64)
    x, y = (
        np.concatenate((column[kept], random.integers(0, side, count, np.uint16)))
        for column, side in ((events.x, events.size.width), (events.y, events.size.height))
    )
    polarity = np.concatenate((events.polarity[kept], random.random(count) < 0.5))
    order = np.argsort(t, kind="stable")
    return EventBatch(events.size, t[order], x[order], y[order], polarity[order])


def _camera(random: _Random) -> SensorParameters:
    """A camera in bright to dim light; of the fast pixel model, as the other takes minutes."""
    dark = float(random.uniform())
    threshold = float(random.uniform(0.15, 0.5))
    values = {
        "width": _WIDTH,
        "height": _HEIGHT,
        "threshold_on": threshold,
        "threshold_off": threshold * float(random.choice((1.0, 1.5, 4.0), p=(0.6, 0.2, 0.2))),
        "threshold_mismatch": float(random.uniform(0.02, 0.15)),
        "cutoff_hz": float(3000.0 * 50.0 ** (-dark)),
        "jitter_us": float(15.0 * 50.0**dark),
        "noise_hz": float(0.2 * 100.0 ** (dark * random.uniform())),
        "hot_pixels": int(random.integers(0, 8)),
    }
    return SensorParameters.from_mapping(values)


def _rotor(random: _Random) -> Rotor:
    radius = float(random.uniform(14.0, 58.0))
    margin = 0.6 * radius
    center = (
        float(random.uniform(margin, _WIDTH - margin)),
        float(random.uniform(margin, _HEIGHT - margin)),
    )
    flat = float(random.choice((1.0, random.uniform(0.3, 1.0))))
    disc = Ellipse(center, (radius, radius * flat), float(random.uniform(-1.5, 1.5)))
    return Rotor(_path(disc, random), _speed(random), _pattern(random), float(random.uniform(0, 6)))


def _pattern(random: _Random) -> BladePattern:
    blades = int(random.choice(len(_BLADE_SHARES), p=_BLADE_SHARES))
    pitch = 2 * math.pi / max(blades, 1)
    is_solid = blades == 0 or random.random() < 0.4
    return BladePattern(
        blades,
        half_width_rad=float(random.uniform(0.05, 0.28)) * pitch,
        half_width=float(random.choice((0.0, 0.05))),
        sweep_rad=float(random.choice((0.0, 0.25))),
        reflectance=float(random.uniform(0.05, 0.9)),
        disc_reflectance=float(random.uniform(0.1, 0.7)) if is_solid else None,
        differences=float(random.uniform(0.0, 0.1)),
        hub_radius=float(random.uniform(0.0, 0.3)),
        texture=0.4 if blades == 0 else 0.0,
        edge_px=float(random.uniform(1.0, 3.0)),
    )


def _speed(random: _Random) -> SpeedProfile:
    """A constant speed, a ramp, random changes, a step, or slowing down to a stop."""
    rpm = float(math.exp(random.uniform(math.log(150.0), math.log(6000.0))))
    rpm *= float(random.choice((-1.0, 1.0)))
    kind = random.choice(
        ("constant", "ramp", "wander", "steps", "stop"), p=(0.35, 0.2, 0.2, 0.15, 0.1)
    )
    if kind == "constant":
        return SpeedProfile.constant(rpm)
    if kind == "ramp":
        return SpeedProfile.through(
            (0.0, rpm), (_DURATION_S, rpm * float(random.uniform(0.6, 1.6)))
        )
    if kind == "wander":
        factors = 1 + np.clip(0.05 * random.normal(size=8), -0.1, 0.1)
        return SpeedProfile.through(*((0.2 * i, rpm * float(f)) for i, f in enumerate(factors)))
    if kind == "steps":
        later = rpm * float(random.uniform(0.5, 1.5))
        return SpeedProfile.through((0.0, rpm), (0.6, rpm), (0.6, later))
    return SpeedProfile.through((0.0, rpm), (0.4, rpm), (0.9, 0.0))


def _path(disc: Ellipse, random: _Random) -> Path:
    """A path at rest, drifting, or shaking."""
    kind = random.choice(("rest", "drift", "shake"), p=(0.55, 0.25, 0.2))
    if kind == "rest":
        return Path.fixed(disc)
    times = np.arange(0.0, _DURATION_S + _KNOT_S, _KNOT_S)
    if kind == "drift":
        shifts = times[:, None] * random.uniform(-50.0, 50.0, 2)
    else:
        shifts = _shake(times, random)
    shapes = tuple(
        replace(disc, center=(disc.center[0] + float(x), disc.center[1] + float(y)))
        for x, y in shifts
    )
    return Path(tuple((1e6 * times).tolist()), shapes)


def _shake(times: np.ndarray, random: _Random) -> np.ndarray:
    """Irregular oscillation of a hand-held camera: float64 (n, 2), px."""
    frequencies, phases = random.uniform(1.0, 11.0, (2, 2)), random.uniform(0.0, 6.0, (2, 2))
    waves = np.sin(2 * math.pi * frequencies * times[:, None, None] + phases)
    return float(random.uniform(0.5, 2.5)) * waves.sum(axis=2)


def _textures(random: _Random) -> tuple[MovingTexture, ...]:
    """No moving background, or one as behind a shaking camera or of foliage."""
    if random.random() > 0.3:
        return ()
    times = np.arange(0.0, _DURATION_S + _KNOT_S, _KNOT_S)
    shifts = tuple((float(x), float(y)) for x, y in _shake(times, random))
    right = int(random.integers(40, _WIDTH))
    region = (0, 0, right, _HEIGHT)
    contrast, grain = float(random.uniform(0.1, 0.5)), float(random.uniform(3.0, 10.0))
    return (MovingTexture(region, contrast, grain, tuple((1e6 * times).tolist()), shifts),)


def _lamps(random: _Random) -> tuple[Lamp, ...]:
    if random.random() > 0.12:
        return ()
    center = float(random.uniform(20, _WIDTH - 20)), float(random.uniform(20, _HEIGHT - 20))
    return (Lamp(center, float(random.uniform(8.0, 30.0)), float(random.choice((100.0, 120.0)))),)


def _hidden(random: _Random) -> tuple[tuple[int, int, int, int], ...]:
    """Nothing, a board, or the bars of a grille in front."""
    kind = random.choice(("nothing", "board", "bars"), p=(0.8, 0.12, 0.08))
    if kind == "board":
        top = int(random.integers(40, 120))
        return ((0, top, _WIDTH, _HEIGHT),)
    if kind == "bars":
        return tuple((x, 0, x + 4, _HEIGHT) for x in range(10, _WIDTH, 20))
    return ()
