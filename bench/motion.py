"""Accuracy of the hubs' velocities: of the detector, of optical flow, and fused.

python bench/motion.py                      drone_moving and drone_flying, flow by Farneback
python bench/motion.py --method dis

Every rotor is compared with its true velocity every 50 ms, from 0.5 s on; the cost is CPU time per
window of 50 ms.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict

import numpy as np
from fusion_bench.recorded import simulated_run
from rich.console import Console
from rich.table import Table

from evio_ros.events import EventBatch
from evio_ros.fusion.rotor_bank import BankParameters, RotorBank
from evio_ros.fusion.rotor_filter import HubVelocity
from evio_ros.fusion.rotor_model import FilterParameters
from evio_ros.motion.image_motion import ImageMotionEstimator, MotionParameters, Region, warm_up
from evio_ros.playback.simulated_recording import cached_recording
from evio_ros.simulation.truth import Truth
from evio_ros.sources.registry import open_recording
from evio_ros.windowing import windows

SCENES = ("drone_moving", "drone_flying")
SETTLED_US = 500_000


def main() -> int:
    """Print the table; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--method", default="farneback", choices=("farneback", "dis"))
    parser.add_argument("--scene", action="append")
    options = parser.parse_args()
    parameters = MotionParameters(method=options.method)
    warm_up(parameters)
    columns = "scene", "velocity by", "median px/s", "90 % px/s", "within 99 %", "CPU ms"
    table = Table(*columns)
    for scene in options.scene or SCENES:
        errors, ratios, cpu_ms = measured(scene, parameters)
        for name, found in errors.items():
            sizes = np.hypot(*np.array(found).T)
            inside = f"{np.mean(np.array(ratios[name]) < 9.21):.0%}" if ratios[name] else "-"
            cost = f"{cpu_ms:.0f}" if name == "flow" else "-"
            median, most = np.percentile(sizes, (50, 90))
            table.add_row(scene, name, f"{median:.1f}", f"{most:.1f}", inside, cost)
    Console(width=None if sys.stdout.isatty() else 100).print(table)
    return 0


def measured(
    scene: str, parameters: MotionParameters
) -> tuple[dict[str, list], dict[str, list], float]:
    """Errors [px/s] and squared Mahalanobis distances by method, and CPU time of the flow [ms]."""
    run = simulated_run(scene)
    assert run.truth is not None
    with open_recording(str(cached_recording(scene))) as source:
        events = EventBatch.concatenate(source.size, source.batches())
    estimator = ImageMotionEstimator(events.size, parameters)
    alone, fused = (RotorBank(FilterParameters(), BankParameters()) for _ in range(2))
    estimates = dict(run.windows)
    errors, ratios = defaultdict(list), defaultdict(list)
    spent_s, count = 0.0, 0
    for window in windows([events], events.size, parameters.frame_us, 0, run.truth.duration_us):
        t_us, rotors = window.end_us, estimates.get(window.end_us, [])
        alone.update(t_us, rotors)
        fused.update(t_us, rotors)
        states = fused.states(t_us)
        regions = [Region(one.id, one.ellipse, one.velocity) for one in states]
        began = time.process_time()
        motion = estimator.process(window, regions)
        spent_s, count = spent_s + time.process_time() - began, count + 1
        for number, found in motion.regions.items() if motion else ():
            if found.pixels:
                covariance = motion.independent_covariance(number)
                measured = HubVelocity(motion.middle_us, found.velocity, covariance)
                fused.note_velocity(number, measured)
                if t_us >= SETTLED_US:
                    place = next(one.ellipse.center for one in regions if one.id == number)
                    right = velocity_at(run.truth, place, t_us, motion.middle_us)
                    note(errors, ratios, "flow", found.velocity, found.covariance, right)
        if t_us < SETTLED_US:
            continue
        for estimate in rotors:
            right = velocity_at(run.truth, estimate.center, t_us, t_us)
            note(errors, ratios, "detector", estimate.velocity, None, right)
        for name, bank in (("filter", alone), ("filter with flow", fused)):
            for state in bank.states(t_us):
                right = velocity_at(run.truth, state.center, t_us, t_us)
                note(errors, ratios, name, state.velocity, state.covariance[4:, 4:], right)
    return errors, ratios, 1e3 * spent_s / max(count, 1)


def note(errors, ratios, name, velocity, covariance, right) -> None:
    """Record an error and its squared Mahalanobis distance."""
    off = np.subtract(velocity, right)
    errors[name].append(off)
    if covariance is not None:
        ratios[name].append(float(off @ np.linalg.solve(np.array(covariance), off)))


def velocity_at(truth: Truth, place: tuple[float, float], t_us: int, when_us: int) -> np.ndarray:
    """True velocity at `when_us` of the rotor that is nearest to a place at `t_us`, in px/s."""
    rotor = truth.nearest(*place, t_us)
    assert rotor is not None
    before, after = rotor.path.at(np.array([when_us - 5_000.0, when_us + 5_000.0]))[:, :2]
    return (after - before) / 0.01


if __name__ == "__main__":
    sys.exit(main())
