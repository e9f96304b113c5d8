"""The cyclic error of a rotor's phase: the part that repeats in every turn at the same angle.

Because of errors of hub and shape, smeared edges, pixel latency and lens distortion, a pattern
seems to lead and lag within each turn, at the same angles in every turn. Encoders and
interferometers have such cyclic errors too. Here the error is learned by comparing two turns: the
phase minus the best parabola over time is the cyclic error if it is the same function of the angle
in both turns. A difference that does not repeat is motion. The correction does not change the mean
speed over whole turns.
"""

from __future__ import annotations

import copy
import math
from collections import deque

import numpy as np
from numpy.typing import NDArray

__all__ = ["CyclicError"]

_Real = NDArray[np.float64]

_TURN_RAD = 2 * math.pi
_ANGLES = 64
_ANGLE_RAD = np.arange(_ANGLES) * (_TURN_RAD / _ANGLES)
"""Number of angles at which the error is kept, with linear interpolation between them."""
_FEWEST_A_TURN = 8
"""Minimum number of phases per turn: fewer show few orders, and a faster rotor is measured over
whole turns anyway."""
_MOST_ORDERS, _PHASES_AN_ORDER = 5, 6
"""Maximum number of angular orders of the error that are fitted together with the motion of two
turns, and number of phases needed for each order."""
_LEAST_REPEATED = 0.9
"""Minimum correlation of two turns for an error that repeats: the noise is then less than a third
of it."""
_TURNS_REMEMBERED = 10
"""Number of turns averaged: the error changes with the view."""


class CyclicError:
    """Learns the error of one rotor's phase over its angle.

    Attributes:
        is_known: whether two turns have shown the same error; before, it counts as 0.
        variance: variance of the known error in rad^2, from the differences between turns.
    """

    def __init__(self) -> None:
        self.is_known = False
        self.variance = 0.0
        self._table: _Real = np.zeros(_ANGLES)
        self._turns = 0
        # Times in s and uncorrected phases of the last two turns.
        self._measured: deque[tuple[float, float]] = deque()
        self._learned_phase = -math.inf

    def at(self, phase: float) -> float:
        """Angle in rad by which the pattern seems to lead at a phase in rad."""
        if not self.is_known:
            return 0.0
        place = (phase % _TURN_RAD) * (_ANGLES / _TURN_RAD)
        low = math.floor(place)
        share = place - low
        before, after = self._table[low % _ANGLES], self._table[(low + 1) % _ANGLES]
        return float((1.0 - share) * before + share * after)

    @property
    def size_rad(self) -> float:
        """Root mean square of the error over the angles, rad."""
        return float(np.sqrt(np.mean(self._table**2)))

    def add(self, time_s: float, phase: float, is_wanted: bool) -> CyclicError | None:
        """Add a measured phase, in order of time.

        Args:
            time_s: its time in s.
            phase: the phase without correction, unwrapped, rad.
            is_wanted: whether the error may be learned now.

        Returns:
            The change of the error if it was updated, which happens at most once per turn; else
            None.
        """
        measured = self._measured
        measured.append((time_s, phase))
        while len(measured) > 2 and abs(phase - measured[1][1]) >= 2 * _TURN_RAD:
            measured.popleft()
        if not is_wanted or abs(phase - measured[0][1]) < 2 * _TURN_RAD:
            return None
        if abs(phase - self._learned_phase) < _TURN_RAD:
            return None
        self._learned_phase = phase
        return self._learn()

    def interrupt(self) -> None:
        """Forget the measured phases, because the next phase does not continue them."""
        self._measured = deque()
        self._learned_phase = -math.inf

    def continued(self) -> CyclicError:
        """A copy for a new tracker, without the measured phases."""
        other = copy.copy(self)
        other.interrupt()
        return other

    def _learn(self) -> CyclicError | None:
        """Compare the last two turns, and update the error if it repeats; returns its change."""
        if len(self._measured) < 2 * _FEWEST_A_TURN:
            return None
        angles, turns = _two_turns(*np.array(self._measured).T)
        first, second = turns
        norm = math.sqrt(float((first**2).sum() * (second**2).sum()))
        if not float((first * second).sum()) > _LEAST_REPEATED * norm:
            return None
        self._turns = min(self._turns + 1, _TURNS_REMEMBERED)
        mean = np.interp(_ANGLE_RAD, *_sorted(angles, 0.5 * (first + second)), period=_TURN_RAD)
        change = CyclicError()
        change._table, change.is_known = (mean - self._table) / self._turns, True
        self._table, self.is_known = self._table + change._table, True
        # The mean of two turns is off by half of their difference.
        variance = 0.25 * float(((second - first) ** 2).mean())
        self.variance += (variance - self.variance) / self._turns
        return change


def _two_turns(times: _Real, phases: _Real) -> tuple[_Real, _Real]:
    """Phases of two turns minus the best parabola over time.

    Args:
        times: (n,) in s.
        phases: (n,) in rad, unwrapped; they span two turns.

    Returns:
        Angles in rad, (_ANGLES,), and the differences of the two turns at these angles in rad,
        (2, _ANGLES), each turn with mean 0.
    """
    times = times - times.mean()
    trend = np.stack((np.ones(len(times)), times, times**2), axis=1)
    orders = np.arange(1, min(len(times) // _PHASES_AN_ORDER, _MOST_ORDERS) + 1)
    multiples = np.outer(phases, orders)
    design = np.concatenate((trend, np.cos(multiples), np.sin(multiples)), axis=1)
    motion = np.linalg.lstsq(design, phases, rcond=None)[0][: trend.shape[1]]
    phases, errors = _sorted(phases, phases - trend @ motion)
    angles = phases[0] + _ANGLE_RAD
    turns = np.stack([np.interp(angles + turn * _TURN_RAD, phases, errors) for turn in range(2)])
    return angles % _TURN_RAD, turns - turns.mean(axis=1, keepdims=True)


def _sorted(angles: _Real, values: _Real) -> tuple[_Real, _Real]:
    """Angles (n,) in increasing order, and their values (n,)."""
    order = np.argsort(angles, kind="stable")
    return angles[order], values[order]
