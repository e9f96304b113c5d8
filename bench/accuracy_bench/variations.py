"""Recordings of a scene that differ in everything random and in speed, and what they say together.

One recording holds few independent windows of a second: what share of its errors lies within the
claimed standard deviation is nearly one draw. Several seeds, each with a speed of its own, tell.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from accuracy_bench.results import Row
from accuracy_bench.runs import Job, errors_of
from evio_ros.accuracy_scores import RIGHT_ERROR, RotorScore
from evio_ros.simulated_recording import cached_recording
from evio_ros.simulation.presets import preset

DURATION_S = 4.0
SPEED_SPREAD = 0.16
"""Greatest speed less the smallest, as a share of the scene's own."""
GOLDEN = 0.6180339887498949
LEAST_BLOCK_US = 500_000
BLOCK_WINDOWS = 2
"""Errors are taken for independent from one block of time to the next: so long, and so many
windows."""
NORMAL_MEDIAN = 0.6745
"""Median size of an error over its standard deviation where it is normally distributed."""


@dataclass(frozen=True)
class Share:
    """A share of errors.

    Attributes:
        value: the share, 0 to 1.
        std: its standard deviation, from how much the blocks of time differ.
    """

    value: float
    std: float


@dataclass(frozen=True)
class Honesty:
    """How the errors of a scene's rotors compare with what the estimates claim.

    Attributes:
        recordings: number of recordings.
        errors: number of errors.
        wrong: share of them beyond 1 %, as where another rotor is followed; the confidence speaks
            of those. They do not count below.
        effective: number of independent errors that would tell the first share as well.
        within_1, within_2: shares within one and two claimed standard deviations.
        ratio: median size of an error over its claimed standard deviation, over that of a normal
            distribution; above 1 the claim is too small.
        median, p95: of the relative error's size.
    """

    recordings: int
    errors: int
    wrong: float
    effective: float
    within_1: Share
    within_2: Share
    ratio: float
    median: float
    p95: float

    @classmethod
    def of(cls, rotors: Sequence[RotorScore], recordings: int, block: int) -> Honesty | None:
        """Pool rotors of several recordings; None where none was measured.

        Args:
            rotors: their scores, errors in order of time.
            recordings: number of recordings.
            block: number of neighbouring errors that are taken for dependent.
        """
        error = np.abs(np.array([value for rotor in rotors for value in rotor.error]))
        right = [np.abs(np.asarray(rotor.error)) < RIGHT_ERROR for rotor in rotors]
        sizes = [
            np.abs(np.asarray(rotor.z))[kept]
            for rotor, kept in zip(rotors, right, strict=True)
            if kept.any()
        ]
        if not sizes:
            return None
        first, second = (_share([size < bound for size in sizes], block) for bound in (1.0, 2.0))
        spread = first.value * (1 - first.value)
        return cls(
            recordings,
            len(error),
            float((error >= RIGHT_ERROR).mean()),
            spread / first.std**2 if first.std else 0.0,
            first,
            second,
            float(np.median(np.concatenate(sizes))) / NORMAL_MEDIAN,
            float(np.median(error)),
            float(np.percentile(error, 95)),
        )


def _share(inside: Iterable[NDArray[np.bool_]], block: int) -> Share:
    """Share and its standard deviation, clustered by blocks."""
    blocks = [
        part for series in inside for part in np.array_split(series, math.ceil(len(series) / block))
    ]
    sizes = np.array([len(part) for part in blocks], np.float64)
    hits = np.array([part.sum() for part in blocks], np.float64)
    share = hits.sum() / sizes.sum()
    # With few blocks, or none that misses, their own scatter says too little: one virtual block
    # of the share that is due at the least.
    scatter = np.square(hits - share * sizes).sum() + np.square(sizes).mean() * 0.25
    return Share(float(share), math.sqrt(scatter) / float(sizes.sum()))


def speed_factor(seed: int) -> float:
    """Factor for the speed of a scene's rotors; no two seeds have the same."""
    return 1.0 + SPEED_SPREAD * ((seed * GOLDEN) % 1.0 - 0.5)


def varied_recording(scene: str, seed: int, duration_s: float = DURATION_S) -> Path:
    """A scene's recording with a seed and its speed, in the cache of simulated recordings."""
    rotors = preset(scene, duration_s).scene.rotors
    rpm = speed_factor(seed) * rotors[0].speed.rpm[0] if rotors else None
    return cached_recording(scene, duration_s, rpm, seed=seed)


@dataclass(frozen=True)
class VariedJob:
    """One scene with one seed."""

    job: Job
    seed: int


Part = tuple[str, int, int, list[RotorScore]]
"""Scene, window and step [us], and the scores of a recording's rotors."""


def run_varied(varied: VariedJob) -> list[Part]:
    """Measure one recording; an empty list for a scene in which nothing turns."""
    job = varied.job
    if not preset(job.scene).scene.rotors:
        return []
    duration_s = DURATION_S if job.duration_s is None else job.duration_s
    path = varied_recording(job.scene, varied.seed, duration_s)
    parts = errors_of(replace(job, recording=path))
    return [(job.scene, window_us, step_us, rotors) for window_us, step_us, rotors in parts]


def pooled(parts: Iterable[Part]) -> list[Row]:
    """One row for each scene and window."""
    groups: dict[tuple[str, int, int], list[list[RotorScore]]] = {}
    for scene, window_us, step_us, rotors in parts:
        groups.setdefault((scene, window_us, step_us), []).append(rotors)
    rows = []
    for (scene, window_us, step_us), recordings in groups.items():
        block = math.ceil(max(BLOCK_WINDOWS * window_us, LEAST_BLOCK_US) / step_us)
        together = [rotor for recording in recordings for rotor in recording]
        honesty = Honesty.of(together, len(recordings), block)
        if honesty is not None:
            rows.append(Row(scene, "detector", 1e-3 * window_us, asdict(honesty)))
    return rows
