"""The visible part of a turning disc's rim, and the likelihood of the disc's shape given it.

Whatever turns about a hub sweeps a disc, whose image is an ellipse. In each sector of the image
about the hub, the rim is at the radius of greatest likelihood for a step down in the number of
events per pixel. Square roots of these numbers have the same variance everywhere (Anscombe 1948).

With u(theta, s) the radius of the ellipse of shear s and area pi, the radii are

    r(theta) = R u (1 + u k . (cos theta, sin theta)) + noise,    k ~ N(0, k0^2),

with R unknown. k is the offset of the hub from the middle of the ellipse: in perspective, it is the
sine of the obliqueness times the radius over the distance of the disc. Given s, the model is linear
in R and R k, which are eliminated. Weights leave out points that are not on the rim (graduated
non-convexity: Blake and Zisserman, *Visual Reconstruction*, 1987). A complete rim determines s
almost alone, an arc constrains it, and without a rim the likelihood is flat.

The events of a sector also end at the border of the view, or where something covers the disc. Such
ends form straight lines, or lines that are steep on the disc, and are left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from evio_ros.ellipse import Ellipse
from evio_ros.events import RegionOfInterest
from evio_ros.rotation.phase_path.event_count_time import CountedEvents

__all__ = ["STRONG", "DiscRim", "on_discs"]

_Real = NDArray[np.float64]

STRONG = math.log(20.0)
"""Log of the Bayes factor from which evidence counts as strong (Kass and Raftery 1995)."""
_SECTOR_PX, _MOST_SECTORS = 2.0, 128
"""Width of a sector at the rim, and greatest number of them."""
_DEPTH_PX = 3.0
"""Depth of a sector that must be in view, both inside and outside of the rim."""
_OFF_LINE_PX, _LONGEST_ARC = 1.0, 1.5
"""Points within the first of a chord form a line if the chord is longer than that of such an arc by
the second factor. An arc of that length is 2.25 times as far from its chord, which exceeds the
errors of pixels."""
_NEXT, _STEEPEST = 3.5, 0.5
"""The next point of an arc is within the first number of sectors, and the slope to it, relative to
a circle on the disc, is below the second. The slope is twice the error of the shear plus that of
the hub's offset, which is below 0.3."""
_OFF_CENTER = 0.1
"""Standard deviation of the hub's offset from the middle of the rim, in radii: that of a disc at a
distance of five radii that is tilted by 30 degrees."""
_UNKNOWNS = 5
"""Parameters of an ellipse: size, shear and middle."""
_FEWEST_POINTS, _LEAST_FITTED, _OUTLIER = 2 * _UNKNOWNS, 0.67, 3.0
"""Minimum number of points, and minimum share of them within a number of standard deviations of an
ellipse; otherwise they are not a rim."""
_REACHES = (30.0, 10.0, 5.0, 3.0, 3.0)
"""Errors in standard deviations beyond which points lose weight, from round to round."""
_PARTS = 8
"""Number of parts in which the grid of shears is fitted, which limits the memory."""


@dataclass(frozen=True, slots=True)
class DiscRim:
    """Points at which the events of a disc end, at most one for each sector about the hub.

    Attributes:
        angles: (n,) in the image, rad, increasing.
        radii: (n,) pixels.
        std: (n,) of the radii, pixels.
        sector: angle from one sector to the next, rad.
    """

    angles: _Real
    radii: _Real
    std: _Real
    sector: float

    @classmethod
    def of(cls, counted: CountedEvents, ellipse: Ellipse, view: RegionOfInterest) -> Self:
        """The points at which the events of a disc end.

        Args:
            counted: the events, weighted by their shares.
            ellipse: the disc, of which the hub and approximately the size are used.
            view: the pixels that could have sent events; it may extend beyond the sensor.
        """
        events, hub = counted.events, ellipse.center
        counts = np.zeros((events.size.height, events.size.width))
        np.add.at(counts, (events.y, events.x), counted.shares)
        counts = counts[view.y0 : view.y1, view.x0 : view.x1]
        if not counts.any():
            nothing = np.zeros(0)
            return cls(nothing, nothing, nothing, 2 * math.pi)
        # Hot pixels count no more than the median.
        roots = 2 * np.sqrt(np.minimum(counts, np.median(counts[counts > 0])) + 3 / 8)
        rows, columns = np.indices(counts.shape)
        dx, dy = columns + view.x0 - hub[0], rows + view.y0 - hub[1]
        radii = np.hypot(dx, dy).ravel()
        radius = math.sqrt(ellipse.axes[0] * ellipse.axes[1])
        sectors = min(math.ceil(2 * math.pi * radius / _SECTOR_PX), _MOST_SECTORS)
        turns = np.arctan2(dy, dx).ravel() / (2 * math.pi) + 0.5
        sector = np.minimum((turns * sectors).astype(np.int64), sectors - 1)
        order = np.lexsort((radii, sector))
        bounds = np.searchsorted(sector[order], np.arange(sectors + 1))
        # The end may be at any pixel: a Bonferroni correction.
        least_gain = STRONG + math.log(counts.size)
        found = []
        for number in range(sectors):
            pixels = order[bounds[number] : bounds[number + 1]]
            end = _end_of_events(radii[pixels], roots.ravel()[pixels], least_gain)
            if end is not None:
                found.append((2 * math.pi * ((number + 0.5) / sectors - 0.5), *end))
        angles, ends, std = np.array(found).reshape(-1, 3).T
        return cls(angles, ends, std, 2 * math.pi / sectors)

    @property
    def points(self) -> _Real:
        """Relative to the hub, (n, 2)."""
        directions = np.stack((np.cos(self.angles), np.sin(self.angles)), axis=1)
        return self.radii[:, None] * directions

    def where(self, kept: NDArray[np.bool_]) -> DiscRim:
        """Some of the points.

        Args:
            kept: bool (n,), which ones.
        """
        return DiscRim(self.angles[kept], self.radii[kept], self.std[kept], self.sector)

    def arcs(self, shear: _Real) -> DiscRim:
        """The points that may be on arcs about the hub.

        On the disc, neighbouring points of an arc have nearly the same radius. And an arc is not
        straight: at the distance D from the hub, it stays within d of its chord only if half the
        chord is at most sqrt(2 d D) long. The ratio of this to D does not depend on the view.

        Args:
            shear: (2,), approximately that of the disc.
        """
        if len(self.angles) < _FEWEST_POINTS:
            return self.where(np.zeros(len(self.angles), bool))
        _, along, across = on_discs(self.angles, shear[None])
        on_disc = self.radii[:, None] * np.concatenate((along, across)).T
        following = np.roll(on_disc, -1, axis=0)
        rise = np.abs(np.hypot(*following.T) - np.hypot(*on_disc.T))
        is_near = (np.roll(self.angles, -1) - self.angles) % (2 * math.pi) < _NEXT * self.sector
        is_level = is_near & (rise < _STEEPEST * np.hypot(*(following - on_disc).T))
        return self.where(~_is_straight(self, on_disc) & (is_level | np.roll(is_level, 1)))

    def log_likelihood(self, shears: _Real) -> _Real:
        """Log likelihood of shears of the disc, up to a constant.

        Args:
            shears: (m, 2).

        Returns:
            (m,); 0 for all if the points are too few, or not on an ellipse about the hub.
        """
        flat = np.zeros(len(shears))
        if len(self.angles) < _FEWEST_POINTS:
            return flat
        log_likelihood, fitted, dispersion = _rim_fits(self, shears)
        best = int(log_likelihood.argmax())
        if fitted[best] < _LEAST_FITTED:
            return flat
        if dispersion[best] > 1.0:
            rim = replace(self, std=self.std * math.sqrt(dispersion[best]))
            log_likelihood = _rim_fits(rim, shears)[0]
        return log_likelihood


def _end_of_events(radii: _Real, roots: _Real, least_gain: float) -> tuple[float, float] | None:
    """Radius of the most likely step down in a sector, and its standard deviation.

    Args:
        radii: (n,) increasing radii of the sector's pixels, pixels.
        roots: (n,) square roots of their numbers of events, of unit variance.
        least_gain: minimum log likelihood ratio against no step.
    """
    pixels = len(radii)
    if pixels < 2:
        return None
    inside = np.arange(1, pixels)
    may_end = (radii[:-1] > radii[0] + _DEPTH_PX) & (radii[1:] < radii[-1] - _DEPTH_PX)
    sums = np.cumsum(roots)
    step = sums[:-1] / inside - (sums[-1] - sums[:-1]) / (pixels - inside)
    gain = np.where(may_end & (step > 0), 0.5 * inside * (pixels - inside) / pixels * step**2, 0.0)
    best = int(gain.argmax())
    scatter = float(((roots - sums[-1] / pixels) ** 2).sum()) - 2 * float(gain[best])
    gain /= max(scatter / pixels, 1.0)
    if gain[best] < least_gain:
        return None
    # The radii within one standard deviation, including the pixels on either side.
    likely = np.flatnonzero(gain > gain[best] - 0.5)
    low, high = radii[likely[0]], radii[likely[-1] + 1]
    return 0.5 * float(low + high), math.sqrt((1.0 + float(high - low) ** 2) / 12)


def _is_straight(rim: DiscRim, on_disc: _Real) -> NDArray[np.bool_]:
    """Whether each point, (n,), is on a line that is too long for an arc, see `DiscRim.arcs`."""
    points, number = rim.points, len(rim.angles)
    after = np.arange(number // 2 + 1)
    index = (np.arange(number)[:, None] + after) % number
    chord = points[index] - points[:, None]  # (n, after, 2)
    normal = np.stack((-chord[..., 1], chord[..., 0]), axis=2)
    normal /= np.maximum(np.hypot(*chord.T).T, 1e-9)[..., None]
    is_near = np.abs(np.einsum("ijc,ikc->ijk", normal, chord)) <= _OFF_LINE_PX
    is_line = (is_near | (after > after[:, None])).all(axis=2)
    is_next = np.diff(rim.angles[index], axis=1) % (2 * math.pi) < _NEXT * rim.sector
    is_line[:, 1:] &= is_next.cumprod(axis=1) > 0
    first, last = on_disc[:, None], on_disc[index]
    area = np.abs(first[..., 0] * last[..., 1] - first[..., 1] * last[..., 0])
    # On the disc: half the chord over its distance from the hub.
    ratio = 0.5 * ((last - first) ** 2).sum(axis=2) / np.maximum(area, 1e-9)
    distance = (normal * points[:, None]).sum(axis=2)
    longest = _LONGEST_ARC * np.sqrt(2 * _OFF_LINE_PX / np.maximum(np.abs(distance), _OFF_LINE_PX))
    straight = np.zeros(number, bool)
    for start, end in zip(*np.nonzero(is_line & (ratio > longest)), strict=True):
        straight |= np.abs(points @ normal[start, end] - distance[start, end]) <= _OFF_LINE_PX
    return straight


def on_discs(angles: _Real, shears: _Real) -> tuple[_Real, _Real, _Real]:
    """Unit vectors of the image on discs that are seen with given shears.

    Args:
        angles: (n,), their directions in the image.
        shears: (m, 2).

    Returns:
        Angles from the long axes of the discs' ellipses, and components of the vectors on the discs
        along and across these axes, each (m, n). An ellipse of the area pi has radius 1 on its
        disc.
    """
    relative = angles - 0.5 * np.arctan2(shears[:, 1], shears[:, 0])[:, None]
    stretch = np.exp(np.hypot(*shears.T))[:, None]
    return relative, np.cos(relative) / stretch, np.sin(relative) * stretch


def _rim_fits(rim: DiscRim, shears: _Real) -> _Real:
    """How well ellipses of shears, (m, 2), fit a rim.

    Returns:
        (3, m): log likelihood, share of the points near the ellipse, and the mean square of their
        errors in standard deviations.
    """
    parts = np.array_split(shears, _PARTS)
    return np.concatenate([_some_rim_fits(rim, part) for part in parts], axis=1)


def _some_rim_fits(rim: DiscRim, shears: _Real) -> _Real:
    """As `_rim_fits`."""
    angles, std = rim.angles, rim.std
    _, along, across = on_discs(angles, shears)
    radii = 1 / np.hypot(along, across)
    design = np.stack((radii, radii**2 * np.cos(angles), radii**2 * np.sin(angles)), axis=2)
    design /= std[:, None]
    precision = (_OFF_CENTER * float(np.median(rim.radii))) ** -2
    prior = np.diag((0.0, precision, precision))
    weights = np.ones((len(shears), len(angles)))
    for reach in _REACHES:
        weighted = design * weights[:, :, None]
        information = weighted.transpose(0, 2, 1) @ design + prior
        score = np.einsum("mnk,n->mk", weighted, rim.radii / std)
        solution = np.linalg.solve(information, score[..., None])[..., 0]
        errors = rim.radii / std - np.einsum("mnk,mk->mn", design, solution)
        weights = 1 / (1 + (errors / reach) ** 2) ** 2
    surprise = np.minimum(errors**2, _OUTLIER**2).sum(axis=1) + solution**2 @ np.diag(prior)
    log_likelihood = -0.5 * (surprise + np.linalg.slogdet(information)[1])
    is_near = np.abs(errors) < _OUTLIER
    free = np.maximum(is_near.sum(axis=1) - _UNKNOWNS, 1)
    dispersion = (errors**2 * is_near).sum(axis=1) / free
    return np.stack((log_likelihood, is_near.mean(axis=1), dispersion))
