"""Duration of a step while rotors are tracked and a tree is searched for others.

Four rotors of a drone, or one, beside a swaying tree that is searched in vain again and again. The
detector processes slices, as in its node. Processor time of one core: of the step in which rotors
are first found, which includes their search; and of all later steps, from the last event to the
estimates, and of the whole step including its part of the search.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from evio_ros.events import EventWindow
from evio_ros.playback.simulated_recording import cached_preset
from evio_ros.rotation.detector import RotationDetector
from evio_ros.rotation.detector_parameters import RotationDetectorParameters
from evio_ros.simulation.presets import Preset, preset
from evio_ros.sources.registry import open_recording
from evio_ros.windowing import windows

NOISE_HZ = {1: 7.0, 4: 5.5}
"""Background activity per pixel with which the scene has ten million events/s, by rotors."""
STEPS_US = ((20_000, 10_000), (100_000, 50_000))
"""Lengths of windows and steps."""


def scene_with(rotors: int) -> Preset:
    """The drone beside its tree, or one of its rotors beside a larger tree."""
    drone = preset("drone_idle")
    scene = drone.scene
    if rotors == 1:
        tree = preset("foliage", drone.duration_s).scene.textures
        scene = replace(scene, rotors=scene.rotors[1:2], textures=scene.textures + tree)
    return replace(drone, scene=scene, camera=replace(drone.camera, noise_hz=NOISE_HZ[rotors]))


def step_times_ms(
    slices: list[EventWindow], parameters: RotationDetectorParameters
) -> tuple[list[float], list[float], list[float], int]:
    """Processor times of steps in ms.

    Returns:
        Of the whole step in which rotors are first found; of each later step from its last event
        to its estimates; of each later step as a whole; and the number of regions searched.
    """
    detector = RotationDetector(slices[0].events.size, parameters)
    first: list[float] = []
    to_estimates: list[float] = []
    whole: list[float] = []
    is_found, searched_before = False, 0
    step_s = 0.0
    for part in slices:
        started = time.process_time()
        estimates = detector.take(part)
        estimate_s = time.process_time() - started
        if estimates is not None:
            detector.search()
        step_s += time.process_time() - started
        if estimates is None:
            continue
        if is_found:
            to_estimates.append(1e3 * estimate_s)
            whole.append(1e3 * step_s)
        elif estimates:
            is_found, searched_before = True, detector.statistics.regions_searched
            first.append(1e3 * step_s)
        step_s = 0.0
    return first, to_estimates, whole, detector.statistics.regions_searched - searched_before


def rows(rotors: int, path: Path) -> list[list[str]]:
    """Rows of the table for one scene."""
    made = []
    for window_us, step_us in STEPS_US:
        parameters = RotationDetectorParameters(window_us=window_us, step_us=step_us)
        with open_recording(str(path)) as source:
            slices = list(windows(source.batches(), source.size, parameters.slice_lengths_us))
        rate = sum(len(part.events) for part in slices) / (slices[-1].end_us - slices[0].start_us)
        # The first pass compiles kernels.
        for _ in range(2):
            *times, searched = step_times_ms(slices, parameters)
        parts = ("first search", "last event to estimates", "whole step")
        for part, part_times in zip(parts, times, strict=True):
            figures = (np.median(part_times), np.percentile(part_times, 99), max(part_times))
            made.append(
                [f"{rotors}", f"{rate:.1f}", f"{step_us // 1000} ms", f"{searched}", part]
                + [f"{figure:.1f} ms" for figure in figures]
            )
    return made


def main() -> None:
    """Print the table."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    table = Table(title="A step while rotors are tracked, one core, processor time")
    for heading in ("rotors", "Mev/s", "step", "searches", "time", "median", "99 %", "longest"):
        table.add_column(heading, justify="right")
    for rotors in sorted(NOISE_HZ):
        for row in rows(rotors, cached_preset(f"tree_and_rotors_{rotors}", scene_with(rotors))):
            table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 100).print(table)


if __name__ == "__main__":
    main()
