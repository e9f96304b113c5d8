"""The picture of a measurement: where the rotors are, how they look, and their speed over time."""

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
from evio_ros.cli.angle_time_strip import AngleTimePiece, AngleTimeStrip
from evio_ros.cli.measurement_summary import LEAST_CONFIDENCE, MeasurementSummary
from evio_ros.errors import ParameterError
from evio_ros.estimate import RotorEstimate

__all__ = ["open_plot"]

_MOST_ROTORS = 8
"""Maximum number of rotors in a picture."""


@contextmanager
def open_plot(path: Path) -> Iterator[Callable[[MeasurementSummary, str], None]]:
    """Open a picture that is drawn at the end; the file appears only when it is complete.

    Yields:
        A function that takes the summary and a title.

    Raises:
        ParameterError: if the name's ending is not that of a kind of picture.
        SourceError: if the file cannot be opened or written.
    """
    kind = path.suffix.removeprefix(".").lower()
    # Bare pixels are no picture to look at, and .raw is the ending of a recording.
    kinds = Figure().canvas.get_supported_filetypes().keys() - {"raw", "rgba"}
    if kind not in kinds:
        raise ParameterError(
            f"{path}: unknown kind of picture; the name must end in one of "
            f".{', .'.join(sorted(kinds))}"
        )
    with atomic_file(path) as file:

        def draw(summary: MeasurementSummary, title: str) -> None:
            picture = BytesIO()
            _plot(summary, title).savefig(picture, format=kind, dpi=110)
            file.write(picture.getvalue())

        yield draw


def _plot(summary: MeasurementSummary, title: str) -> Figure:
    """Draw the events with the rotors' ellipses, their last turns, and speed over time.

    Args:
        summary: one that keeps a picture.
        title: title of the picture.
    """
    shown = _most_seen(summary)
    count = max(len(shown), 1)
    figure = Figure(figsize=(17, max(5.0, 1.6 * count + 1.2)), layout="constrained")
    left_out = len(summary.rotors) - len(shown)
    more = f"; rotors left out: {left_out}" if left_out else ""
    figure.suptitle(f"{title}: {summary.windows} windows{more}")
    grid = figure.add_gridspec(count, 3, width_ratios=(1.0, 0.6, 1.15))
    _draw_picture(figure.add_subplot(grid[:, 0]), summary, shown)
    shared: Axes | None = None
    for row, (identity, estimates) in enumerate(shown):
        color = f"C{row % 10}"
        if identity in summary.strips:
            _draw_strip(figure.add_subplot(grid[row, 1]), summary.strips[identity])
        axes = figure.add_subplot(grid[row, 2], sharex=shared)
        shared = shared or axes
        _draw_speed(axes, identity, estimates, summary.start_us, color)
        axes.tick_params(labelbottom=row == count - 1)
    if shared is None:
        axes = figure.add_subplot(grid[0, 2])
        axes.set_axis_off()
        axes.text(0.5, 0.5, "no rotor seen", ha="center", va="center", transform=axes.transAxes)
    else:
        figure.axes[-1].set_xlabel("time since the first window began [s], middle of the window")
    return figure


def _most_seen(summary: MeasurementSummary) -> list[tuple[int, list[RotorEstimate]]]:
    """The rotors that were seen in most windows, sorted by id."""
    by_windows = sorted(summary.rotors.items(), key=lambda item: len(item[1]), reverse=True)
    return sorted(by_windows[:_MOST_ROTORS])


def _draw_picture(
    axes: Axes, summary: MeasurementSummary, shown: list[tuple[int, list[RotorEstimate]]]
) -> None:
    assert summary.picture is not None
    height, width = summary.picture.shape
    # Hot pixels must not set the scale.
    picture = np.sqrt(summary.picture)
    brightest = float(np.percentile(picture, 99.9))
    axes.imshow(
        picture, cmap="gray_r", interpolation="nearest", vmin=0.0, vmax=max(1.3 * brightest, 1.0)
    )
    for row, (_, estimates) in enumerate(shown):
        path = np.array([estimate.center for estimate in estimates])
        axes.plot(*path.T, "-", color=f"C{row % 10}", lw=1.0, alpha=0.8)
        _draw_rotor(axes, estimates[-1], f"C{row % 10}")
    x0, x1, y0, y1 = _view(shown, width, height)
    axes.set(xlim=(x0 - 0.5, x1 - 0.5), ylim=(y1 - 0.5, y0 - 0.5), xlabel="x [px]", ylabel="y [px]")
    axes.set_anchor("N")
    part = "" if (x1 - x0, y1 - y0) == (width, height) else f", part of {width}x{height} pixels"
    axes.set_title(f"events (square root), rotors where last seen{part}", fontsize="medium")


def _view(
    shown: list[tuple[int, list[RotorEstimate]]], width: int, height: int
) -> tuple[int, int, int, int]:
    """Bounds x0, y0, x1, y1 in pixels of the part to show: the rotors' paths and a margin."""
    boxes = []
    for _, estimates in shown:
        for estimate in (estimates[0], estimates[-1]):
            x, y = estimate.center
            reach = estimate.axes[0]
            boxes.append((x - reach, x + reach, y - reach, y + reach))
    if not boxes:
        return 0, width, 0, height
    low_x, high_x, low_y, high_y = (
        np.clip(extreme, 0, side)
        for extreme, side in zip(
            (
                min(box[0] for box in boxes),
                max(box[1] for box in boxes),
                min(box[2] for box in boxes),
                max(box[3] for box in boxes),
            ),
            (width, width, height, height),
            strict=True,
        )
    )
    margin = max(0.5 * max(high_x - low_x, high_y - low_y), 20.0)
    x0, x1 = max(int(low_x - margin), 0), min(int(high_x + margin), width)
    y0, y1 = max(int(low_y - margin), 0), min(int(high_y + margin), height)
    return x0, x1, y0, y1


def _draw_rotor(axes: Axes, rotor: RotorEstimate, color: str) -> None:
    """Draw a rotor's ellipse, hub and id into a picture whose y axis points down."""
    a, b = rotor.axes
    tilt = math.degrees(rotor.tilt_rad)
    axes.add_patch(
        EllipsePatch(rotor.center, 2 * a, 2 * b, angle=tilt, fill=False, ec=color, lw=1.5)
    )
    axes.plot(*rotor.center, "+", color=color, ms=8)
    # Beside the upper right of the ellipse, whatever its tilt.
    reach = math.hypot(a * math.cos(rotor.tilt_rad), b * math.sin(rotor.tilt_rad))
    axes.annotate(
        str(rotor.id),
        (rotor.center[0] + reach, rotor.center[1]),
        xytext=(4, 4),
        textcoords="offset points",
        color=color,
        weight="bold",
        annotation_clip=True,
    )


def _draw_strip(axes: Axes, strip: AngleTimeStrip) -> None:
    """Draw ON red and OFF blue over time and angle, with the blades' estimated angles."""
    surplus = [piece.counts[1] - piece.counts[0] for piece in strip.pieces]
    brightest = max(float(np.percentile(np.abs(part), 99.5)) for part in surplus)
    start_us = strip.pieces[0].start_us
    for piece, part in zip(strip.pieces, surplus, strict=True):
        begin_ms, end_ms = 1e-3 * (piece.start_us - start_us), 1e-3 * (piece.end_us - start_us)
        axes.imshow(
            part.T,
            cmap="RdBu_r",
            vmin=-max(brightest, 1.0),
            vmax=max(brightest, 1.0),
            extent=(begin_ms, end_ms, 0.0, 360.0),
            origin="lower",
            aspect="auto",
            interpolation="nearest",
        )
        _draw_blades(axes, piece, start_us)
    axes.set(
        xlim=(0.0, 1e-3 * (strip.pieces[-1].end_us - start_us)),
        ylim=(0.0, 360.0),
        yticks=(0, 120, 240, 360),
        ylabel="angle [°]",
    )
    axes.set_title("last turns [ms]: ON red, OFF blue, blades dotted", fontsize="small", loc="left")


def _draw_blades(axes: Axes, piece: AngleTimePiece, start_us: int) -> None:
    t_us = np.linspace(piece.start_us, piece.end_us, 20 * piece.counts.shape[1])
    for angles in piece.blade_angles(t_us):
        # No line across the picture where the angle wraps.
        angles[1:][np.abs(np.diff(angles)) > math.pi] = math.nan
        axes.plot(1e-3 * (t_us - start_us), np.degrees(angles), ":", color="black", lw=0.9)


def _draw_speed(
    axes: Axes, identity: int, estimates: list[RotorEstimate], start_us: int, color: str
) -> None:
    # A window's mean speed belongs to the window's middle.
    middles_us = [estimate.t_us - start_us - estimate.window_us / 2 for estimate in estimates]
    time_s = 1e-6 * np.array(middles_us)
    rpm = np.array([estimate.rpm for estimate in estimates])
    std = np.array([estimate.rpm_std for estimate in estimates])
    sure = np.array([estimate.confidence >= LEAST_CONFIDENCE for estimate in estimates])
    counted = sure if sure.any() else ~sure
    axes.fill_between(time_s, rpm - 2 * std, rpm + 2 * std, color=color, alpha=0.25, lw=0)
    axes.plot(time_s, rpm, "-", color=color, lw=0.8)
    axes.plot(time_s[sure], rpm[sure], ".", color=color, ms=4)
    axes.plot(time_s[~sure], rpm[~sure], "o", color=color, ms=4, mfc="white", mew=0.8)
    blades = int(np.bincount([estimate.blade_count for estimate in estimates]).argmax())
    kind = f"{blades} blades" if blades > 1 else "one mark" if blades else "blades unknown"
    axes.set_title(
        f"rotor {identity}: {kind}, median {np.median(rpm[counted]):.2f} rpm, "
        f"median standard deviation {np.median(std[counted]):.2g} rpm",
        fontsize="small",
        loc="left",
        color=color,
    )
    axes.set_ylabel("rpm")
    axes.margins(y=0.12)
    axes.ticklabel_format(useOffset=False)
    axes.grid(alpha=0.3)
