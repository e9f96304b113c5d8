"""Scoring of estimates against the ground truth of a recording.

The true speed is the mean over the estimate's window, turns divided by time, as is the estimated
one. Estimates are matched to rotors by their centres.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from evio_ros.estimate import RotorEstimate
from evio_ros.evaluation.scores import Recovery, RotorScore, Score, ScoringParameters
from evio_ros.simulation.truth import RotorTruth, Truth

__all__ = ["score"]


def score(
    truth: Truth,
    results: Iterable[tuple[int, Sequence[RotorEstimate]]],
    window_us: int,
    parameters: ScoringParameters | None = None,
) -> Score:
    """Compare the estimates of a recording with its ground truth.

    Windows that contain a step of speed, and those that end less than two windows after it, are
    scored for recovery only. Estimates of shorter windows, while the first window fills, count for
    detection, identity and turns, but not for the error.

    Args:
        truth: the ground truth.
        results: end of each window in µs and its estimates, in order of time.
        window_us: length of a full window in µs.
        parameters: thresholds; None for the defaults.
    """
    parameters = parameters or ScoringParameters()
    scorers = [_RotorScorer(rotor, window_us, parameters) for rotor in truth.rotors]
    total = Score([scorer.score for scorer in scorers], parameters)
    for t_us, estimates in results:
        matched, unmatched = _match(truth.rotors, estimates, t_us, window_us, parameters)
        for scorer, estimate in zip(scorers, matched, strict=True):
            scorer.add(t_us, estimate)
        total.unmatched_confidence += [estimate.confidence for estimate in unmatched]
        for estimate in unmatched:
            if estimate.confidence > parameters.false_confidence:
                total.false_windows += 1
                total.false_identities.add(estimate.id)
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
    """The estimate of each rotor, None if there is none, and the unmatched estimates."""
    matched: list[RotorEstimate | None] = [None] * len(rotors)
    if not rotors or not estimates:
        return matched, list(estimates)
    distance = np.array(
        [
            [_distance(rotor, estimate.center, t_us, window_us) for estimate in estimates]
            for rotor in rotors
        ]
    )
    # All distant pairs cost the same, so that they do not affect the assignment of near ones.
    rows, columns = linear_sum_assignment(np.minimum(distance, 2 * parameters.match_radius))
    taken = set()
    for row, column in zip(rows, columns, strict=True):
        if distance[row, column] <= parameters.match_radius:
            matched[row] = estimates[column]
            taken.add(int(column))
    return matched, [estimate for i, estimate in enumerate(estimates) if i not in taken]


def _distance(rotor: RotorTruth, center: tuple[float, float], t_us: int, window_us: int) -> float:
    """Distance from the hub in semi-axes a, the smaller one of the window's middle and end."""
    distances = []
    for time_us in (t_us - window_us / 2, t_us):
        ellipse = rotor.ellipse(time_us)
        distances.append(math.dist(ellipse.center, center) / ellipse.axes[0])
    return min(distances)


class _RotorScorer:
    """Collects the score of one rotor, window by window."""

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
        # Without the end itself, at which a step may already give the next speed.
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
        """Time from a step to the first window from which all are correct until the next step."""
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
        if estimate is None:
            # A rotor at rest triggers no events, so having no estimate is correct too.
            return rpm == 0
        if rpm == 0:
            is_seen = estimate.confidence > p.false_confidence
            return not is_seen or abs(estimate.rpm) <= p.stopped_rpm
        truth_rpm = self._truth.mean_rpm(t_us - estimate.window_us, t_us)
        return abs(estimate.rpm - truth_rpm) <= p.recovered_error * abs(truth_rpm)


def _sudden_steps(truth: RotorTruth) -> list[tuple[float, float]]:
    """Time in µs of each step of speed, and the speed after it in rpm."""
    times, rpm = truth.speed.time_us, truth.speed.rpm
    return [
        (times[i], rpm[i])
        for i in range(1, len(times))
        if times[i] == times[i - 1] and rpm[i] != rpm[i - 1]
    ]
