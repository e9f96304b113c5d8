"""Accuracy on real recordings of a disc that is spun by hand.

python bench/real_takes.py                          as recorded, and re-timed to known speeds
python bench/real_takes.py FOLDER --kind as-it-is   the recordings of another folder, as recorded
python bench/real_takes.py --look-back              with later events, as in `evio analyze`
python bench/real_takes.py --details                a row for each recording and wrong estimate
python bench/real_takes.py --plot takes.png         speeds over time of the recordings as recorded

A folder contains recordings `NAME.aedat4`, each with the angle of its disc in `NAME.truth.json`,
and `retime.py`, which makes recordings with an exactly known speed from one real turn. The true
speeds of recordings as recorded are derivatives of that angle, with errors of 1 to 2 %; there, an
estimate counts as wrong if its error exceeds 15 %. In re-timed recordings, an estimate is wrong if
its error exceeds 1 % plus the error of the truth: within a turn, which re-timing repeats, the angle
has errors of 1 to 3 degrees. These are estimated by the maximum-likelihood path about the true hub,
a method other than the tracker's. Discs at rest or slower than 60 rpm are not scored.
`NAME_cropN.aedat4` is a cut-out of a recording, in which the disc need not be found.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from evio_ros.ellipse import Ellipse
from evio_ros.estimate import RotorEstimate
from evio_ros.events import EventBatch, SensorSize
from evio_ros.explanation import Rejection
from evio_ros.pipeline import measure_batches
from evio_ros.rotation.detector_parameters import RotationDetectorParameters
from evio_ros.rotation.phase_path.event_count_time import CountedEvents
from evio_ros.rotation.phase_path.phase_path import fit_path
from evio_ros.sources.registry import open_recording

FOLDER = Path(__file__).parents[2] / "shared" / "recordings" / "half_disc"
AS_IT_IS = "as-it-is"
CUT = "cut"
SPEEDS_RPM = (617.3, 1234.0, 300.0)
SHARES = (1.0, 1 / 3, 0.1)
RETIMED_S = 1.5
WINDOW_US, STEP_US = 100_000, 50_000
SETTLED_US = 300_000
"""Re-timed rotors are scored in windows that end after this time."""
LEAST_RPM = 60.0
SURE = 0.5
MARGIN_S = 0.15
WRONG, WRONG_AS_IT_IS = 0.01, 0.15
_PATH_TURNS, _PATH_EVENTS, _WOBBLE_PARTS = 4, 60_000, 72
"""Turns and events of the path that estimates the error of the truth, and its samples per turn."""


@dataclass(frozen=True)
class Truth:
    """Hub, and the angle of the disc over time.

    Attributes:
        hub: x and y in pixels.
        times_us: (n,) increasing times in µs since the first event.
        angles_rad: (n,) unwrapped angle at these times.
        turn_us: length of a turn of a re-timed recording in µs.
        wobble_rad: error of the angle at equal parts of the turn; None if unknown.
    """

    hub: tuple[float, float]
    times_us: NDArray[np.float64]
    angles_rad: NDArray[np.float64]
    turn_us: float = math.nan
    wobble_rad: NDArray[np.float64] | None = None

    def own_error(self, start_us: float, end_us: float) -> float:
        """Estimated relative error of the true mean speed between two times."""
        if self.wobble_rad is None:
            return 0.0
        parts = np.arange(len(self.wobble_rad)) / len(self.wobble_rad)
        at = np.array((start_us, end_us)) / self.turn_us
        first, last = np.interp(at % 1.0, parts, self.wobble_rad, period=1.0)
        return float(abs(last - first) / (2 * math.pi * (at[1] - at[0])))

    def rpm(self, start_us: float, end_us: float) -> float:
        """Mean speed between two times in turns per minute; NaN if they are not covered."""
        if start_us < self.times_us[0] or end_us > self.times_us[-1]:
            return math.nan
        first, last = np.interp((start_us, end_us), self.times_us, self.angles_rad)
        return float((last - first) / (end_us - start_us) * 60e6 / (2 * math.pi))


@dataclass(frozen=True)
class Take:
    """A recording with its ground truth.

    Attributes:
        name: name of the file.
        kind: `AS_IT_IS`, `CUT`, or the speed and the share of events of a re-timed one.
        events: all events, from time 0.
        truth: ground truth.
    """

    name: str
    kind: str
    events: EventBatch
    truth: Truth


@dataclass
class Outcome:
    """Score of recordings.

    Attributes:
        due: number of scored windows.
        found: number of these with an estimate.
        sure: number of these with an estimate of confidence `SURE` or more.
        found_errors: relative errors of all estimates in scored windows.
        errors: relative errors of the sure ones.
        ratios: errors of the sure ones over their claimed standard deviations.
        hub_px: distances of the hubs of all estimates from the true one.
        estimates: number of estimates in windows whose true speed is known.
        wrong: a line of text for each estimate that is sure and wrong.
    """

    due: int = 0
    found: int = 0
    sure: int = 0
    found_errors: list[float] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    hub_px: list[float] = field(default_factory=list)
    estimates: int = 0
    wrong: list[str] = field(default_factory=list)

    def add(self, other: Outcome) -> None:
        """Add the score of other recordings."""
        for part in fields(self):
            setattr(self, part.name, getattr(self, part.name) + getattr(other, part.name))


def takes(
    folder: Path, names: list[str] | None = None, kinds: list[str] | None = None
) -> Iterator[Take]:
    """The recordings of a folder, as recorded and re-timed.

    Args:
        folder: the folder.
        names: names of recordings; None for all.
        kinds: `AS_IT_IS`, `CUT` or names by `kind_of`; None for all.
    """
    retime = retime_of(folder / "retime.py")
    for path in sorted(folder.glob("*.aedat4")):
        name = path.stem
        if names and name not in names:
            continue
        original = name.split("_crop")[0]
        record = json.loads((folder / f"{original}.truth.json").read_text())
        times, angles = np.array(record["t_us"]), np.array(record["angle_rad"])
        hub = float(record["hub"][0]), float(record["hub"][1])
        events = from_zero(path)
        kind = AS_IT_IS if name == original else CUT
        if kinds is None or kind in kinds:
            yield Take(name, kind, events, Truth(hub, times, angles))
        wobble: NDArray[np.float64] | None = None
        for rpm, share in itertools.product(SPEEDS_RPM, SHARES) if kind == AS_IT_IS else ():
            if kinds is None or kind_of(rpm, share) in kinds:
                take = retimed(name, events, record, rpm, share, retime)
                if wobble is None:
                    wobble = _wobble_of(take)
                yield replace(take, truth=replace(take.truth, wobble_rad=wobble))


def kind_of(rpm: float, share: float) -> str:
    """Name of the kind of recordings with a speed and a share of the events."""
    return f"{rpm:g} rpm, {share:.0%}"


def measured(take: Take, look_back: bool = False) -> Iterator[tuple[int, list[RotorEstimate]]]:
    """End of each window in µs, and its estimates."""
    events, end_us = take.events, int(take.events.t[-1]) + 1
    parameters = RotationDetectorParameters(window_us=WINDOW_US, step_us=STEP_US)
    for measurement in measure_batches(
        [events], events.size, parameters, 0, end_us, look_back=look_back
    ):
        yield measurement.t_us, measurement.rotors


def judged(take: Take, look_back: bool = False) -> Outcome:
    """Compare the detector's estimates with the truth."""
    outcome = Outcome()
    limit = WRONG_AS_IT_IS if take.kind in (AS_IT_IS, CUT) else WRONG
    for end_us, estimates in measured(take, look_back):
        rpm = take.truth.rpm(end_us - WINDOW_US, end_us)
        is_due = abs(rpm) >= LEAST_RPM
        if take.kind not in (AS_IT_IS, CUT):
            is_due &= end_us > SETTLED_US
        sure = [estimate for estimate in estimates if estimate.confidence >= SURE]
        outcome.due += is_due
        outcome.found += is_due and bool(estimates)
        outcome.sure += is_due and bool(sure)
        for estimate in estimates:
            right = take.truth.rpm(end_us - estimate.window_us, end_us)
            if not abs(right) >= LEAST_RPM:
                continue
            outcome.estimates += 1
            error = abs(estimate.rpm / right - 1)
            away = math.dist(estimate.center, take.truth.hub)
            if is_due:
                outcome.found_errors.append(error)
                outcome.hub_px.append(away)
            if estimate.confidence < SURE:
                continue
            if is_due:
                outcome.errors.append(error)
                outcome.ratios.append(abs(estimate.rpm - right) / estimate.rpm_std)
            if error > limit + take.truth.own_error(end_us - estimate.window_us, end_us):
                outcome.wrong.append(
                    f"{take.name} {take.kind} at {end_us / 1e6:.2f} s: {estimate.rpm:.1f} +- "
                    f"{estimate.rpm_std:.2g} rpm, true {right:.1f}, confidence "
                    f"{estimate.confidence:.3f}, hub {away:.1f} px off"
                )
    return outcome


def table_of(outcomes: dict[str, Outcome]) -> Table:
    """A row for each kind."""
    columns = "windows", "found", "median", "hub px", "sure", "median", "p95", "largest"
    table = Table("", *columns, "1 s", "2 s", "wrong and sure")
    for kind, outcome in outcomes.items():
        errors, ratios = np.array(outcome.errors), np.array(outcome.ratios)
        found, shown = ["-"] * 2, ["-"] * 5
        if outcome.found_errors:
            found = [f"{np.median(outcome.found_errors):.1e}", f"{np.median(outcome.hub_px):.2f}"]
        if len(errors):
            figures = [*np.percentile(errors, (50, 95)), errors.max()]
            shown = [f"{figure:.1e}" for figure in figures]
            shown += [f"{(ratios < bound).mean():.0%}" for bound in (1, 2)]
        counts = [str(n) for n in (outcome.due, outcome.found)]
        wrong = f"{len(outcome.wrong)} of {outcome.estimates}"
        table.add_row(kind, *counts, *found, str(outcome.sure), *shown, wrong)
    return table


def draw(recordings: list[Take], path: Path) -> None:
    """Draw the measured speeds of recordings over their true ones."""
    columns = min(3, len(recordings))
    rows = math.ceil(len(recordings) / columns)
    figure = Figure(figsize=(4 * columns, 2.7 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    for axes, take in zip(grid, recordings, strict=False):
        _draw_take(axes, take)
    for axes in grid[len(recordings) :]:
        axes.set_axis_off()
    figure.supxlabel("end of the window of 100 ms [s]")
    figure.supylabel("mean speed [rpm]")
    grid[0].legend(fontsize="small", title="filled: confidence 0.5 or more", title_fontsize="small")
    figure.savefig(path, dpi=100)


def _draw_take(axes: Axes, take: Take) -> None:
    truth = take.truth
    ends_us = np.arange(truth.times_us[0] + WINDOW_US, truth.times_us[-1], 1000.0)
    right = [truth.rpm(end_us - WINDOW_US, end_us) for end_us in ends_us]
    axes.plot(1e-6 * ends_us, right, color="0.6", linewidth=3, label="independent truth")
    for look_back, color, label in ((False, "C1", "live"), (True, "C0", "looked back")):
        rows = [estimate for _, found in measured(take, look_back) for estimate in found]
        for is_sure in (True, False):
            part = [row for row in rows if (row.confidence >= SURE) is is_sure]
            axes.errorbar(
                [1e-6 * row.t_us for row in part],
                [row.rpm for row in part],
                [row.rpm_std for row in part],
                fmt="o" if look_back else "D",
                color=color,
                markerfacecolor=color if is_sure else "white",
                markersize=5 if look_back else 7,
                capsize=2,
                label=label if is_sure else None,
            )
    axes.set_xlim(1e-6 * ends_us[0] - MARGIN_S, 1e-6 * ends_us[-1] + MARGIN_S)
    axes.set_title(take.name, fontsize="medium")
    axes.grid(alpha=0.3)


def main() -> int:
    """Print the table; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER)
    parser.add_argument("--kind", action="append", help="as-it-is, cut or e.g. '617.3 rpm, 100%%'")
    parser.add_argument("--take", action="append", help="name of a recording; may be repeated")
    parser.add_argument("--look-back", action="store_true", help="as `evio analyze` does")
    parser.add_argument("--plot", type=Path, help="draw the recordings as recorded into this PNG")
    parser.add_argument("--details", action="store_true", help="a row for each recording")
    options = parser.parse_args()
    if not options.folder.is_dir():
        print(f"no recordings at {options.folder}: nothing to measure", file=sys.stderr)
        return 0
    if options.plot:
        draw(list(takes(options.folder, options.take, [AS_IT_IS])), options.plot)
        return 0
    outcomes: dict[str, Outcome] = {}
    for take in takes(options.folder, options.take, options.kind):
        outcome = judged(take, options.look_back)
        if options.details:
            outcomes[f"{take.name} {take.kind}"] = outcome
        outcomes.setdefault(take.kind, Outcome()).add(outcome)
        print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    total = Outcome()
    for name in {take_kind for take_kind in outcomes if "_" not in take_kind}:
        total.add(outcomes[name])
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(table_of(dict(sorted(outcomes.items())) | {"all": total}))
    for line in total.wrong if options.details else []:
        print(line)
    return 0


def from_zero(path: Path) -> EventBatch:
    """All events of a recording, with times relative to the first one."""
    with open_recording(str(path)) as source:
        events = EventBatch.concatenate(source.size, source.batches())
    return EventBatch(events.size, events.t - events.t[0], events.x, events.y, events.polarity)


def _wobble_of(take: Take) -> NDArray[np.float64]:
    """Error of a re-timed recording's angle over one turn, from the maximum-likelihood path."""
    truth, events = take.truth, take.events
    events = events.between(0, int(_PATH_TURNS * truth.turn_us))
    x, y = truth.hub
    radius = float(np.quantile(np.hypot(events.x - x, events.y - y), 0.97))
    turns = math.copysign(_PATH_TURNS, truth.angles_rad[-1])
    disc = Ellipse(truth.hub, (radius, radius), 0.0)
    path = fit_path(CountedEvents.of(events, _PATH_EVENTS), disc, turns)
    if isinstance(path, Rejection):
        raise SystemExit(f"{take.name}: no path of the phase was found")
    parts = np.arange(_WOBBLE_PARTS) / _WOBBLE_PARTS
    whole_turns = range(1, _PATH_TURNS - 1)
    times_us = np.stack([truth.turn_us * (turn + parts) for turn in whole_turns])
    right = np.interp(times_us, truth.times_us, truth.angles_rad)
    wobble = (path.phase_at(times_us.reshape(-1)).reshape(times_us.shape) - right).mean(axis=0)
    return np.asarray(wobble - wobble.mean())


def retime_of(script: Path) -> Callable[..., Any]:
    """The function `retimed` of the script in the takes' folder."""
    spec = importlib.util.spec_from_file_location("retime", script)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{script} is missing")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    function: Callable[..., Any] = module.retimed
    return function


def retimed(
    name: str,
    events: EventBatch,
    record: dict[str, Any],
    rpm: float,
    share: float,
    retime: Callable[..., Any],
) -> Take:
    """A take in which one turn is repeated at a speed in rpm, with a share of its events."""
    columns = {"t": events.t, "x": events.x, "y": events.y, "p": events.polarity.astype(np.uint8)}
    columns |= {"width": np.array(events.size.width), "height": np.array(events.size.height)}
    made, right = retime(columns, record, rpm, math.ceil(RETIMED_S * rpm / 60), share)
    size = SensorSize(int(made["width"]), int(made["height"]))
    batch = EventBatch(size, made["t"], made["x"], made["y"], made["p"] > 0)
    times = np.array((0.0, float(batch.t[-1]) + 1))
    angles = times * (right * 2 * math.pi / 60e6)
    truth = Truth(tuple(record["hub"]), times, angles, 60e6 / rpm)
    return Take(name, kind_of(rpm, share), batch, truth)


if __name__ == "__main__":
    sys.exit(main())
