"""One rotor's motion, filtered over the estimates of a detector; `rotor_model` has the model.

Method: an unscented Kalman filter, see `unscented`, with innovation gating. A detector's estimates
are themselves filtered, so that errors of neighbouring ones are alike. Where they last, the filter
has them as states (Gauss-Markov processes; Bar-Shalom, Li and Kirubarajan, Estimation with
Applications to Tracking and Navigation, 2001, section 8.2 on coloured noise); where windows
overlap, the noise of the mean speed is inflated by the overlap. How noisy the detector is, is
learned from the innovations, see `rotation_noise`; so is how much speed and hub may change, between
bounds (the same, section 11.5 on adaptive process noise).
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
    estimate_taken_in,
    innovations_of,
    predicted,
    told,
    velocity_taken_in,
)
from evio_ros.units import RAD_S_PER_RPM, RPM_PER_RAD_S

__all__ = ["HubVelocity", "Outcome", "RotorFilter"]

_Real = NDArray[np.float64]

_LEARNING_PER_S, _LEARNING = 8.0, 0.5
"""How fast the process noise follows innovations: logarithm of its power for each excess of their
mean normalised square over 1, in a second and at the most."""
_SURPRISE, _LARGEST_SURPRISE, _ALERT = 3.0, 10.0, 0.6
"""Mean normalised squares beyond which the process noise follows at once, the most that counts, and
the logarithm of its power for each excess over the former."""
_FIRST_WALK = 0.1
"""First process noise between the least and the greatest, by logarithm."""
_JERKS = 12
"""Strengths of jerk that are compared, evenly between the least and the greatest by logarithm."""
_MANOEUVRE = 1.0
"""Logarithm by which a manoeuvre raises the power of the rate's process noise."""
_SCALE_TIME_S = 1.0
"""A rotor that brakes may change for so long as one of its former speed does."""
_MANOEUVRES = (0.03, 0.2, 1.0)
"""Shares of the greatest process noise of the hub that are tried on an estimate which is far off;
of the rate of speed the likeliest one is, and with the last of these the greatest."""
_AGREEING_SPEED, _AGREEING_RATE, _AGREEING_PLACE = 0.1, 2.0, 0.25
"""Rejected estimates confirm each other where their speeds differ by no more than this share, and
this share of the usual speed for each second between them; and their hubs by this share of a."""
_UNREST_TIME_S, _MOST_UNREST = 1.0, 100.0
"""How long it is remembered that a rotor's speed changes, and how much of it at the most."""
_LARGE_RATE = 0.02
"""A rate of speed beyond this, over the speed, counts however uncertain it is."""
_SAME_BLADE = 0.75
"""An angle that is off by more pitches than this is that of another blade."""


class Outcome(Enum):
    """What became of a measurement."""

    ACCEPTED = "accepted"
    MANOEUVRE = "manoeuvre"
    RESTARTED = "restarted"
    GATED = "gated"
    DUPLICATE = "duplicate"
    TOO_LATE = "too_late"


class HubVelocity(NamedTuple):
    """A velocity of the hub measured by itself, e.g. by optical flow.

    Attributes:
        t_us: sensor time for which it holds.
        velocity: (x, y) in pixels a second.
        covariance: (2, 2) of it.
    """

    t_us: int
    velocity: tuple[float, float]
    covariance: _Real


class _Walks(NamedTuple):
    """Process noises as learned so far: of the rate of speed and of the hub's velocity."""

    rate: float
    hub: float


class _Moment(NamedTuple):
    """The filter after a measurement.

    Attributes:
        t_us: time of the measurement.
        state: after it.
        walks: process noises.
        detector: what is known of the detector's noise.
        scale: speed that the process noise of the rate goes with, rad/s.
        slow_rad: deviation of the phase's lasting error.
        detector_id: the rotor's number with the detector.
        offset_rad: what is added to the detector's angles, a multiple of the blades' pitch.
        rejected: the newest estimate where it was not taken in.
        distances: squared Mahalanobis distances of the innovations of rotation and hub, over the
            number of their values.
        outcome: what became of the measurement.
        unrest: mean of the squares of the rate of speed over its variance, up to a bound.
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
    """What an estimate would do with process noises of one's choice.

    Attributes:
        walks: the process noises.
        state: after the estimate.
        distances: squared Mahalanobis distances of the innovations of rotation and hub, over the
            number of their values.
        hub_values: the number of those of the hub.
    """

    walks: _Walks
    state: State
    distances: tuple[float, float]
    hub_values: int

    def is_within(self, probability: float) -> bool:
        """Whether the innovations are such that this share of right ones is no larger."""
        return self.is_rotation_within(probability) and self.is_hub_within(probability)

    def is_rotation_within(self, probability: float) -> bool:
        """The same of the rotation alone."""
        return self.distances[0] <= _gate(2, probability) / 2

    def is_hub_within(self, probability: float) -> bool:
        """The same of the hub alone."""
        return self.distances[1] <= _gate(self.hub_values, probability) / self.hub_values


class _Case(NamedTuple):
    """An estimate as it is taken in after a moment.

    Attributes:
        offset: what is added to its angle.
        times: seconds to the time of its speed and from there to its end, and how long before
            that time the speed holds.
        speed: its mean speed.
        values, variances: of what holds at its end, as the detector claims.
    """

    offset: float
    times: tuple[float, float, float]
    speed: SpeedMeasured
    values: _Real
    variances: _Real

    def claimed(self, moment: _Moment, parameters: FilterParameters) -> tuple[float, float]:
        """What the detector's noise adds, as it claims, to the innovations of speed and phase."""
        span_s = self.times[0] + self.times[1]
        lasting = 1.0 - math.exp(-2.0 * span_s / parameters.slow_time_s)
        return self.speed.variance, self.variances[0] + lasting * moment.slow_rad**2


_Measured = RotorEstimate | HubVelocity


class RotorFilter:
    """Filters one rotor; measurements may come late, see `FilterParameters.latest_us`.

    Args:
        estimate: the first.
        parameters: see there.

    Attributes:
        parameters: as given; others may take their place.
    """

    def __init__(self, estimate: RotorEstimate, parameters: FilterParameters) -> None:
        self.parameters = parameters
        first = _begin(estimate, parameters, estimate.angle_rad, 0.0)
        self._history: list[tuple[_Measured, _Moment]] = [(estimate, first)]
        self._told: RotorMotion | None = None

    @property
    def t_us(self) -> int:
        """Time of the newest measurement."""
        return self._newest.t_us

    @property
    def distances(self) -> tuple[float, float]:
        """Mean normalised squares of the newest innovations of rotation and of the hub."""
        return self._newest.distances

    @property
    def rate_walk(self) -> float:
        """Process noise of the rate of speed as learned so far, see `FilterParameters`."""
        return self._newest.walks.rate

    def apply(self, measured: RotorEstimate | HubVelocity) -> Outcome:
        """Take in a measurement at its own time.

        Those that came before it, of later times, are taken in again after it.
        """
        place = self._place_after(measured.t_us)
        if place == 0 or measured.t_us < self.t_us - self.parameters.latest_us:
            return Outcome.TOO_LATE
        if any(_is_same(measured, kept) for kept, _ in self._history[max(place - 4, 0) : place]):
            return Outcome.DUPLICATE
        self._told = None
        later = [kept for kept, _ in self._history[place:]]
        del self._history[place:]
        for one in (measured, *later):
            moment = self._newest
            if isinstance(one, HubVelocity):
                self._history.append((one, self._moved(moment, one)))
            else:
                self._history.append((one, self._after(moment, one)))
        outcome = self._history[place][1].outcome
        self._forget()
        return outcome

    def move_clock(self, by_us: int) -> None:
        """Go on with a clock that was set by so much: the phase may be any, all else stays.

        Nothing older can come any more.
        """
        measured, moment = self._history[-1]
        self._told = None
        covariance = moment.state.covariance.copy()
        covariance[PHASE, PHASE] += math.pi**2
        state = State(moment.state.mean, covariance)
        self._history = [(measured, moment._replace(t_us=moment.t_us + by_us, state=state))]

    def at(self, t_us: int) -> RotorMotion:
        """The rotor at a time, predicted from the measurements up to then."""
        if self._told is None or self._told.t_us != t_us:
            moment = self._history[max(self._place_after(t_us) - 1, 0)][1]
            span_s = 1e-6 * max(t_us - moment.t_us, 0)
            noise = self._noise(moment, self._unseen(moment))
            is_large = abs(moment.state.mean[RATE]) > _LARGE_RATE * moment.scale
            unrest = _MOST_UNREST if is_large else moment.unrest
            mean, covariance = told(*moment.state, span_s, noise, unrest)
            self._told = RotorMotion.of(mean, covariance, t_us)
        return self._told

    @property
    def _newest(self) -> _Moment:
        return self._history[-1][1]

    def _place_after(self, t_us: int) -> int:
        """Where in the history a measurement of a time belongs: mostly at the end."""
        if self._newest.t_us <= t_us:
            return len(self._history)
        return bisect_right(self._history, t_us, key=_time_of)

    def _predict(self, moment: _Moment, t_us: int) -> State:
        """The state at a time after a moment."""
        span_s = 1e-6 * (t_us - moment.t_us)
        return State(*predicted(*moment.state, span_s, self._noise(moment, self._unseen(moment))))

    def _unseen(self, moment: _Moment) -> _Walks:
        """Process noises while nothing is measured: what was calm so far may change."""
        walks = moment.walks
        return walks._replace(rate=max(walks.rate, self.parameters.unseen_rate_walk))

    def _noise(self, moment: _Moment, walks: _Walks) -> Noise:
        """What drives a state, with process noises of one's own choice."""
        p = self.parameters
        jerk = walks.rate * moment.scale
        slow_phase = moment.detector.phase_factor * moment.slow_rad * moment.slow_rad
        slow = p.slow_center_px * p.slow_center_px, slow_phase
        return walks.hub * walks.hub, p.size_walk * p.size_walk, jerk * jerk, *slow, p.slow_time_s

    def _after(self, moment: _Moment, measured: RotorEstimate) -> _Moment:
        """The filter after an estimate that follows on a moment."""
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
            return self._after_strange(moment, measured, case.offset)
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
        """An estimate as it is taken in: its mean speed in its middle, the rest at its end."""
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
        """(n, 4) innovations of speed and phase, with their variances, for n powers of jerk."""
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
        """Take an estimate in with process noises of one's choice."""
        noise = self._noise(moment, walks)
        known, speed, variances = moment.detector, case.speed, case.variances.copy()
        variances[0] *= known.phase_factor
        speed_variance = known.speed_factor * speed.variance + speed.wander * noise[2]
        mean, covariance, rotation, hub = estimate_taken_in(
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

    def _after_strange(self, moment: _Moment, measured: RotorEstimate, offset: float) -> _Moment:
        """An estimate that the rotor's motion does not explain: a second one that agrees is right.

        One by itself is not taken in, and the rotor goes on as predicted.
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

    def _moved(self, moment: _Moment, measured: HubVelocity) -> _Moment:
        """The filter after a velocity of the hub; one that is far off is left out."""
        state = self._predict(moment, measured.t_us)
        value = np.array(measured.velocity, np.float64)
        noise = np.array(measured.covariance, np.float64)
        mean, covariance, distance = velocity_taken_in(*state, value, noise)
        outcome = Outcome.GATED
        if distance <= _gate(len(value), self.parameters.gate_probability):
            state, outcome = State(mean, covariance), Outcome.ACCEPTED
        return moment._replace(t_us=measured.t_us, state=state, outcome=outcome)

    def _forget(self) -> None:
        """Drop what is too old for a measurement to come before."""
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
    """What to add to the detector's angle, so that blades keep their numbers.

    The detector numbers the blades anew when it finds a rotor anew, and may take another blade for
    the first while it learns what they look like.
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
    """Whether two estimates tell of the same motion of a rotor that turns at `scale` rad/s."""
    apart_s = 1e-6 * abs(second.t_us - first.t_us)
    bound = _AGREEING_SPEED * max(abs(first.rpm), abs(second.rpm))
    bound += _AGREEING_RATE * apart_s * scale * RPM_PER_RAD_S
    reach = max(_AGREEING_PLACE * first.axes[0], 4 * UNKNOWN_CENTER_PX)
    is_near = math.dist(first.center, second.center) <= reach
    return is_near and abs(first.rpm - second.rpm) <= bound


def _is_same(measured: _Measured, kept: _Measured) -> bool:
    """Whether a measurement has been taken in before."""
    if isinstance(measured, HubVelocity) or isinstance(kept, HubVelocity):
        return type(measured) is type(kept) and measured.t_us == kept.t_us
    return (measured.t_us, measured.id) == (kept.t_us, kept.id)


def _time_of(entry: tuple[_Measured, _Moment]) -> int:
    return entry[1].t_us


def _more_agile(
    trial: _Trial, likeliest: float, share: float, parameters: FilterParameters
) -> _Walks:
    """More process noise where innovations are beyond the gate.

    Args:
        trial: with less.
        likeliest: process noise of the rate of speed that explains them.
        share: of the greatest process noise of the hub.
        parameters: see there.
    """
    p, walks = parameters, trial.walks
    is_turning = trial.is_rotation_within(p.gate_probability)
    is_moving = trial.is_hub_within(p.gate_probability)
    return _Walks(
        walks.rate if is_turning else max(walks.rate, likeliest),
        walks.hub if is_moving else max(walks.hub, share * p.agile_hub_walk),
    )


def _learned(moment: _Moment, trial: _Trial, dt: float, parameters: FilterParameters) -> _Walks:
    """Process noises after innovations.

    A jolt that needed another noise of the rate than was learned tells little of the next one.
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
    """How significant the rate of speed usually is, after an estimate that follows on a moment."""
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
    """Log-likelihoods (n,) of (n, 4) innovations of speed and phase with their variances."""
    values, variances = innovations[:, ::2], innovations[:, 1::2]
    scores: _Real = -0.5 * (values**2 / variances + np.log(variances)).sum(axis=1)
    return scores


@lru_cache(maxsize=16)
def _walks_between(least: float, greatest: float) -> _Real:
    """(_JERKS,) strengths of jerk; to be read only."""
    return np.geomspace(least, max(least, greatest), _JERKS)


@lru_cache(maxsize=64)
def _gate(values: int, probability: float) -> float:
    """Squared Mahalanobis distance below which so large a share lies."""
    return float(chdtri(values, 1.0 - probability))
