"""Phase, speed and acceleration of a rotor, filtered over the slices of a stream.

Several Kalman filters run side by side. All take the acceleration for a random walk (Bar-Shalom, Li
and Kirubarajan, Estimation with Applications to Tracking and Navigation, 2001, section 6.2), each
with another strength: one for motors that hold their speed, one for ramps, one for sudden changes.
The one that foretold the latest measurements best speaks. The mean speed of a window is the phase
at its end less the phase at its start, over its length; to know both with their covariance, the
filter is run once more over the window with the phase at its start as a further state.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["PhaseFilter"]

Real = NDArray[np.float64]

AGILITIES = (1e-3, 3e-2, 1.0, 30.0)
"""Random walk of the acceleration in a second, as a share of the speed."""
QUICK_PASSAGE_S = 0.02
"""Where blades follow more slowly, motors are taken for calmer: within one passing of a blade, a
change of speed and an error of the disc's place look alike."""
MEMORY_SLICES = 30.0
MEMORY_PERIODS = 3.0
"""Evidence for a filter counts for so many slices and passings of a blade, whichever is longer."""
MOST_EVIDENCE = 12.0
"""A filter that is behind by more than this (log likelihood) starts again from the best one."""

NOTICE_SLICES = 6
"""So many slices later, a change of motion has been noticed."""
HISTORY = np.dtype(
    [
        ("measured", np.float64, 4),
        ("shaken", np.float64, 3),
        ("states", np.float64, (len(AGILITIES), 3)),
        ("covariances", np.float64, (len(AGILITIES), 3, 3)),
        ("noise", np.float64),
    ]
)
"""A slice: phase and speed measured, each with its variance; variances added before it; states and
covariances of all filters at its start; noise of the filter that spoke then."""


class PhaseFilter:
    """Filters one rotor's phase; angles in rad, time in seconds.

    Args:
        slice_s: length of a slice.
        slices: number of slices in the window whose mean speed is asked for.
        phase, speed, acceleration: state at the start of the first slice.
        deviations: (3,) their standard deviations.
        period_s: time from one blade to the next.

    Attributes:
        best: number of the filter that speaks.
        slice_s: as given.
    """

    def __init__(
        self,
        slice_s: float,
        slices: int,
        phase: float,
        speed: float,
        acceleration: float,
        deviations: Real,
        period_s: float,
    ) -> None:
        self._agilities = np.minimum(
            AGILITIES, AGILITIES[-1] * min(1.0, QUICK_PASSAGE_S / period_s) ** 3
        )
        self.slice_s = slice_s
        self._forgetting = math.exp(-1.0 / max(MEMORY_SLICES, MEMORY_PERIODS * period_s / slice_s))
        self._slices = slices
        bank = len(AGILITIES)
        self._state = np.tile(np.array((phase, speed, acceleration)), (bank, 1))
        self._covariance = np.tile(np.diag(np.square(deviations)), (bank, 1, 1))
        self._evidence = np.zeros(bank)
        self.best = 0
        self._speed_scale = abs(speed)
        # The last windows' slices.
        capacity = 4 * slices + 64
        self._history = np.zeros(capacity, HISTORY)
        self._count = 0
        self._pending_shake = np.zeros(3)
        self._pending_jump = np.zeros(3)

    @property
    def state(self) -> Real:
        """(3,) phase, speed and acceleration now, at the end of the last slice."""
        return self._state[self.best]

    @property
    def covariance(self) -> Real:
        """(3, 3) covariance of `state`."""
        return self._covariance[self.best]

    @property
    def phase_variance(self) -> float:
        """Variance of the phase now, rad^2."""
        return max(float(self.covariance[0, 0]), 0.0)

    @property
    def slices_seen(self) -> int:
        """Number of slices of which the mean speed can be told, at most a window's."""
        return min(self._count, self._slices)

    def predicted_phase_variance(self) -> tuple[float, float]:
        """Variance of the phase expected in the middle of the next slice: best, most agile."""
        return _next_variances(
            self._covariance,
            self._pending_shake,
            self._agilities,
            self._speed_scale,
            self.slice_s,
            self.best,
        )

    def shake(self, phase: float, speed: float, acceleration: float) -> None:
        """Let the next slice begin with added uncertainty (standard deviations)."""
        self._pending_shake += np.square((phase, speed, acceleration))

    def restart(
        self, phase: float, speed: float, acceleration: float, deviations: Real, lost_slices: int
    ) -> None:
        """Set the state at the end of the last slice anew; phases measured before stay.

        Args:
            phase, speed, acceleration: the state.
            deviations: (3,) their standard deviations.
            lost_slices: in so many of the last slices the rotor already moved like this.
        """
        self._pending_shake[:] = 0.0
        self._evidence[:] = 0.0
        self.best = 0
        scale = max(self._speed_scale, abs(speed))
        variances = np.square(deviations)
        # Seen from before, the state jumped by any amount at the first of the lost slices.
        jump = np.square((2 * math.pi, 2 * scale, 0.0))
        lost = min(lost_slices, self._count)
        history = self._history
        for back in range(lost, 0, -1):
            index = self._count - back
            ago = back * self.slice_s
            past = phase - (speed - 0.5 * acceleration * ago) * ago
            middle = past + 0.5 * self.slice_s * speed
            history["states"][index] = past, speed - acceleration * ago, acceleration
            history["covariances"][index] = np.diag(variances)
            history["measured"][index] = middle, variances[0], 0.0, math.inf
            history["shaken"][index] = jump if back == lost else 0.0
        self._pending_jump[:] = jump if lost == 0 else 0.0
        self._state[:] = (phase, speed, acceleration)
        self._covariance[:] = np.diag(variances)
        if speed:
            self._speed_scale = abs(speed)

    def update(
        self,
        phase: float,
        phase_variance: float,
        speed: float = 0.0,
        speed_variance: float = math.inf,
    ) -> float:
        """Add a slice.

        Args:
            phase, phase_variance: measured at the slice's middle; the variance may be infinite.
            speed, speed_variance: likewise; needed where a rotor stands still.

        Returns:
            Squared innovation over its expected variance, 0 where nothing was measured.
        """
        self._make_room()
        normalised, self.best, self._speed_scale = _take_slice(
            self._state,
            self._covariance,
            self._evidence,
            self.best,
            (phase, phase_variance, speed, speed_variance),
            self._pending_shake,
            self._pending_jump,
            self._agilities,
            self._speed_scale,
            self.slice_s,
            self._forgetting,
            self._history[self._count : self._count + 1],
        )
        self._count += 1
        return normalised

    def mean_speed(self, slices: int) -> tuple[float, float]:
        """Mean speed over the last `slices` slices and its variance."""
        start = self._count - min(slices, self.slices_seen)
        advance, variance = _window_advance(
            self._history[start : self._count], self._agilities, self._speed_scale, self.slice_s
        )
        length_s = (self._count - start) * self.slice_s
        return advance / length_s, variance / length_s**2

    def speed_change(self, slices: int) -> float:
        """Change of the speed over the last `slices` slices."""
        start = self._count - min(slices, self.slices_seen)
        if start == self._count:
            return 0.0
        return float(self.state[1] - self._history["states"][start, self.best, 1])

    def _make_room(self) -> None:
        if self._count < len(self._history):
            return
        kept = 2 * self._slices
        self._history[:kept] = self._history[self._count - kept : self._count].copy()
        self._count = kept


@njit(cache=True, nogil=True)
def _predict(state, covariance, noise, dt):
    """Move phase, speed, acceleration and any further constant states by dt, in place."""
    state[0] += dt * (state[1] + 0.5 * dt * state[2])
    state[1] += dt * state[2]
    n = len(state)
    for j in range(n):
        covariance[0, j] += dt * (covariance[1, j] + 0.5 * dt * covariance[2, j])
        covariance[1, j] += dt * covariance[2, j]
    for i in range(n):
        covariance[i, 0] += dt * (covariance[i, 1] + 0.5 * dt * covariance[i, 2])
        covariance[i, 1] += dt * covariance[i, 2]
    covariance[0, 0] += noise * dt**5 / 20
    covariance[0, 1] += noise * dt**4 / 8
    covariance[1, 0] += noise * dt**4 / 8
    covariance[0, 2] += noise * dt**3 / 6
    covariance[2, 0] += noise * dt**3 / 6
    covariance[1, 1] += noise * dt**3 / 3
    covariance[1, 2] += noise * dt**2 / 2
    covariance[2, 1] += noise * dt**2 / 2
    covariance[2, 2] += noise * dt


@njit(cache=True, nogil=True)
def _correct(state, covariance, element, value, variance):
    """Take in a measurement of one element, in place; its innovation and expected variance."""
    n = len(state)
    innovation = value - state[element]
    expected = covariance[element, element] + variance
    gain = covariance[:, element] / expected
    row = covariance[element].copy()
    for i in range(n):
        state[i] += gain[i] * innovation
        for j in range(n):
            covariance[i, j] -= gain[i] * row[j]
    for i in range(n):
        for j in range(i):
            covariance[i, j] = covariance[j, i]
    return innovation, expected


@njit(cache=True, nogil=True)
def _slice(state, covariance, measured, shaken, noise, dt):
    """One slice: half a step, the measurement in its middle, half a step."""
    for i in range(3):
        covariance[i, i] += shaken[i]
    _predict(state, covariance, noise, 0.5 * dt)
    innovation, expected = 0.0, math.inf
    if measured[1] < math.inf:
        innovation, expected = _correct(state, covariance, 0, measured[0], measured[1])
    if measured[3] < math.inf:
        _correct(state, covariance, 1, measured[2], measured[3])
    _predict(state, covariance, noise, 0.5 * dt)
    return innovation, expected


@njit(cache=True, nogil=True)
def _noise(agility, speed_scale):
    """Power of the jerk of a filter, (rad/s^3)^2 s."""
    return (agility * max(speed_scale, 1.0)) ** 2


@njit(cache=True, nogil=True)
def _take_slice(
    states,
    covariances,
    evidence,
    speaking,
    measured,
    shake,
    jump,
    agilities,
    speed_scale,
    dt,
    forgetting,
    history,
):
    """One slice for every filter, written down in history[0].

    Returns:
        Squared innovation of the filter that spoke, which is best now, and the speed's scale.
    """
    here = history[0]
    for i in range(4):
        here.measured[i] = measured[i]
    here.shaken[:] = shake + jump
    here.states[:] = states
    here.covariances[:] = covariances
    told = 0.0
    for b in range(len(states)):
        noise = _noise(agilities[b], speed_scale)
        innovation, expected = _slice(states[b], covariances[b], measured, shake, noise, dt)
        if expected < math.inf:
            normalised = innovation**2 / expected
            evidence[b] = forgetting * evidence[b] - 0.5 * (normalised + math.log(expected))
            if b == speaking:
                told = normalised
    best = _start_again(states, covariances, evidence)
    here.noise = _noise(agilities[best], speed_scale)
    shake[:] = 0.0
    jump[:] = 0.0
    return told, best, max(abs(states[speaking, 1]), 0.995 * speed_scale)


@njit(cache=True, nogil=True)
def _start_again(states, covariances, evidence):
    """Let filters that are far behind start again from the best one; which that is."""
    best = evidence.argmax()
    evidence -= evidence[best]
    for b in range(len(states)):
        if evidence[b] < -MOST_EVIDENCE:
            evidence[b] = -MOST_EVIDENCE
            states[b] = states[best]
            covariances[b] = covariances[best]
    return best


@njit(cache=True, nogil=True)
def _next_variances(covariances, shake, agilities, speed_scale, dt, best):
    """Variances of the phase in the middle of the next slice, by the best and the last filter."""
    return (
        _next_variance(covariances[best], shake, _noise(agilities[best], speed_scale), dt),
        _next_variance(covariances[-1], shake, _noise(agilities[-1], speed_scale), dt),
    )


@njit(cache=True, nogil=True)
def _next_variance(covariance, shake, noise, dt):
    """Variance of the phase in the middle of the next slice."""
    moved = covariance.copy()
    for i in range(3):
        moved[i, i] += shake[i]
    _predict(np.zeros(3), moved, noise, 0.5 * dt)
    return moved[0, 0]


@njit(cache=True, nogil=True)
def _window_advance(history, agilities, speed_scale, dt):
    """Phase at the end less phase at the start of a window, and its variance."""
    first = history[0]
    best, nearest = 0, math.inf
    for b in range(len(agilities)):
        away = abs(_noise(agilities[b], speed_scale) - first.noise)
        if away < nearest:
            best, nearest = b, away
    state = np.zeros(4)
    state[:3] = first.states[best]
    state[3] = state[0]
    full = np.zeros((4, 4))
    full[:3, :3] = first.covariances[best]
    full[3] = full[0]
    full[:, 3] = full[:, 0]
    for i in range(len(history)):
        # Each slice with the noise of the filter that spoke then or, as a change is noticed late,
        # soon after.
        noise = 0.0
        for later in history[i : i + NOTICE_SLICES + 1]:
            noise = max(noise, later.noise)
        _slice(state, full, history[i].measured, history[i].shaken, noise, dt)
    return state[0] - state[3], full[0, 0] - 2 * full[0, 3] + full[3, 3]
