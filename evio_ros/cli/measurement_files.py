"""Writing measurements as JSON lines and as CSV."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from evio_ros.pipeline import Measurement
from evio_ros.rotation.estimate import RotorEstimate

__all__ = ["open_csv", "open_json_lines", "rows"]

Sink = Callable[[Measurement], None]

CSV_COLUMNS = (
    "t_us",
    "window_us",
    "id",
    "rpm",
    "rpm_std",
    "blade_count",
    "angle_rad",
    "turns",
    "center_x",
    "center_y",
    "axis_a",
    "axis_b",
    "tilt_rad",
    "confidence",
    "events",
)


def rows(measurement: Measurement) -> list[dict[str, Any]]:
    """What a measurement says as plain values: one row for each rotor, or one with id None."""
    if not measurement.rotors:
        return [{"t_us": measurement.t_us, "window_us": measurement.window_us, "id": None}]
    return [_row(rotor) for rotor in measurement.rotors]


def _row(rotor: RotorEstimate) -> dict[str, Any]:
    return {
        "t_us": rotor.t_us,
        "window_us": rotor.window_us,
        "id": rotor.id,
        "rpm": rotor.rpm,
        "rpm_std": rotor.rpm_std,
        "blade_count": rotor.blade_count,
        "angle_rad": rotor.angle_rad,
        "turns": rotor.turns,
        "center": list(rotor.center),
        "axes": list(rotor.axes),
        "tilt_rad": rotor.tilt_rad,
        "confidence": rotor.confidence,
        "events": rotor.events,
    }


@contextmanager
def open_json_lines(path: str) -> Iterator[Sink]:
    """Open a writer of JSON lines; `-` is the standard output.

    Raises:
        OSError: where the file cannot be opened or written.
    """
    if path == "-":
        yield lambda measurement: _write_json(measurement, sys.stdout)
        return
    with Path(path).open("w", encoding="utf-8") as file:
        yield lambda measurement: _write_json(measurement, file)


def _write_json(measurement: Measurement, file: TextIO) -> None:
    for row in rows(measurement):
        file.write(json.dumps(row) + "\n")


@contextmanager
def open_csv(path: Path) -> Iterator[Sink]:
    """Open a writer of a CSV table with a header; empty cells where no rotor was seen.

    Raises:
        OSError: where the file cannot be opened or written.
    """
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, CSV_COLUMNS)
        writer.writeheader()

        def write(measurement: Measurement) -> None:
            for row in rows(measurement):
                writer.writerow(_flat(row))

        yield write


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    flat = dict(row)
    if "center" in flat:
        flat["center_x"], flat["center_y"] = flat.pop("center")
        flat["axis_a"], flat["axis_b"] = flat.pop("axes")
    return flat
