from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest

from evio_ros.rotation.tracking.error_budget import REMEMBERED_US, SAMPLED_US, ErrorMemory
from evio_ros.rotation.tracking.phase_filter import PhaseFilter
from evio_ros.rotation.tracking.speed_uncertainty import SHEAR_RAD_S, SHEAR_TIME_S
from evio_ros.rotation.tracking.template_drift import TemplateDrift


@dataclass
class Moving:
    """A disc of which only the motion is asked for."""

    motion: tuple[float, float]


def _filter(speed: float = 100.0) -> PhaseFilter:
    """One that has followed a steady rotor for a second."""
    phase = PhaseFilter(5e-3, 200, 0.0, speed, 0.0, np.array((0.01, 0.1, 0.1)), 0.02)
    for index in range(200):
        phase.update(speed * (index + 0.5) * 5e-3, 1e-8)
    return phase


def _variance(memory: ErrorMemory, slices: int) -> float:
    return memory.speed_variance(1_000_000, slices, _filter(), 0.0, 1.0)


def _memory() -> ErrorMemory:
    return ErrorMemory(TemplateDrift(0, 0.5))


def test_what_the_disc_did_within_the_window_counts() -> None:
    calm, tilted = _memory(), _memory()
    for t_us in range(0, 1_000_001, 5_000):
        calm.see_disc(t_us, Moving((0.0, 0.0)))
        tilted.see_disc(t_us, Moving((0.0, 0.3 if t_us < 500_000 else 0.0)))
    # In the last 100 ms it did not change its shape, in the last second half of the time.
    assert _variance(tilted, 20) == _variance(calm, 20)
    added = _variance(tilted, 200) - _variance(calm, 200)
    apart = -math.expm1(-0.5 / SHEAR_TIME_S**2)
    assert added == pytest.approx(2 * (SHEAR_RAD_S * 0.3) ** 2 / 2 * apart, rel=0.1)


def test_motion_is_sampled_and_forgotten() -> None:
    memory = _memory()
    for t_us in range(0, 10_000_000, 5_000):
        memory.see_disc(t_us, Moving((1.0, 1.0)))
    assert len(memory._motions) == pytest.approx(REMEMBERED_US / SAMPLED_US, abs=2)


def test_without_any_motion_seen_nothing_is_added() -> None:
    still = _memory()
    still.see_disc(900_000, Moving((0.0, 0.0)))
    assert _variance(_memory(), 20) == _variance(still, 20)


def test_a_poorly_known_disc_and_a_fading_guess_add() -> None:
    memory = _memory()
    plain = _variance(memory, 200)
    memory.see_slice(1e-6, 1e-6)
    placed = _variance(memory, 200)
    memory.drift.learn(900_000, np.zeros((4, 2)), np.ones((4, 2)), 0.1)
    assert plain < placed < _variance(memory, 200)
