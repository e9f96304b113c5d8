"""Errors of the latest speeds, observed once the phases after them are known.

A filter knows the phases up to now; a smoother also knows the later ones and is much more precise.
The difference between a past speed and its smoothed value shows the error in the rotor's own
residuals: including the correlation of neighbouring phases, errors that repeat at the angles at
which slices happen to end, and the unsteadiness of the motor, and for the window length in use.
None of this has to be modelled. Errors that last longer than the smoother's memory are not seen.

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
    correct_by,
    predict_motion,
    with_room,
)

__all__ = ["ObservedErrors"]

_Real = NDArray[np.float64]

_LATER_S = 0.1
"""A speed is evaluated when phases are known for this long after it, the memory of the calmest
filter. Set by hand: 1.5 and 2 times as long give no better results, and later."""
_TOGETHER_S = 0.05
"""Speeds are evaluated together once the first of them has waited for this long, because smoothing
takes a pass over all phases since then."""
_REMEMBERED_S = 0.5
"""Time constant of the average."""
_LARGEST_ERROR = 3.0
"""Errors are limited to this many standard deviations."""
_NORMAL_MEAN = math.sqrt(2 / math.pi)
"""Mean absolute value of a normally distributed error over its standard deviation."""
_LONGEST_STEP_S = 0.1
"""A speed is weighted by the time since the last one, but by no more than this."""
_FIRST_SPEED_SHARE, _SLOWEST_RAD_S = 0.05, 1.0
"""Initial standard deviation of the speed as a share of it (that of the acceleration is the speed
per second), and the minimum speed used for both."""
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
"""A measured phase: its time, state and covariance as predicted for then, and the innovation with
its variance."""


class _Window(NamedTuple):
    """A mean speed that waits for its evaluation.

    Attributes:
        start_s, end_s: times of its window.
        start, end: phases at these times, rad.
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
        known_s: time over which errors were observed, with exponential forgetting, s.
    """

    def __init__(self) -> None:
        self.known_s = 0.0
        # Mean size of errors over their expected standard deviations.
        self._size = 0.0
        self._log = np.zeros(_FIRST_CAPACITY, _LOG)
        self._count = 0
        self._state, self._covariance = np.zeros(3), np.zeros((3, 3))
        self._waiting: deque[_Window] = deque()
        self._longest_s = 0.0
        self._judged_s = -math.inf

    @property
    def ratio(self) -> float:
        """Variance of the errors over its expectation; 0 before any were observed."""
        return (self._size / _NORMAL_MEAN) ** 2

    def add_phase(
        self, time_s: float, phase: float, variance: float, speed: float, jerk_power: float
    ) -> None:
        """Add a measured phase, in order of time.

        Args:
            time_s: its time in s.
            phase, variance: unwrapped phase in rad and its variance in rad^2.
            speed: speed of the rotor, rad/s.
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
        known_s = float(self._log["time_s"][self._count - 1])
        if known_s - self._waiting[0].end_s >= _LATER_S + _TOGETHER_S:
            self._judge(known_s - _LATER_S)

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
        """Forget the observed errors: future ones will be different."""
        self.known_s = self._size = 0.0
        self._waiting.clear()

    def interrupt(self) -> None:
        """Start anew: the next phase does not continue the last ones."""
        self._count = 0
        self._waiting.clear()

    def _judge(self, until_s: float) -> None:
        """Evaluate the waiting windows that end by a time."""
        windows = []
        while self._waiting and self._waiting[0].end_s <= until_s:
            windows.append(self._waiting.popleft())
        starts, ends, first, last, variances = np.array(windows).T
        log = self._log[: self._count]
        wanted = np.concatenate((starts, ends))
        right = _smoothed(log, wanted)
        count = len(windows)
        errors = last - first - (right[count:] - right[:count])
        # The first phase lies in the middle of a slice, about so long after its start.
        earliest_s = 2 * log["time_s"][0] - log["time_s"][min(1, len(log) - 1)]
        for error, start_s, end_s, variance in zip(errors, starts, ends, variances, strict=True):
            if start_s >= earliest_s:
                size = min(abs(error) / math.sqrt(variance), _LARGEST_ERROR)
                self._average(float(end_s), float(size))

    def _average(self, end_s: float, size: float) -> None:
        if not math.isfinite(self._judged_s):
            self._judged_s = end_s
            return
        for_s = min(end_s - self._judged_s, _LONGEST_STEP_S)
        self.known_s = math.exp(-for_s / _REMEMBERED_S) * self.known_s + for_s
        self._size += for_s / self.known_s * (size - self._size)
        self._judged_s = end_s

    def _make_room(self) -> None:
        """Drop phases that no window needs any more; grow the array if there are none."""
        times_s = self._log["time_s"]
        since_s = times_s[-1] - self._longest_s - _LATER_S - 2 * _TOGETHER_S
        if self._waiting:
            since_s = min(since_s, self._waiting[0].start_s)
        first = max(int(np.searchsorted(times_s, since_s)) - 1, 0)
        self._log, self._count = with_room(self._log, first)


@njit(cache=True, nogil=True)
def _add(state, covariance, phase, variance, jerk_power, dt, row):
    """Predict by dt, log in row[0], update by a phase; state and covariance in place."""
    predict_motion(state, covariance, jerk_power, dt)
    here = row[0]
    here.state[:] = state
    here.covariance[:] = covariance
    here.innovation, here.variance = correct_by(state, covariance, 0, phase, variance)


@njit(cache=True, nogil=True)
def _smoothed(log, times_s):
    """Smoothed phases at some times, extrapolated from the nearest logged phase by a parabola."""
    n = len(log)
    states = np.empty((n, 3))
    a0, a1, a2 = 0.0, 0.0, 0.0
    for k in range(n - 1, -1, -1):
        here = log[k]
        p = here.covariance
        # Through the correction, then back through the prediction.
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
