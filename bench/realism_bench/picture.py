"""A take and the same take simulated, side by side."""

from __future__ import annotations

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.pyplot import subplots

from realism_bench.takes import Take

_FRAME_US = 4_000
_RING_PX = (25.0, 40.0)
_FAST_AFTER_US = 120_000
_ZOOM_US = 60_000


def draw(*takes: Take) -> Figure:
    """A row of pictures for each: events of 4 ms, angle over time of a ring, a part of it enlarged,
    and the angle behind the edge over the radius.
    """
    figure, axes = subplots(len(takes), 4, figsize=(20, 5 * len(takes)), squeeze=False)
    for row, take, kind in zip(axes, takes, ("real", "simulated"), strict=True):
        _draw_frame(row[0], take)
        row[0].set_title(f"{take.name}, {kind}: events of {_FRAME_US / 1000:.0f} ms")
        _draw_ring(row[1], take)
        _draw_ring(row[2], take)
        start = (take.motion_us[0] + _FAST_AFTER_US) / 1e3
        row[2].set_xlim(start, start + _ZOOM_US / 1e3)
        _draw_lag(row[3], take)
    figure.tight_layout()
    return figure


def _colors(polarity: np.ndarray) -> np.ndarray:
    return np.where(polarity, "tab:red", "tab:blue")


def _draw_frame(axes: Axes, take: Take) -> None:
    start = int(take.motion_us[0]) + _FAST_AFTER_US
    events = take.events.between(start, start + _FRAME_US)
    axes.scatter(events.x, events.y, c=_colors(events.polarity), s=3)
    axes.set(xlim=(0, take.events.size.width), ylim=(take.events.size.height, 0), aspect="equal")


def _draw_ring(axes: Axes, take: Take) -> None:
    events = take.events
    dx, dy = events.x - take.hub[0], events.y - take.hub[1]
    radius = np.hypot(dx, dy)
    ring = (radius > _RING_PX[0]) & (radius < _RING_PX[1])
    angle = np.degrees(np.arctan2(dy, dx))
    axes.scatter(events.t[ring] / 1e3, angle[ring], c=_colors(events.polarity[ring]), s=0.4)
    axes.set(xlabel="time [ms]", ylabel="angle [deg]", ylim=(-180, 180))


def _draw_lag(axes: Axes, take: Take) -> None:
    events = take.events
    when, angle = take.angles()
    sense = np.sign(angle[-1] - angle[0])
    inside = (events.t > when[0]) & (events.t < when[-1])
    dx, dy = events.x[inside] - take.hub[0], events.y[inside] - take.hub[1]
    late = sense * (np.interp(events.t[inside], when, angle) - np.arctan2(dy, dx))
    late = np.degrees((late + np.pi / 2) % (2 * np.pi) - np.pi / 2)
    axes.scatter(late, np.hypot(dx, dy), c=_colors(events.polarity[inside]), s=0.2)
    axes.set(xlabel="angle behind the ON edge [deg]", ylabel="radius [px]")
