"""Errors of the reported speeds, observed once the phases after them are known.

A filter uses the phases up to now; a smoother also uses later ones and is much more precise. So the
difference between a reported speed and its smoothed value is the error of the former. It includes
effects that are hard to model: correlation of neighbouring phases, errors that repeat at the angles
at which slices happen to end, and the unsteadiness of the motor, all for the window length in use.
Errors that last longer than the memory of the smoother are not seen.

Method: a Kalman filter of the measured phases with the process noise of the selected model, and
fixed-interval smoothing by the adjoint recursion of Bryson and Frazier as modified by Bierman
(Fixed interval smoothing with discrete measurements, International Journal of Control 18, 1973),
which needs no inverse.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.rotation.tracking.phase_filter import (
    WindowMotion,
    correct_motion,
    make_room,
    predict_motion,
)

__all__ = ["ObservedErrors"]

_Real = NDArray[np.float64]

_LAG_S = 0.1
"""A speed is evaluated when phases are known for this time after it, which is the memory of the
filter with the least process noise. Set by hand: with 1.5 and 2 times as long, results are later
and no better."""
_BATCH_S = 0.05
"""Speeds are evaluated in batches, once the first of them has waited for this additional time,
because smoothing takes a pass over all phases."""
_TIME_CONSTANT_S = 0.5
"""Time constant of the average of the errors."""
_LARGEST_ERROR = 3.0
"""Errors are limited to this many standard deviations."""
_NORMAL_MEAN = math.sqrt(2 / math.pi)
"""Mean absolute value of a normally distributed error over its standard deviation."""
_LONGEST_STEP_S = 0.1
"""A speed's weight in the average is the time since the previous speed, but at most this."""
_FIRST_SPEED_SHARE, _SLOWEST_RAD_S = 0.05, 1.0
"""Initial standard deviation of the speed, as a share of the speed, and minimum speed for it. The
initial standard deviation of the acceleration is the speed per second."""
_FIRST_CAPACITY = 128

_LOG = np.dtype(
    [
        ("time_s", np.float64),
        ("state", np.float64, 3),
        ("covariance", np.float64, (3, 3)),
        ("innovation", np.float64),
        ("variance", np.float64),
    ]
)
"""A measured phase: its time, the predicted state and covariance, and the innovation with its
variance."""


class _Window(NamedTuple):
    """A reported mean speed that waits for its evaluation.

    Attributes:
        start_s, end_s: times of its window.
        start, end: phases at these times as reported, rad.
        variance: expected variance of their difference, rad^2.
    """

    start_s: float
    end_s: float
    start: float
    end: float
    variance: float


class ObservedErrors:
    """Evaluates the mean speeds of one rotor by the phases that follow them.

    Attributes:
        observed_s: time in s over which errors were observed, with exponential forgetting.
    """

    def __init__(self) -> None:
        self.observed_s = 0.0
        # Mean absolute value of errors over their expected standard deviations.
        self._mean_size = 0.0
        self._log = np.zeros(_FIRST_CAPACITY, _LOG)
        self._count = 0
        self._state, self._covariance = np.zeros(3), np.zeros((3, 3))
        self._waiting: deque[_Window] = deque()
        self._longest_s = 0.0
        self._evaluated_s = -math.inf

    @property
    def ratio(self) -> float:
        """Variance of the errors over its expectation; 0 before any were observed."""
        return (self._mean_size / _NORMAL_MEAN) ** 2

    def add_phase(
        self, time_s: float, phase: float, variance: float, speed: float, jerk_power: float
    ) -> None:
        """Add a measured phase, in order of time.

        Args:
            time_s: its time in s.
            phase, variance: unwrapped phase in rad, and its variance in rad^2.
            speed: approximate speed of the rotor, rad/s.
            jerk_power: process noise of the selected model, (rad/s^3)^2 s.
        """
        if not self._count:
            usual = max(abs(speed), _SLOWEST_RAD_S)
            self._state[:] = phase, speed, 0.0
            self._covariance[:] = np.diag(
                np.square((math.sqrt(variance), _FIRST_SPEED_SHARE * usual, usual))
            )
        elif self._count == len(self._log):
            self._make_room()
        last_s = self._log["time_s"][self._count - 1] if self._count else time_s
        row = self._log[self._count : self._count + 1]
        row["time_s"] = time_s
        _add(self._state, self._covariance, phase, variance, jerk_power, time_s - last_s, row)
        self._count += 1

    def add_window(self, end_s: float, window: WindowMotion, expected: float) -> None:
        """Add the mean speed of a window that was just reported.

        Args:
            end_s: end of the window in s.
            window: the phase filter's result for it.
            expected: expected variance of its mean speed, (rad/s)^2.
        """
        length_s = 1e-6 * window.length_us
        advance = window.speed * length_s
        if not self._count or not expected > 0.0:
            return
        self._longest_s = max(self._longest_s, length_s)
        self._waiting.append(
            _Window(
                end_s - length_s,
                end_s,
                window.end_phase - advance,
                window.end_phase,
                expected * length_s**2,
            )
        )
        latest_s = float(self._log["time_s"][self._count - 1])
        if latest_s - self._waiting[0].end_s >= _LAG_S + _BATCH_S:
            self._evaluate(latest_s - _LAG_S)

    def correct_phases(self, error: Callable[[float], float]) -> None:
        """Subtract a newly learned error from all phases.

        Args:
            error: error of a phase as a function of the phase, both in rad.
        """
        for state in self._log["state"][: self._count]:
            state[0] -= error(float(state[0]))
        self._state[0] -= error(float(self._state[0]))
        self._waiting = deque(
            one._replace(start=one.start - error(one.start), end=one.end - error(one.end))
            for one in self._waiting
        )

    def forget(self) -> None:
        """Forget the observed errors, because future ones will be different."""
        self.observed_s = self._mean_size = 0.0
        self._waiting.clear()

    def interrupt(self) -> None:
        """Forget all phases, because the next phase does not continue them."""
        self._count = 0
        self._waiting.clear()

    def _evaluate(self, until_s: float) -> None:
        """Evaluate the waiting windows that end at or before a time; there must be one."""
        windows = []
        while self._waiting and self._waiting[0].end_s <= until_s:
            windows.append(self._waiting.popleft())
        starts, ends, first, last, variances = np.array(windows).T
        log = self._log[: self._count]
        smoothed = _smoothed(log, np.concatenate((starts, ends)))
        count = len(windows)
        errors = last - first - (smoothed[count:] - smoothed[:count])
        # Phases are measured at the middle of slices, so the first slice starts before its phase.
        earliest_s = 2 * log["time_s"][0] - log["time_s"][min(1, len(log) - 1)]
        for error, start_s, end_s, variance in zip(errors, starts, ends, variances, strict=True):
            if start_s >= earliest_s:
                size = min(abs(error) / math.sqrt(variance), _LARGEST_ERROR)
                self._update_average(float(end_s), float(size))

    def _update_average(self, end_s: float, size: float) -> None:
        """Add the error, over its standard deviation, of a window that ends at a time."""
        if not math.isfinite(self._evaluated_s):
            self._evaluated_s = end_s
            return
        for_s = min(end_s - self._evaluated_s, _LONGEST_STEP_S)
        self.observed_s = math.exp(-for_s / _TIME_CONSTANT_S) * self.observed_s + for_s
        self._mean_size += for_s / self.observed_s * (size - self._mean_size)
        self._evaluated_s = end_s

    def _make_room(self) -> None:
        """Drop phases that no window needs any more; enlarge the array if it stays nearly full."""
        times_s = self._log["time_s"]
        since_s = times_s[-1] - self._longest_s - _LAG_S - 2 * _BATCH_S
        if self._waiting:
            since_s = min(since_s, self._waiting[0].start_s)
        first = max(int(np.searchsorted(times_s, since_s)) - 1, 0)
        self._log, self._count = make_room(self._log, first)


@njit(cache=True, nogil=True)
def _add(state, covariance, phase, variance, jerk_power, dt, row):
    """Predict the state by dt seconds, log it in row[0], and update it by a measured phase."""
    predict_motion(state, covariance, jerk_power, dt)
    here = row[0]
    here.state[:] = state
    here.covariance[:] = covariance
    here.innovation, here.variance = correct_motion(state, covariance, 0, phase, variance)


@njit(cache=True, nogil=True)
def _smoothed(log, times_s):
    """Smoothed phases at given times, each extrapolated from the nearest logged phase.

    Args:
        log: structured array (n,) of `_LOG`, in order of time.
        times_s: (m,) times in s.

    Returns:
        (m,) phases in rad.
    """
    n = len(log)
    states = np.empty((n, 3))
    # The adjoint state, from the last phase backwards.
    a0, a1, a2 = 0.0, 0.0, 0.0
    for k in range(n - 1, -1, -1):
        here = log[k]
        p = here.covariance
        # Backwards through the update, then through the prediction.
        gained = (p[0, 0] * a0 + p[1, 0] * a1 + p[2, 0] * a2) / here.variance
        a0 -= here.innovation / here.variance + gained
        for i in range(3):
            states[k, i] = here.state[i] - (p[i, 0] * a0 + p[i, 1] * a1 + p[i, 2] * a2)
        dt = here.time_s - log[k - 1].time_s if k else 0.0
        a2 += dt * (a1 + 0.5 * dt * a0)
        a1 += dt * a0
    known = log["time_s"]
    phases = np.empty(len(times_s))
    for i in range(len(times_s)):
        k = min(max(np.searchsorted(known, times_s[i]), 0), n - 1)
        if k and times_s[i] - known[k - 1] < known[k] - times_s[i]:
            k -= 1
        away = times_s[i] - known[k]
        phases[i] = states[k, 0] + away * (states[k, 1] + 0.5 * away * states[k, 2])
    return phases
