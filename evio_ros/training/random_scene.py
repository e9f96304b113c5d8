"""Random scenes with rotors and drones, and the boxes that a network should detect in them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from evio_ros.ellipse import Ellipse
from evio_ros.events import EventBatch, EventWindow, SensorSize
from evio_ros.simulation.camera import SensorParameters
from evio_ros.simulation.scene import BladePattern, Lamp, MovingTexture, Path, Rotor, Scene
from evio_ros.simulation.speed import SpeedProfile

__all__ = ["CLASSES", "LabelledScene", "random_scene"]

CLASSES = ("rotor", "drone")
"""Labelled classes: turning discs, and vehicles with four of them."""

_KNOT_S = 0.05
_LEAST_SIDE_PX = 6.0
"""Smaller objects are too small to be recognised, and not labelled."""
_LEAST_VISIBLE = 0.5
"""Minimum visible share of a labelled box."""
_LEAST_EVENTS, _LEAST_OVER_NOISE = 25, 1.5
"""Minimum number of events of a visible object, plus this factor times the expected noise
events."""
_LEAST_ROTORS = 2
"""Minimum number of visible rotors of a labelled drone."""
_DRONE_MARGIN = 0.1
"""Margin of a drone's box around its rotors, as a share of its size."""
_LEAST_STRENGTH = 1.3
"""Minimum change of the filtered log intensity by a passing blade, in contrast thresholds."""
_SLOWEST_RPM, _FASTEST_RPM = 150.0, 12_000.0
_SLOW_DISC_RPM = (120.0, 900.0)
_MOST_PASSES_S = 8e5
"""Maximum rate of blades passing pixels: limits the speed of large rotors, and the simulation's
cost."""
_TRIES = 40
_PX_S = 80.0
"""Maximum speed of a texture in px/s."""


@dataclass(frozen=True, slots=True)
class LabelledScene:
    """A scene, its camera, and the grouping of rotors into drones.

    Attributes:
        scene: the scene.
        camera: the sensor.
        drones: indices of the rotors of each drone.
    """

    scene: Scene
    camera: SensorParameters
    drones: tuple[tuple[int, ...], ...]

    def boxes(self, window: EventWindow) -> np.ndarray:
        """Boxes of all visible objects at the end of a window.

        Returns:
            float64 (n, 5): class, then x0, y0, x1, y1 in pixels, clipped to the image.
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


def random_scene(
    random: np.random.Generator, size: SensorSize, seconds: float, kind: str | None = None
) -> LabelledScene:
    """Draw a scene: up to three rotors, or a drone, with clutter and noise, or clutter alone.

    Args:
        random: the only source of randomness.
        size: geometry of the sensor.
        seconds: duration of all motions.
        kind: "rotors", "drone", "clutter", "lamps" (clutter with one to three lamps that flicker),
            "textures" (clutter with two to four textures that move) or "disc" (a marked disc that
            turns slowly); None to draw one of the first three.
    """
    drawn = str(random.choice(("rotors", "drone", "clutter"), p=(0.45, 0.33, 0.22)))
    kind = kind or drawn
    camera = _camera(random, size)
    shake = _Shake.drawn(random, seconds)
    background = float(random.uniform(0.2, 0.9))
    rotors: list[Rotor] = []
    count = int(random.choice((0, 1, 2, 3), p=(0.35, 0.35, 0.2, 0.1)))
    if kind == "textures":
        count = int(random.integers(2, 5))
    textures = [_texture(random, size, seconds) for _ in range(count)]
    if shake.reach_px:
        textures.insert(0, _view(random, size, shake))
    if kind == "rotors":
        for _ in range(int(random.choice((1, 2, 3), p=(0.6, 0.25, 0.15)))):
            rotors += _single_rotor(random, camera, background, shake)
    elif kind == "disc":
        rotors = _slow_disc(random, camera, background, shake)
    elif kind == "drone":
        rotors, body = _drone(random, camera, background, shake)
        textures += body
    drones = (tuple(range(len(rotors))),) if kind == "drone" and rotors else ()
    number = int(random.integers(1, 4)) if kind == "lamps" else int(random.random() < 0.2)
    lamps = tuple(_lamp(random, size) for _ in range(number))
    mains_hz, depth = float(random.choice((100.0, 120.0))), 0.0
    if random.random() < 0.015:
        depth = float(random.uniform(0.02, 0.25))
    scene = Scene(
        kind,
        tuple(rotors),
        tuple(textures),
        lamps,
        background,
        flicker_hz=mains_hz,
        flicker_depth=depth,
    )
    return LabelledScene(scene, camera, drones)


@dataclass(frozen=True, slots=True)
class _Shake:
    """Motion of the whole image, as of a hand-held camera.

    Attributes:
        time_us: (n,) times of the knots.
        shift_px: (n, 2) displacement at each knot.
        reach_px: amplitude; 0 for a static camera.
    """

    time_us: NDArray[np.float64]
    shift_px: NDArray[np.float64]
    reach_px: float

    @classmethod
    def drawn(cls, random: np.random.Generator, seconds: float) -> _Shake:
        """A random motion; most cameras are static."""
        times = np.arange(0.0, seconds + 2 * _KNOT_S, _KNOT_S)
        reach = _log_uniform(random, 0.5, 6.0) if random.random() < 0.15 else 0.0
        rates = random.uniform(0.3, 2.5, 2)
        phases = random.uniform(0, 2 * math.pi, 2)
        shift = reach * np.sin(2 * math.pi * rates * times[:, None] + phases)
        return cls(1e6 * times, shift, reach)


def _single_rotor(
    random: np.random.Generator, camera: SensorParameters, background: float, shake: _Shake
) -> list[Rotor]:
    """One visible rotor; empty if none was drawn."""
    size = camera.size
    radius = _log_uniform(random, 6.0, 0.48 * size.height)
    drawn = _visible_pattern(random, camera, background, _pattern)
    if drawn is None:
        return []
    pattern, rpm = drawn
    drift = random.uniform(0.0, 1.0) ** 2 * 60.0
    path = _path(random, size, radius, drift, shake)
    rpm = _bounded(rpm, pattern, path)
    seconds = 1e-6 * float(shake.time_us[-1])
    return [Rotor(path, _speed(random, seconds, rpm), pattern, random.uniform(0, 6.28))]


def _slow_disc(
    random: np.random.Generator, camera: SensorParameters, background: float, shake: _Shake
) -> list[Rotor]:
    """A large marked disc that takes several windows per turn; empty if none was drawn."""
    for _ in range(_TRIES):
        pattern = _marked_disc(random)
        rpm = _log_uniform(random, *_SLOW_DISC_RPM) * random.choice((-1, 1))
        if _strength(pattern, abs(rpm), camera, background) < _LEAST_STRENGTH:
            continue
        radius = _log_uniform(random, 10.0, 0.6 * camera.size.height)
        path = _path(random, camera.size, radius, 0.0, shake)
        seconds = 1e-6 * float(shake.time_us[-1])
        return [Rotor(path, _speed(random, seconds, rpm), pattern, random.uniform(0, 6.28))]
    return []


def _visible_pattern(
    random: np.random.Generator,
    camera: SensorParameters,
    background: float,
    draw: Callable[[np.random.Generator], BladePattern],
    slowest_rpm: float = _SLOWEST_RPM,
) -> tuple[BladePattern, float] | None:
    """Blades and a signed speed that the pixels can follow; None if none was drawn."""
    for _ in range(_TRIES):
        pattern = draw(random)
        rpm = _log_uniform(random, slowest_rpm, _FASTEST_RPM)
        if _strength(pattern, rpm, camera, background) >= _LEAST_STRENGTH:
            return pattern, float(rpm * random.choice((-1, 1)))
    return None


def _bounded(rpm: float, pattern: BladePattern, path: Path) -> float:
    """The speed, limited by the number of pixels that the blades sweep per second."""
    a, b = path.shapes[0].axes
    most = 60 * _MOST_PASSES_S / (pattern.blades * math.pi * a * b)
    return math.copysign(min(abs(rpm), max(most, _SLOWEST_RPM)), rpm)


def _strength(
    pattern: BladePattern, rpm: float, camera: SensorParameters, background: float
) -> float:
    """Swing of the filtered log intensity due to passing blades, in contrast thresholds."""
    behind = background if pattern.disc_reflectance is None else pattern.disc_reflectance
    dark = camera.dark_light
    contrast = abs(math.log((pattern.reflectance + dark) / (behind + dark)))
    passes_hz = pattern.blades * rpm / 60
    kept = 1 / math.hypot(1.0, passes_hz / camera.cutoff_hz)
    return contrast * kept / max(camera.threshold_on, camera.threshold_off)


def _drone(
    random: np.random.Generator, camera: SensorParameters, background: float, shake: _Shake
) -> tuple[list[Rotor], list[MovingTexture]]:
    """Four rotors at the corners of a square seen obliquely, and the body that carries them."""
    size = camera.size
    drawn = _visible_pattern(random, camera, background, _propeller, 2500.0)
    if drawn is None:
        return [], []
    pattern, rpm = drawn
    radius = _log_uniform(random, 2.5, 0.12 * size.height)
    carrier = _path(
        random, size, radius, random.uniform(0.0, 1.0) ** 2 * 120.0, shake, upright=True
    )
    spacing = radius * random.uniform(1.5, 2.6)
    turn = random.uniform(0, math.pi / 2)
    flat = carrier.shapes[0].axes[1] / carrier.shapes[0].axes[0]
    seconds = 1e-6 * float(shake.time_us[-1])
    rotors = []
    for corner in range(4):
        angle = turn + corner * math.pi / 2
        x, y = spacing * math.cos(angle), spacing * flat * math.sin(angle)
        shapes = tuple(
            replace(shape, center=(shape.center[0] + x, shape.center[1] + y))
            for shape in carrier.shapes
        )
        speed = abs(rpm) * random.uniform(0.9, 1.1) * (1 if corner % 2 else -1)
        path = Path(carrier.time_us, shapes)
        rotors.append(Rotor(path, _speed(random, seconds, speed), pattern, random.uniform(0, 6.28)))
    return rotors, [_body(random, carrier, (0.7 * spacing, max(0.7 * flat, 0.3) * spacing))]


def _body(
    random: np.random.Generator, carrier: Path, half_axes: tuple[float, float]
) -> MovingTexture:
    """An elliptic body that moves with the rotors."""
    centers = np.array([shape.center for shape in carrier.shapes])
    reach = np.array(half_axes) + 2
    low = np.floor(centers.min(axis=0) - reach).astype(int).tolist()
    high = np.ceil(centers.max(axis=0) + reach).astype(int).tolist()
    middle = 0.5 * (np.array(low) + np.array(high))
    return MovingTexture(
        (*low, *high),
        float(random.uniform(0.05, 0.6)),
        float(random.uniform(1.5, 5.0)),
        carrier.time_us,
        tuple((float(x), float(y)) for x, y in centers - middle),
        half_axes,
    )


def _path(
    random: np.random.Generator,
    size: SensorSize,
    radius: float,
    px_s: float,
    shake: _Shake,
    upright: bool = False,
) -> Path:
    """Path of a disc of random view that drifts, sways and approaches."""
    flat = random.uniform(0.3, 1.0) if random.random() < 0.7 else random.uniform(0.9, 1.0)
    tilt = 0.0 if upright else random.uniform(-math.pi / 2, math.pi / 2)
    x, y = random.uniform(0, size.width), random.uniform(0, size.height)
    direction = random.uniform(0, 2 * math.pi)
    growth = random.normal(0.0, 0.15)
    sway, rate = random.uniform(0.0, 3.0) * (random.random() < 0.5), random.uniform(0.5, 3.0)
    shapes = []
    for t_us, (shift_x, shift_y) in zip(
        shake.time_us.tolist(), shake.shift_px.tolist(), strict=True
    ):
        t = 1e-6 * t_us
        side = sway * math.sin(2 * math.pi * rate * t)
        center = (
            x + shift_x + px_s * t * math.cos(direction) + side,
            y + shift_y + px_s * t * math.sin(direction) + 0.5 * side,
        )
        now = radius * math.exp(growth * t)
        shapes.append(Ellipse(center, (now, flat * now), tilt))
    return Path(tuple(shake.time_us.tolist()), tuple(shapes))


def _speed(random: np.random.Generator, seconds: float, rpm: float) -> SpeedProfile:
    """A constant speed, or in some cases a changing one."""
    change = 1.0 if random.random() < 0.6 else random.uniform(0.5, 1.4)
    return SpeedProfile.through((0.0, rpm), (seconds, rpm * change))


def _propeller(random: np.random.Generator) -> BladePattern:
    return _blades(random, int(random.integers(2, 4)))


def _pattern(random: np.random.Generator) -> BladePattern:
    if random.random() < 0.3:
        return _marked_disc(random)
    return _blades(random, int(random.integers(2, 8)))


def _blades(random: np.random.Generator, number: int) -> BladePattern:
    return BladePattern(
        blades=number,
        half_width_rad=float(random.uniform(0.15, 0.75) * math.pi / number),
        half_width=float(random.uniform(0.0, 0.06)),
        sweep_rad=float(random.uniform(-0.6, 0.6)),
        reflectance=float(random.uniform(0.03, 0.95)),
        differences=float(random.uniform(0.0, 0.1)),
        hub_radius=float(random.uniform(0.05, 0.3)),
        edge_px=_log_uniform(random, 0.4, 2.0),
    )


def _marked_disc(random: np.random.Generator) -> BladePattern:
    """A half disc, a pinwheel, a mark or a texture."""
    sectors = int(random.choice((1, 1, 1, 2, 4, 8)))
    share = 0.5 if random.random() < 0.5 else random.uniform(0.15, 0.5)
    dark, bright = random.uniform(0.04, 0.25), random.uniform(0.5, 0.95)
    if random.random() < 0.4:
        dark, bright = bright, dark
    return BladePattern(
        blades=sectors,
        half_width_rad=float(share * math.pi / sectors),
        sweep_rad=float(random.uniform(-0.6, 0.6)) * (random.random() < 0.3),
        reflectance=float(dark),
        disc_reflectance=float(bright),
        hub_radius=float(random.uniform(0.0, 0.15)),
        texture=float(random.uniform(0.0, 0.3)) * (random.random() < 0.3),
        edge_px=_log_uniform(random, 0.4, 2.0),
    )


def _view(random: np.random.Generator, size: SensorSize, shake: _Shake) -> MovingTexture:
    """The static surroundings of a shaking camera."""
    return MovingTexture(
        (0, 0, size.width, size.height),
        float(random.uniform(0.05, 0.5)),
        _log_uniform(random, 2.0, 20.0),
        tuple(shake.time_us.tolist()),
        tuple((float(x), float(y)) for x, y in shake.shift_px),
    )


def _texture(random: np.random.Generator, size: SensorSize, seconds: float) -> MovingTexture:
    """Foliage, a walker or an aeroplane."""
    width = int(_log_uniform(random, 0.08, 0.8) * size.width)
    height = int(_log_uniform(random, 0.08, 0.8) * size.height)
    x0 = int(random.integers(0, max(size.width - width, 1)))
    y0 = int(random.integers(0, max(size.height - height, 1)))
    times = np.arange(0.0, seconds + 0.02, 0.01)
    reach = _log_uniform(random, 0.3, 8.0)
    fastest_hz = min(12.0, _PX_S / (2 * math.pi * reach))
    rate = _log_uniform(random, min(0.3, 0.5 * fastest_hz), fastest_hz)
    drift = random.normal(0.0, 40.0, 2) * (random.random() < 0.5)
    phase = random.uniform(0, 2 * math.pi, 2)
    x = reach * np.sin(2 * math.pi * rate * times + phase[0]) + drift[0] * times
    y = reach * np.sin(2.6 * math.pi * rate * times + phase[1]) + drift[1] * times
    has_body = random.random() < 0.6
    body = (max(0.3 * width, 3.0), max(0.4 * height, 3.0)) if has_body else None
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
    """A random sensor: sensitive or not, quiet or noisy, asymmetric in ON and OFF."""
    threshold = _log_uniform(random, 0.12, 0.5)
    common = {
        "width": size.width,
        "height": size.height,
        "threshold_on": threshold,
        "threshold_off": threshold * _log_uniform(random, 0.6, 2.2),
        "threshold_mismatch": float(random.uniform(0.02, 0.15)),
        "refractory_us": _log_uniform(random, 20.0, 1000.0),
        "noise_hz": _log_uniform(random, 0.05, 6.0),
        "noise_on_share": float(random.uniform(0.2, 0.95)),
        "noise_spread": float(random.uniform(0.0, 1.0)),
        "hot_pixels": int(random.integers(0, 30)),
        "hot_pixel_hz": _log_uniform(random, 50.0, 1000.0),
        "seed": int(random.integers(0, 2**31)),
    }
    is_nonideal = random.random() < 0.25
    own = (
        _nonideal_pixels(random)
        if is_nonideal
        else {"cutoff_hz": _log_uniform(random, 150.0, 5000.0)}
    )
    return SensorParameters.from_mapping({**common, **own})


def _nonideal_pixels(random: np.random.Generator) -> dict[str, object]:
    """Slow and mismatched pixels, similar to those fitted to a real camera; see docs/realism.md."""
    return {
        "pixel_model": "photoreceptor",
        "cutoff_hz": _log_uniform(random, 50.0, 300.0),
        "cutoff_growth": float(random.uniform(0.0, 0.3)),
        "pixel_spread": float(random.uniform(0.2, 0.5)),
        "buffer_hz": _log_uniform(random, 800.0, 3000.0),
        "dark_light": float(random.uniform(0.005, 0.05)),
        "on_lag_us": float(random.uniform(0.0, 500.0)),
        "odd_threshold": float(random.uniform(0.7, 1.0)),
        "odd_refractory": float(random.uniform(1.0, 2.7)),
    }


def _log_uniform(random: np.random.Generator, low: float, high: float) -> float:
    return float(math.exp(random.uniform(math.log(low), math.log(high))))


def _box_of(path: Path, t_us: float) -> tuple[float, float, float, float]:
    x, y, a, b, tilt = path.at(np.array([t_us]))[0].tolist()
    width, height = Ellipse((x, y), (a, b), tilt).half_extent()
    return x - width, y - height, x + width, y + height


def _is_visible(box: tuple[float, float, float, float], events: EventBatch, noise: float) -> bool:
    """Whether a box has more events than noise, given in events per pixel, explains."""
    x0, y0, x1, y1 = box
    inside = (events.x >= x0) & (events.x < x1) & (events.y >= y0) & (events.y < y1)
    left, top = max(x0, 0.0), max(y0, 0.0)
    right, bottom = min(x1, float(events.size.width)), min(y1, float(events.size.height))
    area = max(right - left, 0.0) * max(bottom - top, 0.0)
    return int(inside.sum()) >= _LEAST_EVENTS + _LEAST_OVER_NOISE * noise * area


def _cut(row: tuple[float, ...], size: SensorSize) -> tuple[float, ...] | None:
    """The visible part of a box; None if too little of it is visible."""
    kind, x0, y0, x1, y1 = row
    left, top = max(x0, 0.0), max(y0, 0.0)
    right, bottom = min(x1, float(size.width)), min(y1, float(size.height))
    if min(right - left, bottom - top) < _LEAST_SIDE_PX:
        return None
    if (right - left) * (bottom - top) < _LEAST_VISIBLE * (x1 - x0) * (y1 - y0):
        return None
    return kind, left, top, right, bottom
