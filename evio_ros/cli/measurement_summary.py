"""Collecting measurements for the table at the end and for the plot."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TextIO

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from evio_ros.cell_counts import activity_grid
from evio_ros.cli.angle_time_strip import AngleTimeStrip
from evio_ros.estimate import Measurement, RotorEstimate
from evio_ros.events import EventWindow, SensorSize
from evio_ros.sources.base import SourceStatistics

__all__ = ["MeasurementSummary"]


class MeasurementSummary:
    """Keeps the estimates of every rotor and counts windows.

    Args:
        size: geometry of the sensor.
        keep_picture: whether to keep `picture` and `strips`.

    Attributes:
        rotors: estimates in order of time, by the rotor's id.
        windows: number of windows.
        empty_windows: number of windows without a rotor.
        picture: int32 (height, width) events of each pixel; None where it is not kept.
        strips: the last turns of each rotor, by its id, where a picture is kept.
    """

    def __init__(self, size: SensorSize, keep_picture: bool = False) -> None:
        self.rotors: dict[int, list[RotorEstimate]] = {}
        self.windows = 0
        self.empty_windows = 0
        self.picture: NDArray[np.int32] | None = None
        if keep_picture:
            self.picture = np.zeros((size.height, size.width), np.int32)
        self.strips: dict[int, AngleTimeStrip] = {}

    def add(self, measurement: Measurement) -> None:
        """Add the measurement of one window."""
        self.windows += 1
        self.empty_windows += not measurement.rotors
        for rotor in measurement.rotors:
            self.rotors.setdefault(rotor.id, []).append(rotor)
        if measurement.step is not None:
            self.add_events(measurement.step, measurement.rotors)

    def add_events(self, step: EventWindow, rotors: Iterable[RotorEstimate]) -> None:
        """Count events for the picture and the rotors' strips, where a picture is kept.

        Args:
            step: ends with the window in which the rotors were measured.
            rotors: those seen.
        """
        if self.picture is None:
            return
        self.picture += activity_grid(step.events, cell_px=1)
        for rotor in rotors:
            self.strips.setdefault(rotor.id, AngleTimeStrip()).add(step, rotor)

    def print(self, statistics: SourceStatistics, file: TextIO) -> None:
        """Print the table of rotors and what was wrong with the recording."""
        console = Console(file=file)
        self.print_rotors(console)
        if statistics.dropped or statistics.reordered or statistics.truncated_bytes:
            console.print(
                f"Events put in order: {statistics.reordered}; dropped as too late: "
                f"{statistics.late}, outside the sensor: {statistics.outside}, invalid: "
                f"{statistics.invalid}; bytes cut off at the end: {statistics.truncated_bytes}."
            )

    def print_rotors(self, console: Console) -> None:
        """Print the table of rotors."""
        if self.rotors:
            console.print(self._table())
            later = sum(r.looked_back for estimates in self.rotors.values() for r in estimates)
            if later:
                console.print(f"{later} of these estimates look back on what was found later.")
        else:
            console.print(f"No rotor seen in {self.windows} windows.")

    def _table(self) -> Table:
        table = Table(title=f"{len(self.rotors)} rotors in {self.windows} windows")
        for heading in ("id", "rpm mean", "least", "most", "rpm std", "blades", "centre", "seen"):
            table.add_column(heading, justify="right")
        for identity, estimates in sorted(self.rotors.items()):
            rpm = np.array([estimate.rpm for estimate in estimates])
            blades = np.bincount([estimate.blade_count for estimate in estimates]).argmax()
            last = estimates[-1]
            table.add_row(
                str(identity),
                f"{rpm.mean():.3f}",
                f"{rpm.min():.3f}",
                f"{rpm.max():.3f}",
                f"{np.median([estimate.rpm_std for estimate in estimates]):.3f}",
                str(blades) if blades else "unknown",
                f"{last.center[0]:.1f}, {last.center[1]:.1f}",
                f"{len(estimates)}",
            )
        return table
