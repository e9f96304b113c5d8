"""Methods of speed measurement for the benchmark: estimates for the windows of a recording.

The detector has no prior knowledge. The oracle and the classical methods are given the rotors'
positions: the oracle is a limit, the classical methods are a comparison.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from evio_ros.estimate import RotorEstimate
from evio_ros.evaluation.oracle import Oracle
from evio_ros.evaluation.scores import ScoringParameters
from evio_ros.events import EventBatch
from evio_ros.rotation.classical.detector import events_of_disc
from evio_ros.rotation.classical.registry import CLASSICAL_METHODS
from evio_ros.rotation.detector import RotationDetector
from evio_ros.rotation.detector_parameters import RotationDetectorParameters
from evio_ros.simulation.truth import RotorTruth, Truth
from evio_ros.windowing import windows

__all__ = ["ACQUISITION_US", "METHODS", "OMITTED_FIGURES", "Step", "detector"]

ACQUISITION_US = ScoringParameters().acquisition_us
"""Start of the methods with prior knowledge, and of the measurement of the cost of tracking."""


@dataclass(frozen=True)
class Step:
    """Estimates of a method for one window, and their cost.

    Attributes:
        t_us: end of the window, sensor time in µs.
        estimates: the estimates.
        events: number of events since the previous window.
        cpu_s: processor time in s.
    """

    t_us: int
    estimates: list[RotorEstimate]
    events: int
    cpu_s: float


_Method = Callable[[EventBatch, Truth, int, int], Iterator[Step]]


def detector(events: EventBatch, truth: Truth, window_us: int, step_us: int) -> Iterator[Step]:
    """The rotation detector without prior knowledge."""
    parameters = RotationDetectorParameters(window_us=window_us, step_us=step_us)
    detector = RotationDetector(events.size, parameters)
    # Only windows that lie within the recording.
    end_us = truth.duration_us - truth.duration_us % step_us
    for window in windows([events], events.size, step_us, 0, end_us):
        started = time.process_time()
        estimates = detector.process(window)
        cpu_s = time.process_time() - started
        yield Step(window.end_us, estimates, len(window.events), cpu_s)


def _oracle(events: EventBatch, truth: Truth, window_us: int, step_us: int) -> Iterator[Step]:
    """The limit of accuracy, see `evio_ros.evaluation.oracle`."""
    rotors = _oracles(events, truth)
    for end_us in range(max(window_us, ACQUISITION_US + step_us), truth.duration_us + 1, step_us):
        estimates = [rotor.measure(end_us, window_us) for rotor in rotors]
        yield Step(end_us, [estimate for estimate in estimates if estimate is not None], 0, 0.0)


@lru_cache(maxsize=1)
def _oracles(events: EventBatch, truth: Truth) -> list[Oracle]:
    """An oracle for each rotor, used for all windows of a recording."""
    return [Oracle.of(rotor, events) for rotor in truth.rotors]


def _classical(name: str) -> _Method:
    """A classical method, given each rotor's region and blade count.

    It does not measure the sense of rotation; the true one is used, so errors are those of the
    absolute speed.
    """

    def method(events: EventBatch, truth: Truth, window_us: int, step_us: int) -> Iterator[Step]:
        measure = CLASSICAL_METHODS[name]
        begin_us = max(window_us, ACQUISITION_US + step_us)
        for end_us in range(begin_us, truth.duration_us + 1, step_us):
            window = events.between(end_us - window_us, end_us)
            started = time.process_time()
            estimates = []
            for rotor in truth.rotors:
                ellipse = rotor.ellipse(end_us - window_us / 2)
                region = events_of_disc(window, ellipse)
                start_us, blades = end_us - window_us, rotor.blade_count
                frequency_hz = measure(region, start_us, window_us, blades)
                if frequency_hz is not None:
                    sign = math.copysign(1.0, rotor.mean_rpm(start_us, end_us))
                    rpm = sign * 60 * frequency_hz / max(blades, 1)
                    estimates.append(_estimate(rotor, end_us, window_us, rpm))
            cpu_s = time.process_time() - started
            # Only the events of the last step are new; windows overlap.
            yield Step(end_us, estimates, len(events.between(end_us - step_us, end_us)), cpu_s)

    return method


def _estimate(rotor: RotorTruth, t_us: int, window_us: int, rpm: float) -> RotorEstimate:
    """An estimate with a measured speed; everything else is the truth or unknown."""
    ellipse = rotor.ellipse(t_us - window_us / 2)
    return RotorEstimate(
        id=rotor.id,
        t_us=t_us,
        window_us=window_us,
        rpm=rpm,
        rpm_std=math.nan,
        blade_count=rotor.blade_count,
        angle_rad=math.nan,
        angle_std_rad=math.nan,
        turns=float(rotor.speed.turns(t_us)),
        center=ellipse.center,
        axes=ellipse.axes,
        tilt_rad=ellipse.tilt_rad,
        velocity=(0.0, 0.0),
        confidence=1.0,
        events=0,
    )


_CLASSICAL = ("welch", "autocorrelation", "period_filter")
METHODS: dict[str, _Method] = {
    "detector": detector,
    "oracle": _oracle,
    **{name: _classical(name) for name in _CLASSICAL},
}
_FOUND_FIGURES = ("reliability", "sign", "blades", "confidence", "found", "detection_ms")
OMITTED_FIGURES = {
    "oracle": (*_FOUND_FIGURES, "mev_s", "locked_mev_s"),
    **dict.fromkeys(_CLASSICAL, (*_FOUND_FIGURES, "claimed", "within_1_sigma", "within_2_sigma")),
}
"""Figures that do not apply to a method: prior knowledge, or not provided."""
