"""One rotor's motion, filtered over the estimates of a detector; see `rotor_model` for the model.

Method: an unscented Kalman filter, see `unscented`, with innovation gating. A detector's estimates
are themselves filtered, so errors of neighbouring ones are correlated. Slow errors are states of
the filter (Gauss-Markov processes; Bar-Shalom, Li and Kirubarajan, Estimation with Applications to
Tracking and Navigation, 2001, section 8.2 on coloured noise); where windows overlap, the noise of
the mean speed is inflated by the overlap. The detector's noise is learned from the innovations, see
`rotation_noise`; so is the process noise of speed and hub, between bounds (ibid., section 11.5 on
adaptive process noise).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri

from evio_ros.estimate import RotorEstimate
from evio_ros.fusion.rotation_noise import DetectorNoise, jerk_weights, unknown_noise
from evio_ros.fusion.rotor_model import (
    UNKNOWN_CENTER_PX,
    FilterParameters,
    RotorMotion,
    SpeedMeasured,
    State,
    begin,
    expected_phase,
    measured_speed,
    measured_values,
    scale_of,
    slow_phase_rad,
)
from evio_ros.fusion.rotor_steps import (
    PHASE,
    RATE,
    SPEED,
    Noise,
    innovations_of,
    predicted,
    predicted_motion,
    updated_by_estimate,
    updated_by_velocity,
)
from evio_ros.units import RAD_S_PER_RPM, RPM_PER_RAD_S

__all__ = ["HubVelocity", "Outcome", "RotorFilter"]

_Real = NDArray[np.float64]

_LEARNING_PER_S, _LEARNING = 8.0, 0.5
"""How fast the process noise adapts: change of the logarithm of its power for each unit by which
the mean normalised square of the innovations exceeds 1, per second and at most."""
_SURPRISE, _LARGEST_SURPRISE, _ALERT = 3.0, 10.0, 0.6
"""Mean normalised square beyond which the process noise grows at once, the greatest that counts,
and the change of the logarithm of its power for each unit beyond the former."""
_FIRST_WALK = 0.1
"""First process noise: position between the least (0) and the greatest (1), logarithmically."""
_JERKS = 12
"""Number of strengths of jerk compared, logarithmically even from the least to the greatest."""
_MANOEUVRE = 1.0
"""Increase of the logarithm of the power of the acceleration's process noise at a manoeuvre."""
_SCALE_TIME_S = 1.0
"""For this long, a rotor that brakes keeps the process noise of its former speed."""
_MANOEUVRES = (0.03, 0.2, 1.0)
"""Shares of the hub's greatest process noise tried in turn on an estimate beyond the gate. The
likeliest process noise of the acceleration goes with them, and the greatest with the last."""
_AGREEING_SPEED, _AGREEING_RATE, _AGREEING_PLACE = 0.1, 2.0, 0.25
"""Rejected estimates confirm each other if their speeds differ by no more than the first share plus
the second share of the usual speed per second between them, and their hubs by no more than the
third share of the longer semi-axis."""
_UNREST_TIME_S, _MOST_UNREST = 1.0, 100.0
"""Time constant in s of the average significance of the acceleration, and its greatest value that
counts."""
_LARGE_RATE = 0.02
"""An acceleration beyond this share of the speed per second counts in full, however uncertain it
is."""
_SAME_BLADE = 0.75
"""An angle that is off by more than this share of a pitch is that of another blade."""


class Outcome(Enum):
    """What became of a measurement."""

    ACCEPTED = "accepted"
    MANOEUVRE = "manoeuvre"
    RESTARTED = "restarted"
    GATED = "gated"
    DUPLICATE = "duplicate"
    TOO_LATE = "too_late"


class HubVelocity(NamedTuple):
    """A separately measured velocity of the hub, e.g. from optical flow.

    Attributes:
        t_us: sensor time of the measurement in µs.
        velocity: (x, y) in px/s.
        covariance: (2, 2) covariance of it, (px/s)^2.
    """

    t_us: int
    velocity: tuple[float, float]
    covariance: _Real


class _Walks(NamedTuple):
    """Learned process noises of the acceleration and of the hub's velocity."""

    rate: float
    hub: float


class _Moment(NamedTuple):
    """The filter after a measurement.

    Attributes:
        t_us: sensor time of the measurement in µs.
        state: the state after it.
        walks: learned process noises.
        detector: what is known of the detector's noise.
        scale: speed that the acceleration's process noise is proportional to, rad/s.
        slow_rad: standard deviation of the phase's slow error.
        detector_id: the rotor's id in the detector's estimates.
        offset_rad: added to the detector's angles; a multiple of the blades' pitch.
        rejected: the newest estimate if it was rejected.
        distances: squared Mahalanobis distances of the innovations of rotation and hub, over the
            number of their values.
        outcome: what became of the measurement.
        unrest: mean square of the acceleration over its variance, bounded.
    """

    t_us: int
    state: State
    walks: _Walks
    detector: DetectorNoise
    scale: float
    slow_rad: float
    detector_id: int
    offset_rad: float
    rejected: RotorEstimate | None = None
    distances: tuple[float, float] = (1.0, 1.0)
    outcome: Outcome = Outcome.ACCEPTED
    unrest: float = 0.0


class _Trial(NamedTuple):
    """Result of an update with given process noises.

    Attributes:
        walks: the process noises.
        state: after the estimate.
        distances: squared Mahalanobis distances of the innovations of rotation and hub, over the
            number of their values.
        hub_values: the number of the hub's values.
    """

    walks: _Walks
    state: State
    distances: tuple[float, float]
    hub_values: int

    def is_within(self, probability: float) -> bool:
        """Whether the innovations are within the gate that this share of correct ones passes."""
        return self.is_rotation_within(probability) and self.is_hub_within(probability)

    def is_rotation_within(self, probability: float) -> bool:
        """The same for the rotation alone."""
        return self.distances[0] <= _gate(2, probability) / 2

    def is_hub_within(self, probability: float) -> bool:
        """The same for the hub alone."""
        return self.distances[1] <= _gate(self.hub_values, probability) / self.hub_values


class _Case(NamedTuple):
    """An estimate prepared for the update of a moment.

    Attributes:
        offset: added to its angle, rad.
        times: s from the moment to the time at which its speed is applied, from there to the end of
            its window, and the lag of the former behind the middle of its window.
        speed: its mean speed.
        values, variances: what is measured at its end, with the claimed variances.
    """

    offset: float
    times: tuple[float, float, float]
    speed: SpeedMeasured
    values: _Real
    variances: _Real

    def claimed(self, moment: _Moment, parameters: FilterParameters) -> tuple[float, float]:
        """Parts of the variances of the innovations of speed and phase that the detector claims."""
        span_s = self.times[0] + self.times[1]
        lasting = 1.0 - math.exp(-2.0 * span_s / parameters.slow_time_s)
        return self.speed.variance, self.variances[0] + lasting * moment.slow_rad**2


_Measured = RotorEstimate | HubVelocity


class RotorFilter:
    """Filters one rotor; measurements may come late, see `FilterParameters.latest_us`.

    Args:
        estimate: the first estimate.
        parameters: motion model and measurement noise.

    Attributes:
        parameters: as given; may be replaced at any time.
    """

    def __init__(self, estimate: RotorEstimate, parameters: FilterParameters) -> None:
        self.parameters = parameters
        first = _begin(estimate, parameters, estimate.angle_rad, 0.0)
        self._history: list[tuple[_Measured, _Moment]] = [(estimate, first)]
        self._cached: RotorMotion | None = None

    @property
    def t_us(self) -> int:
        """Time of the newest measurement."""
        return self._newest.t_us

    @property
    def distances(self) -> tuple[float, float]:
        """Mean normalised squares of the newest innovations of the rotation and of the hub."""
        return self._newest.distances

    @property
    def rate_walk(self) -> float:
        """Learned process noise of the acceleration, 1 / s^1.5, see `FilterParameters`."""
        return self._newest.walks.rate

    def apply(self, measured: RotorEstimate | HubVelocity) -> Outcome:
        """Update with a measurement at its own time.

        Measurements of later times that have arrived before it are applied again after it.
        """
        place = self._place_after(measured.t_us)
        if place == 0 or measured.t_us < self.t_us - self.parameters.latest_us:
            return Outcome.TOO_LATE
        if any(_is_same(measured, kept) for kept, _ in self._history[max(place - 4, 0) : place]):
            return Outcome.DUPLICATE
        self._cached = None
        later = [kept for kept, _ in self._history[place:]]
        del self._history[place:]
        for one in (measured, *later):
            moment = self._newest
            if isinstance(one, HubVelocity):
                self._history.append((one, self._after_velocity(moment, one)))
            else:
                self._history.append((one, self._after_estimate(moment, one)))
        outcome = self._history[place][1].outcome
        self._forget()
        return outcome

    def move_clock(self, by_us: int) -> None:
        """Continue after the sensor's clock was set: the phase is unknown, all else stays.

        Older measurements are no longer accepted.
        """
        measured, moment = self._history[-1]
        self._cached = None
        covariance = moment.state.covariance.copy()
        covariance[PHASE, PHASE] += math.pi**2
        state = State(moment.state.mean, covariance)
        self._history = [(measured, moment._replace(t_us=moment.t_us + by_us, state=state))]

    def at(self, t_us: int) -> RotorMotion:
        """The motion at a sensor time in µs, predicted from the measurements up to then."""
        if self._cached is None or self._cached.t_us != t_us:
            moment = self._history[max(self._place_after(t_us) - 1, 0)][1]
            span_s = 1e-6 * max(t_us - moment.t_us, 0)
            noise = self._noise(moment, self._unseen(moment))
            is_large = abs(moment.state.mean[RATE]) > _LARGE_RATE * moment.scale
            unrest = _MOST_UNREST if is_large else moment.unrest
            mean, covariance = predicted_motion(*moment.state, span_s, noise, unrest)
            self._cached = RotorMotion.of(mean, covariance, t_us)
        return self._cached

    @property
    def _newest(self) -> _Moment:
        return self._history[-1][1]

    def _place_after(self, t_us: int) -> int:
        """Index in the history at which a measurement of a time belongs: mostly the end."""
        if self._newest.t_us <= t_us:
            return len(self._history)
        return bisect_right(self._history, t_us, key=_time_of)

    def _predict(self, moment: _Moment, t_us: int) -> State:
        """The state at a time after a moment."""
        span_s = 1e-6 * (t_us - moment.t_us)
        return State(*predicted(*moment.state, span_s, self._noise(moment, self._unseen(moment))))

    def _unseen(self, moment: _Moment) -> _Walks:
        """Process noises while nothing is measured: a rotor that was calm so far may change."""
        walks = moment.walks
        return walks._replace(rate=max(walks.rate, self.parameters.unseen_rate_walk))

    def _noise(self, moment: _Moment, walks: _Walks) -> Noise:
        """All noises that drive a state, with given process noises."""
        p = self.parameters
        jerk = walks.rate * moment.scale
        slow_phase = moment.detector.phase_factor * moment.slow_rad * moment.slow_rad
        slow = p.slow_center_px * p.slow_center_px, slow_phase
        return walks.hub * walks.hub, p.size_walk * p.size_walk, jerk * jerk, *slow, p.slow_time_s

    def _after_estimate(self, moment: _Moment, measured: RotorEstimate) -> _Moment:
        """The filter after an estimate that follows a moment."""
        p, t_us = self.parameters, measured.t_us
        dt = 1e-6 * (t_us - moment.t_us)
        case = self._case(moment, measured)
        jerks = _walks_between(p.calm_rate_walk, p.agile_rate_walk)
        innovations = self._innovations(moment, case, (jerks * moment.scale) ** 2)
        trial, outcome = self._try(moment, case, moment.walks), Outcome.ACCEPTED
        for share in _MANOEUVRES:
            if trial.is_within(p.gate_probability):
                break
            outcome = Outcome.MANOEUVRE
            rate_walk = p.agile_rate_walk
            if share < 1.0:
                rate_walk = float(jerks[_scores(innovations).argmax()])
            trial = self._try(moment, case, _more_agile(trial, rate_walk, share, p))
        if not trial.is_within(p.gate_probability):
            return self._after_unexplained(moment, measured, case.offset)
        claimed = case.claimed(moment, p)
        weights = jerk_weights(jerks, moment.walks.rate)
        return _Moment(
            t_us,
            trial.state,
            _learned(moment, trial, dt, p),
            moment.detector.after(innovations, claimed, weights, dt, p.claims_std),
            max(scale_of(measured), moment.scale * math.exp(-dt / _SCALE_TIME_S)),
            slow_phase_rad(measured, p),
            measured.id,
            case.offset,
            None,
            trial.distances,
            outcome,
            _unrest(moment, trial, dt),
        )

    def _case(self, moment: _Moment, measured: RotorEstimate) -> _Case:
        """Prepare an estimate: its mean speed is applied at its middle, the rest at its end."""
        offset = _offset_of(measured, moment, self._predict(moment, measured.t_us))
        middle_us = measured.t_us - measured.window_us // 2
        speed_us = max(middle_us, moment.t_us)
        lag_s = 1e-6 * (speed_us - middle_us)
        times = 1e-6 * (speed_us - moment.t_us), 1e-6 * (measured.t_us - speed_us), lag_s
        speed = measured_speed(measured, measured.t_us - moment.t_us, lag_s)
        values, variances = measured_values(measured, self.parameters)
        values[0] += offset
        return _Case(offset, times, speed, values, variances)

    def _innovations(self, moment: _Moment, case: _Case, jerks: _Real) -> _Real:
        """Innovations of speed and phase with their variances, (n, 4), for n powers of jerk."""
        known, speed = moment.detector, case.speed
        innovations: _Real = innovations_of(
            *moment.state,
            case.times,
            self._noise(moment, moment.walks),
            (speed.value, known.speed_factor * speed.variance, speed.wander),
            (case.values[0], known.phase_factor * case.variances[0]),
            jerks,
        )
        return innovations

    def _try(self, moment: _Moment, case: _Case, walks: _Walks) -> _Trial:
        """Update with given process noises."""
        noise = self._noise(moment, walks)
        known, speed, variances = moment.detector, case.speed, case.variances.copy()
        variances[0] *= known.phase_factor
        speed_variance = known.speed_factor * speed.variance + speed.wander * noise[2]
        mean, covariance, rotation, hub = updated_by_estimate(
            *moment.state,
            case.times,
            noise,
            (speed.value, speed_variance),
            case.values,
            variances,
        )
        hub_values = len(case.values) - 1
        distances = 0.5 * rotation, hub / hub_values
        return _Trial(walks, State(mean, covariance), distances, hub_values)

    def _after_unexplained(
        self, moment: _Moment, measured: RotorEstimate, offset: float
    ) -> _Moment:
        """Handle an estimate beyond the gate: restart from it if the last rejected one agrees.

        A single one is rejected, and the rotor continues as predicted.
        """
        before = moment.rejected
        state = self._predict(moment, measured.t_us)
        if before is None or not _agree(before, measured, moment.scale):
            return moment._replace(
                t_us=measured.t_us, state=state, rejected=measured, outcome=Outcome.GATED
            )
        near = float(state.mean[PHASE])
        phase = near + math.remainder(measured.angle_rad + offset - near, 2 * math.pi)
        begun = _begin(measured, self.parameters, phase, offset)
        dt = 1e-6 * max(measured.t_us - before.t_us, 1)
        rate = (measured.rpm - before.rpm) * RAD_S_PER_RPM / dt
        begun.state.mean[SPEED : SPEED + 2] += 0.5e-6 * measured.window_us * rate, rate
        return begun._replace(
            detector=moment.detector,
            scale=max(begun.scale, moment.scale),
            outcome=Outcome.RESTARTED,
        )

    def _after_velocity(self, moment: _Moment, measured: HubVelocity) -> _Moment:
        """The filter after a velocity of the hub; one beyond the gate is rejected."""
        state = self._predict(moment, measured.t_us)
        value = np.array(measured.velocity, np.float64)
        noise = np.array(measured.covariance, np.float64)
        mean, covariance, distance = updated_by_velocity(*state, value, noise)
        outcome = Outcome.GATED
        if distance <= _gate(len(value), self.parameters.gate_probability):
            state, outcome = State(mean, covariance), Outcome.ACCEPTED
        return moment._replace(t_us=measured.t_us, state=state, outcome=outcome)

    def _forget(self) -> None:
        """Drop history that is older than any measurement that can still be inserted."""
        oldest_us = self.t_us - self.parameters.latest_us
        first = 0
        while first + 1 < len(self._history) and self._history[first + 1][1].t_us <= oldest_us:
            first += 1
        del self._history[:first]


def _begin(
    estimate: RotorEstimate, parameters: FilterParameters, phase: float, offset: float
) -> _Moment:
    """The filter after the first estimate."""
    p = parameters
    walks = _Walks(
        p.calm_rate_walk ** (1 - _FIRST_WALK) * p.agile_rate_walk**_FIRST_WALK,
        p.calm_hub_walk ** (1 - _FIRST_WALK) * p.agile_hub_walk**_FIRST_WALK,
    )
    return _Moment(
        estimate.t_us,
        begin(estimate, p, phase),
        walks,
        unknown_noise(p.claims_std),
        scale_of(estimate),
        slow_phase_rad(estimate, p),
        estimate.id,
        offset,
    )


def _offset_of(estimate: RotorEstimate, moment: _Moment, state: State) -> float:
    """Offset to add to the detector's angle so that blades keep their numbers.

    The detector renumbers the blades when it reacquires a rotor, and may switch to another
    reference blade while it learns the template.
    """
    pitch = 2 * math.pi / max(estimate.blade_count, 1)
    missing = math.remainder(
        expected_phase(state) - estimate.angle_rad - moment.offset_rad, 2 * math.pi
    )
    is_known = math.sqrt(state.covariance[PHASE, PHASE]) < 0.5 * pitch
    is_same = abs(missing) < _SAME_BLADE * pitch or not is_known
    if estimate.id == moment.detector_id and is_same:
        return moment.offset_rad
    return moment.offset_rad + pitch * round(missing / pitch)


def _agree(first: RotorEstimate, second: RotorEstimate, scale: float) -> bool:
    """Whether two estimates are of one motion of a rotor that turns at `scale` rad/s."""
    apart_s = 1e-6 * abs(second.t_us - first.t_us)
    bound = _AGREEING_SPEED * max(abs(first.rpm), abs(second.rpm))
    bound += _AGREEING_RATE * apart_s * scale * RPM_PER_RAD_S
    reach = max(_AGREEING_PLACE * first.axes[0], 4 * UNKNOWN_CENTER_PX)
    is_near = math.dist(first.center, second.center) <= reach
    return is_near and abs(first.rpm - second.rpm) <= bound


def _is_same(measured: _Measured, kept: _Measured) -> bool:
    """Whether two measurements are the same one."""
    if isinstance(measured, HubVelocity) or isinstance(kept, HubVelocity):
        return type(measured) is type(kept) and measured.t_us == kept.t_us
    return (measured.t_us, measured.id) == (kept.t_us, kept.id)


def _time_of(entry: tuple[_Measured, _Moment]) -> int:
    return entry[1].t_us


def _more_agile(
    trial: _Trial, likeliest: float, share: float, parameters: FilterParameters
) -> _Walks:
    """Increased process noises for the values whose innovations are beyond the gate.

    Args:
        trial: the result with less process noise.
        likeliest: process noise of the acceleration that explains the innovations best.
        share: share of the hub's greatest process noise.
        parameters: bounds of the process noises, and the gate.
    """
    p, walks = parameters, trial.walks
    is_turning = trial.is_rotation_within(p.gate_probability)
    is_moving = trial.is_hub_within(p.gate_probability)
    return _Walks(
        walks.rate if is_turning else max(walks.rate, likeliest),
        walks.hub if is_moving else max(walks.hub, share * p.agile_hub_walk),
    )


def _learned(moment: _Moment, trial: _Trial, dt: float, parameters: FilterParameters) -> _Walks:
    """Process noises adapted to an innovation.

    A manoeuvre that needed more process noise of the acceleration than was learned says little
    about the next one.
    """
    p, (rotation, hub) = parameters, trial.distances
    is_jolt = trial.walks.rate > moment.walks.rate
    growth = _MANOEUVRE if is_jolt else _growth(rotation, dt)
    rate_walk = moment.walks.rate * math.exp(0.5 * growth)
    hub_walk = trial.walks.hub * math.exp(0.5 * _growth(hub, dt))
    return _Walks(
        min(max(rate_walk, p.calm_rate_walk), p.agile_rate_walk),
        min(max(hub_walk, p.calm_hub_walk), p.agile_hub_walk),
    )


def _unrest(moment: _Moment, trial: _Trial, dt: float) -> float:
    """Average significance of the acceleration after an estimate that follows a moment."""
    mean, covariance = trial.state
    square = float(mean[RATE]) ** 2 / float(covariance[RATE, RATE])
    kept = math.exp(-dt / _UNREST_TIME_S)
    return kept * moment.unrest + (1.0 - kept) * min(square, _MOST_UNREST)


def _growth(surprise: float, dt: float) -> float:
    """Change of the logarithm of a process noise's power."""
    bounded = min(surprise, _LARGEST_SURPRISE)
    change = min(_LEARNING_PER_S * dt, _LEARNING) * (bounded - 1.0)
    return change + _ALERT * max(bounded - _SURPRISE, 0.0)


def _scores(innovations: _Real) -> _Real:
    """Log likelihoods (n,) of innovations of speed and phase with their variances, (n, 4)."""
    values, variances = innovations[:, ::2], innovations[:, 1::2]
    scores: _Real = -0.5 * (values**2 / variances + np.log(variances)).sum(axis=1)
    return scores


@lru_cache(maxsize=16)
def _walks_between(least: float, greatest: float) -> _Real:
    """Strengths of jerk, (_JERKS,); cached, not to be modified."""
    return np.geomspace(least, max(least, greatest), _JERKS)


@lru_cache(maxsize=64)
def _gate(values: int, probability: float) -> float:
    """Quantile of the squared Mahalanobis distance of so many values."""
    return float(chdtri(values, 1.0 - probability))
