from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from evio_ros.rotation.tracking.observed_errors import ObservedErrors
from evio_ros.rotation.tracking.phase_filter import Motion, PhaseFilter

SPEED = 100.0
SLICE_US = 5_000
NOISE_RAD = 3e-4
_Noise = NDArray[np.float64]


def _white(rng: np.random.Generator, slices: int) -> _Noise:
    return rng.normal(0.0, NOISE_RAD, slices)


def _lasting(rng: np.random.Generator, slices: int) -> _Noise:
    """As large as white noise, but every error is rather like the one before."""
    noise = _white(rng, slices)
    for index in range(1, slices):
        noise[index] = 0.6 * noise[index - 1] + 0.8 * noise[index]
    return noise


def _alternating(rng: np.random.Generator, slices: int) -> _Noise:
    """What comes again where slices end at two angles in turn, and little that is random."""
    return NOISE_RAD * (-1.0) ** np.arange(slices) + 0.1 * _white(rng, slices)


def _run(
    noise: _Noise, window_us: int, errors: ObservedErrors | None = None
) -> tuple[ObservedErrors, float]:
    """A rotor of constant speed with errors of its phase; what was observed, and what is true.

    Returns:
        The observed errors, and the mean square of the true ones over the claimed variances.
    """
    errors = errors or ObservedErrors()
    motion = Motion(0, (0.0, SPEED, 0.0), (0.01, 0.1, 0.1))
    phase = PhaseFilter(motion, 0.02, window_us)
    squares = []
    for index, error in enumerate(noise):
        middle_s = 1e-6 * SLICE_US * (index + 0.5)
        measured = SPEED * middle_s + float(error)
        phase.update(SLICE_US, measured, NOISE_RAD**2)
        errors.add_phase(middle_s, measured, NOISE_RAD**2, SPEED, phase.jerk_power)
        window = phase.window()
        errors.add_window(1e-6 * SLICE_US * (index + 1), window, window.variance)
        if index > len(noise) // 2:
            squares.append((window.speed - SPEED) ** 2 / window.variance)
    return errors, float(np.mean(squares))


@pytest.mark.parametrize("window_us", [5_000, 20_000, 100_000])
@pytest.mark.parametrize("noise", [_white, _lasting, _alternating])
def test_errors_of_the_past_are_seen_as_large_as_they_were(
    window_us: int, noise: Callable[[np.random.Generator, int], _Noise]
) -> None:
    """Whether they add up or cancel: by a factor of 30 in variance."""
    observed, true = zip(
        *(_run(noise(np.random.default_rng(seed), 600), window_us) for seed in range(6)),
        strict=True,
    )
    ratio = np.mean([errors.ratio for errors in observed]) / np.mean(true)
    # Of lasting errors a part lasts longer than the smoother remembers.
    assert 0.4 < ratio < 1.6


def test_nothing_is_known_before_later_phases_are() -> None:
    errors, _ = _run(_white(np.random.default_rng(0), 20), 20_000)
    assert errors.observed_s == errors.ratio == 0.0


def test_a_rotor_that_goes_on_is_observed_for_longer_up_to_a_bound() -> None:
    known = [
        _run(_white(np.random.default_rng(0), slices), 20_000)[0].observed_s
        for slices in (60, 120, 400, 1200)
    ]
    assert 0.0 < known[0] < known[1] < known[2] < 1.0
    assert known[3] == pytest.approx(known[2], rel=0.2)


def test_what_is_forgotten_counts_no_more() -> None:
    errors, _ = _run(_white(np.random.default_rng(0), 100), 20_000)
    assert errors.ratio > 0.0
    errors.forget()
    assert errors.observed_s == errors.ratio == 0.0


def test_phases_before_an_interruption_are_not_compared_with_those_after() -> None:
    """A jump of the phase by half a turn would be an error of thousands of deviations."""
    rng = np.random.default_rng(0)
    errors, _ = _run(_white(rng, 200), 20_000)
    before = errors.ratio
    errors.interrupt()
    assert errors.ratio == before
    _run(_white(rng, 200) + math.pi, 20_000, errors)
    assert errors.ratio < 3 * max(before, 1.0)


def test_a_correction_of_all_phases_is_no_error() -> None:
    """An error of whole turns alone: nothing but numbers changes."""
    noise = _white(np.random.default_rng(0), 430)
    plain, _ = _run(noise, 20_000)
    moved = ObservedErrors()
    _run(noise[:400], 20_000, moved)
    moved.correct_phases(lambda phase: 2 * math.pi)
    motion = Motion(0, (0.0, SPEED, 0.0), (0.01, 0.1, 0.1))
    phase = PhaseFilter(motion, 0.02, 20_000)
    for index, error in enumerate(noise):
        middle_s = 1e-6 * SLICE_US * (index + 0.5)
        phase.update(SLICE_US, SPEED * middle_s + float(error), NOISE_RAD**2)
        if index >= 400:
            measured = SPEED * middle_s + float(error) - 2 * math.pi
            moved.add_phase(middle_s, measured, NOISE_RAD**2, SPEED, phase.jerk_power)
            window = phase.window()
            window = window._replace(end_phase=window.end_phase - 2 * math.pi)
            moved.add_window(1e-6 * SLICE_US * (index + 1), window, window.variance)
    assert moved.ratio == pytest.approx(plain.ratio, rel=1e-6)
    assert moved.observed_s == pytest.approx(plain.observed_s)
