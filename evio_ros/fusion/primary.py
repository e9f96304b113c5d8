"""The primary rotor, which /rotation_state reports: chosen by a rule with hysteresis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from evio_ros.parameters import Parameters, parameter
from evio_ros.rotor_state import RotorState

__all__ = ["PrimaryParameters", "PrimaryRotor"]


@dataclass(frozen=True)
class PrimaryParameters(Parameters):
    """Which rotor is published on rotation_state."""

    rule: str = parameter(
        "most_confident",
        choices=("most_confident", "largest", "nearest", "id", "first_of_group"),
        doc="How the primary rotor is chosen: by confidence, by semi-axis, by distance from "
        "point_x and point_y, by id, or as the lowest id in a vehicle.",
    )
    point_x: float = parameter(
        0.0,
        unit="px",
        minimum=-1e6,
        maximum=1e6,
        doc="Column of the point from which the rule nearest measures distances.",
    )
    point_y: float = parameter(
        0.0,
        unit="px",
        minimum=-1e6,
        maximum=1e6,
        doc="Row of the point from which the rule nearest measures distances.",
    )
    number: int = parameter(
        0,
        minimum=0,
        maximum=2**32 - 1,
        doc="Id of the rotor for the rule id, or group of the vehicle for the rule first_of_group.",
    )
    margin: float = parameter(
        0.1,
        minimum=0.0,
        maximum=10.0,
        doc="Another rotor must be better by this much, in confidence or as a share of the "
        "semi-axis or distance, before it takes over.",
    )
    hold_s: float = parameter(
        0.5,
        unit="s",
        minimum=0.0,
        maximum=60.0,
        doc="Another rotor must be better for this long before it takes over.",
    )


class PrimaryRotor:
    """Chooses one of the rotors of each window, with hysteresis.

    Args:
        parameters: the rule.

    Attributes:
        parameters: as given.
    """

    def __init__(self, parameters: PrimaryParameters) -> None:
        self.parameters = parameters
        self._id: int | None = None
        self._better: tuple[int, int] | None = None  # a better rotor, and since when

    def choose(self, states: Sequence[RotorState], t_us: int) -> RotorState | None:
        """The primary rotor; None if the rule allows none.

        Args:
            states: all rotors.
            t_us: sensor time of the states in µs.
        """
        allowed = self._allowed(states)
        best = max(allowed, key=self._merit, default=None)
        present = next((one for one in allowed if one.id == self._id), None)
        if best is None or present is None or best is present:
            self._better = None
            self._id = self._id if best is None else best.id
            return best
        if self._merit(best) < self._merit(present) + self._margin(present):
            self._better = None
            return present
        if self._better is None or self._better[0] != best.id or t_us < self._better[1]:
            self._better = best.id, t_us
        if t_us - self._better[1] < 1e6 * self.parameters.hold_s:
            return present
        self._id, self._better = best.id, None
        return best

    def _allowed(self, states: Sequence[RotorState]) -> Sequence[RotorState]:
        p = self.parameters
        if p.rule == "id":
            return [one for one in states if one.id == p.number]
        if p.rule == "first_of_group":
            group = [one for one in states if one.group == p.number]
            return sorted(group, key=lambda one: one.id)[:1]
        return states

    def _merit(self, state: RotorState) -> float:
        p = self.parameters
        if p.rule == "largest":
            return state.axes[0]
        if p.rule == "nearest":
            return -math.dist(state.center, (p.point_x, p.point_y))
        return state.confidence

    def _margin(self, present: RotorState) -> float:
        share = self.parameters.margin
        return share * (
            1.0 if self.parameters.rule == "most_confident" else abs(self._merit(present))
        )
