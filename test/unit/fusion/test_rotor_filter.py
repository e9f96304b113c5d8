from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
from filterpy.kalman import KalmanFilter
from rotor_estimates import FAN, STEP_US, WINDOW_US, TurningFan

from evio_ros.estimate import RotorEstimate
from evio_ros.fusion.rotor_filter import HubVelocity, Outcome, RotorFilter
from evio_ros.fusion.rotor_model import FilterParameters, State

P = FilterParameters()


def windows(count: int, first_us: int = WINDOW_US) -> range:
    """Ends of so many windows."""
    return range(first_us, first_us + count * STEP_US, STEP_US)


def followed(fan: TurningFan, count: int = 30, seed: int | None = 0) -> RotorFilter:
    """A rotor after some windows, with errors where there is a seed."""
    random = None if seed is None else np.random.default_rng(seed)
    ends = windows(count)
    filter_ = RotorFilter(fan.estimate(ends[0], random), P)
    for t_us in ends[1:]:
        filter_.apply(fan.estimate(t_us, random))
    return filter_


def test_a_ramp_in_flight_is_followed_and_predicted():
    fan = TurningFan(rpm=-1100.0, rate=-20.0, velocity=(100.0, 15.0))
    filter_ = followed(fan, 40)
    t_us = filter_.t_us + 100_000
    motion = filter_.at(t_us)
    assert motion.phase_rad == pytest.approx(fan.phase(t_us), abs=5e-3)
    assert motion.speed_rad_s * 30 / math.pi == pytest.approx(fan.rpm(t_us), abs=0.2)
    assert motion.rate_rad_s2 == pytest.approx(-20.0, abs=0.5)
    assert motion.center == pytest.approx(fan.center(t_us), abs=0.3)
    assert motion.velocity == pytest.approx((100.0, 15.0), abs=3.0)
    assert motion.axes == pytest.approx(FAN.axes, rel=0.02)


def test_phase_counts_turns_without_a_slip():
    fan = TurningFan(rpm=1150.0, rate=3.0)
    filter_ = followed(fan, 400)
    assert filter_.at(filter_.t_us).phase_rad == pytest.approx(fan.phase(filter_.t_us), abs=3e-3)


def test_late_measurements_leave_the_state_that_they_would_have_left_in_order():
    fan = TurningFan(rate=5.0, velocity=(30.0, 0.0))
    random = np.random.default_rng(3)
    estimates = [fan.estimate(t_us, random) for t_us in windows(12)]
    in_order, late = RotorFilter(estimates[0], P), RotorFilter(estimates[0], P)
    for one in estimates[1:]:
        assert in_order.apply(one) is not Outcome.GATED
    for index in (1, 2, 4, 5, 3, 6, 9, 8, 7, 10, 11):
        assert late.apply(estimates[index]) is not Outcome.GATED
    first, second = in_order.at(in_order.t_us), late.at(in_order.t_us)
    assert np.hstack(second[:-1]) == pytest.approx(np.hstack(first[:-1]))
    assert second.covariance == pytest.approx(first.covariance)


def test_what_is_too_late_or_comes_twice_changes_nothing():
    fan = TurningFan()
    filter_ = followed(fan)
    before = filter_.at(filter_.t_us)
    too_late = filter_.t_us - P.latest_us - STEP_US
    assert filter_.apply(fan.estimate(too_late)) is Outcome.TOO_LATE
    assert filter_.apply(fan.estimate(filter_.t_us, rpm=3.0)) is Outcome.DUPLICATE
    assert filter_.at(filter_.t_us) is before


def test_one_strange_estimate_is_left_out_and_the_rotor_goes_on():
    fan = TurningFan()
    filter_ = followed(fan)
    t_us = filter_.t_us + STEP_US
    assert filter_.apply(fan.estimate(t_us, rpm=575.0)) is Outcome.GATED
    motion = filter_.at(t_us)
    assert motion.speed_rad_s == pytest.approx(fan.speed, rel=1e-4)
    assert motion.phase_rad == pytest.approx(fan.phase(t_us), abs=5e-3)
    assert filter_.apply(fan.estimate(t_us + STEP_US)) is Outcome.ACCEPTED


def test_a_step_of_speed_is_believed_at_the_second_estimate():
    filter_ = followed(TurningFan())
    faster = TurningFan(rpm=1400.0)
    t_us = filter_.t_us
    outcomes = [filter_.apply(faster.estimate(t_us + k * STEP_US)) for k in (1, 2, 3)]
    assert outcomes[:2] == [Outcome.GATED, Outcome.RESTARTED]
    assert filter_.at(filter_.t_us).speed_rad_s == pytest.approx(faster.speed, rel=1e-3)


def test_lies_that_differ_are_never_believed_and_the_state_ages():
    fan = TurningFan()
    filter_ = followed(fan)
    deviations = []
    for k in range(1, 11):
        t_us = filter_.t_us + STEP_US
        lie = fan.estimate(t_us, rpm=(2000.0 + 500.0 * k) * (-1) ** k)
        assert filter_.apply(lie) is Outcome.GATED
        deviations.append(filter_.at(t_us).covariance[0, 0])
    assert deviations == sorted(deviations)
    assert deviations[-1] > 10 * deviations[0]
    assert filter_.at(filter_.t_us).speed_rad_s == pytest.approx(fan.speed, rel=1e-3)


def test_a_sudden_acceleration_is_a_manoeuvre():
    filter_ = followed(TurningFan())
    pulled = TurningFan(rate=100.0)
    start_us = filter_.t_us
    before = TurningFan()

    def estimate(t_us: int):
        since = 1e-6 * (t_us - start_us)
        window_s = 1e-6 * WINDOW_US
        part = min(since, window_s)
        gained = 0.5 * pulled.rate * (since**2 - (since - part) ** 2)
        phase = before.phase(t_us) + 0.5 * pulled.rate * since**2
        rpm = (before.speed + gained / window_s) * 30 / math.pi
        return before.estimate(t_us, rpm=rpm, angle_rad=phase % (2 * math.pi)), phase

    outcomes = []
    for k in range(1, 9):
        measured, phase = estimate(start_us + k * STEP_US)
        outcomes.append(filter_.apply(measured))
    assert outcomes[0] is Outcome.MANOEUVRE
    assert Outcome.GATED not in outcomes
    motion = filter_.at(filter_.t_us)
    assert motion.phase_rad == pytest.approx(phase, abs=0.02)
    assert motion.rate_rad_s2 == pytest.approx(100.0, rel=0.1)


def test_a_rotor_of_constant_speed_that_is_hidden_turns_on_at_it():
    """Rates of speed that are noise would move the angle by half of them times the time squared."""
    noisy = replace(FAN, rpm_std=0.08, angle_std_rad=5e-3)
    fan = TurningFan(rpm=5700.0, estimate=noisy)
    hidden_us = 550_000
    errors = []
    for seed in range(20):
        filter_ = followed(fan, 20, seed)
        t_us = filter_.t_us + hidden_us
        turned = filter_.at(t_us).phase_rad - fan.phase(t_us)
        errors.append(abs(math.remainder(turned, 2 * math.pi)))
    # No more than the phase's own error and that of the speed of one window, turned on.
    one_window = 0.08 * math.pi / 30 * 1e-6 * hidden_us
    assert np.median(errors) < one_window


def test_a_detector_that_numbers_blades_anew_leaves_the_phase_as_it_was():
    fan = TurningFan()
    filter_ = followed(fan)
    for k in range(1, 6):
        t_us = filter_.t_us + STEP_US
        renumbered = (fan.phase(t_us) + 2 * math.pi / 3) % (2 * math.pi)
        assert filter_.apply(fan.estimate(t_us, id=9, angle_rad=renumbered)) is Outcome.ACCEPTED
        assert filter_.at(t_us).phase_rad == pytest.approx(fan.phase(t_us), abs=5e-3), k


def test_a_velocity_of_the_hub_is_taken_in_and_a_wrong_one_is_not():
    fan = TurningFan(velocity=(40.0, 0.0))
    filter_ = RotorFilter(fan.estimate(WINDOW_US, velocity=(0.0, 0.0)), P)
    right = HubVelocity(WINDOW_US + 1000, (40.0, 0.0), np.eye(2))
    assert filter_.apply(right) is Outcome.ACCEPTED
    assert filter_.at(filter_.t_us).velocity == pytest.approx((40.0, 0.0), abs=0.5)
    wrong = HubVelocity(WINDOW_US + 2000, (-900.0, 0.0), np.eye(2))
    assert filter_.apply(wrong) is Outcome.GATED
    assert filter_.at(filter_.t_us).velocity == pytest.approx((40.0, 0.0), abs=0.5)


def linear_filter(state: State, p: FilterParameters) -> KalmanFilter:
    """Filterpy's filter of the same linear model, from a state on, for steps of `STEP_US`."""
    filter_ = KalmanFilter(12, 6)
    filter_.x, filter_.P = state.mean[:, None].copy(), state.covariance.copy()
    dt = 1e-6 * STEP_US
    filter_.F = np.eye(12)
    filter_.F[[0, 1], [2, 3]] = filter_.F[6, 7] = filter_.F[7, 8] = dt
    filter_.F[6, 8] = dt * dt / 2
    filter_.F[[9, 10, 11], [9, 10, 11]] = math.exp(-dt / p.slow_time_s)
    filter_.H = np.zeros((6, 12))
    filter_.H[[0, 0, 1], [6, 11, 7]] = 1
    filter_.H[[2, 2, 3, 3, 4, 5], [0, 9, 1, 10, 2, 3]] = 1
    return filter_


def process_noise(p: FilterParameters, jerk: float, angle_std_rad: float) -> np.ndarray:
    """Covariance (12, 12) of what a step of `STEP_US` adds, for a power of jerk."""
    dt = 1e-6 * STEP_US
    hub = p.calm_hub_walk**2
    noise = np.zeros((12, 12))
    noise[[0, 1], [0, 1]], noise[[2, 3], [2, 3]] = hub * dt**3 / 3, hub * dt
    noise[[0, 1, 2, 3], [2, 3, 0, 1]] = hub * dt**2 / 2
    noise[[4, 5], [4, 5]] = p.size_walk**2 * dt
    noise[6:9, 6:9] = jerk * np.array(
        [
            [dt**5 / 20, dt**4 / 8, dt**3 / 6],
            [dt**4 / 8, dt**3 / 3, dt**2 / 2],
            [dt**3 / 6, dt**2 / 2, dt],
        ]
    )
    passed = 1 - math.exp(-2 * dt / p.slow_time_s)
    noise[[9, 10], [9, 10]] = p.slow_center_px**2 * passed
    noise[11, 11] = (p.slow_phase_share * angle_std_rad) ** 2 * passed
    return noise


def test_a_constant_rotor_is_filtered_as_a_kalman_filter_does():
    """All but the semi-axes is linear, so filterpy's linear filter must agree."""
    p = replace(
        P,
        calm_rate_walk=0.5,
        agile_rate_walk=0.5,
        calm_hub_walk=50,
        agile_hub_walk=50,
        claims_std=0.0,
    )
    random = np.random.default_rng(5)
    # Speeds of a moment: mean ones are taken in before the rest, at the window's middle.
    fan = TurningFan(rpm=1150.0, rate=10.0, estimate=replace(FAN, window_us=0, axes=(0.0, 0.0)))
    estimates = [fan.estimate(t_us, random) for t_us in windows(8)]
    filter_ = RotorFilter(estimates[0], p)
    state = filter_._history[-1][1].state
    reference = linear_filter(state, p)
    for one in estimates[1:]:
        jerk = (filter_._history[-1][1].scale * 0.5) ** 2
        reference.predict(Q=process_noise(p, jerk, one.angle_std_rad))
        quick = p.quick_phase_share * one.angle_std_rad
        speed_std = one.rpm_std * math.pi / 30
        stds = [quick, speed_std, *one.center_std, p.velocity_std_px_s, p.velocity_std_px_s]
        near = float(reference.x[6, 0] + reference.x[11, 0])
        phase = near + math.remainder(one.angle_rad - near, 2 * math.pi)
        speed = one.rpm * math.pi / 30
        reference.update([phase, speed, *one.center, *one.velocity], R=np.diag(np.square(stds)))
        assert filter_.apply(one) is Outcome.ACCEPTED
    state = filter_._history[-1][1].state
    assert state.mean == pytest.approx(reference.x[:, 0], rel=1e-7, abs=1e-7)
    assert state.covariance == pytest.approx(reference.P, rel=1e-4, abs=1e-10)


@dataclass(frozen=True)
class WalkingRotor:
    """A rotor whose rate of speed walks, in steps of a millisecond, and what is measured of it.

    Attributes:
        phase, speed, rate: (n,) at the end of each millisecond, rad and s.
        estimates: (time's index, estimate) of each window.
    """

    phase: np.ndarray
    speed: np.ndarray
    rate: np.ndarray
    estimates: list[tuple[int, RotorEstimate]]

    def squared_error(self, filter_: RotorFilter) -> float:
        """Normalised square of the newest state's errors: of phase, speed and rate."""
        end, _ = self.estimates[-1]
        motion = filter_.at(filter_.t_us)
        turned = math.remainder(motion.phase_rad - self.phase[end], 2 * math.pi)
        speed_off = motion.speed_rad_s - self.speed[end]
        off = np.array([turned, speed_off, motion.rate_rad_s2 - self.rate[end]])
        part = motion.covariance[np.ix_([0, 1, 6], [0, 1, 6])]
        return float(off @ np.linalg.solve(part, off))


def walking_rotor(seed: int, walk: float, share: float, steps: int) -> WalkingRotor:
    """Simulate one.

    Args:
        walk: of the rate, as a share of the speed.
        share: how large the errors are as a share of those that the filter is told of.
        steps: ends of windows, the first three of which have none.
    """
    random = np.random.default_rng(seed)
    fan = TurningFan()
    kept = math.exp(-1e-6 * STEP_US / P.slow_time_s)
    lasting_std = share * P.slow_phase_share * FAN.angle_std_rad
    step_ms, window_ms = STEP_US // 1000, WINDOW_US // 1000
    jerk = walk * fan.speed * random.normal(size=steps * step_ms) * math.sqrt(1e-3)
    rate = 3.0 * random.normal() + np.cumsum(jerk)
    speed = fan.speed + np.cumsum(rate) * 1e-3
    phase = 1.0 + np.cumsum(speed) * 1e-3
    lasting, speed_noise = lasting_std * random.normal(), random.normal(size=steps + 1)
    estimates = []
    for k in range(3, steps + 1):
        end = k * step_ms - 1
        mean_speed = (phase[end] - phase[end - window_ms]) / (1e-3 * window_ms)
        lasting = kept * lasting + math.sqrt(1 - kept**2) * lasting_std * random.normal()
        quick = share * P.quick_phase_share * FAN.angle_std_rad * random.normal()
        # Windows of two steps share one with the next, and half of their errors.
        error = share * FAN.rpm_std * (speed_noise[k] + speed_noise[k - 1]) / math.sqrt(2.0)
        estimate = fan.estimate(
            k * STEP_US,
            rpm=mean_speed * 30 / math.pi + error,
            angle_rad=(phase[end] + lasting + quick) % (2 * math.pi),
        )
        estimates.append((end, estimate))
    return WalkingRotor(phase, speed, rate, estimates)


def test_covariances_are_honest_where_errors_are_as_claimed():
    """Normalised squares against truth, over independent rotors whose rates of speed walk."""
    p = replace(
        P,
        calm_rate_walk=0.05,
        agile_rate_walk=0.05,
        claims_std=0.0,
        gate_probability=0.9999999,
    )
    nees, nis = [], []
    for seed in range(100):
        rotor = walking_rotor(seed, walk=0.05, share=1.0, steps=37)
        filter_ = RotorFilter(rotor.estimates[0][1], p)
        for _, estimate in rotor.estimates[1:]:
            assert filter_.apply(estimate) is Outcome.ACCEPTED
            nis.append(filter_.distances[0])
        nees.append(rotor.squared_error(filter_))
    # 95 % of means of 100 chi-squares of three degrees of freedom lie between 2.54 and 3.50.
    assert 2.54 < np.mean(nees) < 3.5
    # Less than 1: the noise of speeds is inflated for the half that neighbouring windows share.
    assert 0.6 < np.mean(nis) < 1.1


@pytest.mark.parametrize(("share", "walk"), [(0.5, 0.001), (0.5, 0.05), (1.0, 0.05), (2.0, 0.05)])
def test_covariances_are_honest_where_jerk_and_noise_are_learned(share, walk):
    """The filter is told neither the walk nor that the errors are not what the detector claims."""
    p = replace(P, gate_probability=0.9999999)
    nees, nis = [], []
    for seed in range(40):
        rotor = walking_rotor(seed, walk, share, steps=45)
        filter_ = RotorFilter(rotor.estimates[0][1], p)
        squares = []
        for _, estimate in rotor.estimates[1:]:
            assert filter_.apply(estimate) in (Outcome.ACCEPTED, Outcome.MANOEUVRE)
            squares.append(filter_.distances[0])
        nees.append(rotor.squared_error(filter_))
        # The first half a second, while the noises are learned, is the detector's.
        nis.append(np.mean(squares[9:]))
    # Of 33 windows' two innovations each, 95 % of means lie between 0.69 and 1.37.
    assert np.mean([0.69 < one < 1.37 for one in nis]) >= 0.7
    assert np.mean(nis) == pytest.approx(1.0, abs=0.15)
    # Half of chi-squares of three degrees of freedom lie below 2.4, 95 % between 0.22 and 9.35:
    # what was learned in a second or two is not exact.
    assert 1.0 < np.median(nees) < 5.0
    assert np.mean([0.22 < one < 9.35 for one in nees]) >= 0.7


@pytest.mark.parametrize("window_us", [0, 5_000])
def test_covariances_stay_so_for_an_hour_of_all_that_can_go_wrong(window_us):
    """An hour of windows in steps of seconds, with outliers, gaps, doubles and huge claims."""
    random = np.random.default_rng(window_us)
    fan = TurningFan(rpm=5500.0)
    filter_ = RotorFilter(fan.estimate(WINDOW_US, random, window_us=window_us), P)
    t_us = WINDOW_US
    while t_us < 3_600_000_000:
        t_us += int(random.choice([1, 1_000, 50_000, 3_000_000, 20_000_000]))
        changed: dict[str, object] = {"window_us": window_us}
        kind = random.integers(0, 8)
        if kind == 0:
            changed |= {"rpm": float(random.normal(0, 1e5))}
        elif kind == 1:
            changed |= {"angle_std_rad": math.inf, "center_std": (math.inf, math.inf)}
        elif kind == 2:
            changed |= {"angle_std_rad": 0.0, "rpm_std": 0.0, "center_std": (0.0, 0.0)}
        elif kind == 3:
            changed |= {"axes": (1e-9, 1e-9)}
        elif kind == 4:
            changed |= {"t_us": t_us - int(random.integers(0, 300_000))}
        filter_.apply(fan.estimate(t_us, random, **changed))
        covariance = filter_._history[-1][1].state.covariance
        assert (covariance == covariance.T).all()
        assert np.isfinite(np.linalg.cholesky(covariance)).all()
        assert np.isfinite(filter_.at(t_us + 1_000_000).covariance).all()
    for k in range(1, 8):
        filter_.apply(fan.estimate(t_us + k * STEP_US))
    assert filter_.at(filter_.t_us).speed_rad_s == pytest.approx(fan.speed, rel=1e-3)
