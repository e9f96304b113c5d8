"""The tilt of a rotor's disc, from its ellipse in the image and the camera's intrinsics.

Method: the rays through the ellipse form a cone; in the frame of its eigenvectors a circular
section has one of two normals (Chen, Li and Tian, Camera calibration with two arbitrary coplanar
circles, ECCV 2004, section 2). A single disc does not show which of them is right. But the rotors
of a vehicle have parallel axes, and the wrong normals of discs in different places of the image are
not parallel. Lens distortion is ignored.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evio_ros.ellipse import Ellipse
from evio_ros.errors import ParameterError

__all__ = ["DiscNormal", "Intrinsics", "NormalChooser", "disc_normals"]

_Real = NDArray[np.float64]
_SHAPE_STD = 0.005
"""Standard deviation of the shear of a disc's outline as the detector measures it: 0.0008 to 0.0025
on simulated drones, more on discs that turn."""
_CANT_RAD = 0.03
"""Standard deviation of the angle between the axes of one vehicle's rotors."""
_SETTLED, _DOUBTED = 3.0, 1.0
"""Log likelihood ratio at which one side of the tilt is accepted, and below which it no longer
is."""
_LEAST_FOCAL_PX, _FARTHEST_PX = 1.0, 1e6
"""Minimum focal length and maximum coordinate of a plausible camera."""
_LEAST_AXIS_PX, _LEAST_ROUNDNESS = 0.1, 1e-3
"""Minimum shorter semi-axis, and minimum ratio of the semi-axes: below, an outline does not
determine a tilt."""
_MEMORY = 0.1
"""Weight of a new window; errors of windows are correlated, so evidence is averaged, not summed."""


@dataclass(frozen=True, slots=True)
class Intrinsics:
    """A pinhole camera, all in pixels.

    Attributes:
        focal: (x, y) focal lengths.
        principal: (x, y) where the optical axis meets the image.

    Raises:
        ParameterError: if a focal length is not above 0, or a value is not plausible.
    """

    focal: tuple[float, float]
    principal: tuple[float, float]

    def __post_init__(self) -> None:
        if not all(0 < one < math.inf for one in self.focal):
            raise ParameterError(f"focal length {self.focal} px is not above 0")
        if not all(_LEAST_FOCAL_PX <= one <= _FARTHEST_PX for one in self.focal):
            raise ParameterError(f"focal length {self.focal} px is implausible")
        if not all(abs(one) <= _FARTHEST_PX for one in self.principal):
            raise ParameterError(f"principal point {self.principal} px is implausible")

    @property
    def matrix(self) -> _Real:
        """(3, 3) from the optical frame (x right, y down, z ahead) to pixels."""
        (fx, fy), (cx, cy) = self.focal, self.principal
        return np.array(((fx, 0.0, cx), (0.0, fy, cy), (0.0, 0.0, 1.0)))


class DiscNormal(NamedTuple):
    """A unit normal towards the camera, in its optical frame, (3,), and its covariance (3, 3)."""

    normal: _Real
    covariance: _Real


def disc_normals(
    ellipse: Ellipse, intrinsics: Intrinsics, shape_std: float = _SHAPE_STD
) -> tuple[DiscNormal, DiscNormal]:
    """Both normals that a disc can have.

    Args:
        ellipse: its image.
        intrinsics: of the camera.
        shape_std: standard deviation of the outline's shear.

    Returns:
        Each with the covariance that follows from the outline's uncertainty. For a disc seen face
        on, the two nearly coincide, and their uncertainty is of the order of the square root of
        `shape_std`.

    Raises:
        ParameterError: if the ellipse is too small or slender, or lies too far outside the image.
    """
    is_wide = ellipse.axes[1] >= max(_LEAST_AXIS_PX, _LEAST_ROUNDNESS * ellipse.axes[0])
    if not is_wide or not all(abs(one) <= _FARTHEST_PX for one in (*ellipse.center, *ellipse.axes)):
        raise ParameterError(
            f"an ellipse with semi-axes {ellipse.axes} px does not determine a normal"
        )
    nominal = _normals(_outline(ellipse), ellipse.center, intrinsics)
    covariances = np.zeros((2, 3, 3))
    for shear in np.eye(2):
        for step in (-shape_std, shape_std):
            (a, b), sheared = step * shear, _outline(ellipse)
            sheared = sheared @ np.array(((1 + a, b), (b, 1 - a)))
            moved = _normals(sheared, ellipse.center, intrinsics)
            for index, normal in enumerate(nominal):
                off = min((one - normal for one in moved), key=lambda one: float(one @ one))
                covariances[index] += 0.5 * np.outer(off, off)
    first, second = (DiscNormal(*pair) for pair in zip(nominal, covariances, strict=True))
    return first, second


def _outline(ellipse: Ellipse) -> _Real:
    """Matrix (2, 2) that maps the unit circle to the ellipse about its centre."""
    cosine, sine = math.cos(ellipse.tilt_rad), math.sin(ellipse.tilt_rad)
    turn = np.array(((cosine, -sine), (sine, cosine)))
    return turn @ np.diag(ellipse.axes) @ turn.T


def _normals(outline: _Real, center: tuple[float, float], intrinsics: Intrinsics) -> list[_Real]:
    to_image = np.eye(3)
    to_image[:2, :2], to_image[:2, 2] = outline, center
    from_rays = np.linalg.inv(to_image) @ intrinsics.matrix
    cone = from_rays.T @ np.diag((1.0, 1.0, -1.0)) @ from_rays
    values, vectors = np.linalg.eigh(cone)
    least, middle, most = values.tolist()
    across = math.sqrt(max(most - middle, 0.0) / (most - least))
    along = math.sqrt((middle - least) / (most - least))
    ray = np.linalg.solve(intrinsics.matrix, np.array((*center, 1.0)))
    found = []
    for side in (across, -across):
        normal = side * vectors[:, 2] + along * vectors[:, 0]
        found.append(-normal if normal @ ray > 0 else normal)
    return found


class _Tilt(NamedTuple):
    """The assumed axis of a vehicle, and its log likelihood ratio to the other possible one."""

    axis: _Real
    evidence: float
    is_settled: bool


class NormalChooser:
    """Decides over time which normal of each rotor of a vehicle is the right one."""

    def __init__(self) -> None:
        self._tilts: dict[int, _Tilt] = {}

    def update(
        self, groups: Mapping[int, int], candidates: Mapping[int, tuple[DiscNormal, DiscNormal]]
    ) -> dict[int, DiscNormal]:
        """Update with the normals of one window.

        Args:
            groups: number of each rotor's vehicle by the rotor's number, 0 for none.
            candidates: both normals of each rotor in view by its number, see `disc_normals`.

        Returns:
            The right normal, by number, of each rotor for which it is settled.
        """
        members: dict[int, list[int]] = {}
        for number in candidates:
            if groups.get(number):
                members.setdefault(groups[number], []).append(number)
        self._tilts = {group: tilt for group, tilt in self._tilts.items() if group in members}
        chosen = {}
        for group, numbers in members.items():
            pairs = [candidates[number] for number in numbers]
            tilt = self._tilts[group] = _weighed(pairs, self._tilts.get(group))
            if tilt.is_settled:
                for number, pair in zip(numbers, pairs, strict=True):
                    chosen[number] = pair[_nearer(pair, tilt.axis)]
        return chosen


def _weighed(pairs: list[tuple[DiscNormal, DiscNormal]], before: _Tilt | None) -> _Tilt:
    """The tilt after one more window."""
    best, cost = _best_axis([one.normal for pair in pairs for one in pair], pairs)
    sides = [_nearer(pair, best) for pair in pairs]
    other, other_cost = _best_axis(
        [pair[1 - side].normal for pair, side in zip(pairs, sides, strict=True)], pairs
    )
    ratio = 0.5 * (other_cost - cost)
    if before is None:
        return _Tilt(best, ratio, False)
    if np.linalg.norm(best - before.axis) > np.linalg.norm(other - before.axis):
        best, other, ratio = other, best, -ratio
    evidence = before.evidence + _MEMORY * (ratio - before.evidence)
    if evidence < 0:
        return _Tilt(other, -evidence, False)
    return _Tilt(best, evidence, evidence > (_DOUBTED if before.is_settled else _SETTLED))


def _best_axis(
    axes: list[_Real], pairs: list[tuple[DiscNormal, DiscNormal]]
) -> tuple[_Real, float]:
    """The axis that agrees best with all discs, and the sum of its squared distances to them."""
    costs = [sum(min(_distance(one, axis) for one in pair) for pair in pairs) for axis in axes]
    best = int(np.argmin(costs))
    return axes[best], float(costs[best])


def _nearer(pair: tuple[DiscNormal, DiscNormal], axis: _Real) -> int:
    return int(_distance(pair[1], axis) < _distance(pair[0], axis))


def _distance(one: DiscNormal, axis: _Real) -> float:
    """Squared Mahalanobis distance of a normal from a vehicle's axis."""
    off = one.normal - axis
    return float(off @ np.linalg.solve(one.covariance + _CANT_RAD**2 * np.eye(3), off))
