"""What a simulated camera sees: rotors, moving textures and lamps before a background."""

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

    A blade covers the angles within `half_width_rad + half_width / radius` of its middle, which
    lies `sweep_rad * radius` behind its angle at the hub; radius is 1 at the rim.

    Attributes:
        blades: number of blades; 0 for a disc with nothing but texture.
        half_width_rad: half the angle that a blade covers at every radius.
        half_width: half the width of a blade's parallel part, in radii.
        sweep_rad: how far a blade lags at the rim.
        reflectance: share of light that a blade reflects, 0 to 1.
        disc_reflectance: the same of the disc between the blades; None where one sees through.
        differences: relative spread of the blades' width and reflectance; no two are quite alike.
        hub_radius: radius of the hub, which shows nothing that turns.
        texture: contrast of a fine texture on the disc: standard deviation of its log reflectance.
        texture_grain_px: size of the texture's grains.
        edge_px: width over which a blade's edge is soft: that of a pixel, or more out of focus.
        glint: how much brighter than the hub itself its facets are when they face the light; 0 for
            a dull hub. The highlight stays where it is, on the side of +x.
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
    """A disc's image over time, straight between knots and constant before and after them.

    Attributes:
        time_us: (n,) times of the knots, rising.
        shapes: the disc's image at each knot.
    """

    time_us: tuple[float, ...]
    shapes: tuple[Ellipse, ...]

    def __post_init__(self) -> None:
        if not self.time_us or len(self.time_us) != len(self.shapes):
            raise ParameterError("a path needs as many shapes as times, at least one")

    @classmethod
    def fixed(cls, ellipse: Ellipse) -> Path:
        """A disc that stays where it is."""
        return cls((0.0,), (ellipse,))

    def at(self, t_us: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, 5) centre x and y, axes a and b, tilt at times t_us."""
        table = np.array([(*shape.center, *shape.axes, shape.tilt_rad) for shape in self.shapes])
        return np.stack([np.interp(t_us, self.time_us, column) for column in table.T], axis=-1)


@dataclass(frozen=True, slots=True)
class Rotor:
    """A rotor: where it is, how fast it turns, what it looks like.

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
    """A textured region that moves: foliage in the wind, a walker, a shaking camera's view.

    Attributes:
        region: (x0, y0, x1, y1) pixels that show it.
        contrast: standard deviation of the texture's log reflectance.
        grain_px: size of the texture's grains.
        time_us: (n,) times of the knots of its displacement.
        shift_px: displacement (x, y) at each knot.
        body: half-axes (a, b) of an elliptic body that moves along with the texture and is all that
            shows it; None where the whole region does.
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
        radius_px: radius.
        frequency_hz: frequency of the flicker.
        modulation: amplitude as a share of the mean, below 1.
    """

    center: tuple[float, float]
    radius_px: float
    frequency_hz: float
    modulation: float = 0.5


@dataclass(frozen=True, slots=True)
class Scene:
    """All that a camera sees.

    Attributes:
        name: short name.
        rotors: from the farthest to the nearest.
        textures: behind the rotors.
        lamps: light added to what is behind them.
        background: reflectance of the background.
        hidden: (x0, y0, x1, y1) rectangles of still things before everything else.
        flicker_hz: frequency at which all light flickers, as under lamps on the mains.
        flicker_depth: amplitude of this flicker as a share of the mean, below 1; 0 for none.
    """

    name: str
    rotors: tuple[Rotor, ...] = ()
    textures: tuple[MovingTexture, ...] = ()
    lamps: tuple[Lamp, ...] = ()
    background: float = 0.6
    hidden: tuple[tuple[int, int, int, int], ...] = ()
    flicker_hz: float = 100.0
    flicker_depth: float = 0.0
