"""Dense optical flow between two event pictures, by OpenCV."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evio_ros.errors import EvioError
from evio_ros.opencv import opencv

__all__ = ["dense_flow"]

_FARNEBACK = {
    "pyr_scale": 0.5,
    "levels": 3,
    "winsize": 15,
    "iterations": 3,
    "poly_n": 7,
    "poly_sigma": 1.5,
    "flags": 0,
}
_LEAST_SIDE_PX = 16
"""Minimum side for both methods."""


def dense_flow(
    before: NDArray[np.uint8], after: NDArray[np.uint8], method: str
) -> NDArray[np.float32]:
    """Displacement of every pixel from one picture to a later one.

    Args:
        before, after: (height, width), of the same shape, with sides of at least 16 pixels.
        method: "farneback" (Two-Frame Motion Estimation Based on Polynomial Expansion, SCIA 2003)
            or "dis" (Fast Optical Flow using Dense Inverse Search, ECCV 2016), which takes two
            thirds of the time.

    Returns:
        float32 (height, width, 2), shift in x and y in pixels.

    Raises:
        EvioError: if OpenCV is not installed, the method is unknown, or the pictures differ in
            shape or are too small.
    """
    cv2 = opencv("optical flow")
    if before.shape != after.shape or min(before.shape, default=0) < _LEAST_SIDE_PX:
        raise EvioError(
            f"optical flow from {before.shape} to {after.shape} pixels: both must be alike and "
            f"{_LEAST_SIDE_PX} a side at least"
        )
    if method == "farneback":
        flow = cv2.calcOpticalFlowFarneback(before, after, None, **_FARNEBACK)
    elif method == "dis":
        flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(
            before, after, None
        )
    else:
        raise EvioError(f"optical flow: {method!r} is not one of farneback, dis")
    return np.asarray(flow, np.float32)
