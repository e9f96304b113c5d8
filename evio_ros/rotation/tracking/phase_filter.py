"""Filter of a rotor's phase, speed and acceleration, slice by slice.

Method: a bank of Kalman filters. The state (phase, speed, acceleration) follows the continuous
Wiener process acceleration model (Bar-Shalom, Li and Kirubarajan, Estimation with Applications to
Tracking and Navigation, 2001, section 6.2.3): white jerk of power q gives, over a time T, a
covariance of q times

    T^5/20  T^4/8  T^3/6
    T^4/8   T^3/3  T^2/2
    T^3/6   T^2/2  T

Each filter of the bank has its own model with its own q: for motors that hold their speed, for
ramps, and for sudden changes. The selected model is the one with the greatest log likelihood of the
latest innovations v of variance S: the sum of -(v^2 / S + log S) / 2 with exponential forgetting
(ibid., section 11.6 on multiple models, here without mixing).

The mean speed of a window is the phase at its end minus the phase at its start, divided by its
length. To obtain the variance of this difference, the filter is run once more over the window with
the phase at its start as an additional, constant state. Slices may be of any length.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = [
    "Motion",
    "PhaseFilter",
    "WindowMotion",
    "correct_motion",
    "make_room",
    "predict_motion",
    "process_noise_factor",
]

_Real = NDArray[np.float64]

_PROCESS_NOISES = (1e-3, 3e-2, 1.0, 30.0)
"""Random walk of the acceleration in one second, as a standard deviation relative to the speed,
1/s^2. Neighbours differ by a factor of 30, so that the best is off by less than a factor of six.
Fitted to simulated recordings."""
_SLOWEST_RAD_S = 1.0
"""Minimum speed for the process noise, a sixth of a turn per second."""
_SCALE_KEPT = 0.995
"""Decay factor per slice of the speed to which the process noise is proportional: a rotor that
brakes keeps its process noise for a second, 200 slices of 5 ms."""
_FAST_BLADES_S = 0.02
"""Blade period beyond which process noise is reduced by the third power of the ratio: within one
period, a change of speed and an error of the disc's position look alike. It is that of a fan of
three blades at 1000 rpm. Fitted to simulated recordings."""
_MEMORY_SLICES = 30.0
_MEMORY_BLADES = 3.0
"""Memory of a filter's log likelihood: the longer of a number of slices and a number of blade
periods. Fitted to simulated recordings."""
_AGILE = 2
"""Index of the first filter of the bank that follows changes of speed within a turn."""
_WOBBLE_BLADES_S = 0.04
_WOBBLE_RAD = 0.03
"""If the blade period is longer than this, a change of speed within one period and an error of the
disc's position look alike: errors of up to this angle do not influence the selection."""
_MOST_BEHIND = 6.0
"""A filter whose log likelihood is lower than that of the selected one by more than this, which is
odds of 400, is reset to the selected one: a filter that has lost the rotor must be usable at the
next change of speed."""
_SELECTION_DELAY_SLICES = 6
"""Number of slices after a change of motion until the right model is selected. Fitted to simulated
recordings."""
_MANOEUVRE_SPEED, _MANOEUVRE_ACCELERATION = 0.02, 0.1
"""Covariance inflation at a manoeuvre: standard deviation of the speed as a share of it, in
addition to the change that causes the offset within the slice; and of the acceleration as a share
of the speed per slice. Fitted to simulated recordings."""
_JUMP_RAD = 2 * math.pi
_JUMP_SHARE = 2.0
"""Standard deviations of a jump of phase, and of speed as a share of the usual one, while a rotor
was lost: large enough for any jump."""
_FIRST_CAPACITY = 256
"""Initial capacity in slices; it grows if windows need more."""

_HISTORY = np.dtype(
    [
        ("start_us", np.int64),
        ("length_us", np.int64),
        ("measured", np.float64, 4),
        ("inflation", np.float64, 3),
        ("states", np.float64, (len(_PROCESS_NOISES), 3)),
        ("covariances", np.float64, (len(_PROCESS_NOISES), 3, 3)),
        ("noise", np.float64),
    ]
)
"""A slice: its start, relative to the start of the filter, and its length; measured phase and
speed, each followed by its variance; variances added before it; states and covariances of all
filters at its start; power of the jerk of the model selected after it."""


@dataclass(frozen=True, slots=True)
class Motion:
    """A rotor's motion at a time.

    Attributes:
        t_us: sensor time in µs.
        state: phase in rad, speed in rad/s and acceleration in rad/s^2.
        deviations: their standard deviations, in the same units.
    """

    t_us: int
    state: tuple[float, float, float]
    deviations: tuple[float, float, float]


class WindowMotion(NamedTuple):
    """Result of the filter for the last window.

    Attributes:
        length_us: its length in µs, or the time since tracking began if that is shorter.
        slices: number of slices in it.
        speed, variance: mean speed in rad/s, and its variance by the selected models.
        end_phase, end_variance: phase at its end in rad, and its variance.
        wobble_rad: error of the phase that the selected model may take for motion: a model that
            follows changes within a turn also follows the wobble of an imperfect pattern.
    """

    length_us: int
    slices: int
    speed: float
    variance: float
    end_phase: float
    end_variance: float
    wobble_rad: float


class _Bank(NamedTuple):
    """All n filters of the bank.

    Attributes:
        states: (n, 3).
        covariances: (n, 3, 3).
        likelihoods: (n,) log likelihoods relative to the selected filter.
        process_noises: (n,), see `_PROCESS_NOISES`.
        inflation: (3,) variances to be added before the next slice.
        jump: (3,) likewise, but added only when a window that begins earlier is evaluated.
    """

    states: _Real
    covariances: _Real
    likelihoods: _Real
    process_noises: _Real
    inflation: _Real
    jump: _Real


def process_noise_factor(blade_period_s: float) -> float:
    """Factor on the process noise, 1 or less, by the time from one blade to the next in s."""
    return min(1.0, _FAST_BLADES_S / blade_period_s) ** 3


class PhaseFilter:
    """Filters one rotor's phase; angles in rad, times in s unless the name has another unit.

    Args:
        motion: the rotor's motion at the start of the first slice.
        blade_period_s: time from one blade to the next.
        window_us: length in µs of the window over which the mean speed is computed.

    Attributes:
        window_us: as given.
        selected: index of the selected model; 0 is the one with the least process noise.
        wobble_rad: angle by which the pattern may seem to wobble within a turn.
        wobble_noise_share: share of the wobble's variance that counts as noise: 1 if blades pass
            quickly; if they pass slowly, many slices share one wobble.
    """

    def __init__(self, motion: Motion, blade_period_s: float, window_us: int) -> None:
        bank = len(_PROCESS_NOISES)
        self._bank = _Bank(
            np.tile(np.array(motion.state), (bank, 1)),
            np.tile(np.diag(np.square(motion.deviations)), (bank, 1, 1)),
            np.zeros(bank),
            np.array(_PROCESS_NOISES),
            np.zeros(3),
            np.zeros(3),
        )
        self.selected = 0
        self.wobble_noise_share = min(1.0, _WOBBLE_BLADES_S / blade_period_s)
        self.wobble_rad = _WOBBLE_RAD * math.sqrt(1.0 - self.wobble_noise_share**3)
        self._blade_period_s = blade_period_s
        self.window_us = window_us
        self._speed_scale = abs(motion.state[1])
        # The slices of at least the last window; only the first `_count` rows are used.
        self._history = np.zeros(_FIRST_CAPACITY, _HISTORY)
        self._count = 0
        self._now_us = 0

    @property
    def state(self) -> _Real:
        """Phase, speed and acceleration at the end of the last slice, (3,)."""
        return self._bank.states[self.selected]

    @property
    def covariance(self) -> _Real:
        """Covariance of `state`, (3, 3)."""
        return self._bank.covariances[self.selected]

    @property
    def is_agile(self) -> bool:
        """Whether a model that follows changes of speed within a turn is selected."""
        return self.selected >= _AGILE

    @property
    def jerk_power(self) -> float:
        """Power of the jerk of the selected model, (rad/s^3)^2 s."""
        noise = float(self._bank.process_noises[self.selected])
        return float(_jerk_power(noise, self._speed_scale))

    def predicted_phase_variance(self, length_us: int) -> tuple[float, float]:
        """Variance of the phase predicted for the middle of the next slice, rad^2.

        Args:
            length_us: length of that slice.

        Returns:
            By the selected model, and by the model with the most process noise.
        """
        bank = self._bank
        return _next_variances(
            bank.covariances,
            bank.inflation,
            bank.process_noises,
            self._speed_scale,
            self.selected,
            1e-6 * length_us,
        )

    def motion_before(self, t_us: int, ago_s: float) -> Motion:
        """The motion at an earlier time, extrapolated from the end of the last slice.

        Args:
            t_us: sensor time of that earlier time, for the result.
            ago_s: time from then to the end of the last slice.
        """
        phase, speed, acceleration = map(float, self.state)
        s0, s1, s2 = np.sqrt(np.maximum(np.diag(self.covariance), 0.0))
        return Motion(
            t_us,
            (
                phase - speed * ago_s + 0.5 * acceleration * ago_s**2,
                speed - acceleration * ago_s,
                acceleration,
            ),
            (float(s0 + s1 * ago_s + 0.5 * s2 * ago_s**2), float(s1 + s2 * ago_s), float(s2)),
        )

    def inflate(self, offset: float, speed: float, length_s: float) -> None:
        """Inflate the covariance before the next slice, because of a manoeuvre of the rotor.

        Args:
            offset: angle by which the rotor leads or lags.
            speed: expected speed, rad/s.
            length_s: time in which the offset has arisen.
        """
        change = 2 * abs(offset) / length_s + _MANOEUVRE_SPEED * abs(speed)
        acceleration = _MANOEUVRE_ACCELERATION * abs(speed) / length_s
        self._bank.inflation[:] += np.square((0.0, change, acceleration))

    def inflate_speed(self, deviation: float) -> None:
        """Add a standard deviation in rad/s to that of the speed before the next slice."""
        self._bank.inflation[1] += deviation**2

    def update_coherent(
        self, lengths_us: tuple[int, ...], middle: int, phase: float, phase_variance: float
    ) -> float:
        """Add slices with one common measurement.

        Args:
            lengths_us: length of each slice.
            middle: index of the slice at whose middle the phase was measured.
            phase, phase_variance: see `update`.

        Returns:
            See `update`.
        """
        self.coast(lengths_us[:middle])
        normalised = self.update(lengths_us[middle], phase, phase_variance)
        self.coast(lengths_us[middle + 1 :])
        return normalised

    def coast(self, lengths_us: tuple[int, ...]) -> None:
        """Add slices without a measurement."""
        for length_us in lengths_us:
            self.update(length_us)

    def correct_phases(self, error: Callable[[float], float]) -> None:
        """Subtract a newly learned error from all phases, including past ones.

        Args:
            error: error of a phase as a function of the phase.
        """
        for slice_ in self._history[: self._count]:
            slice_["measured"][0] -= error(slice_["measured"][0])
            slice_["states"][:, 0] -= error(slice_["states"][self.selected, 0])
        self._bank.states[:, 0] -= error(float(self.state[0]))

    def restart(
        self, phase: float, speed: float, deviations: tuple[float, float, float], lost_us: int
    ) -> None:
        """Reset the state at the end of the last slice; earlier measured phases stay.

        Args:
            phase, speed: the new state; the acceleration is 0.
            deviations: standard deviations of phase, speed and acceleration.
            lost_us: time for which the rotor has already moved with this speed.
        """
        bank = self._bank
        bank.inflation[:] = 0.0
        bank.likelihoods[:] = 0.0
        self.selected = 0
        covariance = np.diag(np.square(deviations))
        # In windows that begin earlier, the state jumps by an unknown amount.
        scale = _JUMP_SHARE * max(self._speed_scale, abs(speed))
        jump = np.square((_JUMP_RAD, scale, 0.0))
        first = self._first_since(lost_us)
        for slice_ in self._history[first : self._count]:
            past = phase - speed * 1e-6 * (self._now_us - slice_["start_us"])
            middle = past + 0.5 * speed * 1e-6 * slice_["length_us"]
            slice_["states"] = past, speed, 0.0
            slice_["covariances"] = covariance
            slice_["measured"] = middle, covariance[0, 0], 0.0, math.inf
            slice_["inflation"] = 0.0
        if first < self._count:
            self._history["inflation"][first] = jump
        bank.jump[:] = jump if first == self._count else 0.0
        bank.states[:] = (phase, speed, 0.0)
        bank.covariances[:] = covariance
        if speed:
            self._speed_scale = abs(speed)

    def update(
        self,
        length_us: int,
        phase: float = 0.0,
        phase_variance: float = math.inf,
        speed: float = 0.0,
        speed_variance: float = math.inf,
    ) -> float:
        """Add a slice.

        Args:
            length_us: its length.
            phase, phase_variance: phase measured at the middle of the slice, and its variance,
                which is infinite if nothing was measured.
            speed, speed_variance: the same for the speed; used while a rotor stands still.

        Returns:
            Squared innovation of the phase over its variance; 0 if nothing was measured.
        """
        self._make_room()
        memory = max(_MEMORY_SLICES, _MEMORY_BLADES * self._blade_period_s / (1e-6 * length_us))
        normalised, self.selected, self._speed_scale = _update_bank(
            self._bank,
            self.selected,
            self._speed_scale,
            math.exp(-1.0 / memory),
            self.wobble_rad**2,
            (phase, phase_variance, speed, speed_variance),
            (self._now_us, length_us),
            self._history[self._count : self._count + 1],
        )
        self._count += 1
        self._now_us += length_us
        return normalised

    def window(self) -> WindowMotion:
        """The mean speed over the last window; at least one slice must have been added."""
        first, advance, variance = _window_advance(
            self._history[: self._count],
            self._now_us - self.window_us,
            self._bank.process_noises,
            self._speed_scale,
        )
        start = self._history[first]
        length_us = self._now_us - int(start["start_us"])
        length_s = 1e-6 * length_us
        return WindowMotion(
            length_us,
            self._count - first,
            advance / length_s,
            max(variance / length_s**2, 0.0),
            float(self.state[0]),
            max(float(self.covariance[0, 0]), 0.0),
            self.wobble_rad if self.is_agile else 0.0,
        )

    def _first_since(self, span_us: int) -> int:
        """Index of the first slice that lies completely within the last `span_us`."""
        starts_us = self._history["start_us"][: self._count]
        return int(np.searchsorted(starts_us, self._now_us - span_us))

    def _make_room(self) -> None:
        """If the history is full, drop slices that no window needs any more, or enlarge it."""
        if self._count < len(self._history):
            return
        first = self._first_since(2 * self.window_us)
        self._history, self._count = make_room(self._history, first)


def make_room(rows: NDArray[np.void], first: int) -> tuple[NDArray[np.void], int]:
    """Make room in a full array by dropping its first rows.

    Args:
        rows: structured array (n,); it may be changed.
        first: index of the first row to keep.

    Returns:
        Array that begins with the kept rows, and their number. The array is the same one, unless
        more than half of its rows are kept; then it is a new one of twice the length.
    """
    kept = rows[first:].copy()
    if 2 * len(kept) > len(rows):
        rows = np.zeros(2 * len(rows), rows.dtype)
    rows[: len(kept)] = kept
    return rows, len(kept)


@njit(cache=True, nogil=True)
def predict_motion(state, covariance, noise, dt):
    """Predict a state by dt seconds, in place.

    Args:
        state: (n,) phase, speed and acceleration; any further elements are constant.
        covariance: (n, n).
        noise: power of the jerk, (rad/s^3)^2 s.
    """
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
def correct_motion(state, covariance, element, value, variance):
    """Update a state by a measurement of one of its elements, in place.

    Args:
        state, covariance: see `predict_motion`.
        element: index of the measured element.
        value, variance: the measurement.

    Returns:
        The innovation and its variance.
    """
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
def _filter_slice(state, covariance, measured, inflation, noise, dt):
    """Filter one slice: predict to its middle, update, predict to its end; all in place.

    Args:
        state, covariance: see `predict_motion`.
        measured: (4,) phase, its variance, speed, its variance; infinite variances are skipped.
        inflation: (3,) variances added before the slice.
        noise: power of the jerk, (rad/s^3)^2 s.
        dt: length of the slice in s.

    Returns:
        Innovation of the phase and its variance; infinite if the phase was not measured.
    """
    for i in range(3):
        covariance[i, i] += inflation[i]
    predict_motion(state, covariance, noise, 0.5 * dt)
    innovation, expected = 0.0, math.inf
    if measured[1] < math.inf:
        innovation, expected = correct_motion(state, covariance, 0, measured[0], measured[1])
    if measured[3] < math.inf:
        correct_motion(state, covariance, 1, measured[2], measured[3])
    predict_motion(state, covariance, noise, 0.5 * dt)
    return innovation, expected


@njit(cache=True, nogil=True)
def _jerk_power(process_noise, speed_scale):
    """Power of the jerk of a filter, (rad/s^3)^2 s."""
    return (process_noise * max(speed_scale, _SLOWEST_RAD_S)) ** 2


@njit(cache=True, nogil=True)
def _update_bank(bank, selected, speed_scale, forgetting, wobble, measured, times_us, row):
    """Process one slice in every filter, and record it in the history.

    Args:
        bank: the filters; changed.
        selected: index of the model selected before.
        speed_scale: speed to which the process noise is proportional.
        forgetting: factor on the log likelihoods so far.
        wobble: variance of the innovations that likelihoods allow for in addition.
        measured: phase, its variance, speed, its variance.
        times_us: start and length of the slice.
        row: (1,) row of the history; set.

    Returns:
        Squared innovation over its variance by the model selected before; index of the model
        selected now; speed to which the process noise is proportional from now on.
    """
    here = row[0]
    here.start_us, here.length_us = times_us
    for i in range(4):
        here.measured[i] = measured[i]
    here.inflation[:] = bank.inflation + bank.jump
    here.states[:] = bank.states
    here.covariances[:] = bank.covariances
    dt = 1e-6 * times_us[1]
    squared = 0.0
    for b in range(len(bank.states)):
        noise = _jerk_power(bank.process_noises[b], speed_scale)
        innovation, expected = _filter_slice(
            bank.states[b], bank.covariances[b], measured, bank.inflation, noise, dt
        )
        if expected < math.inf:
            allowed = expected + wobble
            likelihood = -0.5 * (innovation**2 / allowed + math.log(allowed))
            bank.likelihoods[b] = forgetting * bank.likelihoods[b] + likelihood
            if b == selected:
                squared = innovation**2 / expected
    best = _select(bank)
    here.noise = _jerk_power(bank.process_noises[best], speed_scale)
    bank.inflation[:] = 0.0
    bank.jump[:] = 0.0
    return squared, best, max(abs(bank.states[selected, 1]), _SCALE_KEPT * speed_scale)


@njit(cache=True, nogil=True)
def _select(bank):
    """Index of the most likely model; filters that are far less likely are reset to its state."""
    best = bank.likelihoods.argmax()
    leading = bank.likelihoods[best]
    for b in range(len(bank.states)):
        bank.likelihoods[b] -= leading
        if bank.likelihoods[b] < -_MOST_BEHIND:
            bank.likelihoods[b] = -_MOST_BEHIND
            bank.states[b] = bank.states[best]
            bank.covariances[b] = bank.covariances[best]
    return best


@njit(cache=True, nogil=True)
def _next_variances(covariances, inflation, process_noises, speed_scale, selected, dt):
    """Variances of the phase at the middle of the next slice, by the selected and last model."""
    last = len(covariances) - 1
    return (
        _next_variance(
            covariances[selected], inflation, _jerk_power(process_noises[selected], speed_scale), dt
        ),
        _next_variance(
            covariances[last], inflation, _jerk_power(process_noises[last], speed_scale), dt
        ),
    )


@njit(cache=True, nogil=True)
def _next_variance(covariance, inflation, noise, dt):
    """Variance of the phase at the middle of the next slice by one filter."""
    moved = covariance.copy()
    for i in range(3):
        moved[i, i] += inflation[i]
    predict_motion(np.zeros(3), moved, noise, 0.5 * dt)
    return moved[0, 0]


@njit(cache=True, nogil=True)
def _window_advance(history, start_us, process_noises, speed_scale):
    """Advance of the phase over a window.

    Args:
        history: slices up to the window's end.
        start_us: earliest start of the window.
        process_noises, speed_scale: see `_Bank` and `_update_bank`.

    Returns:
        Index of the window's first slice, the first one that does not start earlier; advance of the
        phase from its start to the end, rad; and the variance of that.
    """
    begin = len(history) - 1
    while begin > 0 and history[begin - 1].start_us >= start_us:
        begin -= 1
    window = history[begin:]
    first = window[0]
    # The filter with the process noise that is closest to that selected at the window's start.
    start, nearest = 0, math.inf
    for b in range(len(process_noises)):
        away = abs(_jerk_power(process_noises[b], speed_scale) - first.noise)
        if away < nearest:
            start, nearest = b, away
    # The last state is the phase at the window's start.
    state = np.zeros(4)
    state[:3] = first.states[start]
    state[3] = state[0]
    full = np.zeros((4, 4))
    full[:3, :3] = first.covariances[start]
    full[3] = full[0]
    full[:, 3] = full[:, 0]
    for i in range(len(window)):
        # The most noise of the models selected for this slice or soon after, because a model is
        # selected late.
        noise = 0.0
        for later in window[i : i + _SELECTION_DELAY_SLICES + 1]:
            noise = max(noise, later.noise)
        dt = 1e-6 * window[i].length_us
        _filter_slice(state, full, window[i].measured, window[i].inflation, noise, dt)
    return begin, state[0] - state[3], full[0, 0] - 2 * full[0, 3] + full[3, 3]
