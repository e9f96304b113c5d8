"""Speed of `evio analyze` relative to real time, and the share of it spent on reading the file.

Processor time of one core, compared with the recording's duration and with reading its events only,
in the same run.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from evio_ros.pipeline import measure_source
from evio_ros.playback.simulated_recording import cached_recording
from evio_ros.rotation.detector_parameters import RotationDetectorParameters
from evio_ros.sources.registry import open_recording

SCENES = ("fan_constant", "drone_idle")
REPEATS = 3


def read_all(path: str) -> int:
    """Read all events; returns their number."""
    with open_recording(path) as source:
        return sum(map(len, source.batches()))


def measure_all(path: str) -> int:
    """Measure the whole recording as `evio analyze` does; returns the number of windows."""
    with open_recording(path) as source:
        measurements = measure_source(source, RotationDetectorParameters(), look_back=True)
        return sum(1 for _ in measurements)


def processor_s(work: Callable[[str], int], path: str) -> float:
    """Least processor time in s of several runs, after one that compiles."""
    work(path)
    times = []
    for _ in range(REPEATS):
        started = time.process_time()
        work(path)
        times.append(time.process_time() - started)
    return min(times)


def main() -> None:
    """Print the table."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    table = Table(title="evio analyze, windows of 100 ms every 50 ms, one core")
    for heading in ("scene", "events", "Mev/s of the scene", "read", "measure", "times real time"):
        table.add_column(heading, justify="right")
    for scene in SCENES:
        path = str(cached_recording(scene))
        with open_recording(path) as source:
            length_s = (source.end_us - source.start_us) * 1e-6
        events = read_all(path)
        read_s, measure_s = processor_s(read_all, path), processor_s(measure_all, path)
        table.add_row(
            scene,
            f"{events:,}",
            f"{1e-6 * events / length_s:.1f}",
            f"{1e-6 * events / read_s:.0f} Mev/s",
            f"{1e-6 * events / measure_s:.0f} Mev/s",
            f"{length_s / measure_s:.1f}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
