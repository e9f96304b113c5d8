"""Discs that were found before, in a JSON file; the detector of a fixed camera tries them first."""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from evio_ros.atomic_file import atomic_file
from evio_ros.ellipse import Ellipse
from evio_ros.errors import EvioError, ParameterError, SourceError, content_error
from evio_ros.events import SensorSize

__all__ = ["KnownDisc", "KnownDiscs"]

_FORMAT = "evio_ros calibration"
"""Name of the file format, which is older than the class's name."""
_VERSION = 1


@dataclass(frozen=True, slots=True)
class KnownDisc:
    """A disc and its uncertainty.

    Attributes:
        ellipse: the disc's image.
        center_std: standard deviations of the centre's x and y in pixels.
        blade_count: number of blades, 0 if unknown.
    """

    ellipse: Ellipse
    center_std: tuple[float, float]
    blade_count: int


@dataclass(frozen=True, slots=True)
class KnownDiscs:
    """The discs of all rotors in a camera's view.

    Attributes:
        size: geometry of the sensor.
        discs: the discs.
    """

    size: SensorSize
    discs: tuple[KnownDisc, ...]

    def check(self, size: SensorSize) -> None:
        """Check that the discs are of a given sensor geometry.

        Raises:
            ParameterError: if they are of another geometry.
        """
        if self.size != size:
            raise ParameterError(f"known_discs: for a {self.size} sensor, not for {size}")

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write as JSON, atomically.

        Raises:
            SourceError: if the file cannot be written.
        """
        content = {
            "format": _FORMAT,
            "version": _VERSION,
            "units": {"center": "px", "axes": "px", "tilt_rad": "rad"},
            "size": asdict(self.size),
            "discs": [asdict(disc) for disc in self.discs],
        }
        with atomic_file(path) as file:
            file.write(json.dumps(content, indent=1) + "\n")

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> KnownDiscs:
        """Read a file that `write` has written.

        Raises:
            SourceError: if the file is missing or is not a file of known discs.
        """
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
            if content["format"] != _FORMAT or content["version"] != _VERSION:
                raise SourceError(path, f"is not version {_VERSION} of an {_FORMAT}")
            size = SensorSize(int(content["size"]["width"]), int(content["size"]["height"]))
            return cls(size, tuple(_disc_of(disc) for disc in content["discs"]))
        except (OSError, ValueError, KeyError, TypeError, EvioError) as error:
            raise content_error(path, "is not a file of known discs", error) from None


def _disc_of(content: dict[str, Any]) -> KnownDisc:
    """A disc from its JSON object; raises ValueError, KeyError or TypeError if it is none."""
    shape = content["ellipse"]
    (x, y), (a, b), tilt = shape["center"], shape["axes"], shape["tilt_rad"]
    std_x, std_y = content["center_std"]
    numbers = [float(value) for value in (x, y, a, b, tilt)]
    if not all(map(math.isfinite, numbers)) or not 0 < numbers[3] <= numbers[2]:
        raise ValueError(f"{shape} is not an ellipse")
    ellipse = Ellipse((numbers[0], numbers[1]), (numbers[2], numbers[3]), numbers[4])
    return KnownDisc(ellipse, (float(std_x), float(std_y)), int(content["blade_count"]))
