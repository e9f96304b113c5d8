"""Scoring estimates against the exact motion of a simulated recording, or of one's own.

An estimate's speed is the mean over its window, turns made divided by time; so is the truth it is
compared with, and no convention is left open. Estimates are matched to rotors by their centres.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from math import nan
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from evio_ros.parameters import Parameters, parameter
from evio_ros.rotation.estimate import RotorEstimate
from evio_ros.simulation.truth import RotorTruth, Truth

__all__ = ["Recovery", "RotorScore", "Score", "ScoringParameters", "Summary", "score"]

Real = NDArray[np.float64]


@dataclass(frozen=True)
class ScoringParameters(Parameters):
    """What counts as found, false, slow or recovered."""

    acquisition_us: int = parameter(
        300_000,
        unit="us",
        minimum=0,
        doc="Windows that end by then are scored for the time of detection only.",
    )
    match_radius: float = parameter(
        0.7,
        minimum=0.0,
        doc="An estimate belongs to a rotor no farther away than this share of its semi-axis a.",
    )
    false_confidence: float = parameter(
        0.5,
        minimum=0.0,
        maximum=1.0,
        doc="An estimate without a rotor is false from this confidence on.",
    )
    detection_error: float = parameter(
        0.05, minimum=0.0, doc="A rotor is found once its speed is right to this share."
    )
    recovered_error: float = parameter(
        1e-3, minimum=0.0, doc="After a step the speed is back once it is right to this share."
    )
    slow_hz: float = parameter(
        1.0,
        unit="Hz",
        minimum=0.0,
        doc="Windows in which the rotor is slower than this are scored in turns a minute.",
    )
    stopped_rpm: float = parameter(
        5.0, unit="rpm", minimum=0.0, doc="An estimate below this says that the rotor stands."
    )


@dataclass(frozen=True, slots=True)
class Recovery:
    """What followed a sudden step of speed.

    Attributes:
        t_us: when the step came.
        rpm: speed after it.
        delay_us: time until the first of the windows that were all right from then on; None where
            the speed did not come right before the next step or the end.
    """

    t_us: float
    rpm: float
    delay_us: float | None


@dataclass(slots=True)
class RotorScore:
    """How one rotor was measured; lists hold one entry for each scored window with an estimate.

    Attributes:
        rotor: its number in the truth.
        detected_us: end of the first window that had its speed; None where it never had.
        windows: scored windows in which it turned at a steady or slowly changing speed.
        missed: those of them that had no estimate of it.
        error: (estimate - truth) / |truth|, of windows in which it turned.
        claimed: standard deviation of the estimate / |truth|.
        z: (estimate - truth) / standard deviation of the estimate.
        confidence: confidence of the estimate.
        sign_right, blades_right: whether sense of rotation and number of blades were right;
            `blades_right` stays empty for a disc without blades.
        slow_error_rpm: estimate - truth in windows in which it hardly turned.
        identity_switches: how often its number changed.
        turn_slips: how often its turns jumped by half a blade pitch or more against the truth.
        recoveries: one for each sudden step of speed.
    """

    rotor: int
    detected_us: int | None = None
    windows: int = 0
    missed: int = 0
    error: list[float] = field(default_factory=list)
    claimed: list[float] = field(default_factory=list)
    z: list[float] = field(default_factory=list)
    confidence: list[float] = field(default_factory=list)
    sign_right: list[bool] = field(default_factory=list)
    blades_right: list[bool] = field(default_factory=list)
    slow_error_rpm: list[float] = field(default_factory=list)
    identity_switches: int = 0
    turn_slips: int = 0
    recoveries: list[Recovery] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Summary:
    """A score in figures that fit one row of a table; nan where there is nothing to measure.

    Attributes:
        rotors, found: rotors in the scene, and those found by the end of acquisition.
        detection_ms: time of the last rotor's detection; nan where one was never found.
        windows: windows times rotors that were scored.
        missed: share of them without an estimate.
        false_rotors, false_windows: identities and estimates that belong to no rotor and are
            confident.
        weak_windows: estimates that belong to no rotor and are not confident.
        identity_switches, turn_slips: over all rotors.
        median, p95: of the relative error's size, over all rotors.
        worst_median: median of the rotor with the largest one.
        bias: median of the signed relative error.
        claimed: median of the relative standard deviation that the estimates claim.
        sign, blades: share that was right.
        within_1_sigma, within_2_sigma: share of errors.
        confident: share of estimates with a confidence above that of a false one.
        confidence, right: mean confidence, and share of estimates right to 1 %: equal where
            confidence is honest.
        slow_rpm: median size of the error while a rotor hardly turns.
        recovery_ms: longest time from a sudden step to a speed that is right from then on; nan
            where there was no step, inf where it never came right.
        stop_ms: the same for stops.
    """

    rotors: int
    found: int
    detection_ms: float
    windows: int
    missed: float
    false_rotors: int
    false_windows: int
    weak_windows: int
    identity_switches: int
    turn_slips: int
    median: float
    p95: float
    worst_median: float
    bias: float
    claimed: float
    sign: float
    blades: float
    within_1_sigma: float
    within_2_sigma: float
    confident: float
    confidence: float
    right: float
    slow_rpm: float
    recovery_ms: float
    stop_ms: float

    def as_dict(self) -> dict[str, Any]:
        """The fields by name, nan as None, ready for JSON."""
        return {
            name: None if isinstance(value, float) and math.isnan(value) else value
            for name, value in asdict(self).items()
        }


@dataclass(slots=True)
class Score:
    """How all rotors of a recording were measured.

    Attributes:
        rotors: one for each rotor of the truth.
        false_identities: numbers of confident estimates that belong to no rotor.
        false_windows, weak_windows: how many estimates belong to no rotor, confident or not.
        parameters: how it was scored.
    """

    rotors: list[RotorScore]
    parameters: ScoringParameters
    false_identities: set[int] = field(default_factory=set)
    false_windows: int = 0
    weak_windows: int = 0

    def summary(self) -> Summary:
        """The figures of a table's row."""
        p, rotors = self.parameters, self.rotors
        detected = [rotor.detected_us for rotor in rotors if rotor.detected_us is not None]
        error = _joined(rotors, "error")
        z, confidence = np.abs(_joined(rotors, "z")), _joined(rotors, "confidence")
        windows = sum(rotor.windows for rotor in rotors)
        recoveries = [recovery for rotor in rotors for recovery in rotor.recoveries]
        return Summary(
            rotors=len(rotors),
            found=sum(time <= p.acquisition_us for time in detected),
            detection_ms=1e-3 * max(detected) if detected and len(detected) == len(rotors) else nan,
            windows=windows,
            missed=sum(rotor.missed for rotor in rotors) / windows if windows else nan,
            false_rotors=len(self.false_identities),
            false_windows=self.false_windows,
            weak_windows=self.weak_windows,
            identity_switches=sum(rotor.identity_switches for rotor in rotors),
            turn_slips=sum(rotor.turn_slips for rotor in rotors),
            median=_percentile(np.abs(error), 50),
            p95=_percentile(np.abs(error), 95),
            worst_median=max(
                (_percentile(np.abs(rotor.error), 50) for rotor in rotors if rotor.error),
                default=nan,
            ),
            bias=_percentile(error, 50),
            claimed=_percentile(_joined(rotors, "claimed"), 50),
            sign=_mean(_joined(rotors, "sign_right")),
            blades=_mean(_joined(rotors, "blades_right")),
            within_1_sigma=_mean(z < 1),
            within_2_sigma=_mean(z < 2),
            confident=_mean(confidence > p.false_confidence),
            confidence=_mean(confidence),
            right=_mean(np.abs(error) < 0.01),
            slow_rpm=_percentile(np.abs(_joined(rotors, "slow_error_rpm")), 50),
            recovery_ms=_longest_ms([step for step in recoveries if step.rpm != 0]),
            stop_ms=_longest_ms([step for step in recoveries if step.rpm == 0]),
        )


def _joined(rotors: list[RotorScore], name: str) -> Real:
    return np.array([value for rotor in rotors for value in getattr(rotor, name)], np.float64)


def _percentile(values: Real | list[float], percent: float) -> float:
    return float(np.percentile(values, percent)) if len(values) else nan


def _mean(values: NDArray[Any]) -> float:
    return float(np.mean(values)) if len(values) else nan


def _longest_ms(recoveries: list[Recovery]) -> float:
    delays = [math.inf if step.delay_us is None else step.delay_us for step in recoveries]
    return 1e-3 * max(delays) if delays else nan


def score(
    truth: Truth,
    results: Iterable[tuple[int, Sequence[RotorEstimate]]],
    window_us: int,
    parameters: ScoringParameters | None = None,
) -> Score:
    """Compare the estimates of a recording with its truth.

    Windows that hold a sudden step of speed, and those that end less than two windows after it,
    are scored for recovery only. Estimates of shorter windows, as they come while the first window
    fills, count for detection, identity and turns, not for the error.

    Args:
        truth: the exact motion.
        results: end of each window [us] and its estimates, in order of time.
        window_us: length of a full window.
        parameters: thresholds.
    """
    parameters = parameters or ScoringParameters()
    scorers = [_RotorScorer(rotor, window_us, parameters) for rotor in truth.rotors]
    total = Score([scorer.score for scorer in scorers], parameters)
    for t_us, estimates in results:
        matched, strangers = _match(truth.rotors, estimates, t_us, window_us, parameters)
        for scorer, estimate in zip(scorers, matched, strict=True):
            scorer.add(t_us, estimate)
        for stranger in strangers:
            if stranger.confidence > parameters.false_confidence:
                total.false_windows += 1
                total.false_identities.add(stranger.id)
            else:
                total.weak_windows += 1
    for scorer in scorers:
        scorer.finish()
    return total


def _match(
    rotors: Sequence[RotorTruth],
    estimates: Sequence[RotorEstimate],
    t_us: int,
    window_us: int,
    parameters: ScoringParameters,
) -> tuple[list[RotorEstimate | None], list[RotorEstimate]]:
    """The estimate of each rotor, if any, and the estimates that belong to none."""
    matched: list[RotorEstimate | None] = [None] * len(rotors)
    if not rotors or not estimates:
        return matched, list(estimates)
    distance = np.array(
        [
            [_distance(rotor, estimate.center, t_us, window_us) for estimate in estimates]
            for rotor in rotors
        ]
    )
    # Far pairs cost the same, so that they do not spoil the near ones.
    rows, columns = linear_sum_assignment(np.minimum(distance, 2 * parameters.match_radius))
    taken = set()
    for row, column in zip(rows, columns, strict=True):
        if distance[row, column] <= parameters.match_radius:
            matched[row] = estimates[column]
            taken.add(int(column))
    return matched, [estimate for i, estimate in enumerate(estimates) if i not in taken]


def _distance(rotor: RotorTruth, center: tuple[float, float], t_us: int, window_us: int) -> float:
    """Distance from the hub in semi-axes, the nearer of the window's middle and end."""
    distances = []
    for time_us in (t_us - window_us / 2, t_us):
        ellipse = rotor.ellipse(time_us)
        distances.append(math.dist(ellipse.center, center) / ellipse.axes[0])
    return min(distances)


class _RotorScorer:
    """Collects the score of one rotor, window after window."""

    def __init__(self, truth: RotorTruth, window_us: int, parameters: ScoringParameters) -> None:
        self.score = RotorScore(truth.id)
        self._truth = truth
        self._window_us = window_us
        self._parameters = parameters
        self._steps = _sudden_steps(truth)
        self._history: list[tuple[int, RotorEstimate | None]] = []
        self._identity: int | None = None
        self._turn_offset: float | None = None

    def add(self, t_us: int, estimate: RotorEstimate | None) -> None:
        self._history.append((t_us, estimate))
        if estimate is not None:
            self._count_identity(estimate)
            self._count_turns(t_us, estimate)
            self._detect(t_us, estimate)
        if t_us <= self._parameters.acquisition_us:
            return
        if any(time < t_us < time + 2 * self._window_us for time, _ in self._steps):
            return
        if self._slowest_hz(t_us) < self._parameters.slow_hz:
            self._add_slow(t_us, estimate)
        else:
            self._add_turning(t_us, estimate)

    def finish(self) -> None:
        for (step_us, rpm), (end_us, _) in itertools.pairwise((*self._steps, (math.inf, 0.0))):
            delay = self._recovery(step_us, rpm, end_us)
            self.score.recoveries.append(Recovery(step_us, rpm, delay))

    def _count_identity(self, estimate: RotorEstimate) -> None:
        if estimate.id != self._identity:
            self.score.identity_switches += self._identity is not None
            self._turn_offset = None
        self._identity = estimate.id

    def _count_turns(self, t_us: int, estimate: RotorEstimate) -> None:
        offset = estimate.turns - float(self._truth.speed.turns(t_us))
        pitch = 1 / max(self._truth.blade_count, 1)
        if self._turn_offset is not None and abs(offset - self._turn_offset) >= 0.5 * pitch:
            self.score.turn_slips += 1
        self._turn_offset = offset

    def _detect(self, t_us: int, estimate: RotorEstimate) -> None:
        if self.score.detected_us is not None:
            return
        truth_rpm = self._truth.mean_rpm(t_us - estimate.window_us, t_us)
        if abs(estimate.rpm - truth_rpm) <= self._parameters.detection_error * abs(truth_rpm):
            self.score.detected_us = t_us

    def _slowest_hz(self, t_us: int) -> float:
        # Not at the end itself, where a step may already give the next speed.
        times = np.linspace(t_us - self._window_us, t_us, 32, endpoint=False)
        frequency = self._truth.speed.frequency_hz(times)
        return 0.0 if frequency.min() < 0 < frequency.max() else float(np.abs(frequency).min())

    def _add_slow(self, t_us: int, estimate: RotorEstimate | None) -> None:
        if estimate is not None and estimate.window_us == self._window_us:
            truth_rpm = self._truth.mean_rpm(t_us - self._window_us, t_us)
            self.score.slow_error_rpm.append(estimate.rpm - truth_rpm)

    def _add_turning(self, t_us: int, estimate: RotorEstimate | None) -> None:
        self.score.windows += 1
        if estimate is None:
            self.score.missed += 1
            return
        if estimate.window_us != self._window_us:
            return
        truth_rpm = self._truth.mean_rpm(t_us - self._window_us, t_us)
        self.score.error.append((estimate.rpm - truth_rpm) / abs(truth_rpm))
        self.score.claimed.append(estimate.rpm_std / abs(truth_rpm))
        self.score.z.append((estimate.rpm - truth_rpm) / max(estimate.rpm_std, 1e-300))
        self.score.confidence.append(estimate.confidence)
        self.score.sign_right.append(estimate.rpm * truth_rpm > 0)
        if self._truth.blade_count:
            self.score.blades_right.append(estimate.blade_count == self._truth.blade_count)

    def _recovery(self, step_us: float, rpm: float, end_us: float) -> float | None:
        """Time from a step to the first of the windows that are right until the next step."""
        recovered: float | None = None
        for t_us, estimate in self._history:
            if not step_us < t_us <= end_us:
                continue
            if not self._is_right(t_us, estimate, rpm):
                recovered = None
            elif recovered is None:
                recovered = t_us - step_us
        return recovered

    def _is_right(self, t_us: int, estimate: RotorEstimate | None, rpm: float) -> bool:
        p = self._parameters
        if rpm == 0:
            # A rotor that stands makes no events: that it is not seen is an answer too.
            seen = estimate is not None and estimate.confidence > p.false_confidence
            return not seen or abs(estimate.rpm) <= p.stopped_rpm  # type: ignore[union-attr]
        if estimate is None:
            return False
        truth_rpm = self._truth.mean_rpm(t_us - estimate.window_us, t_us)
        return abs(estimate.rpm - truth_rpm) <= p.recovered_error * abs(truth_rpm)


def _sudden_steps(truth: RotorTruth) -> list[tuple[float, float]]:
    """Time and speed after each knot at which the speed jumps."""
    times, rpm = truth.speed.time_us, truth.speed.rpm
    return [
        (times[i], rpm[i])
        for i in range(1, len(times))
        if times[i] == times[i - 1] and rpm[i] != rpm[i - 1]
    ]
