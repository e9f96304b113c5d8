"""Figures of fusion on recorded estimates, against the truth and the detector alone."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from evio_ros.estimate import RIGHT_ERROR, RotorEstimate
from evio_ros.fusion.confidence_forest import ConfidenceForest
from evio_ros.fusion.rotor_bank import BankParameters, RotorBank
from evio_ros.fusion.rotor_model import FilterParameters
from evio_ros.fusion.vehicles import VehicleObserver
from evio_ros.rotor_state import RotorState, Source
from evio_ros.simulation.truth import RotorTruth
from evio_ros.units import RAD_S_PER_RPM
from fusion_bench.recorded import Run

__all__ = [
    "Fused",
    "calibration",
    "cost",
    "fuse",
    "normalised_squares",
    "occluded",
    "return_errors",
    "window_of",
]

_Real = NDArray[np.float64]

SETTLED_US = 400_000
RATE_US = 5_000
LATENCY_US = 15_000
"""Period at which states are predicted, and latency of a window's results after its end."""


@dataclass
class Track:
    """Errors of one rotor of a run; lists have an entry for each window or prediction.

    Attributes:
        rpm: true speed in the last window in turns per minute.
        errors, alone: relative errors of the speed, fused and of the detector alone.
        confidence: fused confidence, the detector's, and whether the fused speed is correct.
        angle: errors of the fused angle at windows' ends in rad, up to a constant.
        deviations: variances of angle and speed, and error of the speed, at windows' ends.
        predicted, passed, held: errors of the angle at the time of publishing in rad: of the
            predicted state, of the last window's angle, and of that rotated with its speed.
        velocity: errors of the hub's velocity in px/s.
        detector_velocity: those of the detector.
        turns: errors of the turns since the first window.
        identities: ids of the rotor's states.
    """

    rpm: float = 0.0
    errors: list[float] = field(default_factory=list)
    alone: list[float] = field(default_factory=list)
    confidence: list[tuple[float, float, bool]] = field(default_factory=list)
    angle: list[float] = field(default_factory=list)
    deviations: list[tuple[float, float, float]] = field(default_factory=list)
    predicted: list[float] = field(default_factory=list)
    passed: list[float] = field(default_factory=list)
    held: list[float] = field(default_factory=list)
    velocity: list[float] = field(default_factory=list)
    detector_velocity: list[float] = field(default_factory=list)
    turns: list[float] = field(default_factory=list)
    identities: set[int] = field(default_factory=set)


@dataclass
class Fused:
    """Results of fusion for a run.

    Attributes:
        name: name of the run.
        tracks: one for each rotor of the truth, by its id.
        nis: normalised squares of the innovations of the rotation, over their number, by rotor.
        outcomes: counts of what became of the estimates.
    """

    name: str
    tracks: dict[int, Track]
    nis: dict[int, list[float]]
    outcomes: dict[str, int]


def fuse(run: Run) -> Fused:
    """Fuse a run's windows, and predict states at 200 Hz."""
    truth = run.truth
    assert truth is not None
    bank = RotorBank(FilterParameters(), BankParameters())
    fused = Fused(run.name, {rotor.id: Track() for rotor in truth.rotors}, {}, {})
    ends = [t_us for t_us, _ in run.windows]
    for index, (t_us, estimates) in enumerate(run.windows):
        bank.update(t_us, estimates)
        states = bank.states(t_us, run.window_us)
        next_us = ends[index + 1] if index + 1 < len(ends) else t_us
        for state in states:
            rotor = truth.nearest(*state.center, t_us)
            if rotor is None or t_us < SETTLED_US:
                continue
            track = fused.tracks[rotor.id]
            _compare(track, rotor, state, estimates)
            _note_predictions(track, rotor, bank, state, next_us)
        if t_us >= SETTLED_US:
            for one in bank._rotors:
                if one.seen_us == t_us and one.is_confirmed:
                    fused.nis.setdefault(one.id, []).append(one.filter.distances[0])
    fused.outcomes = dict(bank.outcomes)
    return fused


def _compare(
    track: Track, rotor: RotorTruth, state: RotorState, estimates: Iterable[RotorEstimate]
) -> None:
    """Compare a state at the end of a window with the truth."""
    t_us = state.t_us
    track.identities.add(state.id)
    track.turns.append(state.turns - float(rotor.speed.turns(t_us)))
    if Source.PREDICTION in state.sources:
        return
    right = rotor.mean_rpm(t_us - state.window_us, t_us)
    alone = min(estimates, key=lambda one: math.dist(one.center, state.center))
    track.rpm = right
    if abs(right) > 60:
        error = abs(state.rpm / right - 1)
        track.errors.append(error)
        track.alone.append(abs(alone.rpm / right - 1))
        track.confidence.append((state.confidence, alone.confidence, error < RIGHT_ERROR))
    track.angle.append(_off(state.angle_rad, rotor, t_us))
    cov = state.covariance
    track.deviations.append((cov[0, 0], cov[1, 1], (state.rpm - right)))
    before, now = rotor.ellipse(t_us - 10_000).center, rotor.ellipse(t_us + 10_000).center
    velocity = np.subtract(now, before) / 0.02
    track.velocity.append(float(np.hypot(*np.subtract(state.velocity, velocity))))
    track.detector_velocity.append(float(np.hypot(*np.subtract(alone.velocity, velocity))))


def _note_predictions(
    track: Track, rotor: RotorTruth, bank: RotorBank, state: RotorState, next_us: int
) -> None:
    """Errors of predicted angles between the arrival of a window's results and of the next."""
    turned = RAD_S_PER_RPM * state.rpm * 1e-6
    for t_us in range(state.t_us + LATENCY_US, next_us + LATENCY_US, RATE_US):
        found = [one for one in bank.states(t_us) if one.id == state.id]
        if not found:
            continue
        track.predicted.append(_off(found[0].angle_rad, rotor, t_us))
        track.passed.append(_off(state.angle_rad, rotor, t_us))
        held = state.angle_rad + turned * (t_us - state.t_us)
        track.held.append(_off(held, rotor, t_us))


def _off(angle: float, rotor: RotorTruth, t_us: int) -> float:
    """Error of an angle, modulo the pitch of the blades."""
    pitch = 2 * math.pi / max(rotor.blade_count, 1)
    return math.remainder(angle - float(rotor.angle_rad(t_us)), pitch)


def from_usual(angles: list[float], usual: list[float], blades: int) -> _Real:
    """Absolute differences of angles from their circular mean: events lag by a constant."""
    pitch = 2 * math.pi / max(blades, 1)
    middle = float(np.angle(np.mean(np.exp(1j * np.array(usual) * max(blades, 1))))) / max(
        blades, 1
    )
    apart = np.array(angles) - middle
    return np.abs(apart - pitch * np.round(apart / pitch))


def normalised_squares(track: Track, blades: int) -> tuple[float, float]:
    """Mean normalised squares of the errors of angle and speed at windows' ends; 1 expected."""
    angle = from_usual(track.angle, track.angle, blades)
    angle_variance, speed_variance, speed_error = np.array(track.deviations).T
    squares = angle**2 / angle_variance, speed_error**2 / speed_variance
    return float(np.mean(squares[0])), float(np.mean(squares[1]))


def occluded(run: Run, begin_us: int, length_us: int) -> Run:
    """A run without estimates for a while."""
    windows = [
        (t_us, [] if begin_us < t_us <= begin_us + length_us else estimates)
        for t_us, estimates in run.windows
    ]
    return replace(run, name=f"{run.name} hidden", windows=windows)


def return_errors(run: Run, begin_us: int, length_us: int) -> tuple[bool, list[float]]:
    """Whether all rotors keep their ids, and the errors of predicted angles when they reappear."""
    truth = run.truth
    assert truth is not None
    bank = RotorBank(FilterParameters(), BankParameters())
    before: dict[int, tuple[int, float]] = {}
    errors, kept = [], True
    for t_us, estimates in occluded(run, begin_us, length_us).windows:
        if t_us > begin_us + length_us and before:
            for state in bank.states(t_us):
                rotor, usual = before[state.id]
                now = truth.rotors[rotor]
                angle = _off(state.angle_rad, now, t_us) - usual
                errors.append(abs(math.remainder(angle, 2 * math.pi / max(now.blade_count, 1))))
            bank.update(t_us, estimates)
            after = {state.id for state in bank.states(t_us, run.window_us)}
            kept = after == set(before)
            break
        bank.update(t_us, estimates)
        if t_us <= begin_us:
            before = {}
            for state in bank.states(t_us, run.window_us):
                nearest = truth.nearest(*state.center, t_us)
                assert nearest is not None
                before[state.id] = nearest.id, _off(state.angle_rad, nearest, t_us)
    return kept, errors


def calibration(pairs: list[tuple[float, bool]], bins: int = 10) -> tuple[float, float]:
    """Expected calibration error, and area under the ROC curve for "correct to 1 %"."""
    confidence = np.array([one for one, _ in pairs])
    right = np.array([good for _, good in pairs])
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    ece = sum(
        (place == k).mean() * abs(confidence[place == k].mean() - right[place == k].mean())
        for k in range(bins)
        if (place == k).any()
    )
    if right.all() or not right.any():
        return float(ece), math.nan
    good, bad = confidence[right], confidence[~right]
    higher = (good[:, None] > bad).mean() + 0.5 * (good[:, None] == bad).mean()
    return float(ece), float(higher)


def cost(rotors: int = 10, rate_hz: float = 100.0, windows: int = 100) -> tuple[float, float]:
    """Cost of fusion for a number of rotors.

    Returns:
        Share of a core: the least CPU time of seven runs over the windows' duration; and the median
        time in s from a window's estimates to its states.
    """
    made = [window_of(k, rotors, rate_hz) for k in range(windows)]
    best, times = math.inf, []
    forest = ConfidenceForest.read()
    for _ in range(7):
        bank = RotorBank(FilterParameters(), BankParameters(), forest)
        vehicles = VehicleObserver()
        begin_s = time.process_time()
        for t_us, estimates in made:
            start_s = time.perf_counter()
            bank.update(t_us, estimates)
            states = bank.states(t_us, 100_000)
            vehicles.note(states)
            vehicles.completed(states)
            times.append(time.perf_counter() - start_s)
        best = min(best, time.process_time() - begin_s)
    return best / (windows / rate_hz), float(np.median(times))


def window_of(number: int, rotors: int, rate_hz: float) -> tuple[int, list[RotorEstimate]]:
    """End in µs and estimates of a window with a number of rotors, at a rate of windows."""
    t_us = round(1e6 * number / rate_hz) + 100_000
    estimates = []
    for rotor in range(rotors):
        turns = (90.0 + rotor) * 1e-6 * t_us
        estimates.append(
            RotorEstimate(
                id=rotor,
                t_us=t_us,
                window_us=100_000,
                rpm=60.0 * (90.0 + rotor),
                rpm_std=0.05,
                blade_count=2,
                angle_rad=2 * math.pi * (turns % 1.0),
                angle_std_rad=1e-3,
                turns=turns,
                center=(100.0 * rotor, 100.0),
                axes=(30.0, 20.0),
                tilt_rad=0.1,
                velocity=(0.0, 0.0),
                confidence=0.99,
                events=1000,
                center_std=(0.05, 0.05),
            )
        )
    return t_us, estimates
