"""How wrong the latest speeds turned out to be, once the phases after them were known.

A filter knows the phases until now; a smoother knows those that came after as well, and is better
by much. What a speed of the past differs from the smoothed one is its error as seen in the rotor's
own residuals: with the correlation of neighbouring phases, with what comes again at the angles at
which slices happen to end, with the unrest of the motor and for the length of window that is asked
for. None of this has to be modelled. Errors that last longer than the smoother's memory are not
seen.

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
"""A speed is judged when phases are known for so long after it, the memory of the calmest filter.
Set by hand: half as long again or twice as long judges no better, and later."""
_TOGETHER_S = 0.05
"""Speeds are judged together once the first of them has waited for so long: smoothing takes a pass
over all phases since."""
_REMEMBERED_S = 0.5
"""Time constant of the average."""
_LARGEST_ERROR = 3.0
"""An error counts for no more standard deviations than this."""
_NORMAL_MEAN = math.sqrt(2 / math.pi)
"""Mean size of an error over its standard deviation where it is normally distributed."""
_LONGEST_STEP_S = 0.1
"""A speed stands for the time since the one before, but for no more than this."""
_FIRST_SPEED_SHARE, _SLOWEST_RAD_S = 0.05, 1.0
"""Standard deviation of the speed of the first phase as a share of it, that of the acceleration
being the speed in a second; slower rotors count as turning with this."""
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
    """A mean speed that is to be judged.

    Attributes:
        start_s, end_s: times of its window.
        start, end: phases at these, rad.
        variance: expected of their difference, rad^2.
    """

    start_s: float
    end_s: float
    start: float
    end: float
    variance: float


class ObservedErrors:
    """Judges the mean speeds of one rotor by the phases that come after them.

    Attributes:
        known_s: for how long errors were observed, with exponential forgetting.
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
        """Variance of the errors over what was expected of it; 0 before any were observed."""
        return (self._size / _NORMAL_MEAN) ** 2

    def add_phase(
        self, time_s: float, phase: float, variance: float, speed: float, jerk_power: float
    ) -> None:
        """Take in a phase that was measured, in order of time.

        Args:
            time_s: its time.
            phase, variance: in rad and rad^2.
            speed: of the rotor, rad/s.
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
        """Take in the mean speed of a window that was just reported.

        Args:
            end_s: its end.
            window: what the phase filter says of it.
            expected: variance that is expected of it, (rad/s)^2.
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
        """Take an error that has become known off all phases.

        Args:
            error: of a phase, by that phase.
        """
        for state in self._log["state"][: self._count]:
            state[0] -= error(float(state[0]))
        self._state[0] -= error(float(self._state[0]))
        self._waiting = deque(
            one._replace(start=one.start - error(one.start), end=one.end - error(one.end))
            for one in self._waiting
        )

    def forget(self) -> None:
        """What was observed until now says nothing of what follows: errors have become others."""
        self.known_s = self._size = 0.0
        self._waiting.clear()

    def interrupt(self) -> None:
        """What is measured next does not go on from what was."""
        self._count = 0
        self._waiting.clear()

    def _judge(self, until_s: float) -> None:
        """Judge the waiting windows that end by a time."""
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
        """Forget phases of which no window will ask any more; room grows where none are."""
        times_s = self._log["time_s"]
        since_s = times_s[-1] - self._longest_s - _LATER_S - 2 * _TOGETHER_S
        if self._waiting:
            since_s = min(since_s, self._waiting[0].start_s)
        first = max(int(np.searchsorted(times_s, since_s)) - 1, 0)
        self._log, self._count = with_room(self._log, first)


@njit(cache=True, nogil=True)
def _add(state, covariance, phase, variance, jerk_power, dt, row):
    """Predict by dt, write down in row[0], correct by a phase; state and covariance in place."""
    predict_motion(state, covariance, jerk_power, dt)
    here = row[0]
    here.state[:] = state
    here.covariance[:] = covariance
    here.innovation, here.variance = correct_by(state, covariance, 0, phase, variance)


@njit(cache=True, nogil=True)
def _smoothed(log, times_s):
    """Phases at some times, by all that is logged: along the parabola of the nearest one."""
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
