"""Ground truth of a simulated recording, stored in a file beside it."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evio_ros.atomic_file import atomic_file
from evio_ros.ellipse import Ellipse
from evio_ros.errors import EvioError, SourceError, content_error
from evio_ros.simulation.scene import Path, Rotor, Scene
from evio_ros.simulation.speed import SpeedProfile

__all__ = ["RotorTruth", "Truth", "truth_path"]

_FORMAT_VERSION = 1


def truth_path(recording: str | os.PathLike[str]) -> FilePath:
    """Path of the ground truth of a recording: `fan.truth.json` beside `fan.dat`."""
    path = FilePath(recording)
    if not path.name:  # the folder of a bag, named as the present one
        path = path.resolve()
    return path.parent / f"{path.stem}.truth.json"


@dataclass(frozen=True, slots=True)
class RotorTruth:
    """Exact motion of one rotor.

    Attributes:
        id: number of the rotor in its scene.
        blade_count: number of blades; 0 for a disc with only a texture.
        phase_rad: angle of the reference blade's centre line at time 0 and 0.7 of the radius.
        speed: signed speed over time.
        path: the disc's image over time.
    """

    id: int
    blade_count: int
    phase_rad: float
    speed: SpeedProfile
    path: Path

    def angle_rad(self, t_us: ArrayLike) -> NDArray[np.float64]:
        """Unwrapped angle of the reference blade on the disc at times t_us, from +x towards +y."""
        return self.phase_rad + 2 * math.pi * self.speed.turns(t_us)

    def mean_rpm(self, start_us: float, end_us: float) -> float:
        """Mean speed between two times in turns per minute."""
        return self.speed.mean_rpm(start_us, end_us)

    def ellipse(self, t_us: float) -> Ellipse:
        """The disc's image at a time in µs."""
        x, y, a, b, tilt = self.path.at(np.array([t_us]))[0]
        return Ellipse((float(x), float(y)), (float(a), float(b)), float(tilt))


@dataclass(frozen=True, slots=True)
class Truth:
    """Ground truth of a simulated recording.

    Attributes:
        scene: name of the scene.
        duration_us: length of the recording in µs.
        rotors: motion of each rotor.
    """

    scene: str
    duration_us: int
    rotors: tuple[RotorTruth, ...]

    @classmethod
    def of(cls, scene: Scene, duration_us: int) -> Truth:
        """The truth of a scene."""
        rotors = [_rotor_truth(number, rotor) for number, rotor in enumerate(scene.rotors)]
        return cls(scene.name, duration_us, tuple(rotors))

    def nearest(self, x: float, y: float, t_us: float) -> RotorTruth | None:
        """The rotor whose hub is nearest to a point at a time; None if the scene has no rotor."""
        return min(
            self.rotors,
            key=lambda rotor: math.dist(rotor.ellipse(t_us).center, (x, y)),
            default=None,
        )

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the ground truth as JSON, atomically.

        Raises:
            SourceError: if the file cannot be written.
        """
        content = {
            "format": "evio_ros truth",
            "version": _FORMAT_VERSION,
            "units": {"time_us": "us", "rpm": "turns/min", "center": "px", "axes": "px"},
            "scene": self.scene,
            "duration_us": self.duration_us,
            "rotors": [_to_json(rotor) for rotor in self.rotors],
        }
        with atomic_file(path) as file:
            file.write(json.dumps(content, indent=1) + "\n")

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Truth:
        """Read a file written by `write`.

        Raises:
            SourceError: if the file cannot be read or has another format.
        """
        try:
            content = json.loads(FilePath(path).read_text(encoding="utf-8"))
            if content["version"] != _FORMAT_VERSION:
                raise SourceError(path, f"unknown version {content['version']} of the format")
            rotors = tuple(_from_json(rotor) for rotor in content["rotors"])
            return cls(content["scene"], int(content["duration_us"]), rotors)
        except (OSError, ValueError, KeyError, TypeError, EvioError) as error:
            raise content_error(path, "is not a ground-truth file", error) from None


def _rotor_truth(number: int, rotor: Rotor) -> RotorTruth:
    return RotorTruth(number, rotor.pattern.blades, rotor.phase_rad, rotor.speed, rotor.path)


def _to_json(rotor: RotorTruth) -> dict[str, Any]:
    shapes = rotor.path.shapes
    return {
        "id": rotor.id,
        "blade_count": rotor.blade_count,
        "phase_rad": rotor.phase_rad,
        "speed": {"time_us": rotor.speed.time_us, "rpm": rotor.speed.rpm},
        "path": {
            "time_us": rotor.path.time_us,
            "center": [shape.center for shape in shapes],
            "axes": [shape.axes for shape in shapes],
            "tilt_rad": [shape.tilt_rad for shape in shapes],
        },
    }


def _from_json(content: dict[str, Any]) -> RotorTruth:
    speed, path = content["speed"], content["path"]
    shapes = [
        Ellipse((float(x), float(y)), (float(a), float(b)), float(tilt))
        for (x, y), (a, b), tilt in zip(path["center"], path["axes"], path["tilt_rad"], strict=True)
    ]
    return RotorTruth(
        int(content["id"]),
        int(content["blade_count"]),
        float(content["phase_rad"]),
        SpeedProfile(tuple(map(float, speed["time_us"])), tuple(map(float, speed["rpm"]))),
        Path(tuple(map(float, path["time_us"])), tuple(shapes)),
    )
