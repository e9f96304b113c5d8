"""Writing measurements as JSON lines and as CSV; files are written atomically."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from evio_ros.atomic_file import OutputFile, atomic_file
from evio_ros.estimate import Measurement, RotorEstimate

__all__ = ["json_lines", "open_csv", "open_json_lines"]

_Sink = Callable[[Measurement], None]

_CSV_COLUMNS = (
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
    "looked_back",
)


def _rows(measurement: Measurement) -> list[dict[str, Any]]:
    """A measurement as plain values: one row for each rotor, or a single row with id None."""
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
        "looked_back": rotor.looked_back,
    }


@contextmanager
def open_json_lines(path: str) -> Iterator[_Sink]:
    """Open a writer of JSON lines; `-` is the standard output, which is flushed after each line.

    Yields:
        A function that writes one measurement.

    Raises:
        SourceError: if the file cannot be opened or written.
    """
    with _opened(path) as file:
        yield lambda measurement: _write_json(measurement, file)


@contextmanager
def _opened(path: str | Path) -> Iterator[OutputFile]:
    if path == "-":
        yield OutputFile("standard output", sys.stdout.buffer)
        return
    with atomic_file(path) as file:
        yield file


def _write_json(measurement: Measurement, file: OutputFile) -> None:
    file.write(json_lines(measurement))
    file.flush()


def json_lines(measurement: Measurement) -> str:
    """The lines that `open_json_lines` writes for one measurement."""
    return "".join(json.dumps(row) + "\n" for row in _rows(measurement))


@contextmanager
def open_csv(path: str | Path) -> Iterator[_Sink]:
    """Open a writer of a CSV table with a header; cells are empty in windows without a rotor.

    `-` is the standard output, as in `open_json_lines`.

    Yields:
        A function that writes one measurement.

    Raises:
        SourceError: if the file cannot be opened or written.
    """
    with _opened(path) as file:
        writer = csv.DictWriter(file, _CSV_COLUMNS)
        writer.writeheader()
        yield lambda measurement: _write_rows(measurement, writer, file)


def _write_rows(measurement: Measurement, writer: csv.DictWriter[str], file: OutputFile) -> None:
    writer.writerows(map(_flat, _rows(measurement)))
    file.flush()


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    flat = dict(row)
    if "center" in flat:
        flat["center_x"], flat["center_y"] = flat.pop("center")
        flat["axis_a"], flat["axis_b"] = flat.pop("axes")
        flat["looked_back"] = int(flat["looked_back"])
    return flat
