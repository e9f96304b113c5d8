"""Outlines of active regions: edges and contours of the number of events of each pixel.

Methods: edges by Canny (A computational approach to edge detection, IEEE PAMI 8, 1986), contours by
Suzuki and Abe (Topological structural analysis of digitized binary images by border following,
CVGIP 30, 1985).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evio_ros.ellipse import Ellipse, wrapped_tilt
from evio_ros.opencv import opencv
from evio_ros.parameters import Parameters, parameter

__all__ = ["outlines"]


@dataclass(frozen=True)
class _OutlineParameters(Parameters):
    """How the numbers of events are smoothed and which contours count."""

    smoothing_px: float = parameter(
        2.0, unit="px", minimum=0.1, maximum=100.0, doc="Standard deviation of the smoothing."
    )
    canny_low: float = parameter(
        20.0, minimum=0.0, maximum=255.0, doc="Edges are followed down to this gradient."
    )
    canny_high: float = parameter(
        60.0, minimum=0.0, maximum=255.0, doc="Edges start at this gradient."
    )
    minimum_side_px: float = parameter(
        8.0, unit="px", minimum=1.0, doc="Narrower outlines are ignored."
    )


def outlines(
    activity: NDArray[np.integer], parameters: _OutlineParameters | None = None
) -> list[Ellipse]:
    """Ellipses that fill the rectangles of least area around the contours of active regions.

    Edges are found in the smoothed square root of the numbers of events, gaps in them are closed by
    dilation and erosion, and their outer contours are followed.

    Args:
        activity: (height, width) number of events of each pixel.
        parameters: smoothing and thresholds.

    Returns:
        The ellipses, the largest first; contours within another one are ignored.

    Raises:
        EvioError: where OpenCV is not installed.
    """
    p = parameters or _OutlineParameters()
    cv2 = opencv("finding outlines")
    # The square root of a Poisson number has about the same variance for all means.
    root = np.sqrt(activity.astype(np.float32))
    smooth = cv2.GaussianBlur(root, (0, 0), p.smoothing_px)
    # A hundredth of the pixels may exceed the scale, so that hot pixels do not determine it.
    top = float(np.percentile(smooth[smooth > 0], 99)) if (smooth > 0).any() else 0.0
    if top <= 0.0:
        return []
    picture = np.clip(smooth * (255.0 / top), 0, 255).astype(np.uint8)
    edges = cv2.Canny(picture, p.canny_low, p.canny_high, L2gradient=True)
    reach = 2 * math.ceil(p.smoothing_px) + 1
    closed = cv2.morphologyEx(edges, cv2.MORPH_CLOSE, np.ones((reach, reach), np.uint8))
    contours, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    corners = [cv2.boxPoints(cv2.minAreaRect(contour)) for contour in contours]
    found = [_ellipse(np.asarray(four, np.float64)) for four in corners]
    found = [ellipse for ellipse in found if 2 * ellipse.axes[1] >= p.minimum_side_px]
    return sorted(found, key=lambda ellipse: ellipse.axes[0] * ellipse.axes[1], reverse=True)


def _ellipse(corners: NDArray[np.float64]) -> Ellipse:
    """The ellipse that fills a rectangle given by its corners (4, 2) in their order."""
    center = corners.mean(axis=0)
    sides = (corners[1] - corners[0], corners[2] - corners[1])
    long, short = sorted(sides, key=lambda side: float(np.hypot(*side)), reverse=True)
    tilt = math.atan2(float(long[1]), float(long[0]))
    axes = (float(np.hypot(*long)) / 2, float(np.hypot(*short)) / 2)
    return Ellipse((float(center[0]), float(center[1])), axes, wrapped_tilt(tilt))
