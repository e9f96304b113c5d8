"""Running a method over the windows of a scene, and scoring it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evio_ros.evaluation.accuracy import score
from evio_ros.evaluation.methods import ACQUISITION_US, METHODS, OMITTED_FIGURES, Step, detector
from evio_ros.evaluation.results import Row
from evio_ros.evaluation.scores import RotorScore
from evio_ros.events import EventBatch
from evio_ros.playback.simulated_recording import cached_recording
from evio_ros.simulation.truth import Truth, truth_path
from evio_ros.sources.registry import open_recording

__all__ = ["QUICK", "Job", "errors_of", "run"]

_LONGEST_STEP_US = 50_000
_WARM_UP_US = ACQUISITION_US + 50_000
"""Length of the part measured before, to compile kernels: acquisition and a step of tracking."""


@dataclass(frozen=True)
class Job:
    """One scene or recording, with the window lengths and methods to run.

    Attributes:
        scene: name of the scene.
        windows_us: lengths of the windows in µs.
        methods: names in `METHODS`.
        recording, truth: files to use instead of simulating the scene; None for the cached ones.
        duration_s: length of the simulated recording in s; None for the scene's own.
    """

    scene: str
    windows_us: tuple[int, ...]
    methods: tuple[str, ...]
    recording: Path | None = None
    truth: Path | None = None
    duration_s: float | None = None

    @property
    def name(self) -> str:
        """The scene, with its duration if that is not the scene's own."""
        return self.scene if self.duration_s is None else f"{self.scene} {self.duration_s:g} s"


QUICK = (
    Job("fan_ramp", (20_000, 100_000), ("detector",), duration_s=0.6),
    Job("five_blades", (20_000, 100_000), ("detector",), duration_s=0.6),
    Job("drone_idle", (100_000,), ("detector",), duration_s=0.5),
)
"""Short scenes whose figures a regression test compares with the baseline."""


def run(job: Job) -> list[Row]:
    """All rows of one scene; the events are read only once."""
    events, truth = _read(job)
    _warm_up(job, events, truth)
    return [
        _row(job.name, method, window_us, events, truth)
        for window_us in job.windows_us
        for method in job.methods
    ]


def errors_of(job: Job) -> list[tuple[int, int, list[RotorScore]]]:
    """For each window length: window and step of the detector in µs, and the rotors' scores."""
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
        return EventBatch.concatenate(source.size, source.batches()), truth


def _step_us(window_us: int) -> int:
    return window_us // math.ceil(window_us / _LONGEST_STEP_US)


def _warm_up(job: Job, events: EventBatch, truth: Truth) -> None:
    """Compile kernels before the measurement of cost."""
    start_us = int(events.t[0]) if len(events) else 0
    part = events.between(start_us, start_us + _WARM_UP_US)
    for method in job.methods:
        for _ in METHODS[method](part, truth, 50_000, 50_000):
            pass


def _row(scene: str, method: str, window_us: int, events: EventBatch, truth: Truth) -> Row:
    step_us = _step_us(window_us)
    if method in OMITTED_FIGURES:
        # These keep no state between windows; windows that overlap more would add little.
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
    figures |= dict.fromkeys(OMITTED_FIGURES.get(method, ()))
    return Row(scene, method, 1e-3 * window_us, figures)


def _rate(steps: list[Step]) -> float | None:
    """Million events per second of processor time."""
    seconds = sum(step.cpu_s for step in steps)
    return 1e-6 * sum(step.events for step in steps) / seconds if seconds else None
