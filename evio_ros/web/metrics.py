"""The dashboard's numbers in Prometheus's text format, version 0.0.4."""

from __future__ import annotations

import math
from collections.abc import Mapping

from evio_ros.web.models import StatusModel

__all__ = ["metrics_text"]

_ROTOR = {
    "rpm": "Speed of a rotor in turns a minute, signed.",
    "rpm_std": "Standard deviation of the speed in turns a minute.",
    "turns": "Turns since the rotor was first seen, signed.",
    "confidence": "Probability that the speed is right to 1 %.",
    "blade_count": "Blades of a rotor, 0 for unknown.",
}
_LEVELS = ("ok", "warn", "error", "stale")


def metrics_text(status: StatusModel, counts: Mapping[str, tuple[str, float]]) -> str:
    """All metrics, one line each.

    Args:
        status: what is the case now.
        counts: further ones, name to what it is and its value; names that end in _total count on.
    """
    lines = _family("evio_rotors", "Rotors in view.", {"": len(status.rotors)})
    lines += _family("evio_stale", "1 if no rotation states arrive.", {"": int(status.is_stale)})
    if status.event_rate_hz is not None:
        lines += _family("evio_events_hertz", "Events a second.", {"": status.event_rate_hz})
    for name, text in _ROTOR.items():
        values = {f'{{rotor="{one.id}"}}': getattr(one, name) for one in status.rotors}
        lines += _family(f"evio_rotor_{name}", text, values)
    levels = {f'{{node="{_escaped(one.name)}"}}': _LEVELS.index(one.level) for one in status.health}
    lines += _family("evio_node_level", "0 ok, 1 warn, 2 error, 3 stale.", levels)
    for name, (text, value) in counts.items():
        lines += _family(f"evio_dashboard_{name}", text, {"": value})
    return "\n".join(lines) + "\n"


def _family(name: str, text: str, values: Mapping[str, float | None]) -> list[str]:
    kind = "counter" if name.endswith("_total") else "gauge"
    lines = [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
    return lines + [f"{name}{labels} {_number(value)}" for labels, value in values.items()]


def _number(value: float | None) -> str:
    return repr(value) if value is not None and math.isfinite(value) else "NaN"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
