"""What scoring against the truth gives: figures for each rotor, and their summary."""

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
        unmatched_confidence: confidence of each of them.
        parameters: how it was scored.
    """

    rotors: list[RotorScore]
    parameters: ScoringParameters
    false_identities: set[int] = field(default_factory=set)
    false_windows: int = 0
    weak_windows: int = 0
    unmatched_confidence: list[float] = field(default_factory=list)

    def reliability(self, bins: int = 5) -> list[tuple[int, int]]:
        """How far confidence can be trusted.

        Returns:
            For each of `bins` equal ranges of confidence from 0 to 1: the number of estimates, and
            of those right to 1 %. An estimate of no rotor is wrong.
        """
        confidence = np.append(_joined(self.rotors, "confidence"), self.unmatched_confidence)
        right = np.zeros(len(confidence), bool)
        error = _joined(self.rotors, "error")
        right[: len(error)] = np.abs(error) < RIGHT_ERROR
        place = np.clip((confidence * bins).astype(int), 0, bins - 1)
        counts = np.bincount(place, minlength=bins), np.bincount(place[right], minlength=bins)
        return [(int(count), int(good)) for count, good in zip(*counts, strict=True)]

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
