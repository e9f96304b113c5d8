"""The limit of accuracy: an estimator that knows everything except the speed.

The oracle is given each rotor's image at every time, its motion up to a small error of phase and
speed, and the density of its events over angle, radius and polarity in the rotating frame. One
Newton step of the log likelihood gives the most likely speed of a window; the Fisher information of
Poisson events gives the Cramer-Rao bound of its standard deviation. On average, an estimator that
has to find the geometry itself cannot do better.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from evio_ros.estimate import RotorEstimate
from evio_ros.events import EventBatch
from evio_ros.simulation.truth import RotorTruth
from evio_ros.units import RPM_PER_RAD_S

__all__ = ["Oracle"]

_ANGLE_BINS = 1024
_RINGS = 16
_RIM = 1.05
"""Outer radius of the template: pixels at the rim lie partly outside the disc."""
_SMOOTHING_BINS = 1.5
"""Standard deviation of the Gaussian that smooths the template over angle."""
_BLOCK_US = 10_000
"""Blocks of time of this length are assigned in turn to the two halves of the recording."""
_PART_EVENTS = 2_000_000
"""Number of events converted at once, which bounds the memory."""
_SMALLEST_SHARE = 0.3
"""Smallest share of all events that a template without the window's own must contain; otherwise the
window's own events stay in it."""
_Real = NDArray[np.float64]


@dataclass(frozen=True)
class Oracle:
    """One rotor's events in the frame that rotates with it.

    Attributes:
        truth: the rotor.
        t_us: int64 (n,), times of its events in µs.
        cell: int32 (n,), cell of each event in the template (polarity, ring, angle), flattened.
        total: float64 (cells,), number of events in each cell.
        information: float64 (cells,), Fisher information of an event's angle in each cell
            [1/rad^2]: the product of slopes from two halves of the recording, so that noise does
            not add to it.
    """

    truth: RotorTruth
    t_us: NDArray[np.int64]
    cell: NDArray[np.int32]
    total: _Real
    information: _Real

    @classmethod
    def of(cls, truth: RotorTruth, events: EventBatch) -> Oracle:
        """The oracle of a rotor for a recording."""
        t_us, cell = _turning_cells(truth, events)
        total = np.bincount(cell, minlength=2 * _RINGS * _ANGLE_BINS).astype(np.float64)
        even = (t_us // _BLOCK_US) % 2 == 0
        half = np.bincount(cell[even], minlength=len(total)).astype(np.float64)
        return cls(truth, t_us, cell, total, np.maximum(_slope(half) * _slope(total - half), 0.0))

    def measure(self, end_us: int, window_us: int) -> RotorEstimate | None:
        """Most likely mean speed of a window, with the Cramer-Rao bound as standard deviation.

        Args:
            end_us, window_us: end and length of the window in µs.

        Returns:
            The estimate; None if the window's events do not determine the speed.
        """
        start_us = end_us - window_us
        first, last = np.searchsorted(self.t_us, (start_us, end_us))
        cell = self.cell[first:last]
        others = self.total - np.bincount(cell, minlength=len(self.total))
        if others.sum() < _SMALLEST_SHARE * self.total.sum():
            others = self.total
        slope = _slope(others)[cell]
        time_s = 1e-6 * (self.t_us[first:last] - 0.5 * (start_us + end_us))
        design = np.stack((np.ones_like(time_s), time_s))
        fisher = (design * self.information[cell]) @ design.T
        if not len(cell) or np.linalg.det(fisher) <= 0:
            return None
        covariance = np.linalg.inv(fisher)
        speed_error = -(np.linalg.inv((design * slope**2) @ design.T) @ (design @ slope))[1]
        ellipse = self.truth.ellipse(end_us)
        return RotorEstimate(
            id=self.truth.id,
            t_us=end_us,
            window_us=window_us,
            rpm=self.truth.mean_rpm(start_us, end_us) + RPM_PER_RAD_S * float(speed_error),
            rpm_std=RPM_PER_RAD_S * math.sqrt(covariance[1, 1]),
            blade_count=self.truth.blade_count,
            angle_rad=float(self.truth.angle_rad(end_us)) % (2 * math.pi),
            angle_std_rad=math.sqrt(covariance[0, 0]),
            turns=float(self.truth.speed.turns(end_us)),
            center=ellipse.center,
            axes=ellipse.axes,
            tilt_rad=ellipse.tilt_rad,
            velocity=(0.0, 0.0),
            confidence=1.0,
            events=len(cell),
        )


def _turning_cells(
    truth: RotorTruth, events: EventBatch
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Times and template cells of the events on a rotor's disc."""
    kept = [_cells_of(truth, part) for part in _parts(events)]
    return np.concatenate([t for t, _ in kept]), np.concatenate([cell for _, cell in kept])


def _parts(events: EventBatch) -> Iterator[EventBatch]:
    for start in range(0, max(len(events), 1), _PART_EVENTS):
        yield events.slice(start, start + _PART_EVENTS)


def _cells_of(truth: RotorTruth, events: EventBatch) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    near = _near(truth, events)
    t_us = events.t[near]
    center_x, center_y, a, b, tilt = truth.path.at(t_us.astype(np.float64)).T
    dx, dy = events.x[near] - center_x, events.y[near] - center_y
    cosine, sine = np.cos(tilt), np.sin(tilt)
    along, across = (dx * cosine + dy * sine) / a, (dy * cosine - dx * sine) / b
    radius = np.hypot(along, across)
    turning = np.arctan2(across, along) + tilt - truth.angle_rad(t_us)
    angle = np.floor(turning * (_ANGLE_BINS / (2 * math.pi))).astype(np.int64) % _ANGLE_BINS
    ring = np.minimum((radius / _RIM * _RINGS).astype(np.int64), _RINGS - 1)
    cell = (events.polarity[near] * _RINGS + ring) * _ANGLE_BINS + angle
    on_disc = radius < _RIM
    return t_us[on_disc], cell[on_disc].astype(np.int32)


def _near(truth: RotorTruth, events: EventBatch) -> NDArray[np.bool_]:
    """Mask of the events within the bounding box of the disc over the time of the events."""
    if not len(events):
        return np.zeros(0, bool)
    times = np.linspace(events.t[0], events.t[-1], 200)
    center_x, center_y, a, _, _ = truth.path.at(times).T
    reach = 1.06 * a.max() + 1
    near: NDArray[np.bool_] = (events.x > center_x.min() - reach) & (
        events.x < center_x.max() + reach
    )
    near &= (events.y > center_y.min() - reach) & (events.y < center_y.max() + reach)
    return near


def _slope(counts: _Real) -> _Real:
    """Derivative of the template's logarithm with respect to angle [1/rad], for each cell."""
    template = counts.reshape(-1, _ANGLE_BINS)
    smooth = gaussian_filter1d(template, _SMOOTHING_BINS, axis=1, mode="wrap")
    bin_rad = 2 * math.pi / _ANGLE_BINS
    change = (np.roll(smooth, -1, axis=1) - np.roll(smooth, 1, axis=1)) / (2 * bin_rad)
    return (change / np.maximum(smooth, 1.0)).ravel()
