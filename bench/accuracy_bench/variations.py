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
from evio_ros.evaluation.scores import RIGHT_ERROR, RotorScore
from evio_ros.evaluation.simulated_recording import cached_recording
from evio_ros.simulation.presets import preset

DURATION_S = 4.0
SPEED_SPREAD = 0.16
"""Greatest speed less the smallest, as a share of the scene's own."""
GOLDEN = 0.6180339887498949
LEAST_BLOCK_US = 500_000
BLOCK_WINDOWS = 2
"""Errors are taken for independent from one block of time to the next: so long, and so many
windows."""
Real = NDArray[np.float64]
NORMAL_MEDIAN = 0.6745
"""Median size of an error over its standard deviation where it is normally distributed."""


@dataclass(frozen=True)
class Share:
    """A share of errors.

    Attributes:
        value: the share, 0 to 1.
        std: its standard deviation, from how much blocks of time differ, or whole recordings,
            whichever says more.
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
    def of(cls, recordings: Sequence[Sequence[RotorScore]], block: int) -> Honesty | None:
        """Pool the rotors of several recordings; None where none was measured.

        Args:
            recordings: scores of the rotors of each, errors in order of time.
            block: number of neighbouring errors that are taken for dependent.
        """
        error = np.abs(
            np.array([value for rotors in recordings for rotor in rotors for value in rotor.error])
        )
        sizes = [[_sizes(rotor) for rotor in rotors] for rotors in recordings]
        every = np.concatenate([np.empty(0), *(size for rotors in sizes for size in rotors)])
        if not len(every):
            return None
        first, second = (_share(sizes, bound, block) for bound in (1.0, 2.0))
        spread = first.value * (1 - first.value)
        return cls(
            len(recordings),
            len(error),
            float((error >= RIGHT_ERROR).mean()),
            spread / first.std**2 if first.std else 0.0,
            first,
            second,
            float(np.median(every)) / NORMAL_MEDIAN,
            float(np.median(error)),
            float(np.percentile(error, 95)),
        )


def _sizes(rotor: RotorScore) -> Real:
    """Sizes of a rotor's errors over what was claimed, without those that are wrong."""
    kept = np.abs(np.asarray(rotor.error)) < RIGHT_ERROR
    return np.abs(np.asarray(rotor.z))[kept]


def _share(sizes: Sequence[Sequence[Real]], bound: float, block: int) -> Share:
    """Share of sizes below a bound; sizes by recording and rotor."""
    series = [size < bound for rotors in sizes for size in rotors if len(size)]
    blocks = [part for one in series for part in np.array_split(one, math.ceil(len(one) / block))]
    whole = [np.concatenate([np.empty(0), *rotors]) < bound for rotors in sizes]
    inside = np.concatenate(series)
    share = float(inside.mean())
    # Few blocks of which none misses scatter too little: one more of even odds.
    virtual = 0.25 * float(np.mean([len(part) ** 2 for part in blocks]))
    variance = _clustered(blocks, share) + virtual
    if len(whole) > 1:
        variance = max(variance, _clustered(whole, share) * len(whole) / (len(whole) - 1))
    return Share(share, math.sqrt(variance) / len(inside))


def _clustered(parts: Sequence[NDArray[np.bool_]], share: float) -> float:
    """Variance of the number that is inside, of parts that are independent of one another."""
    return float(sum((part.sum() - share * len(part)) ** 2 for part in parts))


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
        honesty = Honesty.of(recordings, block)
        if honesty is not None:
            rows.append(Row(scene, "detector", 1e-3 * window_us, asdict(honesty)))
    return rows
