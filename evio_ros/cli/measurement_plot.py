"""The picture of a measurement: where the rotors are, and their speed over time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse as EllipsePatch

from evio_ros.atomic_file import atomic_file
from evio_ros.cli.measurement_summary import MeasurementSummary
from evio_ros.errors import ParameterError
from evio_ros.rotation.estimate import RotorEstimate

__all__ = ["draw_rotor", "open_plot", "plot"]


@contextmanager
def open_plot(path: Path) -> Iterator[Callable[[MeasurementSummary, str], None]]:
    """Open a picture that is drawn at the end; it appears only when it is complete.

    Yields:
        A function that takes the summary and a title.

    Raises:
        ParameterError: where the name's ending is no kind of picture.
        SourceError: where the file cannot be opened or written.
    """
    kind = path.suffix.removeprefix(".").lower()
    kinds = Figure().canvas.get_supported_filetypes()
    if kind not in kinds:
        raise ParameterError(f"{path}: the name must end in one of .{', .'.join(sorted(kinds))}")
    with atomic_file(path) as file:

        def draw(summary: MeasurementSummary, title: str) -> None:
            picture = BytesIO()
            plot(summary, title).savefig(picture, format=kind, dpi=110)
            file.write(picture.getvalue())

        yield draw


def plot(summary: MeasurementSummary, title: str) -> Figure:
    """Draw the events with the rotors' ellipses, and speed over time with its standard deviation.

    Args:
        summary: one that keeps a picture.
        title: above the picture.
    """
    rotors = sorted(summary.rotors.items())
    count = max(len(rotors), 1)
    figure = Figure(figsize=(13, max(4.8, 1.6 * count + 1)), layout="constrained")
    figure.suptitle(title)
    grid = figure.add_gridspec(count, 2)
    _draw_picture(figure.add_subplot(grid[:, 0]), summary)
    shared: Axes | None = None
    for row, (identity, estimates) in enumerate(rotors):
        axes = figure.add_subplot(grid[row, 1], sharex=shared)
        shared = shared or axes
        _draw_speed(axes, identity, estimates, f"C{row % 10}")
    if shared is None:
        axes = figure.add_subplot(grid[0, 1])
        axes.text(0.5, 0.5, "no rotor seen", ha="center", va="center", transform=axes.transAxes)
    figure.axes[-1].set_xlabel("recording time [s]")
    return figure


def _draw_picture(axes: Axes, summary: MeasurementSummary) -> None:
    assert summary.picture is not None
    height, width = summary.picture.shape
    axes.imshow(np.log1p(summary.picture), cmap="gray_r", interpolation="nearest")
    for row, (_, estimates) in enumerate(sorted(summary.rotors.items())):
        draw_rotor(axes, estimates[-1], f"C{row % 10}")
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), xlabel="x [px]", ylabel="y [px]")
    axes.set_title("events per pixel (log), rotors where last seen")


def draw_rotor(axes: Axes, rotor: RotorEstimate, color: str) -> None:
    """Draw a rotor's ellipse, its hub and its number into a picture with y downwards."""
    a, b = rotor.axes
    tilt = math.degrees(rotor.tilt_rad)
    axes.add_patch(
        EllipsePatch(rotor.center, 2 * a, 2 * b, angle=tilt, fill=False, ec=color, lw=1.5)
    )
    axes.plot(*rotor.center, "+", color=color, ms=8)
    axes.annotate(
        str(rotor.id),
        (rotor.center[0] + 0.8 * a, rotor.center[1] - 0.8 * a),
        color=color,
        weight="bold",
    )


def _draw_speed(axes: Axes, identity: int, estimates: list[RotorEstimate], color: str) -> None:
    # A window's mean speed belongs to the window's middle.
    time_s = np.array([(estimate.t_us - estimate.window_us / 2) * 1e-6 for estimate in estimates])
    rpm = np.array([estimate.rpm for estimate in estimates])
    std = np.array([estimate.rpm_std for estimate in estimates])
    axes.fill_between(time_s, rpm - 2 * std, rpm + 2 * std, color=color, alpha=0.25, lw=0)
    axes.plot(time_s, rpm, ".-", color=color, ms=3, lw=0.8)
    axes.set_ylabel(f"rotor {identity} [rpm]")
    axes.ticklabel_format(useOffset=False)
    axes.grid(alpha=0.3)
