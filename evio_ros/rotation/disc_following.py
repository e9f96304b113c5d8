"""Following a disc's centre and shape by the phase that its sectors show."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from evio_ros.ellipse import Ellipse
from evio_ros.rotation.spectrum import SpectrumFit

__all__ = ["deformed", "measure_deformation", "sector_offsets"]

Vector = NDArray[np.float64]

SECTORS = 16
MEAN_INVERSE_RADIUS = 1.6
"""Mean of 1 / radius over events spread evenly over the disc between hub and rim."""
LARGEST_SHIFT = 0.3
LARGEST_SHEAR = 0.2
PRIOR_PRECISION = np.array((1.0, 1e3, 1e3, 1e4, 1e4))
"""1 / variance of the common phase, shift and shear before the sectors are looked at."""


def sector_offsets(
    counts: NDArray[np.int32], fit: SpectrumFit, start_s: float, length_s: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """How far ahead of the common pattern each sector of the disc is.

    Args:
        counts: int32 (2, bins, angle bins) of the window or of a part of it.
        fit: the window's fit.
        start_s: start of `counts`, from the window's middle.
        length_s: length of `counts`.

    Returns:
        angle_rad (sectors,): middle of the sectors on the disc; offset_rad (sectors,): angle by
        which a sector's pattern is ahead; information (sectors,): 1 / variance of offset_rad.
    """
    bins, angle_bins = counts.shape[1:]
    time_s = start_s + (np.arange(bins) + 0.5) * (length_s / bins)
    turns = fit.frequency_hz * time_s + 0.5 * fit.frequency_rate * time_s**2
    angle = np.arange(angle_bins) * (2 * math.pi / angle_bins)
    slope = np.zeros(SECTORS)
    curvature = np.zeros(SECTORS)
    variance = np.zeros(SECTORS)
    counts = counts.astype(np.float32)
    for order in _strong_orders(fit.pattern):
        temporal = np.exp(2j * math.pi * order * turns).astype(np.complex64)
        spatial = np.exp(-1j * order * angle)
        harmonics = ((temporal @ counts) * spatial).reshape(2, SECTORS, -1)
        sums = harmonics.sum(axis=2)
        events = counts.sum(axis=1).reshape(2, SECTORS, -1).sum(axis=2)
        shape = fit.pattern[:, order] / np.maximum(fit.pattern[:, 0].real, 1.0)
        expected = events * shape[:, None]
        slope += order * (np.conj(expected) * sums).imag.sum(axis=0)
        curvature += order**2 * (np.abs(expected) ** 2).sum(axis=0)
        variance += order**2 * (np.abs(expected) ** 2 * 0.5 * events).sum(axis=0)
    used = curvature > 0
    offset = np.where(used, -slope / np.where(used, curvature, 1.0), 0.0)
    information = np.where(used, curvature**2 / np.maximum(variance, 1e-300), 0.0)
    middle = angle.reshape(SECTORS, -1).mean(axis=1)
    return middle, offset, information


def _strong_orders(pattern: NDArray[np.complex128]) -> list[int]:
    power = (np.abs(pattern[:, 1:]) ** 2 - 2 * pattern[:, :1].real).sum(axis=0)
    strongest = np.argsort(power)[::-1][:4]
    return [int(index) + 1 for index in strongest if power[index] > 0]


def measure_deformation(
    counts: NDArray[np.int32], fit: SpectrumFit, start_s: float, length_s: float
) -> tuple[Vector, Vector] | None:
    """How a disc must be moved and stretched for its sectors to agree in phase.

    On the disc (radius 1), with the centre wrong by (ex, ey) and the shape by the symmetric shear
    [[s0, s1], [s1, -s0]], the angle a of a point at radius r is taken too small by
    (ex sin a - ey cos a) / r + s0 sin 2a - s1 cos 2a, and there the pattern seems to lag by as
    much: linear in the error, once and twice around the disc. Small errors are more likely than
    large ones, so where the sectors say little the answer stays near zero.

    Args:
        counts, fit, start_s, length_s: see `sector_offsets`.

    Returns:
        shift (2,) in radii and shear (2,); None where too few sectors show the pattern.
    """
    angle, offset, information = sector_offsets(counts, fit, start_s, length_s)
    if np.count_nonzero(information > 0) < SECTORS // 2:
        return None
    design = np.stack(
        (np.ones(SECTORS), np.sin(angle), np.cos(angle), np.sin(2 * angle), np.cos(2 * angle)),
        axis=1,
    )
    precision = (design.T * information) @ design + np.diag(PRIOR_PRECISION)
    solution = np.linalg.solve(precision, (design.T * information) @ offset)
    shift = np.array((-solution[1], solution[2])) / MEAN_INVERSE_RADIUS
    shear = np.array((-solution[3], solution[4]))
    return _limited(shift, LARGEST_SHIFT), _limited(shear, LARGEST_SHEAR)


def _limited(vector: Vector, longest: float) -> Vector:
    """The vector, shortened to `longest`: a wild measurement must not throw the disc away."""
    return vector * min(1.0, longest / max(float(np.hypot(*vector)), 1e-12))


def deformed(ellipse: Ellipse, shift: Vector, shear: Vector) -> Ellipse:
    """The ellipse whose disc is displaced by `shift` radii and stretched by exp(`shear`)."""
    cosine, sine = math.cos(ellipse.tilt_rad), math.sin(ellipse.tilt_rad)
    rotation = np.array(((cosine, -sine), (sine, cosine)))
    to_image = rotation @ np.diag(ellipse.axes) @ rotation.T
    center = np.asarray(ellipse.center) + to_image @ shift
    stretched = to_image @ (np.eye(2) + np.array(((shear[0], shear[1]), (shear[1], -shear[0]))))
    directions, axes, _ = np.linalg.svd(stretched)
    tilt = math.atan2(directions[1, 0], directions[0, 0])
    wrapped = (tilt + math.pi / 2) % math.pi - math.pi / 2
    return Ellipse((float(center[0]), float(center[1])), (float(axes[0]), float(axes[1])), wrapped)
