"""Which rotors belong to one vehicle, those that move together, and how its discs are tilted.

Evidence for a pair is a log likelihood ratio, summed over time with a limit: that their velocities
are one (up to what a vehicle's turning makes of it) against that each has its own, as fast as they
are seen to move. So rotors at rest say nothing, and two fans on a table stay two. The motion of the
image that a turning camera makes is taken off where it is known.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evio_ros.ellipse import Ellipse
from evio_ros.fusion.disc_normal import DiscNormal, Intrinsics, NormalChooser, disc_normals
from evio_ros.parameters import Parameters, parameter
from evio_ros.rotor_state import RotorState

__all__ = ["RotorVelocity", "VehicleObserver", "VehicleParameters", "Vehicles"]

_Real = NDArray[np.float64]
_Pair = tuple[int, int]


@dataclass(frozen=True)
class VehicleParameters(Parameters):
    """When rotors are taken for parts of one vehicle."""

    difference_px_s: float = parameter(
        5.0,
        unit="px/s",
        minimum=0.1,
        maximum=1000.0,
        doc="Rotors of one vehicle differ by so much in velocity, as a standard deviation.",
    )
    difference_share: float = parameter(
        0.1,
        minimum=0.0,
        maximum=1.0,
        doc="The same as a share of their speed: a vehicle turns and comes closer as well.",
    )
    correlation_s: float = parameter(
        0.25,
        unit="s",
        minimum=0.001,
        maximum=60.0,
        doc="Velocities that are so far apart in time count as independent.",
    )
    evidence: float = parameter(
        5.0,
        minimum=0.1,
        maximum=100.0,
        doc="Log likelihood ratio from which a pair is joined, and below whose negative it is "
        "parted.",
    )
    forget_s: float = parameter(
        3.0,
        unit="s",
        minimum=0.1,
        maximum=3600.0,
        doc="A rotor that is not seen for so long is forgotten.",
    )


class RotorVelocity(NamedTuple):
    """How a rotor moves.

    Attributes:
        id: its number.
        velocity: (2,) of the hub, px/s.
        covariance: (2, 2) of the velocity, (px/s)^2.
    """

    id: int
    velocity: Sequence[float]
    covariance: Sequence[Sequence[float]] | _Real


class Vehicles:
    """Groups of rotors over time, each with a number of its own.

    Args:
        parameters: when rotors are joined.
    """

    def __init__(self, parameters: VehicleParameters | None = None) -> None:
        self.parameters = parameters or VehicleParameters()
        self._evidence: dict[_Pair, float] = {}
        self._joined: set[_Pair] = set()
        self._seen_us: dict[int, int] = {}
        self._groups: dict[int, int] = {}
        self._next = 1

    def update(
        self, t_us: int, rotors: Sequence[RotorVelocity], camera: Sequence[float] = (0.0, 0.0)
    ) -> dict[int, int]:
        """Take in the velocities of one moment.

        Args:
            t_us: sensor time; a rotor that comes again at a time not after its last one counts as
                seen, but its velocity is no evidence.
            rotors: all that are seen; those with values that are not finite count as seen only.
            camera: (2,) motion of the image, px/s.

        Returns:
            The number of each rotor's vehicle; 0 for a rotor by itself.
        """
        self._forget(t_us)
        moving = [_less(rotor, camera) for rotor in rotors if _is_finite(rotor)]
        for first, second in itertools.combinations(sorted(moving, key=lambda one: one.id), 2):
            if first.id != second.id:
                self._weigh(first, second, t_us)
        for rotor in rotors:
            self._seen_us[rotor.id] = max(t_us, self._seen_us.get(rotor.id, t_us))
        self._groups = self._number(_components(self._seen_us, self._joined))
        return {rotor.id: self._groups.get(rotor.id, 0) for rotor in rotors}

    def _weigh(self, first: RotorVelocity, second: RotorVelocity, t_us: int) -> None:
        p = self.parameters
        pair = first.id, second.id
        known = [self._seen_us[number] for number in pair if number in self._seen_us]
        elapsed_s = 1e-6 * (t_us - max(known)) if known else p.correlation_s
        if elapsed_s <= 0:
            return
        ratio = _log_ratio(first, second, p.difference_px_s, p.difference_share)
        # One velocity that is far off is a mistake rather than a proof.
        ratio = min(max(ratio, -p.evidence), p.evidence)
        gained = min(elapsed_s / p.correlation_s, 1.0) * ratio
        # What was gained long ago must not outweigh for ever what is seen now.
        limit = 2 * p.evidence
        total = min(max(self._evidence.get(pair, 0.0) + gained, -limit), limit)
        self._evidence[pair] = total
        if total > p.evidence:
            self._joined.add(pair)
        elif total < -p.evidence:
            self._joined.discard(pair)

    def _forget(self, t_us: int) -> None:
        oldest_us = t_us - 1e6 * self.parameters.forget_s
        gone = {number for number, seen_us in self._seen_us.items() if seen_us < oldest_us}
        for number in gone:
            del self._seen_us[number]
        self._evidence = {
            pair: evidence for pair, evidence in self._evidence.items() if not gone & set(pair)
        }
        self._joined = {pair for pair in self._joined if not gone & set(pair)}

    def _number(self, components: Sequence[set[int]]) -> dict[int, int]:
        """A number for each component: the one that most of its rotors had, or a new one."""
        numbers: dict[int, int] = {}
        for component in sorted(components, key=len, reverse=True):
            had = [self._groups[one] for one in sorted(component) if self._groups.get(one)]
            free = [number for number in had if number not in numbers.values()]
            if free:
                chosen = max(free, key=free.count)
            else:
                chosen, self._next = self._next, self._next + 1
            numbers.update(dict.fromkeys(component, chosen))
        return numbers


class VehicleObserver:
    """Tells the vehicle of each rotor, and the normal of its disc.

    Args:
        parameters: when rotors are joined.

    Attributes:
        intrinsics: of the camera; None where they are unknown, and no normals are told.
    """

    def __init__(self, parameters: VehicleParameters | None = None) -> None:
        self.intrinsics: Intrinsics | None = None
        self._vehicles = Vehicles(parameters)
        self._chooser = NormalChooser()
        self._groups: dict[int, int] = {}
        self._normals: dict[int, DiscNormal] = {}

    def note(self, states: Sequence[RotorState], camera: Sequence[float] = (0.0, 0.0)) -> None:
        """Take in the states of all rotors at the end of a window.

        Args:
            states: all of one time.
            camera: (2,) motion of the image, px/s.
        """
        if not states:
            return
        moving = [
            RotorVelocity(state.id, state.velocity, state.covariance[4:, 4:]) for state in states
        ]
        self._groups = self._vehicles.update(states[0].t_us, moving, camera)
        if self.intrinsics is None:
            self._normals = {}
            return
        candidates = {
            state.id: disc_normals(
                Ellipse(state.center, state.axes, state.tilt_rad), self.intrinsics
            )
            for state in states
            if self._groups[state.id] and state.axes[1] > 0
        }
        self._normals = self._chooser.update(self._groups, candidates)

    def completed(self, states: Sequence[RotorState]) -> list[RotorState]:
        """The states with group and normal, as the last window had them."""
        return [self._completed(state) for state in states]

    def _completed(self, state: RotorState) -> RotorState:
        group, normal = self._groups.get(state.id, 0), self._normals.get(state.id)
        if normal is None:
            return replace(state, group=group)
        x, y, z = normal.normal.tolist()
        covariance = tuple(normal.covariance.ravel().tolist())
        return replace(state, group=group, normal=(x, y, z), normal_covariance=covariance)


def _is_finite(rotor: RotorVelocity) -> bool:
    return bool(np.isfinite(rotor.velocity).all() and np.isfinite(rotor.covariance).all())


def _less(rotor: RotorVelocity, camera: Sequence[float]) -> RotorVelocity:
    x, y = (float(a) - float(b) for a, b in zip(rotor.velocity, camera, strict=True))
    return rotor._replace(velocity=(x, y))


def _log_ratio(
    first: RotorVelocity, second: RotorVelocity, difference_px_s: float, share: float
) -> float:
    """Log likelihood of one velocity over that of two."""
    a, b = np.array(first.velocity), np.array(second.velocity)
    off = a - b
    noise = np.array(first.covariance) + np.array(second.covariance)
    speed = math.sqrt(0.5 * float(a @ a + b @ b))
    # A speed below what noise makes tells nothing of how fast they are.
    moved = max(speed**2 - 0.5 * float(np.trace(noise)), 0.0)
    together = noise + (difference_px_s**2 + (share**2) * moved) * np.eye(2)
    apart = together + moved * np.eye(2)
    return _log_normal(off, together) - _log_normal(off, apart)


def _log_normal(value: _Real, covariance: _Real) -> float:
    sign, log_determinant = np.linalg.slogdet(covariance)
    if sign <= 0:
        return 0.0
    return -0.5 * float(value @ np.linalg.solve(covariance, value) + log_determinant)


def _components(numbers: Mapping[int, object], pairs: set[_Pair]) -> list[set[int]]:
    """Connected components of at least two."""
    left = set(numbers)
    found = []
    while left:
        component = {left.pop()}
        while more := {one for pair in pairs if component & set(pair) for one in pair} - component:
            component |= more
        left -= component
        if len(component) > 1:
            found.append(component)
    return found
