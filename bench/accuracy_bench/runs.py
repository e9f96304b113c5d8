"""Running a method over a scene, window after window, and scoring it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from accuracy_bench.oracle import Oracle
from accuracy_bench.results import Row
from evio_ros.ellipse import Ellipse
from evio_ros.estimate import RotorEstimate
from evio_ros.evaluation.accuracy import score
from evio_ros.evaluation.scores import RotorScore
from evio_ros.evaluation.simulated_recording import cached_recording
from evio_ros.events import EventBatch
from evio_ros.simulation.truth import RotorTruth, Truth, truth_path
from evio_ros.sources.registry import open_recording
from evio_ros.windowing import windows

LONGEST_STEP_US = 50_000
ACQUISITION_US = 300_000


@dataclass(frozen=True)
class Job:
    """One scene or recording with all windows and methods asked for."""

    scene: str
    windows_us: tuple[int, ...]
    methods: tuple[str, ...]
    recording: Path | None = None
    truth: Path | None = None
    duration_s: float | None = None

    @property
    def name(self) -> str:
        """The scene, with its length where that is not the usual one."""
        return self.scene if self.duration_s is None else f"{self.scene} {self.duration_s:g} s"


QUICK = (
    Job("fan_ramp", (20_000, 100_000), ("detector",), duration_s=0.6),
    Job("five_blades", (20_000, 100_000), ("detector",), duration_s=0.6),
    Job("drone_idle", (100_000,), ("detector",), duration_s=0.5),
)
"""Short scenes that a test holds to the stored figures."""


@dataclass(frozen=True)
class Step:
    """What a method gave for one window, and what that cost."""

    t_us: int
    estimates: list[RotorEstimate]
    events: int
    cpu_s: float


Method = Callable[[EventBatch, Truth, int, int], Iterator[Step]]


def run(job: Job) -> list[Row]:
    """All rows of one scene; the events are read once."""
    events, truth = _read(job)
    _warm_up(job, events, truth)
    return [
        _row(job.name, method, window_us, events, truth)
        for window_us in job.windows_us
        for method in job.methods
    ]


def errors_of(job: Job) -> list[tuple[int, int, list[RotorScore]]]:
    """Window and step [us] of the detector, and the scores of the scene's rotors."""
    events, truth = _read(job)
    parts = []
    for window_us in job.windows_us:
        step_us = _step_us(window_us)
        steps = detector(events, truth, window_us, step_us)
        scored = score(truth, [(step.t_us, step.estimates) for step in steps], window_us)
        parts.append((window_us, step_us, scored.rotors))
    return parts


def _read(job: Job) -> tuple[EventBatch, Truth]:
    path = job.recording or cached_recording(job.scene, job.duration_s)
    truth = Truth.read(job.truth or truth_path(path))
    with open_recording(str(path)) as source:
        return EventBatch.concatenate(source.size, list(source.batches())), truth


def _step_us(window_us: int) -> int:
    return window_us // math.ceil(window_us / LONGEST_STEP_US)


def _warm_up(job: Job, events: EventBatch, truth: Truth) -> None:
    """Compile what is compiled at first use."""
    start_us = int(events.t[0]) if len(events) else 0
    part = events.between(start_us, start_us + 350_000)
    for method in job.methods:
        for _ in METHODS[method](part, truth, 50_000, 50_000):
            pass


def _row(scene: str, method: str, window_us: int, events: EventBatch, truth: Truth) -> Row:
    step_us = _step_us(window_us)
    if method in TOLD:
        # They keep nothing from window to window; windows that overlap a lot tell little more.
        step_us = max(step_us, window_us // 5)
    steps = list(METHODS[method](events, truth, window_us, step_us))
    results = [(step.t_us, step.estimates) for step in steps]
    scored = score(truth, results, window_us)
    figures = scored.summary().as_dict()
    locked = [step for step in steps if step.t_us > ACQUISITION_US]
    latency_ms = [1e3 * step.cpu_s for step in locked]
    figures |= {
        "reliability": scored.reliability(),
        "mev_s": _rate(steps),
        "locked_mev_s": _rate(locked),
        "latency_ms": float(np.median(latency_ms)) if latency_ms else None,
        "latency_p95_ms": float(np.percentile(latency_ms, 95)) if latency_ms else None,
        "event_mev_s": len(events) / max(truth.duration_us, 1),
    }
    figures |= dict.fromkeys(TOLD.get(method, ()))
    return Row(scene, method, 1e-3 * window_us, figures)


def _rate(steps: list[Step]) -> float | None:
    """Million events for each second of CPU time."""
    seconds = sum(step.cpu_s for step in steps)
    return 1e-6 * sum(step.events for step in steps) / seconds if seconds else None


def detector(events: EventBatch, truth: Truth, window_us: int, step_us: int) -> Iterator[Step]:
    """The rotation detector, told nothing."""
    from evio_ros.rotation.detector import RotationDetector
    from evio_ros.rotation.detector_parameters import RotationDetectorParameters

    parameters = RotationDetectorParameters(window_us=window_us, step_us=step_us)
    detector = RotationDetector(events.size, parameters)
    # Windows that the recording fills wholly.
    end_us = truth.duration_us - truth.duration_us % step_us
    for window in windows([events], events.size, step_us, 0, end_us):
        started = time.process_time()
        estimates = detector.process(window)
        cpu_s = time.process_time() - started
        yield Step(window.end_us, estimates, len(window.events), cpu_s)


def oracle(events: EventBatch, truth: Truth, window_us: int, step_us: int) -> Iterator[Step]:
    """The limit, see `accuracy_bench.oracle`."""
    rotors = _oracles(events, truth)
    for end_us in range(max(window_us, ACQUISITION_US + step_us), truth.duration_us + 1, step_us):
        estimates = [rotor.measure(end_us, window_us) for rotor in rotors]
        yield Step(end_us, [estimate for estimate in estimates if estimate is not None], 0, 0.0)


@lru_cache(maxsize=1)
def _oracles(events: EventBatch, truth: Truth) -> list[Oracle]:
    """One for each rotor; the same for all windows of a recording."""
    return [Oracle.of(rotor, events) for rotor in truth.rotors]


def classical(name: str) -> Method:
    """A classical method that is told each rotor's region and number of blades.

    It knows no sense of rotation; the truth's is taken, so that errors are those of the size.
    """

    def method(events: EventBatch, truth: Truth, window_us: int, step_us: int) -> Iterator[Step]:
        from evio_ros.rotation.classical.detector import region_box
        from evio_ros.rotation.classical.registry import CLASSICAL_METHODS

        measure = CLASSICAL_METHODS[name]
        begin_us = max(window_us, ACQUISITION_US + step_us)
        for end_us in range(begin_us, truth.duration_us + 1, step_us):
            window = events.between(end_us - window_us, end_us)
            started = time.process_time()
            estimates = []
            for rotor in truth.rotors:
                ellipse = rotor.ellipse(end_us - window_us / 2)
                region = window.inside(region_box(ellipse, events.size))
                start_us, blades = end_us - window_us, rotor.blade_count
                frequency_hz = measure(region, start_us, window_us, blades)
                if frequency_hz is not None:
                    sign = math.copysign(1.0, rotor.mean_rpm(start_us, end_us))
                    rpm = sign * 60 * frequency_hz / max(blades, 1)
                    estimates.append(_told(rotor, end_us, window_us, rpm, ellipse))
            cpu_s = time.process_time() - started
            # A window's last step is what comes anew; overlapping windows share the rest.
            yield Step(end_us, estimates, len(events.between(end_us - step_us, end_us)), cpu_s)

    return method


def _told(
    rotor: RotorTruth, t_us: int, window_us: int, rpm: float, ellipse: Ellipse
) -> RotorEstimate:
    """An estimate of which only the speed is measured."""
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


CLASSICAL = ("welch", "autocorrelation", "period_filter")
NOT_BY_CLASSICAL = (
    "reliability",
    "sign",
    "blades",
    "confidence",
    "found",
    "detection_ms",
    "claimed",
    "within_1_sigma",
    "within_2_sigma",
)
METHODS: dict[str, Method] = {
    "detector": detector,
    "oracle": oracle,
    **{name: classical(name) for name in CLASSICAL},
}
TOLD = {
    "oracle": (
        "reliability",
        "sign",
        "blades",
        "confidence",
        "found",
        "detection_ms",
        "mev_s",
        "locked_mev_s",
    ),
    **dict.fromkeys(CLASSICAL, NOT_BY_CLASSICAL),
}
"""Figures that a method was told or does not give."""
