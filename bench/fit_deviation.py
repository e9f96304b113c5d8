"""Fit the weights of the parts of a speed's variance.

python bench/fit_deviation.py                       simulate, measure, fit, print: minutes
python bench/fit_deviation.py --scene fan_constant  --first-seed 41 --seeds 2

The weights are those of `evio_ros.rotation.tracking.speed_uncertainty.VarianceParts`. They are
fitted such that in each scene and window length 68 and 95 % of the errors lie within one and two
standard deviations. The printed weights are copied to `WEIGHTS` by hand. Seeds and speeds of the
recordings differ from those evaluated by bench/accuracy.py, and no real recordings are used.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.optimize import minimize

from evio_ros.estimate import RotorEstimate
from evio_ros.evaluation.variations import speed_factor
from evio_ros.events import EventBatch
from evio_ros.playback.simulated_recording import cached_recording
from evio_ros.rotation.detector import RotationDetector
from evio_ros.rotation.detector_parameters import RotationDetectorParameters
from evio_ros.rotation.tracking.speed_uncertainty import WEIGHTS, VarianceParts
from evio_ros.simulation.presets import preset
from evio_ros.simulation.truth import Truth, truth_path
from evio_ros.sources.registry import open_recording
from evio_ros.units import RAD_S_PER_RPM
from evio_ros.windowing import windows

SCENES = (
    "fan_constant",
    "disc_mark",
    "fan_steps",
    "fan_turning",
    "five_blades",
    "disc_partly_hidden",
    "fan_dim_noisy",
    "rotors_overlapping",
    "fan_ramp",
    "two_blade_60000",
    "drone_moving",
    "drone_flying",
    "fan_reversing",
    "drone_idle",
)
WINDOWS_US = (5_000, 20_000, 100_000, 400_000)
_LONGEST_STEP_US = 50_000
FIRST_SEED = 31
DURATION_S = 1.4
WITHIN = ((1.0, 0.683, 0.1, 4.0), (2.0, 0.954, 0.15, 4.0))
"""Number of standard deviations, nominal share of the errors within them, width of the smooth count
in standard deviations, and weight of the share's squared error in the loss."""
_LIKELIHOOD_WEIGHT = 0.005
"""Weight of the negative log likelihood in the loss."""
_PRIOR_WEIGHT, _PRIOR_STRENGTH = 0.25, 0.003
"""Prior of the weights, for those that the data leave undetermined: factor of the squared
difference of the logarithms in the loss."""
_SMALLEST_WEIGHT, _LARGEST_WEIGHT = 1e-4, 3.0
"""Bounds of a weight: with a larger factor, a part would represent another effect."""
_SAME_DISC_RADII = 0.5

_Real = NDArray[np.float64]


@dataclass(frozen=True)
class Errors:
    """Errors of the speeds of many windows.

    Attributes:
        group: (n,) index in `names`.
        names: scene and window length.
        error: (n,) rad/s.
        parts: (n, weights) weighted parts of the variance, (rad/s)^2.
        rest: (n,) the variance without weighted parts, (rad/s)^2.
        variance: (n,) claimed variance, (rad/s)^2.
    """

    group: NDArray[np.int64]
    names: list[str]
    error: _Real
    parts: _Real
    rest: _Real
    variance: _Real

    def within(self, variance: _Real, deviations: float, smooth: float = 1e-9) -> _Real:
        """Share of each group's errors within a number of standard deviations."""
        beyond = (np.abs(self.error) / np.sqrt(variance) - deviations) / smooth
        inside = 1.0 / (1.0 + np.exp(np.clip(beyond, -700.0, 700.0)))
        return np.bincount(self.group, inside) / np.bincount(self.group)

    def loss(self, log_weights: _Real) -> float:
        """Squared errors of the shares, plus weighted negative log likelihood and prior."""
        variance = np.maximum(self.parts @ np.exp(log_weights) + self.rest, 1e-16)
        total = 0.0
        for deviations, share, smooth, weight in WITHIN:
            differing = self.within(variance, deviations, smooth) - share
            total += weight * float((differing**2).mean())
        surprise = 0.5 * (np.log(variance) + self.error**2 / variance)
        of_group = np.bincount(self.group, surprise) / np.bincount(self.group)
        total += _LIKELIHOOD_WEIGHT * float(of_group.mean())
        prior = float(((log_weights - math.log(_PRIOR_WEIGHT)) ** 2).sum())
        return total + _PRIOR_STRENGTH * prior


def measured(scene: str, seed: int, duration_s: float, window_us: int) -> Iterator[list[float]]:
    """Error [rad/s], claimed variance and its parts [(rad/s)^2] of each estimate."""
    rotors = preset(scene, duration_s).scene.rotors
    rpm = speed_factor(seed) * rotors[0].speed.rpm[0]
    path = cached_recording(scene, duration_s, rpm, seed=seed)
    truth = Truth.read(truth_path(path))
    with open_recording(str(path)) as source:
        events = EventBatch.concatenate(source.size, source.batches())
    step_us = min(window_us, _LONGEST_STEP_US)
    parameters = RotationDetectorParameters(window_us=window_us, step_us=step_us)
    detector = RotationDetector(events.size, parameters)
    for window in windows([events], events.size, step_us, 0, int(events.t[-1]) + 1):
        estimates = detector.process(window)
        parts = {tracker.identity: tracker.variance_parts for tracker in detector.trackers}
        for estimate in estimates:
            right, made_of = _right_rpm(truth, estimate), parts[estimate.id]
            if estimate.window_us == window_us and right is not None and made_of is not None:
                error = (estimate.rpm - right) * RAD_S_PER_RPM
                variance = (estimate.rpm_std * RAD_S_PER_RPM) ** 2
                yield [error, variance, *made_of]


def _right_rpm(truth: Truth, estimate: RotorEstimate) -> float | None:
    """True mean speed of the rotor to which an estimate belongs; None if there is none."""
    t_us = estimate.t_us
    near = min(truth.rotors, key=lambda r: math.dist(r.ellipse(t_us).center, estimate.center))
    away = math.dist(near.ellipse(t_us).center, estimate.center)
    if away > _SAME_DISC_RADII * estimate.axes[0]:
        return None
    return near.mean_rpm(t_us - estimate.window_us, t_us)


def gather(scenes: list[str], seeds: range, duration_s: float, jobs: int) -> Errors:
    """Measure all scenes, seeds and windows in parallel processes."""
    rows: list[list[float]] = []
    group: list[int] = []
    names: list[str] = []
    task = partial(_of_scene, seeds=seeds, duration_s=duration_s)
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        for scene, of_windows in zip(scenes, pool.imap(task, scenes), strict=True):
            for window_us, found in zip(WINDOWS_US, of_windows, strict=True):
                if found:
                    group += [len(names)] * len(found)
                    names.append(f"{scene} {window_us // 1000} ms")
                    rows += found
            print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    table = np.array(rows)
    parts = table[:, 2:]
    rest = np.maximum(table[:, 1] - parts @ np.array(WEIGHTS), 0.0)
    return Errors(np.array(group), names, table[:, 0], parts, rest, table[:, 1])


def _of_scene(scene: str, seeds: range, duration_s: float) -> list[list[list[float]]]:
    """Rows for each window length."""
    return [
        [row for seed in seeds for row in measured(scene, seed, duration_s, window_us)]
        for window_us in WINDOWS_US
    ]


def fit(errors: Errors) -> _Real:
    """The weights of least loss, with several starting points."""
    bounds = np.log((_SMALLEST_WEIGHT, _LARGEST_WEIGHT))
    starts = np.clip(np.log(WEIGHTS) + np.array([[0.0], [1.0], [-1.0]]), *bounds)
    found = [
        minimize(
            errors.loss,
            start,
            method="Nelder-Mead",
            bounds=[tuple(bounds)] * len(start),
            options={"maxfev": 4000},
        )
        for start in starts
    ]
    return np.asarray(np.exp(min(found, key=lambda one: one.fun).x))


def table_of(errors: Errors, weights: _Real) -> Table:
    """Shares within one and two standard deviations, as claimed and with the fitted weights."""
    table = Table("", "windows", "1 s", "fitted", "2 s", "fitted")
    fitted = errors.parts @ weights + errors.rest
    shares = [
        errors.within(variance, deviations)
        for deviations in (1.0, 2.0)
        for variance in (errors.variance, fitted)
    ]
    for name, count, *cells in zip(errors.names, np.bincount(errors.group), *shares, strict=True):
        table.add_row(name, str(count), *(f"{cell:.0%}" for cell in cells))
    return table


def main() -> int:
    """Fit and print; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scene", action="append", help="default: those with fast rotors")
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--duration", type=float, default=DURATION_S, help="seconds")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument(
        "--judge", action="store_true", help="only show the shares, without fitting"
    )
    options = parser.parse_args()
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    errors = gather(options.scene or list(SCENES), seeds, options.duration, options.jobs)
    weights = np.array(WEIGHTS) if options.judge else fit(errors)
    Console(width=None if sys.stdout.isatty() else 100).print(table_of(errors, weights))
    names = VarianceParts._fields
    print(", ".join(f"{name}={w:.2g}" for name, w in zip(names, weights, strict=True)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
