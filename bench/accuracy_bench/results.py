"""Rows of figures, in memory and in files."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Row:
    """Figures of one scene, method and window; see `evio_ros.accuracy_scores.Summary`."""

    scene: str
    method: str
    window_ms: float
    figures: dict[str, Any]

    @property
    def key(self) -> tuple[str, str, float]:
        """What the row is about."""
        return self.scene, self.method, self.window_ms


def write_rows(path: Path, rows: list[Row]) -> None:
    """Write rows as JSON, one on a line, so that differences are readable."""
    lines = ",\n".join(json.dumps(_short(asdict(row))) for row in rows)
    path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def read_rows(path: Path) -> list[Row]:
    """Read what `write_rows` wrote."""
    return [Row(**row) for row in json.loads(path.read_text(encoding="utf-8"))]


def _short(value: Any) -> Any:
    """The value with floats of four digits."""
    if isinstance(value, dict):
        return {name: _short(item) for name, item in value.items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value
