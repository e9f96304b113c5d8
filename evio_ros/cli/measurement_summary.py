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
from evio_ros.cli.full_width_table import print_table
from evio_ros.estimate import Measurement, RotorEstimate
from evio_ros.events import EventWindow, SensorSize
from evio_ros.explanation import Explanation

__all__ = ["LEAST_CONFIDENCE", "MeasurementSummary"]

LEAST_CONFIDENCE = 0.5
"""Minimum confidence of an estimate in a rotor's summary: more likely right than wrong."""
_PERCENTILES = (50, 5, 95)


class MeasurementSummary:
    """Keeps the estimates of every rotor and counts windows.

    The table has the median and the 5th and 95th percentile of the speeds whose confidence is at
    least `LEAST_CONFIDENCE`, and the number of others.

    Args:
        size: geometry of the sensor.
        keep_picture: whether to keep `picture` and `strips`.

    Attributes:
        rotors: estimates in order of time, by the rotor's id.
        windows: number of windows.
        start_us: sensor time of the start of the first window, in µs.
        explanations: why nothing was found in other places, from the latest measurement.
        picture: int32 (height, width), number of events of each pixel; None without a picture.
        strips: the last turns of each rotor, by its id; empty without a picture.
    """

    def __init__(self, size: SensorSize, keep_picture: bool = False) -> None:
        self.rotors: dict[int, list[RotorEstimate]] = {}
        self.windows = 0
        self.start_us = 0
        self.explanations: tuple[Explanation, ...] = ()
        self.picture: NDArray[np.int32] | None = None
        if keep_picture:
            self.picture = np.zeros((size.height, size.width), np.int32)
        self.strips: dict[int, AngleTimeStrip] = {}

    def add(self, measurement: Measurement) -> None:
        """Add the measurement of one window."""
        if not self.windows:
            self.start_us = measurement.t_us - measurement.window_us
        self.windows += 1
        self.explanations = measurement.explanations
        for rotor in measurement.rotors:
            self.rotors.setdefault(rotor.id, []).append(rotor)
        if measurement.step is not None:
            self.add_events(measurement.step, measurement.rotors)

    def add_events(self, step: EventWindow, rotors: Iterable[RotorEstimate]) -> None:
        """Count events for the picture and the rotors' strips, if a picture is kept.

        Args:
            step: events that end with the window in which the rotors were measured.
            rotors: estimates of the rotors seen in this window.
        """
        if self.picture is None:
            return
        self.picture += activity_grid(step.events, cell_px=1)
        for rotor in rotors:
            self.strips.setdefault(rotor.id, AngleTimeStrip()).add(step, rotor)

    def print(self, remarks: Iterable[str], file: TextIO, explain: bool = False) -> None:
        """Print the table of rotors and what was wrong with the recording.

        Args:
            remarks: on the recording, one sentence each, without a full stop.
            file: text stream to print to.
            explain: whether to print why nothing was found in other places.
        """
        console = Console(file=file)
        self.print_rotors(console)
        if explain:
            self._print_explanations(console)
        for remark in remarks:
            text = f"{remark[:1].upper()}{remark[1:]}."
            console.print(text, highlight=False, markup=False, soft_wrap=True)

    def print_rotors(self, console: Console) -> None:
        """Print the table of rotors."""
        if not self.rotors:
            console.print(f"No rotor seen in {_counted(self.windows, 'window')}.")
            for explanation in self.explanations[:1]:
                text = f"Most likely because: {explanation}"
                console.print(text, highlight=False, markup=False, soft_wrap=True)
            return
        shown = self.shown_rotors()
        print_table(console, self._table(shown))
        others = {name: len(self.rotors[name]) - len(kept) for name, kept in shown.items()}
        text = ", ".join(f"{count} of rotor {name}" for name, count in others.items() if count)
        console.print(f"Left out, for a confidence below {LEAST_CONFIDENCE}: {text or 'none'}.")
        for name in (name for name, kept in shown.items() if not _confident(kept)):
            console.print(
                f"Rotor {name}: no speed reaches that confidence; its row includes all of them."
            )
        later = sum(each.looked_back for kept in shown.values() for each in kept)
        if later:
            console.print(f"{later} of those seen were also measured with later events.")

    def _print_explanations(self, console: Console) -> None:
        """Print each place in which nothing was found, and why."""
        if not self.explanations:
            console.print("No other place was searched.")
            return
        table = Table(title="where no rotor was found")
        for heading in ("place", "until", "what stopped the search"):
            table.add_column(heading)
        for each in self.explanations:
            until = f"{1e-6 * (each.t_us - self.start_us):.2f} s"
            table.add_row(each.place, until, f"{each.what}. {each.advice}".rstrip())
        console.print(table, markup=False)

    def shown_rotors(self) -> dict[int, list[RotorEstimate]]:
        """By the rotor's id, estimates with at least `LEAST_CONFIDENCE`, or all if none has."""
        return {
            identity: _confident(estimates) or estimates
            for identity, estimates in sorted(self.rotors.items())
        }

    def _table(self, shown: dict[int, list[RotorEstimate]]) -> Table:
        windows = _counted(self.windows, "window")
        title = f"{_counted(len(shown), 'rotor')} in {windows}; speeds in rpm"
        table = Table(title=title)
        for heading in ("id", "median", "5 %", "95 %", "std", "blades", "centre", "seen"):
            table.add_column(heading, justify="right")
        for identity, estimates in shown.items():
            table.add_row(str(identity), *_row(estimates), str(len(estimates)))
        return table


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _confident(estimates: list[RotorEstimate]) -> list[RotorEstimate]:
    return [each for each in estimates if each.confidence >= LEAST_CONFIDENCE]


def _row(estimates: list[RotorEstimate]) -> tuple[str, ...]:
    """Speeds, standard deviation, blades and centre of one rotor, as cells of the table."""
    rpm = np.percentile([estimate.rpm for estimate in estimates], _PERCENTILES)
    blades = np.bincount([estimate.blade_count for estimate in estimates]).argmax()
    x, y = estimates[-1].center
    return (
        *(f"{value:.{3 if abs(value) < 10_000 else 2}f}" for value in rpm),
        f"{np.median([estimate.rpm_std for estimate in estimates]):.3f}",
        str(blades) if blades else "unknown",
        f"{x:.1f} {y:.1f}",
    )
