"""Translation of a region of the image, from the dense flow of its events.

A rotor's blades move, but over a window of several blade passes they smear into a picture of its
disc, in which only the rim and what is fixed to it show the motion of the hub. Inside, the sensor's
fixed pattern (pixels differ in threshold) stands still and pulls dense flow to zero. So flow is
used along the gradient of the smoothed picture, weighted by the square of the gradient, as in Lucas
and Kanade (IJCAI 1981): the velocity v minimises the sum over pixels of rho(g . (v - f)) with flow
f, gradient g and Huber's rho. The flow of what turns about the hub is perpendicular to the radius
and cancels between opposite sides of the disc; the rest of it is an outlier.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.motion.dense_flow import dense_flow
from evio_ros.opencv import opencv

__all__ = ["UNKNOWN", "Translation", "translation_between"]

_ROUNDS = 5
_HUBER = 1.5
"""Residuals beyond this many standard deviations contribute linearly (Huber)."""
_MEDIAN_TO_STD = 1.4826
_SHARE_OF_BRIGHT = 0.05
"""Counts saturate at this share of a bright pixel's: that hides most of the sensor's fixed pattern.
Fitted to simulated recordings."""
_LEAST_ACTIVE = 25
"""Minimum number of pixels with events."""
_LEAST_DETERMINANT = 1e-3
"""Minimum determinant of the gradients' second moments over their squared trace: 0.25 if they point
in all directions; below, one direction is not determined."""
_LEAST_GRADIENT = 1.0
"""Minimum gradient, above that of noise, in grey levels per pixel."""
_PATTERN_PX = 0.35
"""Standard deviation of the shift in addition to that from the residuals, due to the remaining
fixed pattern of the sensor. Fitted to simulated recordings."""


@dataclass(frozen=True, slots=True)
class Translation:
    """Translational motion of a region.

    Attributes:
        velocity: mean velocity in x and y, px/s.
        covariance: ((xx, xy), (xy, yy)) of the velocity, (px/s)^2; variances are infinite if it is
            unknown.
        speed: mean magnitude of the flow, px/s.
        pixels: number of pixels with events; 0 if the motion is unknown.
    """

    velocity: tuple[float, float]
    covariance: tuple[tuple[float, float], tuple[float, float]]
    speed: float
    pixels: int


UNKNOWN = Translation((0.0, 0.0), ((math.inf, 0.0), (0.0, math.inf)), 0.0, 0)


def translation_between(
    before: NDArray[np.uint8],
    after: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    smoothing_px: float,
    seconds: float,
    method: str,
    scale: float = 1.0,
) -> Translation:
    """Motion of a region from one count of events to a later one.

    Args:
        before, after: (height, width) number of events of each pixel.
        mask: (height, width) pixels of the region.
        smoothing_px: standard deviation of the smoothing, in pixels of these arrays.
        seconds: time between the two counts.
        method: see `dense_flow`.
        scale: side of a pixel of these arrays in pixels of the sensor.

    Returns:
        The motion in pixels of the sensor; `UNKNOWN` if there are too few events, or no structure
        in two directions.

    Raises:
        EvioError: see `dense_flow`.
    """
    active = int(np.count_nonzero(before[mask]))
    if min(active, int(np.count_nonzero(after[mask]))) < _LEAST_ACTIVE:
        return UNKNOWN
    first, second = (_smoothed(counts, mask, smoothing_px) for counts in (before, after))
    flow = dense_flow(first, second, method)
    cv2 = opencv("optical flow")
    gradient = np.stack([cv2.Sobel(first, cv2.CV_32F, *way) for way in ((1, 0), (0, 1))], -1) / 8
    steep = mask & (np.hypot(gradient[..., 0], gradient[..., 1]) > _LEAST_GRADIENT)
    x, y, xx, xy, yy = _solve(gradient[steep], flow[steep])
    if not math.isfinite(xx):
        return UNKNOWN
    factor = scale / seconds
    # Pixels within the smoothing length are not independent.
    alike, pattern = 4 * math.pi * smoothing_px**2 * factor**2, (_PATTERN_PX * factor) ** 2
    covariance = (alike * xx + pattern, alike * xy), (alike * xy, alike * yy + pattern)
    sizes = np.hypot(flow[steep][:, 0], flow[steep][:, 1])
    return Translation((x * factor, y * factor), covariance, float(sizes.mean()) * factor, active)


def _smoothed(
    counts: NDArray[np.uint8], mask: NDArray[np.bool_], smoothing_px: float
) -> NDArray[np.uint8]:
    """Saturated counts, smoothed, as grey levels."""
    seen = counts[mask & (counts > 0)]
    full = max(_SHARE_OF_BRIGHT * float(np.percentile(seen, 90)), 1.0)
    grey = np.minimum(counts * np.float32(255.0 / full), 255.0, dtype=np.float32)
    smooth: NDArray[np.float32] = opencv("optical flow").GaussianBlur(grey, (0, 0), smoothing_px)
    return smooth.astype(np.uint8)


@njit(cache=True, nogil=True)
def _solve(gradient, flow):
    """Shift that fits flow (n, 2) along gradients (n, 2), by iteratively reweighted least squares.

    Returns:
        Shift x and y in pixels; covariance xx, xy and yy for independent pixels, infinite variances
        if one direction is not determined.
    """
    n = len(gradient)
    residual, weight = np.empty(n), np.ones(n)
    x = y = xx = xy = yy = variance = 0.0
    for _ in range(_ROUNDS):
        xx = xy = yy = along_x = along_y = 0.0
        for i in range(n):
            gx, gy = gradient[i, 0], gradient[i, 1]
            along = weight[i] * (gx * flow[i, 0] + gy * flow[i, 1])
            along_x += gx * along
            along_y += gy * along
            xx += weight[i] * gx * gx
            xy += weight[i] * gx * gy
            yy += weight[i] * gy * gy
        determinant = xx * yy - xy * xy
        if not determinant > _LEAST_DETERMINANT * (xx + yy) ** 2:
            return 0.0, 0.0, np.inf, 0.0, np.inf
        x = (yy * along_x - xy * along_y) / determinant
        y = (xx * along_y - xy * along_x) / determinant
        for i in range(n):
            gx, gy = gradient[i, 0], gradient[i, 1]
            residual[i] = abs(gx * (flow[i, 0] - x) + gy * (flow[i, 1] - y))
        spread = _MEDIAN_TO_STD * np.median(residual) + 1e-6
        squares = total = 0.0
        for i in range(n):
            weight[i] = 1.0 / max(residual[i] / (_HUBER * spread), 1.0)
            squares += weight[i] * residual[i] ** 2
            total += weight[i]
        variance = squares / total
    return (
        x,
        y,
        variance * yy / determinant,
        -variance * xy / determinant,
        variance * xx / determinant,
    )
