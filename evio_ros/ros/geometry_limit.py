"""Refusing sensors for which there is no room, before memory is taken."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from evio_ros.errors import EventError

__all__ = ["GeometryLimit"]

_SHARE = 0.8
"""Share of the free memory that one sensor may take."""


@dataclass(slots=True)
class GeometryLimit:
    """The largest sensor that a node takes.

    Attributes:
        maximum_pixels: bound on columns times rows.
        bytes_per_pixel: memory that the node takes for a sensor.
    """

    maximum_pixels: int
    bytes_per_pixel: int
    _checked: tuple[int, int] = field(default=(0, 0), init=False)

    def check(self, width: int, height: int) -> None:
        """Check a message's geometry; free memory is looked up only for a new one.

        Raises:
            EventError: if the sensor is too large.
        """
        if (width, height) == self._checked:
            return
        pixels = width * height
        if pixels > self.maximum_pixels:
            raise EventError(
                f"a sensor of {width}x{height} px has more than input.maximum_pixels, "
                f"{self.maximum_pixels}"
            )
        needed, free = pixels * self.bytes_per_pixel, _free_bytes()
        if free is not None and needed > _SHARE * free:
            raise EventError(
                f"a sensor of {width}x{height} px needs {needed / 1e6:.0f} MB of memory, "
                f"{free / 1e6:.0f} MB are free"
            )
        self._checked = (width, height)


def _free_bytes() -> int | None:
    """Memory that is available within the control group's limit; None if unknown."""
    found = []
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        line = next(line for line in lines if line.startswith("MemAvailable:"))
        found.append(1024 * int(line.split()[1]))
    group = Path("/sys/fs/cgroup")
    with suppress(OSError, ValueError):  # "max" is no number: no limit
        limit = int((group / "memory.max").read_text(encoding="ascii"))
        found.append(limit - int((group / "memory.current").read_text(encoding="ascii")))
    return min(found, default=None)
