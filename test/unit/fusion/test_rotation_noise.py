from __future__ import annotations

import math

import numpy as np
import pytest

from evio_ros.fusion.rotation_noise import jerk_weights, unknown_noise

STEP_S, STD = 0.05, 1.8
WALKS = np.geomspace(1e-4, 10.0, 11)
CALM = jerk_weights(WALKS, 1e-4)


def innovations(speed: float, phase: float, noise, jerk_s: float = 1e4) -> np.ndarray:
    """Of speed and phase, for each strength of jerk; a quarter is the state's own variance."""
    added = 0.25 + jerk_s * WALKS**2
    columns = (speed, noise.speed_factor + added, phase, noise.phase_factor + added)
    return np.stack([np.broadcast_to(one, len(WALKS)) for one in columns], axis=1)


@pytest.mark.parametrize("true_factor", [0.25, 1.0, 4.0])
def test_a_detector_that_claims_too_much_or_too_little_is_found_out(true_factor):
    random = np.random.default_rng(3)
    found = []
    for _ in range(40):
        noise = unknown_noise(STD)
        for _ in range(60):
            speed = random.normal() * math.sqrt(0.25 + true_factor)
            phase = random.normal() * math.sqrt(1.25)
            told = innovations(speed, phase, noise)
            noise = noise.after(told, (1.0, 1.0), CALM, STEP_S, STD)
        found.append(np.log2((noise.speed_factor, noise.phase_factor)))
    assert np.mean(found, axis=0) == pytest.approx((math.log2(true_factor), 0.0), abs=0.8)


def test_what_the_detector_has_no_part_in_tells_nothing_of_it():
    noise = unknown_noise(STD)
    for value in (5.0, -7.0, 0.1):
        told = innovations(value, 0.0, noise)
        noise = noise.after(told, (1e-9, 1e-9), CALM, STEP_S, STD)
    assert noise.speed_factor == pytest.approx(1.0, abs=0.01)


def test_a_manoeuvre_is_not_taken_for_noise():
    """Both values far off is what jerk does; one of them alone is what it does not do."""
    noise = unknown_noise(STD)
    for _ in range(3):
        noise = noise.after(innovations(30.0, 30.0, noise), (1.0, 1.0), CALM, STEP_S, STD)
    assert noise.speed_factor < 2.0
    alone = unknown_noise(STD)
    for _ in range(3):
        alone = alone.after(innovations(3.0, 0.1, alone), (1.0, 1.0), CALM, STEP_S, STD)
    assert alone.speed_factor > 2.0


def test_claims_that_are_believed_stay():
    noise = unknown_noise(0.0)
    for _ in range(20):
        noise = noise.after(innovations(9.0, 0.0, noise), (1.0, 1.0), CALM, STEP_S, 0.0)
    assert noise.speed_factor == pytest.approx(1.0)
    assert noise.phase_factor == pytest.approx(1.0)


def test_what_was_learned_fades():
    noise = unknown_noise(STD)
    for _ in range(20):
        noise = noise.after(innovations(3.0, 0.5, noise), (1.0, 1.0), CALM, STEP_S, STD)
    learned = noise.speed_factor
    later = noise.after(innovations(0.0, 0.0, noise), (1e-9, 1e-9), CALM, 10.0, STD)
    assert learned > 3.0
    assert later.speed_factor == pytest.approx(1.0, rel=0.1)


@pytest.mark.parametrize("value", [0.0, 1e-200, 1e100])
def test_factors_stay_numbers_whatever_comes(value):
    noise = unknown_noise(STD)
    for _ in range(50):
        noise = noise.after(innovations(value, -value, noise), (1.0, 1.0), CALM, STEP_S, STD)
    assert 0.0 < noise.speed_factor < 1e3
    assert 0.0 < noise.phase_factor < 1e3


def test_weights_of_jerk_are_greatest_where_it_was_learned():
    weights = jerk_weights(WALKS, float(WALKS[4]))
    assert weights.argmax() == 4
    assert weights.sum() == pytest.approx(1.0)
    assert jerk_weights(np.full(3, 0.5), 1e-9).sum() == pytest.approx(0.01, abs=1.0)
