"""The cyclic error of a rotor's phase: what repeats in every turn at the same angle.

A hub or shape that is not quite right, edges that smear, pixels that answer late and a lens that
distorts make a pattern seem to run ahead and to lag behind within each turn, at the same angles in
every turn. Encoders and interferometers know the same as cyclic error, and it is calibrated alike:
over two turns the phase less the nearest parabola is a function of the angle, where the second turn
repeats the first. What does not repeat is motion. The mean speed over whole turns is the same with
it and without.
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
"""The error is kept at so many angles; between them it is straight."""
_FEWEST_A_TURN = 8
"""A turn of fewer phases shows few orders; what turns so fast is measured over whole turns."""
_MOST_ORDERS, _PHASES_AN_ORDER = 5, 6
"""Orders of the error beside which the motion of two turns is told: one for so many phases."""
_LEAST_REPEATED = 0.9
"""Correlation of two turns from which what they show is an error that comes again: noise is then
less than a third of it."""
_TURNS_REMEMBERED = 10
"""So many turns are averaged: views change."""


class CyclicError:
    """Learns the error of one rotor's phase over its angle.

    Attributes:
        is_known: whether two turns have shown the same.
        variance: of what is known, rad^2, as turns differ.
    """

    def __init__(self) -> None:
        self.is_known = False
        self.variance = 0.0
        self._table: _Real = np.zeros(_ANGLES)
        self._turns = 0
        # Times in s and phases as measured, of the last two turns.
        self._measured: deque[tuple[float, float]] = deque()
        self._learned_phase = -math.inf

    def at(self, phase: float) -> float:
        """By how much the pattern seems ahead at a phase, rad."""
        if not self.is_known:
            return 0.0
        place = (phase % _TURN_RAD) * (_ANGLES / _TURN_RAD)
        low = math.floor(place)
        share = place - low
        before, after = self._table[low % _ANGLES], self._table[(low + 1) % _ANGLES]
        return float((1.0 - share) * before + share * after)

    @property
    def size_rad(self) -> float:
        """Root mean square of the error."""
        return float(np.sqrt(np.mean(self._table**2)))

    def add(self, time_s: float, phase: float, is_wanted: bool) -> CyclicError | None:
        """Take in a phase as it was measured, in order of time.

        Args:
            time_s: its time.
            phase: unwrapped, rad.
            is_wanted: whether the error is to be learned now.

        Returns:
            What this changes in the error, where a turn has told something new.
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
        """What is measured next does not go on from what was."""
        self._measured = deque()
        self._learned_phase = -math.inf

    def continued(self) -> CyclicError:
        """The same error for a motion that begins anew."""
        other = copy.copy(self)
        other.interrupt()
        return other

    def _learn(self) -> CyclicError | None:
        """Compare the last two turns."""
        if len(self._measured) < 2 * _FEWEST_A_TURN:
            return None
        angles, turns = _two_turns(*np.array(self._measured).T)
        first, second = turns
        size = math.sqrt(float((first**2).sum() * (second**2).sum()))
        if not float((first * second).sum()) > _LEAST_REPEATED * size:
            return None
        self._turns = min(self._turns + 1, _TURNS_REMEMBERED)
        shown = np.interp(_ANGLE_RAD, *_sorted(angles, 0.5 * (first + second)), period=_TURN_RAD)
        change = CyclicError()
        change._table, change.is_known = (shown - self._table) / self._turns, True
        self._table, self.is_known = self._table + change._table, True
        # The mean of two turns is off by half of their difference.
        differing = 0.25 * float(((second - first) ** 2).mean())
        self.variance += (differing - self.variance) / self._turns
        return change


def _two_turns(times: _Real, phases: _Real) -> tuple[_Real, _Real]:
    """What two turns of phases have that no parabola over time has.

    Args:
        times: in s.
        phases: unwrapped, in rad; they span two turns.

    Returns:
        Angles (_ANGLES,), and the two turns at these, (2, _ANGLES), each of mean 0.
    """
    times = times - times.mean()
    trend = np.stack((np.ones(len(times)), times, times**2), axis=1)
    orders = np.arange(1, min(len(times) // _PHASES_AN_ORDER, _MOST_ORDERS) + 1)
    angles = np.outer(phases, orders)
    design = np.concatenate((trend, np.cos(angles), np.sin(angles)), axis=1)
    motion = np.linalg.lstsq(design, phases, rcond=None)[0][: trend.shape[1]]
    phases, left = _sorted(phases, phases - trend @ motion)
    at = phases[0] + _ANGLE_RAD
    turns = np.stack([np.interp(at + turn * _TURN_RAD, phases, left) for turn in range(2)])
    return at % _TURN_RAD, turns - turns.mean(axis=1, keepdims=True)


def _sorted(angles: _Real, values: _Real) -> tuple[_Real, _Real]:
    order = np.argsort(angles, kind="stable")
    return angles[order], values[order]
