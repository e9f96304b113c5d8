"""Scoring, checked with figures worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from rotor_estimates import FAN

from evio_ros.ellipse import Ellipse
from evio_ros.evaluation.accuracy import score
from evio_ros.simulation.scene import Path
from evio_ros.simulation.speed import SpeedProfile
from evio_ros.simulation.truth import RotorTruth, Truth

WINDOW_US = 100_000
DISC = Ellipse((100.0, 80.0), (40.0, 40.0), 0.0)
ESTIMATE = replace(FAN, rpm=600.0, rpm_std=1.0, confidence=0.9, center=DISC.center, axes=DISC.axes)


def truth_of(*speeds: SpeedProfile) -> Truth:
    rotors = [
        RotorTruth(i, 3, 0.0, speed, Path.fixed(replace(DISC, center=(100.0 + 200 * i, 80.0))))
        for i, speed in enumerate(speeds)
    ]
    return Truth("by hand", 2_000_000, tuple(rotors))


def estimates_at(times_ms: list[int], rpm: list[float], **changes: object):
    """One estimate at each time; 10 turns a second make one turn in 100 ms."""
    return [
        (
            1000 * t,
            [replace(ESTIMATE, t_us=1000 * t, rpm=value, turns=t / 100 + 7, **changes)],
        )
        for t, value in zip(times_ms, rpm, strict=True)
    ]


STEADY = truth_of(SpeedProfile.constant(600.0))


def test_errors_and_standard_deviations_are_counted():
    results = estimates_at([400, 500, 600, 700], [600.6, 599.4, 601.5, 606.6])
    summary = score(STEADY, results, WINDOW_US).summary()
    assert summary.median == pytest.approx((0.6 + 1.5) / 2 / 600)
    assert summary.bias == pytest.approx((0.6 + 1.5) / 2 / 600)
    assert summary.worst_median == summary.median
    assert summary.claimed == pytest.approx(1 / 600)
    # 0.6, 0.6, 1.5 and 6.6 standard deviations.
    assert summary.within_1_sigma == 0.5
    assert summary.within_2_sigma == 0.75
    assert summary.right == 0.75  # 6.6 of 600 rpm is more than 1 %
    assert summary.confidence == pytest.approx(0.9)
    assert (summary.sign, summary.blades, summary.confident) == (1.0, 1.0, 1.0)
    assert (summary.rotors, summary.windows, summary.missed) == (1, 4, 0.0)
    assert (summary.identity_switches, summary.turn_slips, summary.false_rotors) == (0, 0, 0)


def test_the_truth_of_a_window_is_its_mean():
    # From 600 to 1200 rpm in a second: the mean from 0.4 to 0.5 s is that at 0.45 s.
    ramp = truth_of(SpeedProfile.through((0.0, 600.0), (1.0, 1200.0)))
    summary = score(ramp, estimates_at([500], [870.0]), WINDOW_US).summary()
    assert summary.median == pytest.approx(0.0, abs=1e-12)


def test_windows_during_acquisition_count_for_detection_only():
    results = estimates_at([100, 200, 300], [900.0, 601.0, 600.0])
    scored = score(STEADY, results, WINDOW_US)
    assert scored.rotors[0].detected_us == 200_000
    summary = scored.summary()
    assert (summary.found, summary.detection_ms, summary.windows) == (1, 200.0, 0)
    assert math.isnan(summary.median)
    assert summary.as_dict()["median"] is None


def test_a_short_window_is_no_error_but_not_missed_either():
    summary = score(STEADY, estimates_at([400], [650.0], window_us=50_000), WINDOW_US).summary()
    assert (summary.windows, summary.missed) == (1, 0.0)
    assert math.isnan(summary.median)


def test_sign_and_blades():
    results = estimates_at([400, 500], [-600.0, 600.0], blade_count=2)
    summary = score(STEADY, results, WINDOW_US).summary()
    assert (summary.sign, summary.blades, summary.p95) == (0.5, 0.0, pytest.approx(1.9))


def test_a_missed_and_a_false_rotor():
    far = replace(ESTIMATE, id=5, center=(170.0, 80.0))
    unsure = replace(ESTIMATE, id=6, center=(170.0, 20.0), confidence=0.4)
    results = [(400_000, [far, unsure]), (500_000, [far])]
    summary = score(STEADY, results, WINDOW_US).summary()
    assert (summary.windows, summary.missed, summary.found) == (2, 1.0, 0)
    assert (summary.false_rotors, summary.false_windows, summary.weak_windows) == (1, 2, 1)
    assert math.isnan(summary.detection_ms)


def test_rotors_are_told_apart_by_their_place():
    truth = truth_of(SpeedProfile.constant(600.0), SpeedProfile.constant(-900.0))
    second = replace(ESTIMATE, id=1, center=(303.0, 78.0), rpm=-909.0)
    scored = score(truth, [(400_000, [second, ESTIMATE])], WINDOW_US)
    assert [rotor.error for rotor in scored.rotors] == [
        [pytest.approx(0.0)],
        [pytest.approx(-0.01)],
    ]
    assert scored.summary().worst_median == pytest.approx(0.01)


def test_switches_of_identity_and_slips_of_turns():
    results = estimates_at([400, 500, 600, 700], [600.0] * 4)
    results[2] = (600_000, [replace(results[2][1][0], turns=13.0 + 1 / 3)])  # a blade too far
    results[3] = (700_000, [replace(results[3][1][0], turns=14.0 + 1 / 3)])
    summary = score(STEADY, results, WINDOW_US).summary()
    assert (summary.turn_slips, summary.identity_switches) == (1, 0)
    results[3] = (700_000, [replace(results[3][1][0], id=4, turns=0.0)])
    summary = score(STEADY, results, WINDOW_US).summary()
    assert (summary.turn_slips, summary.identity_switches) == (1, 1)


def test_recovery_after_a_step_and_a_stop():
    speed = SpeedProfile.through((0.0, 600.0), (0.5, 600.0), (0.5, 900.0), (1.0, 900.0), (1.0, 0.0))
    # The window to 0.6 s is wrong, those from 0.7 s on are right; standing is seen at 1.2 s.
    results = estimates_at(
        [400, 500, 600, 700, 800, 900, 1000, 1100, 1200, 1300],
        [600.0, 600.0, 700.0, 900.0, 900.0, 900.0, 900.0, 450.0, 3.0, 0.0],
    )
    scored = score(truth_of(speed), results, WINDOW_US)
    step, stop = scored.rotors[0].recoveries
    assert (step.t_us, step.rpm, step.delay_us) == (500_000, 900.0, 200_000)
    assert (stop.t_us, stop.rpm, stop.delay_us) == (1_000_000, 0.0, 200_000)
    summary = scored.summary()
    assert (summary.recovery_ms, summary.stop_ms) == (200.0, 200.0)
    # Windows that end in (0.5, 0.7) and (1.0, 1.2) s are left out of the error.
    assert summary.p95 == pytest.approx(0.0)
    assert summary.windows == 6
    # From 1.2 s on the rotor stands: errors of 3 and 0 rpm.
    assert summary.slow_rpm == pytest.approx(1.5)


def test_a_speed_that_never_comes_right():
    speed = SpeedProfile.through((0.0, 600.0), (0.5, 600.0), (0.5, 900.0))
    summary = score(truth_of(speed), estimates_at([600, 700], [600.0, 600.0]), WINDOW_US).summary()
    assert summary.recovery_ms == math.inf


def test_a_scene_without_rotors():
    truth = Truth("lamp", 1_000_000, ())
    summary = score(truth, [(400_000, [ESTIMATE]), (500_000, [])], WINDOW_US).summary()
    assert (summary.rotors, summary.found, summary.windows) == (0, 0, 0)
    assert (summary.false_rotors, summary.false_windows) == (1, 1)


def test_confidence_is_compared_with_what_was_right():
    # Right with 0.9, wrong by 5 % with 0.9, right with 0.3; one of no rotor with 0.95.
    results = [
        (400_000, [replace(ESTIMATE, confidence=0.9)]),
        (500_000, [replace(ESTIMATE, confidence=0.9, rpm=630.0)]),
        (600_000, [replace(ESTIMATE, confidence=0.3)]),
        (700_000, [replace(ESTIMATE, confidence=0.95, center=(170.0, 20.0))]),
    ]
    reliability = score(STEADY, results, WINDOW_US).reliability(bins=5)
    assert reliability == [(0, 0), (1, 1), (0, 0), (0, 0), (3, 1)]
