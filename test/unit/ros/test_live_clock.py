"""A live camera's clock against ROS time, in simulation: drift, delays, wrong times, restarts."""

from __future__ import annotations

import numpy as np
import pytest

from evio_ros.ros.live_clock import LiveClock

START_NS = 1_764_000_000_000_000_000
"""ROS time is some 10**18 ns: differences of it must not be taken in floating point."""


class Camera:
    """Windows of a camera whose clock runs `drift` too slow, received with some delay.

    Attributes:
        errors_ms: of the stamp of each window's end, against the ROS time at which it came without
            its delay.
        stamps: of each window's start, ns.
    """

    def __init__(self, drift=0.0, window_us=10_000, delay_ms=0.0, seed=0, start_us=5_000_000):
        self.drift, self.window_us, self.delay_ms = drift, window_us, delay_ms
        self.rng = np.random.default_rng(seed)
        self.sensor_us, self.true_ns = start_us, START_NS
        self.clock = None
        self.errors_ms, self.stamps = [], []

    def window(self, late_ns=0, wrong_us=0, drift=None):
        """The next window, `late_ns` later than it should be, or with a wrong sensor time."""
        if drift is not None:
            self.drift = drift
        start_us = self.sensor_us
        self.sensor_us += self.window_us
        self.true_ns += round(1000 * self.window_us * (1 + self.drift))
        received_ns = self.true_ns + late_ns + round(1e6 * self.rng.uniform(0, self.delay_ms))
        told_us = self.sensor_us + wrong_us
        if self.clock is None:
            self.clock = LiveClock(told_us, received_ns)
        else:
            self.clock.note(told_us, received_ns)
        stamp_ns = self.clock.offset_ns(start_us + wrong_us) + 1000 * (start_us + wrong_us)
        if not wrong_us:
            self.stamps.append(stamp_ns)
            at_end_ns = stamp_ns + round(1000 * self.window_us * (1 + self.drift))
            self.errors_ms.append((at_end_ns - self.true_ns) * 1e-6)

    def run(self, seconds, **how):
        for _ in range(round(seconds * 1e6 / self.window_us)):
            self.window(**how)

    def largest_error_ms(self, first=0):
        return max(map(abs, self.errors_ms[first:]))


@pytest.mark.parametrize("window_us", [1_000, 10_000, 100_000, 1_000_000])
@pytest.mark.parametrize("drift", [0.0, 50e-6, -50e-6, 0.01, -0.01])
def test_stamps_are_near_the_receipt_whatever_the_drift(drift, window_us):
    camera = Camera(drift, window_us)
    camera.run(max(20.0, 40e-6 * window_us))
    # A clock that is known for two windows is known to drift.
    assert camera.largest_error_ms(3) < 2.0


def test_an_hour_of_50_ppm_is_followed():
    camera = Camera(50e-6, 100_000, delay_ms=1.0)
    camera.run(3600)
    assert camera.largest_error_ms() < 2.0
    # Taken as one offset, the stamps would be 180 ms early by then.
    assert camera.true_ns - START_NS - 1000 * (camera.sensor_us - 5_000_000) > 179e6


@pytest.mark.parametrize("drift", [0.0, 0.01])
def test_delays_of_transport_average_out(drift):
    camera = Camera(drift, 5_000, delay_ms=3.0)
    camera.run(60)
    # The delay itself, 1.5 ms in the mean, cannot be told from an offset.
    errors = np.array(camera.errors_ms[2000:]) - 1.5
    assert np.abs(errors).max() < 2.0
    assert errors.std() < 0.5


def test_stamps_never_go_back():
    camera = Camera(0.002, 1_000, delay_ms=20.0)
    camera.run(20)
    assert np.diff(camera.stamps).min() > 0


@pytest.mark.parametrize("wrong_us", [-2_000_000, 1_000_000, 10**12])
@pytest.mark.parametrize("windows", [3, 40, 2000])
def test_one_wrong_time_moves_nothing(wrong_us, windows):
    camera = Camera(50e-6)
    camera.run(windows * 0.01)
    for _ in range(3):
        camera.window(wrong_us=wrong_us)
        camera.run(2)
    assert camera.largest_error_ms() < 2.0


def test_a_busy_second_moves_little():
    """Nothing is received for a second, then all of it at once."""
    camera = Camera(50e-6)
    camera.run(60)
    for number in range(100):
        camera.window(late_ns=(100 - number) * 10_000_000)
    camera.run(5)
    assert camera.largest_error_ms() < 2.0


def test_a_drift_that_changes_is_followed():
    camera = Camera(20e-6)
    camera.run(60)
    for step in range(600):
        camera.run(1, drift=20e-6 + step * 0.1e-6)  # a camera that gets warm, in 10 minutes
    assert camera.largest_error_ms() < 2.0


def test_another_clock_is_taken_over():
    camera = Camera(0.0)
    camera.run(60)
    camera.sensor_us += 3_600_000_000
    before = len(camera.errors_ms)
    camera.run(30)
    assert camera.largest_error_ms(before + 1500) < 2.0
