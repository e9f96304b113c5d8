"""Results of scoring against the ground truth: figures for each rotor, and their summary."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from math import nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evio_ros.estimate import RIGHT_ERROR
from evio_ros.parameters import Parameters, parameter

__all__ = ["Recovery", "RotorScore", "Score", "ScoringParameters"]

_Real = NDArray[np.float64]


@dataclass(frozen=True)
class ScoringParameters(Parameters):
    """Criteria for detected, false, slow and recovered rotors."""

    acquisition_us: int = parameter(
        300_000,
        unit="us",
        minimum=0,
        doc="Windows that end within this time are scored only for the time of detection.",
    )
    match_radius: float = parameter(
        0.7,
        minimum=0.0,
        doc="Largest distance of an estimate from its rotor, relative to the rotor's semi-axis a.",
    )
    false_confidence: float = parameter(
        0.5,
        minimum=0.0,
        maximum=1.0,
        doc="An unmatched estimate is a false detection above this confidence.",
    )
    detection_error: float = parameter(
        0.05, minimum=0.0, doc="A rotor is detected once its relative error is below this."
    )
    recovered_error: float = parameter(
        1e-3, minimum=0.0, doc="After a step, a rotor has recovered once its error is below this."
    )
    slow_hz: float = parameter(
        1.0,
        unit="Hz",
        minimum=0.0,
        doc="In windows in which the rotor is slower, the absolute error in rpm is scored.",
    )
    stopped_rpm: float = parameter(
        5.0, unit="rpm", minimum=0.0, doc="A rotor with an estimate below this counts as stopped."
    )


@dataclass(frozen=True, slots=True)
class Recovery:
    """Recovery after a step of speed.

    Attributes:
        t_us: time of the step in µs.
        rpm: true speed after it in turns per minute.
        delay_us: time until the first window from which all are correct until the next step or the
            end; None if there is none.
    """

    t_us: float
    rpm: float
    delay_us: float | None


@dataclass(slots=True)
class RotorScore:
    """Score of one rotor; lists have one entry for each scored window with an estimate.

    Attributes:
        rotor: its id in the ground truth.
        detected_us: end of the first window with a correct speed in µs; None if never detected.
        windows: number of scored windows in which it turned without a step of speed.
        missed: number of these without an estimate of it.
        error: (estimate - truth) / |truth|, in windows in which it turned.
        claimed: standard deviation of the estimate / |truth|.
        z: (estimate - truth) / standard deviation of the estimate.
        confidence: confidence of the estimate.
        sign_right, blades_right: whether sense of rotation and blade count were correct;
            `blades_right` stays empty for a disc without blades.
        slow_error_rpm: estimate - truth, in windows in which it hardly turned.
        identity_switches: number of changes of its id.
        turn_slips: number of jumps of its turns by half a blade pitch or more relative to the
            truth.
        recoveries: one for each step of speed.
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
    """The figures of a score, one row of a table; NaN if there is nothing to measure.

    Attributes:
        rotors, found: number of rotors in the scene, and of those detected within acquisition.
        detection_ms: time of the last rotor's detection; NaN if one was never detected.
        windows: number of scored windows, summed over rotors.
        missed: share of them without an estimate.
        false_rotors, false_windows: numbers of ids and of estimates that match no rotor and are
            confident.
        weak_windows: number of estimates that match no rotor and are not confident.
        identity_switches, turn_slips: summed over rotors.
        median, p95: median and 95th percentile of the absolute relative error, over all rotors.
        worst_median: the median of the rotor with the largest one.
        bias: median of the signed relative error.
        claimed: median of the claimed relative standard deviation.
        sign, blades: share of correct senses of rotation and blade counts.
        within_1_sigma, within_2_sigma: share of errors within one and two claimed standard
            deviations.
        confident: share of estimates with a confidence above `false_confidence`.
        confidence, right: mean confidence, and share of estimates correct to 1 %: equal if the
            confidence is calibrated.
        slow_rpm: median absolute error while a rotor hardly turns.
        recovery_ms: longest time from a step of speed until the speed stays correct; NaN without
            a step, inf if it never does.
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
        """The fields by name, with None for NaN, as for JSON."""
        return {
            name: None if isinstance(value, float) and math.isnan(value) else value
            for name, value in asdict(self).items()
        }


@dataclass(slots=True)
class Score:
    """Score of all rotors of a recording.

    Attributes:
        rotors: one for each rotor of the ground truth.
        parameters: criteria of the scoring.
        false_identities: ids of confident estimates that match no rotor.
        false_windows, weak_windows: numbers of estimates that match no rotor, confident and not.
        unmatched_confidence: confidence of each of them.
    """

    rotors: list[RotorScore]
    parameters: ScoringParameters
    false_identities: set[int] = field(default_factory=set)
    false_windows: int = 0
    weak_windows: int = 0
    unmatched_confidence: list[float] = field(default_factory=list)

    def reliability(self, bins: int = 5) -> list[tuple[int, int]]:
        """Data of a reliability diagram.

        Returns:
            For each of `bins` equal ranges of confidence from 0 to 1: the number of estimates, and
            of those correct to 1 %. An estimate that matches no rotor is wrong.
        """
        confidence = np.append(_joined(self.rotors, "confidence"), self.unmatched_confidence)
        right = np.zeros(len(confidence), bool)
        error = _joined(self.rotors, "error")
        right[: len(error)] = np.abs(error) < RIGHT_ERROR
        place = np.clip((confidence * bins).astype(int), 0, bins - 1)
        counts = np.bincount(place, minlength=bins), np.bincount(place[right], minlength=bins)
        return [(int(count), int(good)) for count, good in zip(*counts, strict=True)]

    def summary(self) -> Summary:
        """The figures of the score."""
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
            right=_mean(np.abs(error) < RIGHT_ERROR),
            slow_rpm=_percentile(np.abs(_joined(rotors, "slow_error_rpm")), 50),
            recovery_ms=_longest_ms([step for step in recoveries if step.rpm != 0]),
            stop_ms=_longest_ms([step for step in recoveries if step.rpm == 0]),
        )


def _joined(rotors: list[RotorScore], name: str) -> _Real:
    return np.array([value for rotor in rotors for value in getattr(rotor, name)], np.float64)


def _percentile(values: _Real | list[float], percent: float) -> float:
    return float(np.percentile(values, percent)) if len(values) else nan


def _mean(values: NDArray[Any]) -> float:
    return float(np.mean(values)) if len(values) else nan


def _longest_ms(recoveries: list[Recovery]) -> float:
    delays = [math.inf if step.delay_us is None else step.delay_us for step in recoveries]
    return 1e-3 * max(delays) if delays else nan
