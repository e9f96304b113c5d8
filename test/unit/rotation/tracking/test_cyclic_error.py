"""Errors of the phase that come again with every turn, against phases made by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evio_ros.rotation.tracking.cyclic_error import CyclicError

PERIOD_S, PHASES_A_TURN = 0.2, 20


def wobble(phase: np.ndarray | float) -> np.ndarray | float:
    return 0.05 * np.cos(phase - 0.4) + 0.02 * np.sin(2 * phase)


def learned(
    turns: float, sense: int = 1, noise_rad: float = 0.0, size: float = 1.0, braking: float = 0.0
) -> CyclicError:
    """What is learned of a rotor that turns evenly, or brakes, and seems to wobble."""
    error = CyclicError()
    generator = np.random.default_rng(4)
    for time_s in np.arange(round(turns * PHASES_A_TURN)) * (PERIOD_S / PHASES_A_TURN):
        turned = time_s / PERIOD_S - braking * time_s**3
        phase = 0.7 + sense * 2 * math.pi * turned
        seen = phase + size * wobble(phase) + noise_rad * generator.normal()
        error.add(float(time_s), float(seen), True)
    return error


@pytest.mark.parametrize("sense", [1, -1])
def test_what_comes_again_is_known_after_two_turns(sense: int) -> None:
    assert not learned(1.9, sense).is_known
    error = learned(2.2, sense)
    assert error.is_known
    for phase in np.linspace(-7.0, 7.0, 30):
        assert error.at(phase) == pytest.approx(wobble(phase), abs=6e-3)
    assert error.size_rad == pytest.approx(math.hypot(0.05, 0.02) / math.sqrt(2), rel=0.1)


def test_noise_is_no_error_that_comes_again() -> None:
    error = learned(12.0, noise_rad=0.01, size=0.0)
    assert not error.is_known
    assert error.at(1.0) == 0.0


def test_a_change_of_speed_is_no_error_that_comes_again() -> None:
    """It turns by less and less, up to a tenth of a turn too little."""
    assert not learned(2.2, size=0.0, braking=1.2).is_known


def test_the_variance_tells_the_noise_of_what_is_known() -> None:
    error = learned(2.2, noise_rad=0.004)
    assert error.is_known
    # Two turns and, between phases, two of them are averaged.
    assert 0.5e-6 < error.variance < 16e-6
    assert learned(30.0, noise_rad=0.004).is_known


def test_changes_add_up_to_what_is_known() -> None:
    error, sum_of_changes = CyclicError(), 0.0
    for time_s in np.arange(5 * PHASES_A_TURN) * (PERIOD_S / PHASES_A_TURN):
        phase = 2 * math.pi * time_s / PERIOD_S
        change = error.add(float(time_s), float(phase + wobble(phase)), True)
        sum_of_changes += change.at(2.0) if change is not None else 0.0
    assert sum_of_changes == pytest.approx(error.at(2.0))


def test_nothing_is_learned_where_it_is_not_wanted_nor_across_an_interruption() -> None:
    unwanted, interrupted = CyclicError(), CyclicError()
    for time_s in np.arange(3 * PHASES_A_TURN) * (PERIOD_S / PHASES_A_TURN):
        seen = float(2 * math.pi * time_s / PERIOD_S + wobble(2 * math.pi * time_s / PERIOD_S))
        assert unwanted.add(float(time_s), seen, False) is None
        if abs(time_s - 1.5 * PERIOD_S) < 1e-6:
            interrupted.interrupt()
        interrupted.add(float(time_s), seen, True)
    assert not unwanted.is_known
    assert not interrupted.is_known
    known = learned(3.0)
    assert known.continued().at(1.0) == known.at(1.0)
