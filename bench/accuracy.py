"""Accuracy and speed of the measurement for every scene, window and method, against ground truth.

python bench/accuracy.py                                 all scenes, windows and methods
python bench/accuracy.py --method detector --jobs 2      without oracle and classical methods
python bench/accuracy.py --scene fan_ramp --window-ms 100
python bench/accuracy.py --json now.json --compare before.json
python bench/accuracy.py --recording my.dat --truth my.truth.json
python bench/accuracy.py --seeds 4 --first-seed 11       coverage of standard deviations, pooled
python bench/accuracy.py --scaling                       cost by events, rotors and resolution
python bench/accuracy.py --from now.json --markdown      tables of an earlier run
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

from accuracy_bench.markdown import accuracy_markdown, coverage_markdown, detection_markdown
from accuracy_bench.scaling import measure_scaling, scaling_table
from accuracy_bench.tables import (
    accuracy_table,
    comparison_table,
    coverage_table,
    failures_table,
    reliability_table,
)
from rich.console import Console

from evio_ros.evaluation.methods import METHODS
from evio_ros.evaluation.results import Row, baseline, read_rows, write_rows
from evio_ros.evaluation.runs import QUICK, Job, run
from evio_ros.evaluation.variations import VariedJob, pooled, run_varied

J, R = TypeVar("J"), TypeVar("R")
WINDOWS_MS = (5.0, 10.0, 20.0, 50.0, 100.0, 250.0, 1000.0)


def main() -> int:
    """Run the benchmark; returns the exit status."""
    options = _options()
    console = Console(width=None if sys.stdout.isatty() else 200)
    if options.scaling:
        console.print(scaling_table(measure_scaling()))
        return 0
    if options.seeds:
        return _report_coverage(options, console)
    rows = _read(options.rows) if options.rows else _run(run, _jobs(options), options.jobs)
    if options.json:
        write_rows(options.json, rows)
    if options.baseline:
        write_rows(options.baseline, baseline(rows))
    if options.markdown:
        print(accuracy_markdown(rows))
        print(detection_markdown(rows))
        return 0
    console.print(accuracy_table(rows))
    console.print(failures_table(rows))
    console.print(reliability_table(rows))
    if options.compare:
        console.print(comparison_table(read_rows(options.compare), rows))
    return 0


def _report_coverage(options: argparse.Namespace, console: Console) -> int:
    """Pool every scene over several seeds and speeds; simulates recordings not in the cache."""
    if options.rows:
        rows = _read(options.rows)
    else:
        seeds = range(options.first_seed, options.first_seed + options.seeds)
        jobs = [VariedJob(job, seed) for job in _jobs(options) for seed in seeds]
        rows = pooled(_run(run_varied, jobs, options.jobs))
    if options.json:
        write_rows(options.json, rows)
    if options.markdown:
        print(coverage_markdown(rows))
        return 0
    console.print(coverage_table(rows))
    return 0


def _read(paths: list[Path]) -> list[Row]:
    """The figures of earlier runs."""
    return [row for path in paths for row in read_rows(path)]


def _run(task: Callable[[J], list[R]], jobs: list[J], processes: int) -> list[R]:
    """Results of all jobs in order; prints a dot for each on the error stream."""
    collected = []
    with ExitStack() as stack:
        results = map(task, jobs)
        if processes > 1:
            pool = stack.enter_context(multiprocessing.get_context("spawn").Pool(processes))
            results = pool.imap(task, jobs, chunksize=1)
        for part in results:
            collected += part
            print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return collected


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--scene", action="append", help="a scene of `evio simulate --list`; may be repeated")
    add("--window-ms", action="append", type=float, help="length of a window; may be repeated")
    add("--method", action="append", choices=sorted(METHODS), help="default: all")
    add("--duration", type=float, help="seconds to simulate; default: the scene's own")
    add("--jobs", type=int, default=1, help="processes")
    add("--json", type=Path, metavar="FILE", help="write the figures")
    add("--baseline", type=Path, metavar="FILE", help="write a baseline for the regression test")
    add("--compare", type=Path, metavar="FILE", help="figures of an earlier --json to compare with")
    add("--quick", action="store_true", help="the few short scenes of the regression test")
    add("--markdown", action="store_true", help="tables for the documentation")
    add("--from", dest="rows", action="append", type=Path, metavar="FILE", help="figures to show")
    add("--seeds", type=int, metavar="N", help="coverage of standard deviations over N seeds")
    add("--first-seed", type=int, default=1, help="the first of them")
    add("--scaling", action="store_true", help="cost by events, rotors and resolution")
    add("--recording", type=Path, help="your own recording instead of scenes")
    add("--truth", type=Path, help="its truth; default: NAME.truth.json beside it")
    return parser.parse_args()


def _jobs(options: argparse.Namespace) -> list[Job]:
    from evio_ros.simulation.presets import PRESETS

    windows_us = tuple(round(1e3 * ms) for ms in options.window_ms or WINDOWS_MS)
    methods = tuple(options.method or METHODS)
    if options.recording is not None:
        return [Job(options.recording.stem, windows_us, methods, options.recording, options.truth)]
    if options.quick:
        return list(QUICK)
    scenes = options.scene or PRESETS
    return [Job(scene, windows_us, methods, duration_s=options.duration) for scene in scenes]


if __name__ == "__main__":
    sys.exit(main())
