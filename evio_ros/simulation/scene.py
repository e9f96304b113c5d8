"""A simulated scene: rotors, moving textures and lamps in front of a background."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evio_ros.ellipse import Ellipse
from evio_ros.errors import ParameterError
from evio_ros.simulation.speed import SpeedProfile

__all__ = ["BladePattern", "Lamp", "MovingTexture", "Path", "Rotor", "Scene"]


@dataclass(frozen=True, slots=True)
class BladePattern:
    """Blades on a disc, or a texture instead of blades.

    A blade covers the angles within `half_width_rad + half_width / radius` of its centre line,
    which lags by `sweep_rad * radius`; the radius is 1 at the rim.

    Attributes:
        blades: number of blades; 0 for a disc with only a texture.
        half_width_rad: half the angle that a blade covers at every radius.
        half_width: half the width of a blade with parallel edges, relative to the disc's radius.
        sweep_rad: lag of a blade's centre line at the rim.
        reflectance: reflectance of the blades, 0 to 1.
        disc_reflectance: reflectance between the blades; None if the background is visible there.
        differences: relative spread of width and reflectance between the blades.
        hub_radius: radius of the hub, which shows no rotation, relative to the disc's.
        texture: contrast of a fine texture on the disc: standard deviation of its log reflectance.
        texture_grain_px: size of the texture's grains in pixels.
        edge_px: width of a blade's soft edge in pixels: 1, or more if out of focus.
        glint: brightness of the hub's facets facing the light, relative to the hub's; 0 for a matt
            hub. The highlight stays in place, on the side of +x.
    """

    blades: int = 3
    half_width_rad: float = 0.35
    half_width: float = 0.0
    sweep_rad: float = 0.25
    reflectance: float = 0.25
    disc_reflectance: float | None = None
    differences: float = 0.05
    hub_radius: float = 0.18
    texture: float = 0.0
    texture_grain_px: float = 3.0
    edge_px: float = 1.0
    glint: float = 0.0


@dataclass(frozen=True, slots=True)
class Path:
    """A disc's image over time, linear between knots and constant before and after them.

    Attributes:
        time_us: (n,) times of the knots in µs, increasing.
        shapes: (n,) the disc's image at each knot.

    Raises:
        ParameterError: if there is no knot or lengths differ.
    """

    time_us: tuple[float, ...]
    shapes: tuple[Ellipse, ...]

    def __post_init__(self) -> None:
        if not self.time_us or len(self.time_us) != len(self.shapes):
            raise ParameterError("a path needs as many shapes as times, at least one")

    @classmethod
    def fixed(cls, ellipse: Ellipse) -> Path:
        """A disc at rest."""
        return cls((0.0,), (ellipse,))

    def at(self, t_us: NDArray[np.float64]) -> NDArray[np.float64]:
        """The image at times t_us (n,): float64 (n, 5), centre x, y, axes a, b [px], tilt [rad]."""
        table = np.array([(*shape.center, *shape.axes, shape.tilt_rad) for shape in self.shapes])
        return np.stack([np.interp(t_us, self.time_us, column) for column in table.T], axis=-1)


@dataclass(frozen=True, slots=True)
class Rotor:
    """A rotor: position, speed and appearance.

    Attributes:
        path: the disc's image over time.
        speed: signed speed over time.
        pattern: the blades.
        phase_rad: angle of the reference blade at time 0, on the disc from +x towards +y.
    """

    path: Path
    speed: SpeedProfile
    pattern: BladePattern = BladePattern()
    phase_rad: float = 0.4


@dataclass(frozen=True, slots=True)
class MovingTexture:
    """A moving texture: foliage in the wind, a walker, the view of a shaking camera.

    Attributes:
        region: (x0, y0, x1, y1), pixels in which it is visible.
        contrast: standard deviation of the texture's log reflectance.
        grain_px: size of the texture's grains in pixels.
        time_us: (n,) times in µs of the knots of its displacement.
        shift_px: (n, 2) displacement (x, y) at each knot in pixels.
        body: semi-axes (a, b) in pixels of an elliptic body that moves with the texture and is
            limited to it; None if it fills the whole region.
    """

    region: tuple[int, int, int, int]
    contrast: float
    grain_px: float
    time_us: tuple[float, ...]
    shift_px: tuple[tuple[float, float], ...]
    body: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Lamp:
    """A disc of light that flickers as sin(2 pi frequency t).

    Attributes:
        center: (x, y) in pixels.
        radius_px: radius in pixels.
        frequency_hz: frequency of the flicker in Hz.
        modulation: amplitude relative to the mean, below 1.
    """

    center: tuple[float, float]
    radius_px: float
    frequency_hz: float
    modulation: float = 0.5


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything in view of a camera.

    Attributes:
        name: short name.
        rotors: from the farthest to the nearest.
        textures: behind the rotors.
        lamps: modulate the light of everything behind them.
        background: reflectance of the background.
        hidden: (x0, y0, x1, y1) rectangles hidden by static objects in front of everything else.
        flicker_hz: frequency in Hz at which all light flickers, as under mains lighting.
        flicker_depth: amplitude of this flicker relative to the mean, below 1; 0 for none.
    """

    name: str
    rotors: tuple[Rotor, ...] = ()
    textures: tuple[MovingTexture, ...] = ()
    lamps: tuple[Lamp, ...] = ()
    background: float = 0.6
    hidden: tuple[tuple[int, int, int, int], ...] = ()
    flicker_hz: float = 100.0
    flicker_depth: float = 0.0
