"""Benefit of fusion over the rotation detector alone, against the truth of simulated scenes.

python bench/fusion.py                  all tables but node, which needs ROS
python bench/fusion.py --table speed    one of speed, moment, consistency, turns, hidden, velocity,
                                        confidence, real, cost, node
python bench/fusion.py --seeds 4        more recordings of each scene
python bench/fusion.py --picture p.png  a drone and a real take, hidden for half a second

The detector's estimates are computed once and cached beside the simulated recordings. Angles are
compared up to a constant for each rotor: events lag behind the edge by some 0.1 ms, and the
detector's reference blade is arbitrary.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
from fusion_bench.figures import (
    Fused,
    Track,
    calibration,
    cost,
    from_usual,
    fuse,
    normalised_squares,
    return_errors,
    window_of,
)
from fusion_bench.picture import draw
from fusion_bench.recorded import Run, long_run, simulated_run, take_runs
from rich.console import Console
from rich.table import Table
from scipy.stats import chi2

SCENES = (
    "fan_constant",
    "fan_ramp",
    "fan_turning",
    "drone_idle",
    "drone_moving",
    "drone_flying",
    "five_blades",
    "fan_reversing",
)
CONSTANT = ("fan_constant", "drone_idle", "drone_moving")
HIDDEN_US = 1_200_000
HIDDEN_FOR_US = 500_000
RVT_SHARE, ROTATION_SHARE = 0.3, 0.7
"""Weights of the two paths' confidences in the first design."""


@lru_cache(maxsize=64)
def run_of(scene: str, seed: int) -> Run:
    """The detector's estimates of a scene."""
    return simulated_run(scene, seed)


@lru_cache(maxsize=64)
def fused_of(scene: str, seed: int) -> Fused:
    """The same after fusion."""
    return fuse(run_of(scene, seed))


def rotors_of(scene: str, seeds: int) -> list[tuple[Track, int]]:
    """All rotors of a scene's recordings, and their blade counts."""
    found = []
    for seed in range(seeds):
        truth = run_of(scene, seed).truth
        assert truth is not None
        blades = {rotor.id: rotor.blade_count for rotor in truth.rotors}
        tracks = fused_of(scene, seed).tracks
        found += [(tracks[rotor], count) for rotor, count in blades.items() if tracks[rotor].angle]
    return found


def speed(seeds: int) -> Table:
    """Errors of the speed while the detector measures the rotor."""
    table = Table("relative error of the speed", "detector", "fused", "median ratio", "p95 ratio")
    for scene in SCENES:
        tracks = rotors_of(scene, seeds)
        alone = np.concatenate([track.alone for track, _ in tracks])
        errors = np.concatenate([track.errors for track, _ in tracks])
        old, new = (np.percentile(values, (50, 95)) for values in (alone, errors))
        texts = [f"{a:.2e} ({b:.2e})" for a, b in (old, new)]
        table.add_row(scene, *texts, *(f"{ratio:.4f}" for ratio in new / old))
    return table


def moment(seeds: int) -> Table:
    """Errors of the angle at the time of publishing."""
    columns = "predicted", "p95", "last window turned on", "last window as it is", "times better"
    table = Table("angle now, degrees, median", *columns)
    for scene in SCENES:
        parts = []
        for track, blades in rotors_of(scene, seeds):
            angles = (track.predicted, track.held, track.passed)
            parts.append([from_usual(one, track.angle, blades) for one in angles])
        predicted, held, passed = (
            np.degrees(np.concatenate(one)) for one in zip(*parts, strict=True)
        )
        medians = [np.median(one) for one in (predicted, held, passed)]
        texts = [f"{medians[0]:.3f}", f"{np.percentile(predicted, 95):.3f}"]
        texts += [f"{one:.3f}" for one in medians[1:]]
        table.add_row(scene, *texts, f"{medians[2] / medians[0]:.0f}")
    return table


def consistency(seeds: int) -> Table:
    """Normalised squares of errors (NEES) and innovations (NIS) of each run."""
    columns = "angle", "speed", "NEES within", "innovations", "NIS within", "runs"
    table = Table("normalised squares, 1 expected", *columns)
    inside_nees = inside_nis = runs = nis_runs = 0
    for scene in SCENES:
        squares = [normalised_squares(track, blades) for track, blades in rotors_of(scene, seeds)]
        nis = [one for seed in range(seeds) for one in fused_of(scene, seed).nis.values()]
        nees_good = sum(_is_inside(sum(pair), 2, 1) for pair in squares)
        nis_good = sum(_is_inside(2 * sum(one), 2, len(one)) for one in nis)
        angle, turning = np.mean(squares, axis=0)
        table.add_row(
            scene,
            f"{angle:.2f}",
            f"{turning:.2f}",
            f"{nees_good} of {len(squares)}",
            f"{np.mean([np.mean(one) for one in nis]):.2f}",
            f"{nis_good} of {len(nis)}",
            str(len(squares)),
        )
        inside_nees, inside_nis = inside_nees + nees_good, inside_nis + nis_good
        runs, nis_runs = runs + len(squares), nis_runs + len(nis)
    shares = f"{inside_nees / runs:.0%}", f"{inside_nis / nis_runs:.0%}"
    table.add_row("all", "", "", shares[0], "", shares[1], str(runs))
    return table


def _is_inside(total: float, values: int, times: int) -> bool:
    """Whether a sum of normalised squares lies within the 95 % bounds of a chi-square."""
    low, high = chi2.ppf((0.025, 0.975), values * times)
    return bool(low <= total <= high)


def turns(seeds: int) -> Table:
    """Errors of the turns over a minute."""
    table = Table(
        "turns over 60 s", "turns", "largest error", "slips", "identities", "windows seen"
    )
    for ramp in (False, True):
        run = long_run(ramp, 0.05)
        (track,) = fuse(run).tracks.values()
        assert run.truth is not None
        errors = np.array(track.turns) - track.turns[0]
        slips = int((np.abs(np.diff(np.round(3 * errors))) > 0).sum())
        made = float(run.truth.rotors[0].speed.turns(run.windows[-1][0]))
        seen = sum(bool(estimates) for _, estimates in run.windows)
        table.add_row(
            run.name,
            f"{made:.0f}",
            f"{np.abs(errors).max():.4f}",
            str(slips),
            str(len(track.identities)),
            f"{seen} of {len(run.windows)}",
        )
    return table


def hidden(seeds: int) -> Table:
    """Rotors that are hidden for half a second."""
    table = Table("hidden for 0.5 s", "identity kept", "angle at return, rad", "largest")
    for scene in SCENES:
        kept, errors = [], []
        for seed in range(seeds):
            is_kept, found = return_errors(run_of(scene, seed), HIDDEN_US, HIDDEN_FOR_US)
            kept.append(is_kept)
            errors += found
        texts = [f"{np.median(errors):.4f}", f"{max(errors):.4f}"] if errors else ["-", "-"]
        mark = " (constant)" if scene in CONSTANT else ""
        table.add_row(scene + mark, f"{sum(kept)} of {len(kept)}", *texts)
    return table


def velocity(seeds: int) -> Table:
    """Errors of the hub's velocity."""
    table = Table("velocity of the hub, px/s, median (p95)", "detector", "fused")
    for scene in SCENES:
        tracks = [track for track, _ in rotors_of(scene, seeds)]
        alone = np.concatenate([track.detector_velocity for track in tracks])
        fused = np.concatenate([track.velocity for track in tracks])
        pairs = (np.percentile(one, (50, 95)) for one in (alone, fused))
        table.add_row(scene, *(f"{a:.2f} ({b:.2f})" for a, b in pairs))
    return table


def confidence(seeds: int) -> Table:
    """Calibration of the confidence."""
    table = Table("right to 1 %", "estimates", "right", "calibration error", "area under curve")
    confidences = [
        one for scene in SCENES for track, _ in rotors_of(scene, seeds) for one in track.confidence
    ]
    rules: dict[str, Callable[[tuple[float, float, bool]], float]] = {
        "detector": lambda one: one[1],
        "fused, without a model": lambda one: one[0],
        "0.7 detector + 0.3 RVT without boxes": lambda one: ROTATION_SHARE * one[1],
    }
    for name, rule in rules.items():
        pairs = [(rule(one), one[2]) for one in confidences]
        right = sum(good for _, good in pairs) / len(pairs)
        table.add_row(
            name, str(len(pairs)), f"{right:.3f}", *(f"{x:.3f}" for x in calibration(pairs))
        )
    return table


def costs(seeds: int) -> Table:
    """Processor time for ten rotors at 100 Hz."""
    table = Table("10 rotors at 100 Hz", "share of a core", "a window, ms")
    share, window_s = cost()
    table.add_row("", f"{share:.1%}", f"{1e3 * window_s:.2f}")
    return table


def node(seeds: int) -> Table:
    """The fusion node as a separate process."""
    # Imported here, because only this table needs ROS.
    os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    from evio_ros.ros.share import use_dds_profile

    use_dds_profile(os.environ)
    from fusion_bench.node_cost import node_cost

    columns = "share of a core", "there and back, ms, median (p99)", "windows answered"
    table = Table("windows at 100 Hz through the node", *columns)
    for rotors in (0, 1, 5, 10):
        windows = [window_of(k, rotors, 100.0) for k in range(1100)]
        share, (p50, p99), answered = node_cost(windows, 100.0)
        table.add_row(
            f"{rotors} rotors", f"{share:.1%}", f"{p50:.2f} ({p99:.2f})", f"{answered:.1%}"
        )
    return table


def real(seeds: int) -> Table:
    """Real takes: errors of the speed, and of the angle at the time of publishing."""
    columns = "windows", "detector", "fused", "angle now, degrees", "last window as it is", "gated"
    table = Table("real takes, relative error of the speed, median (p95)", *columns)
    for run in take_runs():
        fused = fuse(run)
        (track,) = fused.tracks.values()
        if len(track.errors) < 3:
            continue
        pairs = [np.percentile(values, (50, 95)) for values in (track.alone, track.errors)]
        now = [
            np.degrees(np.median(from_usual(values, track.angle, 1)))
            for values in (track.predicted, track.passed)
        ]
        table.add_row(
            run.name,
            str(len(track.errors)),
            *(f"{a:.1e} ({b:.1e})" for a, b in pairs),
            *(f"{one:.1f}" for one in now),
            str(fused.outcomes.get("gated", 0)),
        )
    return table


TABLES: dict[str, Callable[[int], Table]] = {
    "speed": speed,
    "moment": moment,
    "consistency": consistency,
    "turns": turns,
    "hidden": hidden,
    "velocity": velocity,
    "confidence": confidence,
    "real": real,
    "cost": costs,
    "node": node,
}


def main() -> int:
    """Print the tables; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--table", action="append", choices=TABLES, help="may be repeated")
    parser.add_argument("--seeds", type=int, default=1, help="recordings of each scene")
    parser.add_argument("--picture", type=Path, help="draw a drone and a real take into a file")
    options = parser.parse_args()
    if options.picture:
        real_takes = [run for run in take_runs() if "617" in run.name][:1]
        runs = [run_of("drone_flying", 0), *real_takes]
        draw(runs, (HIDDEN_US, HIDDEN_FOR_US), options.picture)
        return 0
    console = Console(width=None if sys.stdout.isatty() else 160)
    for name in options.table or [name for name in TABLES if name != "node"]:
        console.print(TABLES[name](options.seeds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
