"""Score and Fisher information of a rotor's phases and hub, from single events."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import scipy.fft
from numba import njit
from numpy.typing import NDArray

from evio_ros.ellipse import Ellipse
from evio_ros.rotation.phase_path.event_count_time import COUNT_SPAN, CountedEvents
from evio_ros.rotation.phase_path.turning_frame import ANGLES, SHAPE, BinnedEvents, correlation
from evio_ros.rotation.tracking.disc_map import ANGLE_BITS, ANGLE_MASK, ANGLE_STEPS

__all__ = ["PhaseScores"]

_Real = NDArray[np.float64]

_BLOCK_RAD = 0.35
"""Angle over which rings and polarities are compared."""


@dataclass(frozen=True, slots=True)
class PhaseScores:
    """Score and information of phases and shape at the present estimate."""

    score: _Real  # (bins, channels)
    information: _Real  # (bins, channels)
    cross: _Real  # (bins, SHAPE)
    shape_score: _Real  # (SHAPE,)
    shape_information: _Real  # (SHAPE, SHAPE)
    response: float
    expected: _Real  # (bins, 1 + SHAPE) contribution of the visible pixels alone to the scores
    live: _Real  # (bins,) share of each bin with data

    @classmethod
    def of(
        cls,
        counted: CountedEvents,
        binned: BinnedEvents,
        ellipse: Ellipse,
        phase: _Real,
        density: _Real,
    ) -> PhaseScores:
        """Add up the scores of all events.

        Args:
            counted: the events.
            binned: the same events on the disc.
            ellipse: the disc.
            phase: (bins,) of the rotor, rad.
            density: (channels, ANGLES) of events in the co-rotating frame.
        """
        channels, bins, _ = binned.counts.shape
        orders = _derivative()
        logs = scipy.fft.rfft(np.log(density), axis=1)
        slope = scipy.fft.irfft(logs * orders, ANGLES, axis=1)
        bend = scipy.fft.irfft(logs * orders**2, ANGLES, axis=1)
        scores = cls(
            np.zeros((bins, channels)),
            np.zeros((bins, channels)),
            np.zeros((bins, SHAPE)),
            np.zeros(SHAPE),
            np.zeros((SHAPE, SHAPE)),
            1.0,
            _expected(binned, density, phase),
            binned.live,
        )
        events, disc = counted.events, binned.disc
        bent, squared = _add_scores(
            events.x,
            events.y,
            events.t,
            events.polarity,
            disc.x0,
            disc.y0,
            disc.codes,
            ellipse.center[0],
            ellipse.center[1],
            phase,
            np.gradient(phase),
            slope,
            bend,
            scores.score,
            scores.information,
            scores.cross,
            scores.shape_score,
            scores.shape_information,
        )
        # With a blurred density, an offset changes the score by less than the information suggests.
        return replace(scores, response=min(max(-bent / max(squared, 1e-9), 0.2), 5.0))

    def offsets(self) -> tuple[_Real, _Real]:
        """Offset of each bin from its phase in rad, (bins,), and its inverse variance, (bins,)."""
        information = self.response * self.information.sum(axis=1)
        least = 0.05 * np.median(information[self.live > 0]) + 1e-9
        # Where data are missing, nothing constrains the phase.
        information = np.maximum(information, np.maximum(least * self.live, 1e-9))
        return self._phase_score() / information, self.response * information

    def _phase_score(self) -> _Real:
        return self.expected[:, 0] - self.score.sum(axis=1)

    def hub_step(self, dispersion: float) -> tuple[_Real, _Real]:
        """Change of the hub in pixels, (2,), and the inverse of its covariance, (2, 2).

        Args:
            dispersion: ratio of the offsets' variance to that due to the number of events.
        """
        information = np.maximum(self.information.sum(axis=1), 1e-9)
        own = self.shape_information - (self.cross / information[:, None]).T @ self.cross
        pull = self.shape_score - self.expected[:, 1:].sum(axis=0)
        pull += self.cross.T @ (self._phase_score() / information)
        precision = self.response * own / dispersion + 1e-6 * np.eye(SHAPE)
        return np.linalg.solve(precision, pull / dispersion), precision

    def disagreement(self, phase: _Real) -> _Real:
        """Standard deviation of the phase of each bin, (bins,), between rings and polarities."""
        block = (np.abs(phase - phase[0]) / _BLOCK_RAD).astype(np.int64)
        blocks = int(block.max()) + 1
        score, weight = (np.zeros((blocks, self.score.shape[1])) for _ in range(2))
        np.add.at(score, block, -self.score)
        np.add.at(weight, block, self.response * self.information)
        used = weight > 0.03 * weight.sum(axis=1, keepdims=True)
        weight = np.where(used, weight, 0.0)
        offset = np.where(used, score / np.maximum(weight, 1e-9), 0.0)
        share = weight / np.maximum(weight.sum(axis=1, keepdims=True), 1e-9)
        mean = (share * offset).sum(axis=1, keepdims=True)
        number = used.sum(axis=1)
        variance = (share**2 * (offset - mean) ** 2).sum(axis=1)
        variance *= number / np.maximum(number - 1, 1)
        several = number > 1
        if not several.any():
            return np.full(len(phase), math.inf)
        variance = np.where(several, variance, np.median(variance[several]))
        padded = np.pad(variance, 1, mode="edge")
        return np.sqrt((padded[:-2] + padded[1:-1] + padded[2:]) / 3)[block]


def _expected(binned: BinnedEvents, density: _Real, phase: _Real) -> _Real:
    """Mean scores of a bin's events over the visible pixels, (bins, 1 + SHAPE): angle and shape.

    They are the derivatives of log(sum over visible pixels of the density).
    """
    slope = scipy.fft.irfft(scipy.fft.rfft(density, axis=1) * _derivative(), ANGLES, axis=1)
    tables = np.concatenate((binned.visible[None], binned.levers))
    means = correlation(tables, np.broadcast_to(slope, tables.shape)) / binned.events_per_radian(
        density
    )
    place = phase * (ANGLES / (2 * math.pi))
    angles = np.arange(ANGLES)
    at_bins = [np.interp(place, angles, mean, period=ANGLES) for mean in means]
    return binned.events[:, None] * np.stack(at_bins, axis=1)


def _derivative() -> NDArray[np.complex128]:
    orders = 1j * np.arange(ANGLES // 2 + 1)
    orders[-1] = 0.0
    return orders


@njit(cache=True, nogil=True)
def _add_scores(
    x,
    y,
    count_times,
    polarity,
    x0,
    y0,
    codes,
    center_x,
    center_y,
    phase,
    advance,
    slope,
    bend,
    score,
    information,
    cross,
    shape_score,
    shape_information,
):
    """Add up the scores of all events; returns the sums of the curvature and of the squared slope.

    Scores refer to the event's own angle: those of the phase have the opposite sign.
    """
    rows, columns = codes.shape
    channels, angles = slope.shape
    rings = channels // 2
    bins = len(phase)
    per_unit = bins / COUNT_SPAN
    gradient = np.empty(SHAPE)
    bent, squared = 0.0, 0.0
    for i in range(x.size):
        row, column = np.int64(y[i]) - y0, np.int64(x[i]) - x0
        if not (0 <= row < rows and 0 <= column < columns) or codes[row, column] < 0:
            continue
        code = codes[row, column]
        place = count_times[i] * per_unit
        b = min(int(place), bins - 1)
        theta = (code & ANGLE_MASK) * (2 * math.pi / ANGLE_STEPS)
        turned = phase[b] + advance[b] * (place - b - 0.5)
        position = (theta - turned) * (angles / (2 * math.pi))
        low = math.floor(position)
        share = position - low
        first, second = int(low) % angles, (int(low) + 1) % angles
        channel = np.int64(polarity[i]) * rings + (code >> ANGLE_BITS)
        steep = (1 - share) * slope[channel, first] + share * slope[channel, second]
        bent += (1 - share) * bend[channel, first] + share * bend[channel, second]
        squared += steep * steep
        dx, dy = x[i] - center_x, y[i] - center_y
        distance = dx * dx + dy * dy
        gradient[0] = dy / distance
        gradient[1] = -dx / distance
        score[b, channel] += steep
        information[b, channel] += steep * steep
        for j in range(SHAPE):
            shape_score[j] += steep * gradient[j]
            cross[b, j] += steep * steep * gradient[j]
            for k in range(SHAPE):
                shape_information[j, k] += steep * steep * gradient[j] * gradient[k]
    return bent, squared
