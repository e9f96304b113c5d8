from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from rotor_estimates import FAN, STEP_US, WINDOW_US, TurningFan

from evio_ros.fusion import rotor_bank
from evio_ros.fusion.rotor_bank import BankParameters, RotorBank
from evio_ros.fusion.rotor_filter import HubVelocity
from evio_ros.fusion.rotor_model import FilterParameters
from evio_ros.rotor_state import Source
from evio_ros.tracked_object import TrackedObject


def bank(**changed: object) -> RotorBank:
    return RotorBank(FilterParameters(), BankParameters(**changed))  # type: ignore[arg-type]


def fed(fans: list[TurningFan], fused: RotorBank, ends: range, random=None) -> None:
    """Let a bank have windows."""
    for t_us in ends:
        estimates = [fan.estimate(t_us, random, id=i) for i, fan in enumerate(fans)]
        assert fused.update(t_us, estimates)


def ends(count: int, first_us: int = WINDOW_US) -> range:
    return range(first_us, first_us + count * STEP_US, STEP_US)


def test_a_measured_speed_is_the_detectors_own():
    fused, fan = bank(), TurningFan(rate=7.0)
    fed([fan], fused, ends(10), np.random.default_rng(2))
    t_us = fused.t_us
    estimate = fan.estimate(t_us + STEP_US, np.random.default_rng(9))
    fused.update(t_us + STEP_US, [estimate])
    (state,) = fused.states(t_us + STEP_US, WINDOW_US)
    assert (state.rpm, state.rpm_std) == (estimate.rpm, estimate.rpm_std)
    assert (state.window_us, state.events) == (WINDOW_US, estimate.events)
    assert math.sqrt(state.covariance[1, 1]) == pytest.approx(estimate.rpm_std)
    assert state.confidence == estimate.confidence
    assert state.sources == Source.ROTATION_DETECTOR
    assert np.linalg.eigvalsh(state.covariance)[0] > 0


def test_states_are_predicted_to_any_time():
    fused, fan = bank(), TurningFan(rpm=-1150.0, rate=15.0, velocity=(50.0, 20.0))
    fed([fan], fused, ends(40))
    for ahead_us in (1_000, 20_000, 80_000):
        t_us = fused.t_us + ahead_us
        (state,) = fused.states(t_us)
        error = math.remainder(state.angle_rad - fan.phase(t_us), 2 * math.pi)
        assert error == pytest.approx(0.0, abs=2e-3)
        assert state.rpm == pytest.approx(fan.rpm(t_us), abs=0.1)
        assert state.rpm_rate == pytest.approx(15.0 * 30 / math.pi, abs=5.0)
        assert state.center == pytest.approx(fan.center(t_us), abs=0.3)
        assert (state.t_us, state.window_us) == (t_us, 0)
        assert state.sources == Source.ROTATION_DETECTOR | Source.PREDICTION
        assert len(state.blades) == 3


def test_identity_turns_and_phase_survive_an_occlusion_and_a_new_detector():
    fused = bank()
    fans = [TurningFan(), TurningFan(rpm=-1150.0, estimate=replace(FAN, center=(600.0, 200.0)))]
    fed(fans, fused, ends(40), np.random.default_rng(1))
    before = {state.id: state for state in fused.states(fused.t_us, WINDOW_US)}
    hidden = ends(20, fused.t_us + STEP_US)
    confidences, deviations = [], []
    for t_us in hidden:
        fused.update(t_us, [])
        states = fused.states(t_us, WINDOW_US)
        assert {state.id for state in states} == {0, 1}
        assert all(state.sources == Source.PREDICTION for state in states)
        confidences.append(states[0].confidence)
        deviations.append(states[0].covariance[0, 0])
    assert confidences == sorted(confidences, reverse=True)
    assert confidences[-1] < 0.2
    assert deviations == sorted(deviations)
    # A detector that begins anew: the other way round, blades, turns and all.
    for t_us in ends(3, hidden[-1] + STEP_US):
        seen = [
            fans[1].estimate(t_us, id=0, turns=0.1),
            fans[0].estimate(
                t_us,
                id=1,
                turns=0.2,
                angle_rad=(fans[0].phase(t_us) + 2 * math.pi / 3) % (2 * math.pi),
            ),
        ]
        fused.update(t_us, seen)
        after = {state.id: state for state in fused.states(t_us, WINDOW_US)}
        for number, fan in enumerate(fans):
            turned = (fan.phase(t_us) - fan.phase(before[number].t_us)) / (2 * math.pi)
            assert after[number].turns - before[number].turns == pytest.approx(turned, abs=0.01)
    assert fused.outcomes["born"] == 2


def test_an_unseen_rotor_is_reported_no_longer_and_dropped_later():
    fused = bank(coast_s=0.3, forget_after_s=1.0)
    fed([TurningFan()], fused, ends(10))
    last_us = fused.t_us
    told = []
    for t_us in ends(25, last_us + STEP_US):
        fused.update(t_us, [])
        told.append(len(fused.states(t_us, WINDOW_US)))
    assert told == [1] * 6 + [0] * 19
    assert len(fused) == 0
    fan = TurningFan()
    fused.update(fused.t_us + STEP_US, [fan.estimate(fused.t_us + STEP_US)])
    assert [state.id for state in fused.states(fused.t_us, WINDOW_US)] == [1]


def test_a_rotor_is_reported_once_there_is_evidence():
    fused, fan = bank(birth_evidence=0.5), TurningFan()
    told = []
    for t_us in ends(4):
        fused.update(t_us, [fan.estimate(t_us, confidence=0.2)])
        told.append(len(fused.states(t_us, WINDOW_US)))
    assert told == [0, 0, 1, 1]


def test_a_rotor_seen_once_is_not_predicted():
    fused, fan = bank(), TurningFan()
    fused.update(WINDOW_US, [fan.estimate(WINDOW_US)])
    fused.update(WINDOW_US + STEP_US, [])
    assert fused.states(WINDOW_US + STEP_US, WINDOW_US) == []


def test_late_windows_are_put_in_their_place_and_double_ones_dropped():
    fused, fan = bank(), TurningFan()
    fed([fan], fused, ends(10))
    newest = fused.t_us
    fused.update(newest + 2 * STEP_US, [fan.estimate(newest + 2 * STEP_US)])
    assert not fused.update(newest + STEP_US, [fan.estimate(newest + STEP_US)])
    assert fused.t_us == newest + 2 * STEP_US
    fused.update(newest + STEP_US, [fan.estimate(newest + STEP_US)])
    assert (fused.outcomes["late_windows"], fused.outcomes["duplicate"]) == (2, 1)


@pytest.mark.parametrize("jump_us", [-1_500_000, 3_600_000_000])
def test_a_clock_that_jumps_takes_the_rotors_along(jump_us):
    fused, fan = bank(), TurningFan()
    fed([fan], fused, ends(40))
    begin_us = fused.t_us + jump_us
    for t_us in ends(6, begin_us):
        fused.update(t_us, [fan.estimate(t_us)])
    (state,) = fused.states(fused.t_us, WINDOW_US)
    assert state.id == 0
    assert state.t_us == begin_us + 5 * STEP_US
    assert state.rpm == pytest.approx(1150.0)
    assert math.remainder(state.angle_rad - fan.phase(fused.t_us), 2 * math.pi) == pytest.approx(
        0.0, abs=0.01
    )
    assert fused.outcomes["clock_jumps"] == 1


def test_nonsense_is_refused_and_counted_and_what_is_right_goes_on():
    fused, fan = bank(maximum_rotors=16), TurningFan()
    random = np.random.default_rng(4)
    for t_us in ends(40):
        good = fan.estimate(t_us, random, id=0)
        spurious = [
            replace(
                FAN,
                id=int(random.integers(1, 2**31)),
                center=(float(random.uniform(0, 1280)), float(random.uniform(400, 720))),
                rpm=float(random.uniform(-9000, 9000)),
                confidence=0.01,
            )
            for _ in range(300)
        ]
        broken = [replace(good, id=1, rpm=math.nan), replace(good, id=2, axes=(-1.0, 0.0))]
        fused.update(t_us, [*spurious, good, *broken])
    states = fused.states(fused.t_us, WINDOW_US)
    (right,) = [state for state in states if state.id == 0]
    assert right.turns == pytest.approx(fan.phase(fused.t_us) / (2 * math.pi), abs=0.01)
    assert fused.refused == {"rpm": 40, "axes": 40}
    assert fused.outcomes["beyond_limit"] > 40 * 280
    assert len(fused) <= 16


def test_objects_tell_class_and_track_for_a_while():
    fused, fan = bank(object_memory_s=0.2), TurningFan()
    fed([fan], fused, ends(5))
    drone = TrackedObject(fused.t_us, "t7", (200.0, 100.0, 500.0, 400.0), "drone", 0.8, fused.t_us)
    fused.note_objects([drone])
    (state,) = fused.states(fused.t_us, WINDOW_US)
    assert (state.class_id, state.track_id) == ("drone", "t7")
    assert Source.RVT_DETECTOR in state.sources
    fed([fan], fused, ends(6, fused.t_us + STEP_US))
    (state,) = fused.states(fused.t_us, WINDOW_US)
    assert (state.class_id, state.track_id) == ("", "")


def test_velocities_of_the_hub_are_taken_in():
    fused, fan = bank(), TurningFan(velocity=(60.0, 0.0))
    fused.update(WINDOW_US, [fan.estimate(WINDOW_US, velocity=(0.0, 0.0))])
    fused.note_velocity(0, HubVelocity(WINDOW_US, (60.0, 0.0), np.eye(2)))
    (state,) = fused.states(WINDOW_US, WINDOW_US)
    assert state.velocity == pytest.approx((60.0, 0.0), abs=2.0)
    assert Source.MOTION in state.sources
    assert fused.outcomes["velocity_accepted"] == 1


def test_a_velocity_that_no_hub_can_have_is_refused_and_counted():
    fused, fan = bank(), TurningFan()
    fed([fan], fused, ends(5))
    before = fused.states(fused.t_us)[0].velocity
    fused.note_velocity(0, HubVelocity(fused.t_us, (math.nan, 0.0), np.eye(2)))
    fused.note_velocity(0, HubVelocity(fused.t_us, (0.0, 0.0), np.diag((1.0, math.nan))))
    assert fused.refused == {"hub_velocity": 2}
    assert fused.states(fused.t_us)[0].velocity == before
    # One that is no covariance, but bounded, is taken for the nearest that is.
    fused.note_velocity(0, HubVelocity(fused.t_us, (0.0, 0.0), np.array(((1.0, 5.0), (5.0, 1.0)))))
    assert np.linalg.eigvalsh(fused.states(fused.t_us)[0].covariance)[0] > 0


def test_a_number_stands_for_one_rotor_of_a_window():
    fused, fan = bank(), TurningFan()
    fed([fan], fused, ends(5))
    for t_us in ends(5, fused.t_us + STEP_US):
        right = fan.estimate(t_us, confidence=0.5)
        elsewhere = replace(right, center=(900.0, 100.0), confidence=1.0)
        fused.update(t_us, [elsewhere, right, right])
        (state,) = fused.states(t_us, WINDOW_US)
        assert (state.id, state.confidence) == (0, 0.5)
    assert fused.refused == {"duplicate_id": 10}
    assert len(fused) == 1


def test_confident_spurious_rotors_neither_displace_one_that_is_followed_nor_keep_one_out():
    fused, fan = bank(maximum_rotors=8), TurningFan()
    random = np.random.default_rng(5)
    fed([fan], fused, ends(10))
    other = TurningFan(estimate=replace(FAN, center=(900.0, 600.0)))

    def spurious(t_us: int, confidence: float) -> list:
        places = zip(random.uniform(0, 1280, 3000), random.uniform(0, 720, 3000), strict=True)
        made = [fan.estimate(t_us, center=place, confidence=confidence) for place in places]
        return [replace(one, id=100 + index) for index, one in enumerate(made)]

    for t_us in ends(4, fused.t_us + STEP_US):
        fused.update(t_us, [*spurious(t_us, 0.05), fan.estimate(t_us)])
    assert len(fused) == 8
    for t_us in ends(4, fused.t_us + STEP_US):
        seen = [fan.estimate(t_us), other.estimate(t_us, id=1)]
        fused.update(t_us, [*spurious(t_us, 0.05), *seen])
    for t_us in ends(4, fused.t_us + STEP_US):
        seen = [fan.estimate(t_us), other.estimate(t_us, id=1)]
        fused.update(t_us, [*spurious(t_us, 1.0), *seen])
    states = {state.id: state for state in fused.states(fused.t_us, WINDOW_US)}
    for number, one in ((0, fan), (1, other)):
        off = states[number].angle_rad - one.phase(fused.t_us)
        assert math.remainder(off, 2 * math.pi) == pytest.approx(0.0, abs=1e-3)
        assert states[number].sources == Source.ROTATION_DETECTOR
    assert fused.outcomes["beyond_limit"] > 12 * 2900


def test_numbers_of_an_endless_stream_of_spurious_rotors_are_forgotten(monkeypatch):
    monkeypatch.setattr(rotor_bank, "_NUMBERS_KEPT", 50)
    fused = bank()
    for window in range(40):
        t_us = WINDOW_US + 400_000 * window
        seen = [
            replace(FAN, id=10 * window + i, axes=(2.0, 2.0), center=(20.0 * i, 20.0 * window))
            for i in range(10)
        ]
        fused.update(t_us, seen)
        # A number that comes again with another rotor, after 40 and after 390 others.
        if window == 4:
            fused.update(t_us + 1, [replace(FAN, id=3, center=(900.0, 900.0))])
            assert 3 not in {state.id for state in fused.states(t_us + 1, WINDOW_US)}
    assert len(fused._used) == 50
    fused.update(fused.t_us + 1, [replace(FAN, id=3, center=(900.0, 300.0))])
    assert 3 in {state.id for state in fused.states(fused.t_us, WINDOW_US)}


@pytest.mark.parametrize("t_us", [2**63 - 1, -(2**63)])
def test_a_window_at_a_time_that_no_sensor_tells_is_refused(t_us):
    fused, fan = bank(), TurningFan()
    fed([fan], fused, ends(5))
    newest = fused.t_us
    assert not fused.update(t_us, [fan.estimate(newest)])
    assert (fused.t_us, fused.refused) == (newest, {"window_end": 1})


def test_an_object_of_another_time_does_not_stick():
    fused, fan = bank(object_memory_s=0.2), TurningFan()
    fed([fan], fused, ends(5))
    for t_us in (fused.t_us + 3_600_000_000, fused.t_us - 3_600_000_000):
        drone = TrackedObject(t_us, "t7", (200.0, 100.0, 500.0, 400.0), "drone", 0.8, t_us)
        fused.note_objects([drone])
        (state,) = fused.states(fused.t_us, WINDOW_US)
        assert (state.class_id, state.track_id) == ("", "")
    assert fused.objects_of_another_time == 2


EXTREMES: dict[str, tuple[object, ...]] = {
    "window_us": (0, 1, 100_000, 600_000_000),
    "rpm": (0.0, 1e-9, 1150.0, -1150.0, 1e7),
    "rpm_std": (0.0, 0.02, 1e7),
    "blade_count": (0, 1, 3, 16, 255),
    "angle_rad": (0.0, 2.0, 1e3),
    "angle_std_rad": (0.0, 1e-3, 1e300, math.inf),
    "turns": (0.0, -1e12),
    "center": ((320.0, 240.0), (1e5, -1e5)),
    "axes": ((70.0, 60.0), (1e5, 1e5), (1e5, 0.011), (1e-300, 1e-300), (0.0, 0.0)),
    "velocity": ((0.0, 0.0), (1e6, -1e6)),
    "events": (0, 2**64 - 1),
    "center_std": ((0.05, 0.05), (0.0, 0.0), (1e300, 1e-300), (math.inf, math.inf)),
}
SPANS_US = (1, 1_000, 50_000, 50_000, 2_000_000, -100_000, -10_000_000, 3_600_000_000)


def test_whatever_a_detector_says_states_are_numbers_and_covariances_such():
    random = np.random.default_rng(1)

    def any_of(values: tuple[object, ...]) -> object:
        return values[int(random.integers(len(values)))]

    states = blades = 0
    for _ in range(25):
        fused, t_us = bank(), WINDOW_US
        for _ in range(12):
            t_us += any_of(SPANS_US)
            said = [{name: any_of(values) for name, values in EXTREMES.items()} for _ in range(3)]
            fused.update(t_us, [replace(FAN, id=i, **one) for i, one in enumerate(said)])
            for state in (*fused.states(fused.t_us, 100_000), *fused.states(fused.t_us + 900_000)):
                values = (state.rpm, state.rpm_rate, state.turns, state.confidence)
                assert np.isfinite([*values, *state.center, *state.axes, *state.velocity]).all()
                assert_is_covariance(state.covariance)
                for blade in state.blades:
                    assert_is_covariance(blade.covariance)
                states, blades = states + 1, blades + len(state.blades)
    assert (states > 500, blades > 500) == (True, True)


def assert_is_covariance(covariance: np.ndarray) -> None:
    deviations = np.sqrt(np.diag(covariance))
    assert (deviations > 0).all()
    correlations = covariance / np.outer(deviations, deviations)
    assert correlations == pytest.approx(correlations.T, abs=1e-9)
    # To rounding, of numbers that may be 1e20 times one another.
    assert np.linalg.eigvalsh(correlations)[0] > -1e-12
