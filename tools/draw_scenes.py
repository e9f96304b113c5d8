"""Draw the pictures of docs/accuracy.md: events of each scene and the measured speeds."""

from __future__ import annotations

import argparse
import io
import math
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse as EllipsePatch
from PIL import Image

from evio_ros.cell_counts import activity_grid
from evio_ros.estimate import RotorEstimate
from evio_ros.evaluation.scores import ScoringParameters
from evio_ros.events import EventBatch
from evio_ros.playback.simulated_recording import cached_recording
from evio_ros.rotation.detector import RotationDetector
from evio_ros.rotation.detector_parameters import RotationDetectorParameters
from evio_ros.simulation.presets import PRESETS
from evio_ros.simulation.truth import RotorTruth, Truth, truth_path
from evio_ros.sources.registry import open_source
from evio_ros.windowing import windows

PARAMETERS = RotationDetectorParameters(window_us=100_000, step_us=50_000)
SCORING = ScoringParameters()
PICTURE_US = 50_000
COLORS = 48
"""Number of colours of a picture: few keep the files small."""


def main() -> None:
    """Draw the given scenes, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="output folder, e.g. docs/pictures")
    parser.add_argument("scenes", nargs="*", metavar="SCENE", help="default: all")
    chosen = parser.parse_args()
    folder: Path = chosen.folder
    folder.mkdir(parents=True, exist_ok=True)
    for scene in chosen.scenes or PRESETS:
        picture = io.BytesIO()
        draw(scene).savefig(picture, format="png", dpi=80)
        few = Image.open(picture).convert("RGB").quantize(COLORS, dither=Image.Dither.NONE)
        few.save(folder / f"{scene}.png", optimize=True)
        print(f"{scene}.png", (folder / f"{scene}.png").stat().st_size)


def draw(scene: str) -> Figure:
    """Events with the rotors, angle over time for the first rotor, and speeds over time."""
    path = cached_recording(scene)
    truth = Truth.read(truth_path(path))
    with open_source(str(path)) as source:
        events = EventBatch.concatenate(source.size, source.batches())
    results = _measure(events, truth.duration_us)
    figure = Figure(figsize=(11, 2.9), layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=(1.2, 1, 1.4))
    _draw_events(left, events, truth, results)
    if truth.rotors:
        _draw_angles(middle, events, truth.rotors[0], truth.duration_us)
    else:
        _draw_rate(middle, events)
    _draw_speeds(right, truth, results)
    return figure


def _measure(events: EventBatch, duration_us: int) -> list[tuple[int, list[RotorEstimate]]]:
    detector = RotationDetector(events.size, PARAMETERS)
    steps = windows([events], events.size, PARAMETERS.step_us, 0, duration_us)
    return [(step.end_us, detector.process(step)) for step in steps]


def _draw_events(
    axes: Axes, events: EventBatch, truth: Truth, results: list[tuple[int, list[RotorEstimate]]]
) -> None:
    end_us, last = next(((t, found) for t, found in reversed(results) if found), results[-1])
    picture = np.sqrt(activity_grid(events.between(end_us - PICTURE_US, end_us), 1))
    top = max(float(np.percentile(picture, 99.9)), 1.0)
    axes.imshow(picture, cmap="gray_r", vmin=0, vmax=1.3 * top, interpolation="nearest")
    for index, rotor in enumerate(last):
        axes.add_patch(
            EllipsePatch(
                rotor.center,
                2 * rotor.axes[0],
                2 * rotor.axes[1],
                angle=math.degrees(rotor.tilt_rad),
                fill=False,
                ec=f"C{index % 10}",
            )
        )
        axes.plot(*rotor.center, "+", color=f"C{index % 10}", ms=6)
    if truth.rotors:
        centers = np.array([rotor.ellipse(end_us).center for rotor in truth.rotors])
        reach = 2.2 * max(rotor.ellipse(end_us).axes[0] for rotor in truth.rotors)
        low, high = centers.min(axis=0) - reach, centers.max(axis=0) + reach
        axes.set(xlim=(low[0], high[0]), ylim=(high[1], low[1]))
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(f"events of {PICTURE_US // 1000} ms, rotors as measured", fontsize="small")


def _draw_angles(axes: Axes, events: EventBatch, rotor: RotorTruth, duration_us: int) -> None:
    """ON and OFF events on the first rotor's disc over time and angle."""
    start_us = min(300_000, duration_us // 2)
    frequency_hz = max(abs(float(rotor.speed.frequency_hz(start_us))), 0.5)
    span_us = min(2.5e6 / frequency_hz, duration_us - start_us)
    part = events.between(start_us, int(start_us + span_us))
    radius, angle = rotor.ellipse(start_us + span_us / 2).disc_coordinates(part.x, part.y)
    on_disc = (radius > 0.15) & (radius < 1.05)
    time_ms = 1e-3 * (part.t - start_us)
    bins = (np.linspace(0, 1e-3 * span_us, 121), np.linspace(0, 360, 91))
    degrees = np.degrees(angle) % 360
    on, off = (
        np.histogram2d(time_ms[chosen], degrees[chosen], bins)[0].T
        for chosen in (on_disc & part.polarity, on_disc & ~part.polarity)
    )
    on, off = (counts / max(float(np.percentile(counts, 99)), 1.0) for counts in (on, off))
    shade = np.clip(np.stack((1 - off, 1 - 0.7 * (on + off), 1 - on), axis=2), 0, 1)
    extent = (0, 1e-3 * span_us, 0, 360)
    axes.imshow(shade, origin="lower", aspect="auto", extent=extent, interpolation="nearest")
    axes.set_yticks([0, 90, 180, 270, 360])
    axes.set_xlabel("time [ms]", fontsize="small")
    axes.set_ylabel("angle on the disc [deg]", fontsize="small")
    axes.set_title("ON red, OFF blue", fontsize="small")


def _draw_rate(axes: Axes, events: EventBatch) -> None:
    counts, edges = np.histogram(events.t, 200)
    axes.plot(1e-6 * edges[1:], counts / np.diff(edges), "k-", lw=0.7)
    axes.set_xlabel("time [s]", fontsize="small")
    axes.set_title("million events a second", fontsize="small")


def _draw_speeds(axes: Axes, truth: Truth, results: list[tuple[int, list[RotorEstimate]]]) -> None:
    """Speeds in rpm, or for several rotors in percent of each one's mean."""
    several = len(truth.rotors) > 1
    scales = {rotor.id: _scale(rotor, truth.duration_us, several) for rotor in truth.rotors}
    times = np.linspace(0, truth.duration_us, 400)
    for rotor in truth.rotors:
        rpm = 60 * rotor.speed.frequency_hz(times)
        axes.plot(1e-6 * times, rpm / scales[rotor.id], "-", color="0.75", lw=2.5)
    false = 0
    for t_us, estimates in results:
        for estimate in estimates:
            rotor = truth.nearest(*estimate.center, t_us)
            if rotor is None or not _is_near(estimate, rotor, t_us):
                false += estimate.confidence > SCORING.false_confidence
                continue
            color = f"C{rotor.id % 10}"
            sure = estimate.confidence > SCORING.false_confidence
            axes.plot(
                1e-6 * (t_us - estimate.window_us / 2),
                estimate.rpm / scales[rotor.id],
                "." if sure else "o",
                color=color,
                ms=4,
                mfc=color if sure else "none",
            )
    axes.set_xlim(0, 1e-6 * truth.duration_us)
    axes.ticklabel_format(useOffset=False)
    axes.grid(alpha=0.3)
    axes.set_xlabel("time [s]", fontsize="small")
    unit = "% of mean" if several else "rpm"
    note = f"; {false} false" if false else ""
    axes.set_title(f"{unit}: truth grey, 100 ms windows in colour{note}", fontsize="small")
    if not truth.rotors:
        text = "no rotor, none detected" if not false else f"{false} false estimates"
        axes.set_title("")
        axes.text(0.5, 0.5, text, ha="center", transform=axes.transAxes)


def _scale(rotor: RotorTruth, duration_us: int, several: bool) -> float:
    return 0.01 * rotor.mean_rpm(0, duration_us) if several else 1.0


def _is_near(estimate: RotorEstimate, rotor: RotorTruth, t_us: int) -> bool:
    ellipse = rotor.ellipse(t_us)
    return math.dist(estimate.center, ellipse.center) < SCORING.match_radius * ellipse.axes[0]


if __name__ == "__main__":
    main()
