from __future__ import annotations

import math

import numpy as np
import pytest

from evio_ros.rotation.tracking.likelihood import Score
from evio_ros.rotation.tracking.over_dispersion import OverDispersion

SLICE_S, INFORMATION = 0.005, 1e6
"""A slice of which each event is independent has a phase known to a milliradian."""


def score(scatter: float) -> Score:
    """Sectors that scatter by so much, 40 of them beyond the unknowns."""
    return Score(np.zeros(5), np.zeros((5, 5)), scatter, 45, 0.0)


def test_it_follows_what_sectors_and_innovations_show() -> None:
    dispersion = OverDispersion()
    rng = np.random.default_rng(6)
    for slices in range(3000):
        dispersion.update_sectors(score(5.0 * rng.chisquare(40)), 100, slices)
        # Innovations of which the variance was expected four times too small.
        dispersion.update_phase(4.0 * rng.normal() ** 2 / dispersion.phase, slices)
    assert dispersion.sectors == pytest.approx(5.0, rel=0.15)
    assert dispersion.phase == pytest.approx(4.0, rel=0.4)


def white_of(motion: np.ndarray, std_rad: float, times_s: np.ndarray) -> float:
    """What is learned of white noise of a standard deviation on top of a motion."""
    dispersion = OverDispersion()
    rng = np.random.default_rng(3)
    learned = []
    for t, phase in zip(times_s, motion + rng.normal(0.0, std_rad, len(motion)), strict=True):
        dispersion.update_white(float(t), float(phase), INFORMATION)
        learned.append(dispersion.white)
    return float(np.mean(learned[len(learned) // 2 :]))


@pytest.mark.parametrize("uneven", [0.0, 0.3])
def test_white_noise_is_told_from_any_smooth_motion(uneven: float) -> None:
    """A milliradian squared times the information is 1, three milliradians make it 9."""
    rng = np.random.default_rng(4)
    t = SLICE_S * (np.arange(4000) + uneven * rng.uniform(-0.5, 0.5, 4000))
    for motion in (100.0 * t, 30.0 * t - 40.0 * t**2, 30.0 * t + 0.3 * np.sin(8.0 * t)):
        # Errors beyond three standard deviations are bounded, which takes off a few percent.
        assert white_of(motion, 1e-3, t) == pytest.approx(1.0, rel=0.2)
        assert white_of(motion, 3e-3, t) == pytest.approx(9.0, rel=0.2)


def test_an_outlier_is_bounded() -> None:
    usual, hit = OverDispersion(), OverDispersion()
    rng = np.random.default_rng(5)
    for slices, error in enumerate(rng.normal(0.0, 1e-3, 200)):
        for dispersion, jump in ((usual, 0.0), (hit, 1.0)):
            is_hit = slices == 100
            dispersion.update_phase(1e9 * jump if is_hit else 1.0, slices)
            dispersion.update_white(slices * SLICE_S, error + is_hit * jump, INFORMATION)
    assert hit.phase < 1.5 * usual.phase
    assert hit.white < 2.5 * usual.white


def test_innovations_are_noise_up_to_the_wobble_that_patterns_have() -> None:
    """Of smooth motion with large innovations, a degree or so is noise and the rest is motion."""
    dispersion = OverDispersion()
    for slices in range(500):
        dispersion.update_white(slices * SLICE_S, 0.0, INFORMATION)
        dispersion.update_phase(9.0, slices)
    assert math.radians(0.5) < math.sqrt(dispersion.phase_variance(INFORMATION)) < math.radians(2)


def test_less_of_a_wobble_is_noise_where_blades_pass_slowly() -> None:
    quick, slow = OverDispersion(), OverDispersion()
    quick.begin(INFORMATION, 0.0)
    slow.begin(INFORMATION, 0.0, 0.1)
    for slices in range(500):
        for dispersion in (quick, slow):
            dispersion.update_white(slices * SLICE_S, 0.0, INFORMATION)
            dispersion.update_phase(9.0, slices)
    shares = slow.phase_variance(INFORMATION) / quick.phase_variance(INFORMATION)
    assert shares == pytest.approx(0.1)


def test_white_noise_is_noise_however_large_it_is() -> None:
    dispersion = OverDispersion()
    rng = np.random.default_rng(7)
    for slices, error in enumerate(rng.normal(0.0, 0.04, 2000)):
        dispersion.update_white(slices * SLICE_S, error, INFORMATION)
        variance = dispersion.phase_variance(INFORMATION)
        dispersion.update_phase(error**2 / variance, slices)
    assert math.sqrt(dispersion.phase_variance(INFORMATION)) == pytest.approx(0.04, rel=0.3)


def test_what_surprises_rarely_is_a_manoeuvre_and_what_surprises_often_is_not() -> None:
    rare, often = OverDispersion(), OverDispersion()
    found = [rare.is_manoeuvre(100.0 if slices % 100 == 99 else 1.0) for slices in range(1000)]
    assert sum(found) == 10
    assert sum(often.is_manoeuvre(100.0) for _ in range(1000)) < 50


def test_a_motion_that_begins_anew_knows_its_noise() -> None:
    known = OverDispersion()
    for slices in range(500):
        known.update_white(slices * SLICE_S, 1e-4 * (slices % 3), INFORMATION)
    continued = known.continued()
    assert continued.white == known.white
    # Its phases do not go on from those before.
    continued.update_white(1000 * SLICE_S, 77.0, INFORMATION)
    assert continued.white == known.white


def test_a_first_slice_may_be_far_off() -> None:
    dispersion = OverDispersion()
    dispersion.begin(INFORMATION, 0.02)
    assert dispersion.phase_variance(INFORMATION) > 1e-4
    dispersion.begin(INFORMATION, 1.0)
    assert dispersion.phase_variance(INFORMATION) < 1e-3


def test_scatter_is_large_where_the_disc_is_wrong_and_not_where_events_are_dense() -> None:
    right, wrong, dense = OverDispersion(), OverDispersion(), OverDispersion()
    for slices in range(500):
        right.update_sectors(score(50.0), 1000, slices)
        wrong.update_sectors(score(800.0), 1000, slices)
        dense.update_sectors(score(200.0), 10_000, slices)
    assert wrong.over_contrast(1.0) > 10 * right.over_contrast(1.0)
    assert dense.over_contrast(1.0) < right.over_contrast(1.0)
    assert right.over_contrast(0.5) == pytest.approx(2 * right.over_contrast(1.0))
