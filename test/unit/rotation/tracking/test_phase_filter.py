from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from evio_ros.rotation.tracking.phase_filter import Motion, PhaseFilter

SLICE_US = 5_000
SLICE_S = 1e-6 * SLICE_US
UNEQUAL_US = 3_336, 3_336, 3_335
NOISES = (1e-3, 3e-2, 1.0, 30.0)
"""Process noises of the bank, 1/s^2."""


def motion(phase: float, speed: float, deviations: tuple[float, float, float]) -> Motion:
    return Motion(0, (phase, speed, 0.0), deviations)


def run(phase, seconds: float = 1.0, noise: float = 1e-3, slices: int = 20, seed: int = 0):
    """Feed a filter with noisy phases of a motion; the filter and its scaled errors."""
    rng = np.random.default_rng(seed)
    speed = (phase(1e-6) - phase(0.0)) / 1e-6
    filter_ = PhaseFilter(motion(phase(0.0), speed, (0.01, 1.0, 10.0)), 0.02, slices * SLICE_US)
    scaled = []
    for index in range(round(seconds / SLICE_S)):
        middle = (index + 0.5) * SLICE_S
        filter_.update(SLICE_US, phase(middle) + noise * rng.normal(), noise**2)
        end = (index + 1) * SLICE_S
        if index > 100:
            window = filter_.window()
            truth = (phase(end) - phase(end - slices * SLICE_S)) / (slices * SLICE_S)
            scaled.append((window.speed - truth) / math.sqrt(window.variance))
    return filter_, np.array(scaled)


def test_a_steady_rotor_is_measured_as_well_as_its_phases_allow():
    filter_, scaled = run(lambda t: 120.0 * t)
    window = filter_.window()
    assert window.speed == pytest.approx(120.0, abs=0.01)
    assert math.sqrt(window.variance) < math.sqrt(2) * 1e-3 / 0.1
    assert np.sqrt(np.mean(scaled**2)) < 1.3


def test_a_ramp_is_followed():
    filter_, scaled = run(lambda t: 120.0 * t + 10.0 * t * t)
    assert filter_.state[1] == pytest.approx(140.0, abs=0.05)
    assert np.sqrt(np.mean(scaled**2)) < 1.5


def test_the_window_tells_what_it_measured_across_a_restart():
    filter_, _ = run(lambda t: 120.0 * t)
    phase = float(filter_.state[0])
    filter_.restart(phase, 0.0, (1e-3, 1e-3, 0.0), 0)
    for _ in range(10):
        filter_.update(SLICE_US, phase, 1e-6, 0.0, 1e-6)
    # Half the window turns, half of it rests.
    assert filter_.window().speed == pytest.approx(60.0, rel=1e-3)


def test_a_rotor_that_was_found_again_counts_as_having_turned_so_since_it_was_lost():
    filter_, _ = run(lambda t: 120.0 * t)
    phase = float(filter_.state[0])
    for _ in range(8):
        filter_.update(SLICE_US)
    # For 8 of 20 slices it has turned at half the speed.
    filter_.restart(phase + 60.0 * 8 * SLICE_S, 60.0, (1e-4, 1e-3, 0.0), 8 * SLICE_US)
    assert filter_.window().speed == pytest.approx(0.6 * 120.0 + 0.4 * 60.0, rel=1e-3)


def test_slices_measured_together_are_one_measurement_in_one_of_them():
    together, apart = (run(lambda t: 120.0 * t)[0] for _ in range(2))
    normalised = together.update_coherent((3_000, 4_000, 10), 1, 120.6, 1e-6)
    apart.update(3_000)
    assert apart.update(4_000, 120.6, 1e-6) == normalised > 0.0
    apart.update(10)
    assert together.window() == apart.window()


def test_slices_without_measurement_widen_the_variance():
    filter_, _ = run(lambda t: 120.0 * t)
    before = filter_.window().variance
    for _ in range(10):
        filter_.update(SLICE_US)
    assert filter_.window().variance > before
    assert filter_.state[0] == pytest.approx(120.0 * 1.05, abs=0.01)


def test_the_motion_before_is_the_straight_way_back():
    filter_, _ = run(lambda t: 120.0 * t)
    now, before = filter_.state, filter_.motion_before(1_000, 0.5)
    assert before.t_us == 1_000
    assert before.state[0] == pytest.approx(now[0] - 60.0, abs=0.05)
    assert before.deviations[0] > math.sqrt(filter_.window().end_variance)


@pytest.mark.parametrize("lengths_us", [UNEQUAL_US, (5_000, 7), (20_000, 1_000, 1), (271, 272)])
def test_slices_may_be_of_any_length(lengths_us):
    """An ideal rotor: every phase is exact."""
    speed, step_us = 137.0, sum(lengths_us)
    window_us = 10 * step_us
    filter_ = PhaseFilter(motion(0.0, 0.99 * speed, (0.01, 2.0, 1.0)), 0.02, window_us)
    now_us = 0
    for length_us in itertools.islice(itertools.cycle(lengths_us), 100 * len(lengths_us)):
        filter_.update(length_us, speed * 1e-6 * (now_us + 0.5 * length_us), 1e-12)
        now_us += length_us
    assert now_us == 100 * step_us
    assert filter_.state[0] == pytest.approx(speed * 1e-6 * now_us, rel=1e-6)
    window = filter_.window()
    assert window.length_us == window_us
    assert window.slices == 10 * len(lengths_us)
    assert window.speed == pytest.approx(speed, rel=1e-6)


def test_a_window_that_is_not_full_is_as_long_as_what_was_seen():
    filter_ = PhaseFilter(motion(0.0, 100.0, (0.01, 1.0, 1.0)), 0.02, 50_000)
    for length_us in UNEQUAL_US:
        filter_.update(length_us)
    assert filter_.window().length_us == sum(UNEQUAL_US)
    assert filter_.window().slices == 3


def test_long_windows_of_short_slices_are_kept():
    filter_ = PhaseFilter(motion(0.0, 100.0, (0.01, 1.0, 1.0)), 0.02, 2_000_000)
    for index in range(5_000):
        filter_.update(1_000, 0.1 * (index + 0.5), 1e-8)
    window = filter_.window()
    assert (window.length_us, window.slices) == (2_000_000, 2_000)
    assert window.speed == pytest.approx(100.0, rel=1e-6)


class DenseBank:
    """The bank in plain numpy, with the matrices of the textbook."""

    def __init__(self, start: Motion) -> None:
        self.means = [np.array(start.state) for _ in NOISES]
        self.covariances = [np.diag(np.square(start.deviations)) for _ in NOISES]
        self.likelihoods = np.zeros(len(NOISES))
        self.scale = abs(start.state[1])
        self.selected = 0
        # Of each slice: state of all filters before it, measurement, inflation, selected noise.
        self.past: list[tuple] = []
        self.inflation = np.zeros((3, 3))

    def power(self, noise: float) -> float:
        return (noise * max(self.scale, 1.0)) ** 2

    @staticmethod
    def moved(mean, covariance, power, t):
        """Bar-Shalom et al. 2001, (6.2.3-8) and (6.2.3-9); further states are constant."""
        n = len(mean)
        transition, noise = np.eye(n), np.zeros((n, n))
        transition[:3, :3] = [[1, t, t**2 / 2], [0, 1, t], [0, 0, 1]]
        noise[:3, :3] = [
            [t**5 / 20, t**4 / 8, t**3 / 6],
            [t**4 / 8, t**3 / 3, t**2 / 2],
            [t**3 / 6, t**2 / 2, t],
        ]
        return transition @ mean, transition @ covariance @ transition.T + power * noise

    @staticmethod
    def corrected(mean, covariance, element, value, variance):
        row = np.zeros((1, len(mean)))
        row[0, element] = 1.0
        expected = row @ covariance @ row.T + variance
        gain = covariance @ row.T / expected
        innovation = value - mean[element]
        mean = mean + gain[:, 0] * innovation
        rest = np.eye(len(mean)) - gain @ row
        # Joseph's form.
        covariance = rest @ covariance @ rest.T + variance * gain @ gain.T
        return mean, covariance, float(innovation**2 / expected[0, 0]), float(expected[0, 0])

    def slice(self, mean, covariance, measured, inflation, power, seconds):
        covariance = covariance.copy()
        covariance[:3, :3] += inflation
        mean, covariance = self.moved(mean, covariance, power, seconds / 2)
        told = None
        for element, value, variance in measured:
            mean, covariance, *figures = self.corrected(mean, covariance, element, value, variance)
            if element == 0:
                told = figures
        return *self.moved(mean, covariance, power, seconds / 2), told

    def update(self, seconds: float, blade_period_s: float, wobble_rad: float, measured) -> float:
        before = list(zip(self.means, self.covariances, strict=True))
        memory = max(30.0, 3.0 * blade_period_s / seconds)
        normalised = 0.0
        for b, noise in enumerate(NOISES):
            self.means[b], self.covariances[b], told = self.slice(
                *before[b], measured, self.inflation, self.power(noise), seconds
            )
            if told is not None:
                squared, allowed = told[0] * told[1], told[1] + wobble_rad**2
                likelihood = -0.5 * (squared / allowed + math.log(allowed))
                self.likelihoods[b] = math.exp(-1 / memory) * self.likelihoods[b] + likelihood
                if b == self.selected:
                    normalised = told[0]
        best = int(self.likelihoods.argmax())
        self.likelihoods -= self.likelihoods[best]
        for b in range(len(NOISES)):
            if self.likelihoods[b] < -6.0:
                self.likelihoods[b] = -6.0
                self.means[b], self.covariances[b] = self.means[best], self.covariances[best]
        self.past.append((before, measured, self.inflation, self.power(NOISES[best]), seconds))
        self.inflation = np.zeros((3, 3))
        # The speed is that of the filter that was selected before.
        self.scale = max(abs(self.means[self.selected][1]), 0.995 * self.scale)
        self.selected = best
        return normalised

    def window(self, slices: int) -> tuple[float, float]:
        """Mean speed and its variance: a filter that keeps the phase at the start as a state."""
        past = self.past[-slices:]
        powers = [self.power(noise) for noise in NOISES]
        start = int(np.argmin(np.abs(np.array(powers) - past[0][3])))
        mean, covariance = past[0][0][start]
        keep = np.vstack((np.eye(3), (1.0, 0.0, 0.0)))
        mean, covariance = keep @ mean, keep @ covariance @ keep.T
        for index, (_, measured, inflation, _, seconds) in enumerate(past):
            power = max(entry[3] for entry in past[index : index + 7])
            mean, covariance, _ = self.slice(mean, covariance, measured, inflation, power, seconds)
        difference = np.array((1.0, 0.0, 0.0, -1.0))
        length_s = sum(entry[4] for entry in past)
        return (
            float(difference @ mean) / length_s,
            float(difference @ covariance @ difference) / length_s**2,
        )


@pytest.mark.parametrize(("seed", "blade_period_s"), [(0, 0.015), (1, 0.015), (2, 0.015), (0, 0.2)])
def test_the_bank_is_that_of_the_textbook(seed, blade_period_s):
    """Steady, a jump of the speed, a ramp; unequal slices, gaps, covariance inflation."""
    rng = np.random.default_rng(seed)
    window_us = 30_021
    start = motion(0.3, 90.0, (0.02, 2.0, 20.0))
    filter_, dense = PhaseFilter(start, blade_period_s, window_us), DenseBank(start)
    now_s = 0.0
    for index, length_us in enumerate(itertools.islice(itertools.cycle(UNEQUAL_US), 300)):
        seconds = 1e-6 * length_us
        t = now_s + seconds / 2
        phase = 91.0 * t + max(t - 0.4, 0.0) * 15.0 + 40.0 * max(t - 0.7, 0.0) ** 2
        measured, arguments = [], {}
        if index % 7:
            value, variance = phase + rng.normal(0.0, 2e-3), 4e-6
            measured.append((0, value, variance))
            arguments |= {"phase": value, "phase_variance": variance}
        if index % 50 == 0:
            measured.append((1, 91.0, 25.0))
            arguments |= {"speed": 91.0, "speed_variance": 25.0}
        if index == 125:
            # In 10 ms, 0.04 rad are 4 rad/s in the mean and 8 at the end.
            filter_.inflate(0.04, 90.0, 0.01)
            dense.inflation = np.diag((0.0, 8.0 + 0.02 * 90.0, 0.1 * 90.0 / 0.01)) ** 2
        predicted = filter_.predicted_phase_variance(length_us)
        for variance, b in zip(predicted, (dense.selected, -1), strict=True):
            inflated = dense.covariances[b] + dense.inflation
            power = dense.power(NOISES[b])
            moved = dense.moved(dense.means[b], inflated, power, seconds / 2)[1]
            assert variance == pytest.approx(moved[0, 0], rel=1e-6)
        normalised = dense.update(seconds, blade_period_s, filter_.wobble_rad, measured)
        now_s += seconds
        assert filter_.update(length_us, **arguments) == pytest.approx(normalised, rel=1e-6)
        assert filter_.selected == dense.selected
        assert filter_.state == pytest.approx(dense.means[dense.selected], rel=1e-9, abs=1e-6)
        assert filter_.covariance == pytest.approx(
            dense.covariances[dense.selected], rel=1e-6, abs=1e-15
        )
    window = filter_.window()
    speed, variance = dense.window(window.slices)
    assert window.slices == 9
    assert window.speed == pytest.approx(speed, rel=1e-9)
    assert window.variance == pytest.approx(variance, rel=1e-6)


def test_the_wobble_of_a_slow_pattern_is_no_change_of_speed():
    """Two edges a turn, each a degree off: a model of sudden changes is rarely selected."""
    speed, length_us = 30.0, 5_000
    filter_ = PhaseFilter(motion(0.0, speed, (0.01, 0.1, 0.1)), math.pi / speed, 100_000)
    agile = 0
    for index in range(400):
        t = 1e-6 * length_us * (index + 0.5)
        wobble = math.radians(1.0) * math.sin(2 * speed * t)
        filter_.update(length_us, speed * t + wobble, 1e-4)
        agile += filter_.selected > 1
    assert agile < 40


def test_a_slow_rotor_may_stop_within_a_turn():
    """From 5 turns a second to rest in a third of a second."""
    speed, length_us, braking = 31.4, 5_000, 94.0
    filter_ = PhaseFilter(motion(0.0, speed, (0.01, 0.1, 0.1)), 0.1, 20_000)
    for index in range(60):
        t = 1e-6 * length_us * (index + 0.5)
        filter_.update(length_us, speed * t - 0.5 * braking * t**2, 1e-6)
    assert filter_.state[1] == pytest.approx(speed - braking * 0.3, abs=0.5)


def test_a_known_error_is_taken_off_the_phases_of_the_past_too():
    def error(phase: float) -> float:
        return 0.05 * math.cos(phase)

    filter_, _ = run(lambda t: 30.0 * t + error(30.0 * t), noise=1e-3)
    filter_.correct_phases(error)
    filter_.inflate_speed(0.05 * 30.0)
    for index in range(200, 220):
        filter_.update(SLICE_US, 30.0 * (index + 0.5) * SLICE_S, 1e-6)
    window = filter_.window()
    assert filter_.state[0] == pytest.approx(30.0 * 220 * SLICE_S, abs=5e-3)
    assert window.speed == pytest.approx(30.0, abs=3 * math.sqrt(window.variance))
