"""Recordings of one scene with different seeds and speeds, and their pooled figures.

One recording has few independent windows of 1 s, so the share of its errors within the claimed
standard deviation is poorly known. Several recordings with different seeds and speeds are pooled.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from evio_ros.evaluation.coverage import Coverage
from evio_ros.evaluation.results import Row
from evio_ros.evaluation.runs import Job, errors_of
from evio_ros.evaluation.scores import RotorScore
from evio_ros.playback.simulated_recording import cached_recording
from evio_ros.simulation.presets import preset

__all__ = ["VariedJob", "pooled", "run_varied", "speed_factor"]

_DURATION_S = 4.0
SPEED_SPREAD = 0.16
"""Difference of the greatest and the smallest speed, relative to the scene's own."""
_GOLDEN = 0.6180339887498949
"""Fractional part of the golden ratio: multiples modulo 1 are spread evenly for any number of
seeds."""
_LEAST_BLOCK_US = 500_000
_BLOCK_WINDOWS = 2
"""Errors in different blocks of time are treated as independent; a block has at least this length
and this number of windows."""


def speed_factor(seed: int) -> float:
    """Factor for the speed of a scene's rotors; no two seeds have the same."""
    return 1.0 + SPEED_SPREAD * ((seed * _GOLDEN) % 1.0 - 0.5)


def _varied_recording(scene: str, seed: int, duration_s: float = _DURATION_S) -> Path:
    """Path of a scene's recording with a seed and its speed; simulated if not in the cache."""
    rotors = preset(scene, duration_s).scene.rotors
    rpm = speed_factor(seed) * rotors[0].speed.rpm[0] if rotors else None
    return cached_recording(scene, duration_s, rpm, seed=seed)


@dataclass(frozen=True)
class VariedJob:
    """A job with the seed of its recording."""

    job: Job
    seed: int


_Part = tuple[str, int, int, list[RotorScore]]
"""Scene, window and step [us], and the scores of a recording's rotors."""


def run_varied(varied: VariedJob) -> list[_Part]:
    """Measure one recording; the result is empty for a scene without a rotor."""
    job = varied.job
    if not preset(job.scene).scene.rotors:
        return []
    duration_s = _DURATION_S if job.duration_s is None else job.duration_s
    path = _varied_recording(job.scene, varied.seed, duration_s)
    parts = errors_of(replace(job, recording=path))
    return [(job.scene, window_us, step_us, rotors) for window_us, step_us, rotors in parts]


def pooled(parts: Iterable[_Part]) -> list[Row]:
    """One row for each scene and window."""
    groups: dict[tuple[str, int, int], list[list[RotorScore]]] = {}
    for scene, window_us, step_us, rotors in parts:
        groups.setdefault((scene, window_us, step_us), []).append(rotors)
    rows = []
    for (scene, window_us, step_us), recordings in groups.items():
        block = math.ceil(max(_BLOCK_WINDOWS * window_us, _LEAST_BLOCK_US) / step_us)
        coverage = Coverage.of(recordings, block)
        if coverage is not None:
            rows.append(Row(scene, "detector", 1e-3 * window_us, asdict(coverage)))
    return rows
