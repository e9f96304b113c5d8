"""Rows of benchmark figures and their files."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

__all__ = ["Row", "baseline", "read_rows", "write_rows"]


@dataclass(frozen=True)
class Row:
    """Figures of one scene, method and window length; see `evio_ros.evaluation.scores.Summary`."""

    scene: str
    method: str
    window_ms: float
    figures: dict[str, Any]

    @property
    def key(self) -> tuple[str, str, float]:
        """Scene, method and window length: identifies the row."""
        return self.scene, self.method, self.window_ms


_BASELINE_FIGURES = (
    "rotors",
    "found",
    "missed",
    "false_windows",
    "identity_switches",
    "turn_slips",
    "median",
    "p95",
    "sign",
    "blades",
    "within_1_sigma",
    "within_2_sigma",
    "locked_mev_s",
)
"""The figures of a row that are stored in a baseline."""


def baseline(rows: list[Row]) -> list[Row]:
    """The rows reduced to the figures that later runs are compared with."""
    return [
        replace(row, figures={name: row.figures[name] for name in _BASELINE_FIGURES})
        for row in rows
    ]


def write_rows(path: Path, rows: list[Row]) -> None:
    """Write rows as JSON, one per line, for readable diffs."""
    lines = ",\n".join(json.dumps(_short(asdict(row))) for row in rows)
    path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def read_rows(path: Path) -> list[Row]:
    """Read a file written by `write_rows`."""
    return [Row(**row) for row in json.loads(path.read_text(encoding="utf-8"))]


def _short(value: Any) -> Any:
    """The value with floats rounded to four digits."""
    if isinstance(value, dict):
        return {name: _short(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_short(item) for item in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value
