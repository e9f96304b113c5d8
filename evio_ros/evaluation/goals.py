"""Accuracy goals: median relative error of the speed by scene and window."""

from __future__ import annotations

__all__ = ["goal"]

_STEADY = {5: 5e-3, 20: 7e-4, 100: 3e-5, 1000: 3e-6}
_RAMP = {5: 5e-3, 20: 2e-3, 100: 1e-4, 1000: 3e-5}
_MOVING = {5: 1e-2, 20: 1e-3, 100: 5e-4, 1000: 3e-5}
_HARD = {20: 5e-3, 100: 5e-4, 1000: 1e-4}

_GOALS: dict[str, dict[int, float]] = {
    "fan_constant": _STEADY,
    "five_blades": _STEADY,
    "two_blade_60000": _STEADY,
    "fan_ramp": _RAMP,
    "fan_turning": _MOVING,
    "drone_idle": _MOVING,
    "drone_moving": _MOVING,
    "fan_dim_noisy": _HARD,
    "disc_velcro": _HARD,
    # Only for windows longer than one turn, 312 ms.
    "disc_mark": {1000: 1e-4},
}


def goal(scene: str, window_ms: float) -> float | None:
    """The goal for the median relative error; None if there is none."""
    return _GOALS.get(scene, {}).get(round(window_ms))
