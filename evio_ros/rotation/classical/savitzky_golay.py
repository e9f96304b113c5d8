"""Smoothing speed over time with a Savitzky-Golay filter."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evio_ros.errors import ParameterError

__all__ = ["smoothed_speed"]


def smoothed_speed(
    rpm: ArrayLike, step_us: float, window: int = 7, order: int = 2
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Smooth speeds by local polynomial fits (Savitzky and Golay, Anal. Chem. 1964).

    Args:
        rpm: (n,) speeds at equal time intervals; NaN where there is none.
        step_us: time between them in µs.
        window: number of speeds in a fit, odd.
        order: degree of the polynomial, below `window`.

    Returns:
        Smoothed speed in rpm and acceleration in rpm/s, float64 (n,) each. Gaps are interpolated
        linearly for the fit, and NaN in the result. All NaN if fewer than `window` speeds are
        known.

    Raises:
        ParameterError: if the window is even or not above the order, or the step is not positive.
    """
    from scipy.signal import savgol_filter

    rpm = np.asarray(rpm, np.float64)
    if window % 2 == 0 or window <= order or order < 0:
        raise ParameterError(f"window: {window} is not odd and above the order {order}")
    if not step_us > 0:
        raise ParameterError(f"step_us: {step_us} is not above 0")
    known = np.isfinite(rpm)
    if np.count_nonzero(known) < window:
        return np.full(len(rpm), np.nan), np.full(len(rpm), np.nan)
    index = np.arange(len(rpm))
    filled = np.interp(index, index[known], rpm[known])
    smooth = savgol_filter(filled, window, order)
    slope = savgol_filter(filled, window, order, deriv=1, delta=1e-6 * step_us)
    return np.where(known, smooth, np.nan), np.where(known, slope, np.nan)
