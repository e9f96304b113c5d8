"""Random scenes with rotors and drones, and the boxes that a network is to find in them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from evio_ros.ellipse import Ellipse
from evio_ros.events import EventBatch, EventWindow, SensorSize
from evio_ros.simulation.camera import SensorParameters
from evio_ros.simulation.scene import BladePattern, Lamp, MovingTexture, Path, Rotor, Scene
from evio_ros.simulation.speed import SpeedProfile

__all__ = ["CLASSES", "LabelledScene", "random_scene"]

CLASSES = ("rotor", "drone")
"""What is labelled: discs that turn, and vehicles that four of them carry."""

_KNOT_S = 0.1
_LEAST_SIDE_PX = 4.0
"""What appears smaller is too small to be told, and not labelled."""
_LEAST_VISIBLE = 0.35
"""Of a box: what lies farther outside the image is not labelled."""
_LEAST_EVENTS, _LEAST_OVER_NOISE = 25, 1.5
"""What has fewer events than these, and these times its share of noise, is not seen."""
_LEAST_ROTORS = 2
"""Of a drone so many rotors must be seen."""
_DRONE_MARGIN = 0.1
"""A drone's box reaches beyond its rotors by this share."""


@dataclass(frozen=True, slots=True)
class LabelledScene:
    """A scene, its camera, and which rotors belong together.

    Attributes:
        scene: what is seen.
        camera: the sensor.
        drones: numbers of the rotors of each drone.
    """

    scene: Scene
    camera: SensorParameters
    drones: tuple[tuple[int, ...], ...]

    def boxes(self, window: EventWindow) -> np.ndarray:
        """What can be seen in a window, where it is at the window's end.

        Returns:
            float64 (n, 5): class, then x0, y0, x1, y1 in pixels, cut at the border.
        """
        noise = self.camera.noise_hz * 1e-6 * window.length_us
        discs = [_box_of(rotor.path, window.end_us) for rotor in self.scene.rotors]
        visible = [_is_visible(box, window.events, noise) for box in discs]
        rows = [(0, *box) for box, is_visible in zip(discs, visible, strict=True) if is_visible]
        for members in self.drones:
            if sum(visible[i] for i in members) < _LEAST_ROTORS:
                continue
            own = np.array([discs[i] for i in members])
            low, high = own[:, :2].min(axis=0), own[:, 2:].max(axis=0)
            margin = _DRONE_MARGIN * (high - low)
            rows.append((1, *(low - margin), *(high + margin)))
        kept = [row for row in (_cut(row, self.camera.size) for row in rows) if row is not None]
        return np.array(kept, np.float64).reshape(-1, 5)


def random_scene(random: np.random.Generator, size: SensorSize, seconds: float) -> LabelledScene:
    """Draw a scene: up to three rotors or a drone, before clutter and noise, or clutter alone.

    Args:
        random: the only source of chance.
        size: geometry of the sensor.
        seconds: for so long things move.
    """
    rotors: list[Rotor] = []
    drones: tuple[tuple[int, ...], ...] = ()
    kind = random.choice(("rotors", "drone", "clutter"), p=(0.5, 0.35, 0.15))
    if kind == "rotors":
        for _ in range(int(random.integers(1, 4))):
            rotors.append(_single_rotor(random, size, seconds))
    elif kind == "drone":
        rotors = _drone_rotors(random, size, seconds)
        drones = (tuple(range(len(rotors))),)
    textures = tuple(
        _texture(random, size, seconds)
        for _ in range(int(random.integers(1 if kind == "clutter" else 0, 4)))
    )
    lamps = tuple(_lamp(random, size) for _ in range(int(random.random() < 0.25)))
    background = float(random.uniform(0.25, 0.9))
    scene = Scene(kind, tuple(rotors), textures, lamps, background)
    return LabelledScene(scene, _camera(random, size), drones)


def _single_rotor(random: np.random.Generator, size: SensorSize, seconds: float) -> Rotor:
    radius = _log_uniform(random, 6.0, 0.45 * size.height)
    rpm = _log_uniform(random, 60.0, 12_000.0) * random.choice((-1, 1))
    path = _path(random, size, seconds, radius, random.uniform(0.0, 1.0) ** 2 * 40.0)
    return Rotor(path, _speed(random, seconds, rpm), _pattern(random), random.uniform(0, 6.28))


def _drone_rotors(random: np.random.Generator, size: SensorSize, seconds: float) -> list[Rotor]:
    """Four rotors at the corners of a square that is seen obliquely."""
    radius = _log_uniform(random, 4.0, 0.11 * size.height)
    carrier = _path(random, size, seconds, radius, random.uniform(0.0, 80.0))
    spacing = radius * random.uniform(2.1, 3.2)
    turn = random.uniform(0, math.pi / 2)
    pattern = _pattern(random, blades=int(random.integers(2, 4)))
    rpm = _log_uniform(random, 3000.0, 12_000.0)
    rotors = []
    for corner in range(4):
        angle = turn + corner * math.pi / 2
        flat = carrier.shapes[0].axes[1] / carrier.shapes[0].axes[0]
        x, y = spacing * math.cos(angle), spacing * flat * math.sin(angle)
        shapes = tuple(
            replace(shape, center=(shape.center[0] + x, shape.center[1] + y), tilt_rad=0.0)
            for shape in carrier.shapes
        )
        speed = rpm * random.uniform(0.9, 1.1) * (1 if corner % 2 else -1)
        path = Path(carrier.time_us, shapes)
        rotors.append(Rotor(path, _speed(random, seconds, speed), pattern, random.uniform(0, 6.28)))
    return rotors


def _path(
    random: np.random.Generator, size: SensorSize, seconds: float, radius: float, px_s: float
) -> Path:
    """A disc of some size and view that drifts, sways and comes nearer."""
    flat = random.uniform(0.25, 1.0)
    tilt = random.uniform(-math.pi / 2, math.pi / 2)
    x, y = random.uniform(0, size.width), random.uniform(0, size.height)
    direction = random.uniform(0, 2 * math.pi)
    growth = random.normal(0.0, 0.15)
    sway, rate = random.uniform(0.0, 3.0), random.uniform(0.5, 3.0)
    times = np.arange(0.0, seconds + _KNOT_S, _KNOT_S)
    shapes = []
    for t in times.tolist():
        side = sway * math.sin(2 * math.pi * rate * t)
        center = (
            x + px_s * t * math.cos(direction) + side,
            y + px_s * t * math.sin(direction) + 0.5 * side,
        )
        now = radius * math.exp(growth * t)
        shapes.append(Ellipse(center, (now, flat * now), tilt))
    return Path(tuple(1e6 * times), tuple(shapes))


def _speed(random: np.random.Generator, seconds: float, rpm: float) -> SpeedProfile:
    """About one speed, now and then one that changes or comes to rest."""
    change = 1.0 if random.random() < 0.6 else random.uniform(0.2, 1.8)
    return SpeedProfile.through((0.0, rpm), (seconds, rpm * change))


def _pattern(random: np.random.Generator, blades: int | None = None) -> BladePattern:
    if blades is None and random.random() < 0.2:
        return _marked_disc(random)
    number = blades or int(random.integers(2, 8))
    return BladePattern(
        blades=number,
        half_width_rad=float(random.uniform(0.15, 0.75) * math.pi / number),
        half_width=float(random.uniform(0.0, 0.06)),
        sweep_rad=float(random.uniform(-0.6, 0.6)),
        reflectance=float(random.uniform(0.05, 0.9)),
        differences=float(random.uniform(0.0, 0.1)),
        hub_radius=float(random.uniform(0.08, 0.3)),
    )


def _marked_disc(random: np.random.Generator) -> BladePattern:
    """A half disc, a pinwheel, a mark or a texture."""
    sectors = int(random.choice((1, 1, 2, 4, 8)))
    return BladePattern(
        blades=sectors,
        half_width_rad=float(random.uniform(0.1, 0.5) * math.pi / sectors),
        sweep_rad=0.0,
        reflectance=float(random.uniform(0.05, 0.25)),
        disc_reflectance=float(random.uniform(0.5, 0.95)),
        hub_radius=0.05,
        texture=float(random.uniform(0.0, 0.3)),
    )


def _texture(random: np.random.Generator, size: SensorSize, seconds: float) -> MovingTexture:
    """Foliage, a walker, an aeroplane, or the view of a shaking camera."""
    width = int(random.uniform(0.1, 1.0) * size.width)
    height = int(random.uniform(0.1, 1.0) * size.height)
    x0 = int(random.integers(0, max(size.width - width, 1)))
    y0 = int(random.integers(0, max(size.height - height, 1)))
    times = np.arange(0.0, seconds + 0.02, 0.01)
    reach, rate = _log_uniform(random, 0.3, 12.0), _log_uniform(random, 0.3, 12.0)
    drift = random.normal(0.0, 40.0, 2) * (random.random() < 0.5)
    phase = random.uniform(0, 2 * math.pi, 2)
    x = reach * np.sin(2 * math.pi * rate * times + phase[0]) + drift[0] * times
    y = reach * np.sin(2.6 * math.pi * rate * times + phase[1]) + drift[1] * times
    has_body = random.random() < 0.5
    body = (max(0.3 * width, 4.0), max(0.4 * height, 4.0)) if has_body else None
    return MovingTexture(
        (x0, y0, x0 + max(width, 8), y0 + max(height, 8)),
        contrast=float(random.uniform(0.1, 0.8)),
        grain_px=float(random.uniform(2.0, 12.0)),
        time_us=tuple(1e6 * times),
        shift_px=tuple(zip(x.tolist(), y.tolist(), strict=True)),
        body=body,
    )


def _lamp(random: np.random.Generator, size: SensorSize) -> Lamp:
    center = (float(random.uniform(0, size.width)), float(random.uniform(0, size.height)))
    return Lamp(
        center, float(random.uniform(3.0, 30.0)), float(random.choice((50.0, 60.0, 100.0, 120.0)))
    )


def _camera(random: np.random.Generator, size: SensorSize) -> SensorParameters:
    """Sensors of all kinds: dim and bright, quiet and noisy, uneven in ON and OFF."""
    threshold = _log_uniform(random, 0.12, 0.6)
    return SensorParameters(
        width=size.width,
        height=size.height,
        threshold_on=threshold,
        threshold_off=threshold * _log_uniform(random, 0.6, 2.5),
        threshold_mismatch=float(random.uniform(0.02, 0.15)),
        cutoff_hz=_log_uniform(random, 100.0, 5000.0),
        refractory_us=_log_uniform(random, 20.0, 2000.0),
        noise_hz=_log_uniform(random, 0.05, 8.0),
        noise_on_share=float(random.uniform(0.2, 0.95)),
        hot_pixels=int(random.integers(0, 30)),
        seed=int(random.integers(0, 2**31)),
    )


def _log_uniform(random: np.random.Generator, low: float, high: float) -> float:
    return float(math.exp(random.uniform(math.log(low), math.log(high))))


def _box_of(path: Path, t_us: float) -> tuple[float, float, float, float]:
    x, y, a, b, tilt = path.at(np.array([t_us]))[0].tolist()
    width, height = Ellipse((x, y), (a, b), tilt).half_extent()
    return x - width, y - height, x + width, y + height


def _is_visible(box: tuple[float, float, float, float], events: EventBatch, noise: float) -> bool:
    """Whether a box has more events than noise, in events a pixel, explains."""
    x0, y0, x1, y1 = box
    inside = (events.x >= x0) & (events.x < x1) & (events.y >= y0) & (events.y < y1)
    left, top = max(x0, 0.0), max(y0, 0.0)
    right, bottom = min(x1, float(events.size.width)), min(y1, float(events.size.height))
    area = max(right - left, 0.0) * max(bottom - top, 0.0)
    return int(inside.sum()) >= _LEAST_EVENTS + _LEAST_OVER_NOISE * noise * area


def _cut(row: tuple[float, ...], size: SensorSize) -> tuple[float, ...] | None:
    """The visible part of a box; None where too little of it is seen."""
    kind, x0, y0, x1, y1 = row
    left, top = max(x0, 0.0), max(y0, 0.0)
    right, bottom = min(x1, float(size.width)), min(y1, float(size.height))
    if min(right - left, bottom - top) < _LEAST_SIDE_PX:
        return None
    if (right - left) * (bottom - top) < _LEAST_VISIBLE * (x1 - x0) * (y1 - y0):
        return None
    return kind, left, top, right, bottom
