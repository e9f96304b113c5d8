"""Grouping rotors that move together into vehicles, and the tilt of their discs.

Evidence for a pair is a log likelihood ratio, summed over time up to a limit: of the hypothesis
that both have one velocity (up to the differences that a turning vehicle causes), against the
hypothesis that each has its own, about as fast as they are seen to move. So rotors at rest provide
no evidence, and two fans on a table stay two. Motion of the image due to a turning camera is
subtracted where it is known.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.errors import ParameterError
from evio_ros.fusion.disc_normal import DiscNormal, Intrinsics, NormalChooser, disc_normals
from evio_ros.parameters import Parameters, parameter
from evio_ros.rotor_state import RotorState

__all__ = ["RotorVelocity", "VehicleObserver", "VehicleParameters", "Vehicles"]

_Real = NDArray[np.float64]
_NEVER_US = -(1 << 62)


@dataclass(frozen=True)
class VehicleParameters(Parameters):
    """When rotors are grouped into one vehicle."""

    difference_px_s: float = parameter(
        5.0,
        unit="px/s",
        minimum=0.1,
        maximum=1000.0,
        doc="Standard deviation of the velocity differences between rotors of one vehicle.",
    )
    difference_share: float = parameter(
        0.1,
        minimum=0.0,
        maximum=1.0,
        doc="The same relative to the rotors' speed: a vehicle also turns and comes closer.",
    )
    correlation_s: float = parameter(
        0.25,
        unit="s",
        minimum=0.001,
        maximum=60.0,
        doc="Velocities this far apart in time count as independent.",
    )
    evidence: float = parameter(
        5.0,
        minimum=0.1,
        maximum=100.0,
        doc="Log likelihood ratio above which a pair of rotors is joined; below its negative, "
        "the pair is separated.",
    )
    forget_s: float = parameter(
        3.0,
        unit="s",
        minimum=0.1,
        maximum=3600.0,
        doc="A rotor that is unseen for this long is forgotten.",
    )


class RotorVelocity(NamedTuple):
    """Velocity of a rotor's hub.

    Attributes:
        id: the rotor's number.
        velocity: (2,) of the hub, px/s.
        covariance: (2, 2) of the velocity, (px/s)^2.
    """

    id: int
    velocity: Sequence[float]
    covariance: Sequence[Sequence[float]] | _Real


class Vehicles:
    """Groups rotors over time; each group keeps a number of its own.

    Args:
        parameters: when rotors are joined.
    """

    def __init__(self, parameters: VehicleParameters | None = None) -> None:
        self.parameters = parameters or VehicleParameters()
        self._known: list[int] = []
        self._seen_us = np.empty(0, np.int64)
        self._evidence = np.empty((0, 0))
        self._joined = np.empty((0, 0), np.bool_)
        self._groups: dict[int, int] = {}
        self._next = 1

    def update(
        self, t_us: int, rotors: Sequence[RotorVelocity], camera: Sequence[float] = (0.0, 0.0)
    ) -> dict[int, int]:
        """Update with the velocities of one moment.

        Args:
            t_us: sensor time in µs; a rotor whose last time is not before it counts as seen, but
                its velocity is not used.
            rotors: all rotors in view; those with values that are not finite only count as seen.
            camera: (2,) motion of the image, px/s.

        Returns:
            The number of each rotor's vehicle by the rotor's number; 0 for a rotor in no group.
        """
        p = self.parameters
        is_changed = self._forget(t_us)
        if rotors:
            rows = self._rows_of([rotor.id for rotor in rotors])
            is_changed |= _weigh(
                (self._evidence, self._joined, self._seen_us),
                rows,
                np.array([rotor.velocity for rotor in rotors], np.float64) - np.array(camera),
                np.array([rotor.covariance for rotor in rotors], np.float64),
                t_us,
                (p.difference_px_s, p.difference_share, p.correlation_s, p.evidence),
            )
        if is_changed:
            self._groups = self._number(_components(self._known, self._joined))
        return {rotor.id: self._groups.get(rotor.id, 0) for rotor in rotors}

    def _forget(self, t_us: int) -> bool:
        """Drop rotors that have been unseen for long; returns whether there were any.

        Rotors seen that much later are dropped too: the clock was set back.
        """
        is_kept = np.abs(self._seen_us - t_us) <= 1e6 * self.parameters.forget_s
        if is_kept.all():
            return False
        kept = np.flatnonzero(is_kept)
        self._known = [self._known[row] for row in kept]
        self._seen_us = self._seen_us[kept]
        self._evidence = self._evidence[np.ix_(kept, kept)]
        self._joined = self._joined[np.ix_(kept, kept)]
        return True

    def _rows_of(self, numbers: Sequence[int]) -> NDArray[np.int64]:
        """Rows of rotors in the tables of pairs; new rotors get new rows."""
        new = [number for number in dict.fromkeys(numbers) if number not in self._known]
        if new:
            self._known += new
            self._seen_us = np.append(self._seen_us, np.full(len(new), _NEVER_US))
            around = ((0, len(new)), (0, len(new)))
            self._evidence = np.pad(self._evidence, around)
            self._joined = np.pad(self._joined, around)
        place = {number: row for row, number in enumerate(self._known)}
        return np.array([place[number] for number in numbers])

    def _number(self, components: Sequence[set[int]]) -> dict[int, int]:
        """Number each component: the number that most of its rotors had, or a new one."""
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
    """Adds the vehicle and the normal of the disc to the states of rotors.

    Args:
        parameters: when rotors are joined.

    Attributes:
        intrinsics: those of the camera; None if unknown, in which case no normals are given.
    """

    def __init__(self, parameters: VehicleParameters | None = None) -> None:
        self.intrinsics: Intrinsics | None = None
        self._vehicles = Vehicles(parameters)
        self._chooser = NormalChooser()
        self._groups: dict[int, int] = {}
        self._normals: dict[int, DiscNormal] = {}

    def note(self, states: Sequence[RotorState], camera: Sequence[float] = (0.0, 0.0)) -> None:
        """Update with the states of all rotors at the end of a window.

        Args:
            states: states of one time.
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
        candidates = {}
        for state in states:
            if self._groups[state.id]:
                # An outline that is too slender does not determine a tilt.
                with suppress(ParameterError):
                    candidates[state.id] = disc_normals(state.ellipse, self.intrinsics)
        self._normals = self._chooser.update(self._groups, candidates)

    def completed(self, states: Sequence[RotorState]) -> list[RotorState]:
        """The states with the group and normal of the last window."""
        return [self._completed(state) for state in states]

    def _completed(self, state: RotorState) -> RotorState:
        group, normal = self._groups.get(state.id, 0), self._normals.get(state.id)
        if normal is None:
            return state if state.group == group else replace(state, group=group)
        x, y, z = normal.normal.tolist()
        covariance = tuple(normal.covariance.ravel().tolist())
        return replace(state, group=group, normal=(x, y, z), normal_covariance=covariance)


@njit(cache=True, nogil=True)
def _weigh(pairs, rows, velocities, covariances, t_us, limits):
    """Update the evidence of all pairs, in place, by the velocities of one moment.

    Args:
        pairs: (n, n) evidence and whether they are joined, and (n,) when rotors were last seen.
        rows: (m,) rows of the rotors in view.
        velocities, covariances: (m, 2) in px/s and (m, 2, 2) in (px/s)^2.
        t_us: sensor time in µs.
        limits: difference in px/s and as a share, correlation time in s, and evidence, see
            `VehicleParameters`.

    Returns:
        Whether pairs were joined or separated.
    """
    evidence, joined, seen_us = pairs
    difference_px_s, difference_share, correlation_s, needed = limits
    is_changed = False
    for i in range(len(rows)):
        for j in range(i):
            first, second = rows[i], rows[j]
            last_us = max(seen_us[first], seen_us[second])
            elapsed_s = correlation_s if last_us == _NEVER_US else 1e-6 * (t_us - last_us)
            if elapsed_s <= 0.0 or first == second:
                continue
            ratio = _log_ratio(
                velocities[i],
                velocities[j],
                covariances[i] + covariances[j],
                difference_px_s,
                difference_share,
            )
            # A single velocity that is far off is an error rather than evidence.
            ratio = min(max(ratio, -needed), needed)
            gained = min(elapsed_s / correlation_s, 1.0) * ratio
            # Old evidence must not outweigh new evidence forever.
            total = min(max(evidence[first, second] + gained, -2 * needed), 2 * needed)
            is_joined = total > needed or (joined[first, second] and total >= -needed)
            is_changed |= is_joined != joined[first, second]
            evidence[first, second] = evidence[second, first] = total
            joined[first, second] = joined[second, first] = is_joined
    for row in rows:
        seen_us[row] = max(t_us, seen_us[row])
    return is_changed


@njit(cache=True, nogil=True)
def _log_ratio(a, b, noise, difference_px_s, share):
    """Log likelihood ratio of one velocity to two velocities; 0 if a value is not finite.

    Args:
        a, b: (2,) velocities, px/s.
        noise: (2, 2) covariance of their difference.
        difference_px_s, share: see `VehicleParameters`.
    """
    speed_square = 0.5 * (a[0] ** 2 + a[1] ** 2 + b[0] ** 2 + b[1] ** 2)
    # A speed that noise explains says nothing about how fast the rotors are.
    moved = max(speed_square - 0.5 * (noise[0, 0] + noise[1, 1]), 0.0)
    together = difference_px_s**2 + share**2 * moved
    off = a - b
    ratio = _log_normal(off, noise, together) - _log_normal(off, noise, together + moved)
    return ratio if math.isfinite(ratio) else 0.0


@njit(cache=True, nogil=True)
def _log_normal(value, noise, added):
    """Log density, up to a constant, of a value (2,) whose covariance is noise plus `added`.

    NaN if that is not positive definite.
    """
    xx, yy = noise[0, 0] + added, noise[1, 1] + added
    xy = 0.5 * (noise[0, 1] + noise[1, 0])
    determinant = xx * yy - xy * xy
    if not determinant > 0.0:
        return math.nan
    x, y = value
    square = (yy * x * x - 2.0 * xy * x * y + xx * y * y) / determinant
    return -0.5 * (square + math.log(determinant))


def _components(numbers: Sequence[int], joined: NDArray[np.bool_]) -> list[set[int]]:
    """Connected components of at least two."""
    left = set(range(len(numbers)))
    found = []
    while left:
        component = {left.pop()}
        reached = component
        while reached:
            near = np.flatnonzero(joined[list(reached)].any(axis=0))
            reached = set(near.tolist()) - component
            component = component | reached
        left -= component
        if len(component) > 1:
            found.append({numbers[row] for row in component})
    return found
