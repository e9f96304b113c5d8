"""The demo's tables: rotors while they are measured, and the comparison with the truth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rich.console import Group
from rich.progress_bar import ProgressBar
from rich.table import Table

from evio_ros.estimate import Measurement, RotorEstimate
from evio_ros.simulation.truth import Truth

__all__ = ["LiveTable", "truth_table"]

_BAR_WIDTH = 60


class LiveTable:
    """The newest window's rotors and the position of the replay, as a rich renderable.

    Args:
        title: the recording's name.
        start_us, length_us: the part of the recording that is played, sensor time in µs.
    """

    def __init__(self, title: str, start_us: int, length_us: int) -> None:
        self._title = title
        self._start_us = start_us
        self._length_us = length_us
        self._played_us = 0
        self._rotors: Sequence[RotorEstimate] = ()

    def show(self, measurement: Measurement) -> None:
        """Show another window."""
        self._played_us = min(measurement.t_us - self._start_us, self._length_us)
        self._rotors = measurement.rotors

    def __rich__(self) -> Group:
        table = Table(title=f"{self._title} at {self._played_us * 1e-6:.2f} s")
        for heading in ("id", "rpm", "std", "blades", "centre", "angle", "turns", "confidence"):
            table.add_column(heading, justify="right", min_width=8)
        for rotor in self._rotors:
            table.add_row(
                str(rotor.id),
                f"{rotor.rpm:+.2f}",
                f"{rotor.rpm_std:.2f}",
                str(rotor.blade_count) if rotor.blade_count else "unknown",
                f"{rotor.center[0]:.1f}, {rotor.center[1]:.1f}",
                f"{np.degrees(rotor.angle_rad):.0f}°",
                f"{rotor.turns:.2f}",
                f"{rotor.confidence:.3f}",
            )
        bar = ProgressBar(total=self._length_us, completed=self._played_us, width=_BAR_WIDTH)
        return Group(table, bar)


def truth_table(truth: Truth, measurements: Sequence[Measurement]) -> Table:
    """A table of measured against true speed, one row for each rotor of the truth."""
    table = Table(title="measured against true speed")
    for heading in ("rotor", "windows", "measured rpm", "true rpm", "median error", "95 % below"):
        table.add_column(heading, justify="right")
    for rotor in truth.rotors:
        pairs = np.array(
            [
                (estimate.rpm, rotor.mean_rpm(estimate.t_us - estimate.window_us, estimate.t_us))
                for measurement in measurements
                for estimate in measurement.rotors
                if truth.nearest(*estimate.center, estimate.t_us) == rotor
            ]
        ).reshape(-1, 2)
        table.add_row(str(rotor.id), str(len(pairs)), *_comparison(pairs))
    return table


def _comparison(pairs: np.ndarray) -> tuple[str, ...]:
    if not len(pairs):
        return ("not measured", "", "", "")
    measured, true = pairs.T
    error = np.abs(measured - true) / np.maximum(np.abs(true), 1e-9)
    return (
        f"{measured.mean():+.3f}",
        f"{true.mean():+.3f}",
        f"{np.median(error):.5%}",
        f"{np.percentile(error, 95):.5%}",
    )
