"""Realism of the simulator: its events compared with a real camera's, and hard scenes measured.

python bench/realism.py                        everything, about five minutes
python bench/realism.py --part statistics      real takes and simulated ones, two-sample tests
python bench/realism.py --part detector        the detector's results for takes and hard scenes
python bench/realism.py --picture takes.png    a take and the same take simulated, side by side
python bench/realism.py --markdown             as tables of docs/realism.md

The takes show a half black, half white disc spun by hand, with an independent measurement of its
angle; they are not in the repository (--takes). The simulator has the same disc, hub, crop and
motion. The simulated sensor was fitted to three takes; the other three are for evaluation.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from realism_bench.detection import Detection, detect
from realism_bench.event_statistics import Samples, statistics
from realism_bench.picture import draw
from realism_bench.takes import FIT, JUDGE, Take, read_take, simulated_take
from rich.console import Console
from rich.table import Table
from scipy.stats import ks_2samp

from evio_ros.events import EventBatch
from evio_ros.simulation.camera import SensorParameters
from evio_ros.simulation.presets import REALISTIC_PRESETS, preset
from evio_ros.simulation.simulator import simulate
from evio_ros.simulation.truth import Truth

TAKES = Path(__file__).parents[2] / "shared" / "recordings" / "half_disc"
SUB_SAMPLE = 100
"""Size of the sub-samples for the p-value: with all data, every difference is significant."""
_FEWEST = 5
_HUB_PX = 10.0


def main() -> int:
    """Run the benchmark; returns the exit status."""
    options = _options()
    console = Console(width=None if sys.stdout.isatty() else 200)
    takes = [read_take(options.takes, name) for name in (*FIT, *JUDGE)] if options.takes else []
    if options.picture:
        take, truth = next(pair for pair in takes if pair[0].name == JUDGE[0])
        draw(take, simulated_take(take, truth)).savefig(options.picture, dpi=50)
        return 0
    for name, heading, rows in _parts(options, takes):
        if options.markdown:
            print(f"### {name}\n\n| {' | '.join(heading)} |\n|{'---|' * len(heading)}")
            for row in rows:
                print(f"| {' | '.join(row)} |", flush=True)
            print()
            continue
        table = Table(title=name)
        for column in heading:
            table.add_column(column, justify="left" if column == heading[0] else "right")
        for row in rows:
            table.add_row(*row)
        console.print(table)
    return 0


def _parts(
    options: argparse.Namespace, takes: list[tuple[Take, dict[str, list[float]]]]
) -> Iterator[tuple[str, tuple[str, ...], Iterable[tuple[str, ...]]]]:
    """Title, headings and rows of each table; rows are generated as they are measured."""
    part = options.part
    if part in (None, "statistics") and takes:
        heading = (
            "statistic",
            "take vs take",
            "largest",
            "simulator vs take",
            "vs other takes",
            "fitted takes",
            "clean simulator",
            "p take",
            "p simulator",
            "",
        )
        yield "Kolmogorov-Smirnov distances", heading, _statistics_rows(takes)
    if part in (None, "detector"):
        heading = (
            "recording",
            "results",
            "windows",
            "found",
            "at 0.5",
            "median error",
            "largest at 0.5",
            "confidence",
            "wrong at 0.5",
        )
        yield (
            "Results of the detector, 100 ms",
            heading,
            _detector_rows(takes, options.recording),
        )


def _statistics_rows(takes: list[tuple[Take, dict[str, list[float]]]]) -> list[tuple[str, ...]]:
    real = {take.name: statistics(take) for take, _ in takes}
    realistic = {take.name: statistics(simulated_take(take, truth)) for take, truth in takes}
    clean_camera = SensorParameters()
    clean = {
        take.name: statistics(simulated_take(take, truth, clean_camera)) for take, truth in takes
    }
    rows = []
    for name in real[JUDGE[0]]:
        between = _distances(real, real, combinations(real, 2), name)
        own = _distances(realistic, real, ((take, take) for take in JUDGE), name)
        other = _distances(realistic, real, ((a, b) for a in JUDGE for b in real if a != b), name)
        fitted = _distances(realistic, real, ((take, take) for take in FIT), name)
        before = _distances(clean, real, ((take, take) for take in JUDGE), name)
        figures = [np.median(d[0]) if len(d[0]) else np.nan for d in (own, other, fitted, before)]
        if not len(between[0]):
            continue
        rows.append(
            (
                name,
                f"{np.median(between[0]):.2f}",
                f"{max(between[0]):.2f}",
                *("-" if np.isnan(figure) else f"{figure:.2f}" for figure in figures),
                f"{np.median(between[1]):.2f}",
                f"{np.median(own[1]):.2f}" if len(own[1]) else "-",
                "within" if figures[0] <= max(between[0]) else "",
            )
        )
    return rows


def _distances(
    first: dict[str, Samples], second: dict[str, Samples], pairs: object, name: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Kolmogorov-Smirnov distances of pairs, and p-values of sub-samples."""
    distances, p_values = [], []
    random = np.random.default_rng(1)
    for a, b in pairs:  # type: ignore[attr-defined]
        one, two = first[a].get(name, ()), second[b].get(name, ())
        if min(len(one), len(two)) < _FEWEST:
            continue
        distances.append(ks_2samp(one, two, method="asymp").statistic)
        parts = [random.choice(x, min(len(x), SUB_SAMPLE), replace=False) for x in (one, two)]
        p_values.append(ks_2samp(*parts).pvalue)
    return np.array(distances), np.array(p_values)


def _detector_rows(
    takes: list[tuple[Take, dict[str, list[float]]]], wanted: list[str] | None
) -> Iterator[tuple[str, ...]]:
    for take, truth in takes:
        if wanted and take.name not in wanted:
            continue
        when, angle = np.array(truth["t_us"]), np.array(truth["angle_rad"])
        yield from _rows(f"take {take.name}", take.events, take.hub, _mean_rpm_of(when, angle))
        made = simulated_take(take, truth)
        yield from _rows(f"{take.name} simulated", made.events, take.hub, _mean_rpm_of(when, angle))
    for name in REALISTIC_PRESETS:
        if wanted and name not in wanted:
            continue
        chosen = preset(name)
        duration_us = round(1e6 * chosen.duration_s)
        batches = list(simulate(chosen.scene, chosen.camera, duration_us))
        events = EventBatch.concatenate(chosen.camera.size, batches)
        (rotor,) = Truth.of(chosen.scene, duration_us).rotors
        yield from _rows(name, events, rotor.ellipse(0).center, rotor.mean_rpm)


def _mean_rpm_of(
    when: NDArray[np.float64], angle: NDArray[np.float64]
) -> Callable[[float, float], float | None]:
    def mean_rpm(start_us: float, end_us: float) -> float | None:
        if start_us < when[0] or end_us > when[-1]:
            return None
        turned = np.interp(end_us, when, angle) - np.interp(start_us, when, angle)
        return float(turned / (2 * np.pi) * 60e6 / (end_us - start_us))

    return mean_rpm


def _rows(
    name: str,
    events: EventBatch,
    hub: tuple[float, float],
    mean_rpm: Callable[[float, float], float | None],
) -> Iterator[tuple[str, ...]]:
    for kind, look_back in (("causal", False), ("looked back", True)):
        yield _row(name, kind, detect(events, lambda _: hub, _HUB_PX, mean_rpm, look_back))


def _row(name: str, kind: str, found: Detection) -> tuple[str, ...]:
    def figure(value: float) -> str:
        return "-" if np.isnan(value) else f"{value:.2g}"

    return (
        name,
        kind,
        f"{found.windows}",
        f"{found.found}",
        f"{found.sure}",
        figure(found.error),
        figure(found.largest),
        figure(found.confidence),
        f"{found.wrong}",
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--takes", type=Path, default=TAKES if TAKES.exists() else None, help="folder of the takes")
    add("--part", choices=("statistics", "detector"), help="only this")
    add("--recording", action="append", help="only this take or scene; may be repeated")
    add("--picture", type=Path, metavar="FILE", help="draw a take, real and simulated")
    add("--markdown", action="store_true", help="tables for the documentation")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
