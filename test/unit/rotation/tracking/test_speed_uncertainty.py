from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from rotor_events import SIZE, IdealRotor, events_of
from scipy import stats

from evio_ros.ellipse import Ellipse
from evio_ros.rotation.detector import RotationDetector
from evio_ros.rotation.detector_parameters import RotationDetectorParameters
from evio_ros.rotation.tracking.phase_filter import Motion, PhaseFilter
from evio_ros.rotation.tracking.speed_uncertainty import (
    ErrorBudget,
    FilterClaim,
    InnovationScale,
    SlowErrors,
    TemplateDrift,
    speed_variance,
    variance_parts,
    within_probability,
)
from evio_ros.rotation.tracking.template import Drift
from evio_ros.windowing import windows

NO_SLOW_ERRORS = SlowErrors(0.0, 0.0, 0.0, 0.0)
NOTHING = FilterClaim(0.0, 0.0, 0.0, 0.0, 0.0)
USUAL = FilterClaim(1e-4, 1e-8, 0.0, 0.0, 0.0)
ROTORS = 32
FRACTION_1, FRACTION_2 = math.erf(1 / math.sqrt(2)), math.erf(2 / math.sqrt(2))


def _random_rotor(rng: np.random.Generator) -> IdealRotor:
    center = (160 + rng.uniform(-9, 9), 120 + rng.uniform(-9, 9))
    return IdealRotor(
        rng.choice([-1, 1]) * rng.uniform(15, 60),
        int(rng.integers(2, 5)),
        Ellipse(center, (60.0, rng.uniform(35, 60)), rng.uniform(-1.5, 1.5)),
        event_rate_hz=10 ** rng.uniform(4.8, 5.4),
    )


def _variance_of(claim: FilterClaim, window_s: float, slow: SlowErrors) -> float:
    return speed_variance(*variance_parts(claim, window_s, slow))


def _normalised_errors(seed: int, window_us: int, step_us: int) -> list[float]:
    """Errors over their claimed standard deviation, of windows far apart."""
    rotor = _random_rotor(np.random.default_rng(seed))
    end_us = 400_000
    parameters = RotationDetectorParameters(
        window_us=window_us, step_us=step_us, acquisition_us=150_000
    )
    detector = RotationDetector(SIZE, parameters)
    errors = []
    events = events_of([rotor], end_us, seed=seed)
    for window in windows([events], SIZE, step_us, 0, end_us):
        for estimate in detector.process(window):
            if window.end_us in (300_000, 400_000) and estimate.window_us == window_us:
                truth = rotor.mean_rpm(window.end_us - window_us, window.end_us)
                errors.append((estimate.rpm - truth) / estimate.rpm_std)
    return errors


@pytest.mark.parametrize(("window_us", "step_us"), [(20_000, 20_000), (100_000, 50_000)])
def test_as_many_errors_are_within_the_standard_deviation_as_should_be(
    window_us: int, step_us: int
) -> None:
    """Rotors, speeds and seeds with which nothing was fitted."""
    errors = [_normalised_errors(seed, window_us, step_us) for seed in range(7000, 7000 + ROTORS)]
    size = np.abs(np.concatenate(errors))
    assert len(size) > 1.8 * ROTORS
    # Bounds that a right standard deviation fails once in a thousand. Two errors of one rotor are
    # not quite independent: as many as rotors are.
    for bound, fraction in ((1.0, FRACTION_1), (2.0, FRACTION_2)):
        low, high = stats.binom.ppf((5e-4, 1 - 5e-4), ROTORS, fraction) / ROTORS
        assert low <= float((size < bound).mean()) <= high


def test_white_innovations_leave_the_variance_as_it_is() -> None:
    scale = InnovationScale()
    rng = np.random.default_rng(3)
    factors = []
    for innovation in rng.normal(size=4000):
        scale.update(float(innovation))
        factors.append(scale.variance_factor)
    assert np.mean(factors[500:]) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("size", [0.3, 2.0])
def test_the_variance_follows_the_size_of_innovations(size: float) -> None:
    scale = InnovationScale()
    factors = []
    for innovation in np.random.default_rng(3).normal(0.0, size, 4000):
        scale.update(float(innovation))
        factors.append(scale.variance_factor)
    # Little is lost to the bound on single innovations.
    assert np.mean(factors[500:]) == pytest.approx(size**2, rel=0.25)


def test_an_outlier_is_forgotten() -> None:
    scale = InnovationScale()
    scale.update(1e9)
    assert scale.variance_factor < 5.0
    for index in range(400):
        scale.update((-1.0) ** index)
    assert scale.variance_factor == pytest.approx(1.0, abs=1e-6)


def test_a_drift_of_the_phase_is_a_speed_over_the_window() -> None:
    still = _variance_of(NOTHING, 1.0, NO_SLOW_ERRORS)
    added = [
        _variance_of(NOTHING, window_s, replace(NO_SLOW_ERRORS, drift_rad=drift_rad)) - still
        for window_s, drift_rad in ((1.0, -1e-3), (1.0, 1e-3), (2.0, 1e-3), (1.0, 3e-3))
    ]
    # An angle over a time is a speed; the sense does not matter.
    deviations = np.sqrt(added)
    assert 0.5e-3 < deviations[0] < 2e-3
    assert deviations[1:] == pytest.approx(deviations[0] * np.array((1.0, 0.5, 3.0)), rel=0.01)
    assert still == 0.0


def test_what_an_unknown_disc_and_a_fading_guess_add() -> None:
    def variance(**changed: object) -> float:
        return _variance_of(USUAL, 0.1, replace(NO_SLOW_ERRORS, **changed))  # type: ignore[arg-type]

    plain = variance()
    assert variance(disc_variance=1e-6) > plain
    assert variance(slice_variance=1e-6) == plain
    # While the first guess fades, the phase goes on to the angle of what was learned.
    assert variance(faded=0.1) == plain < variance(faded=0.1, slice_variance=1e-6)


def test_what_was_observed_takes_the_place_of_what_the_filter_claims() -> None:
    """Of errors that were ten times as large in the square as expected, or a tenth."""
    plain = _variance_of(USUAL, 0.1, NO_SLOW_ERRORS)
    for ratio in (0.1, 10.0):
        soon, late = (
            _variance_of(
                replace(USUAL, observed_ratio=ratio, observed_s=seconds), 0.1, NO_SLOW_ERRORS
            )
            for seconds in (0.05, 100.0)
        )
        assert min(plain, late) < soon < max(plain, late)


def test_a_wobble_counts_until_errors_were_observed() -> None:
    wobbling = replace(USUAL, wobble_variance=1e-6)
    added = [
        _variance_of(replace(wobbling, observed_s=seconds), 0.1, NO_SLOW_ERRORS)
        - _variance_of(replace(USUAL, observed_s=seconds), 0.1, NO_SLOW_ERRORS)
        for seconds in (0.0, 1e3)
    ]
    # At both ends of the window.
    assert added[0] == pytest.approx(2 * 1e-6 / 0.1**2)
    assert added[1] < 1e-3 * added[0]


@pytest.mark.parametrize("ratio", [0.1, 0.5, 1.0, 3.0, 20.0])
def test_probability_is_that_of_students_t(ratio: float) -> None:
    expected = 1 - 2 * stats.t.sf(ratio, 4)
    assert within_probability(ratio, 1.0) == pytest.approx(expected, rel=1e-9)
    assert within_probability(3 * ratio, 3.0) == pytest.approx(expected, rel=1e-9)


def test_an_exact_speed_is_surely_within_the_bound() -> None:
    assert within_probability(0.1, 0.0) == 1.0


def test_drifts_add_up_and_the_first_guess_fades() -> None:
    drift = TemplateDrift(0, 0.5)
    drift.add(40_000, Drift(1e-3, 0.4))
    drift.add(80_000, Drift(2e-3, 0.1))
    assert drift.since(0) == pytest.approx((3e-3, 0.4))
    assert drift.since(40_000) == pytest.approx((2e-3, 0.3))
    assert drift.since(80_000) == (0.0, 0.0)


def test_without_updates_there_is_no_drift() -> None:
    assert TemplateDrift(0, 0.5).since(0) == (0.0, 0.0)


def test_drifts_are_known_over_the_longest_window_and_then_forgotten() -> None:
    drift = TemplateDrift(0, 0.5)
    for index in range(1, 1000):
        drift.add(40_000 * index, Drift(1e-3, 0.5))
    # The longest window has 2 s.
    assert drift.since(40_000 * 949)[0] == pytest.approx(50e-3)
    assert drift.since(0)[0] < 0.1


def _variance(budget: ErrorBudget, window_us: int) -> float:
    """Of a steady rotor that was followed for a second."""
    motion = Motion(0, (0.0, 100.0, 0.0), (0.01, 0.1, 0.1))
    phase = PhaseFilter(motion, 0.02, window_us)
    for index in range(200):
        phase.update(5_000, 100.0 * (index + 0.5) * 5e-3, 1e-8)
    window = phase.window()
    assert window.length_us == window_us
    return budget.take_window(1_000_000, window, 1.0, 0.0)


def test_a_poorly_known_disc_and_a_fading_guess_add() -> None:
    budget = ErrorBudget(0, 0.5)
    plain = _variance(budget, 1_000_000)
    budget.add_slice(1e-6, 1e-6)
    placed = _variance(budget, 1_000_000)
    budget.add_drift(900_000, Drift(0.0, 0.1))
    assert plain < placed < _variance(budget, 1_000_000)


def test_innovations_larger_than_expected_add() -> None:
    usual, wild = ErrorBudget(0, 0.5), ErrorBudget(0, 0.5)
    for innovation in np.random.default_rng(1).normal(size=200):
        usual.add_innovation(float(innovation))
        wild.add_innovation(float(3.0 * innovation))
    assert _variance(wild, 20_000) > 2.0 * _variance(usual, 20_000)
