"""Smoothing speed over time with a Savitzky-Golay filter."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evio_ros.errors import ParameterError

__all__ = ["smoothed_speed"]


def smoothed_speed(
    rpm: ArrayLike, step_us: float, window: int = 7, order: int = 2
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lay a polynomial through every few speeds (Savitzky and Golay, Anal. Chem. 1964).

    Args:
        rpm: (n,) speeds at equal distances of time; nan where there was none.
        step_us: time from one to the next.
        window: number of speeds that a polynomial goes through, odd.
        order: degree of the polynomial, below `window`.

    Returns:
        Smoothed speed in rpm and acceleration in rpm/s, float64 (n,); gaps are bridged by straight
        lines before and nan after smoothing. All nan where fewer than `window` speeds are known.

    Raises:
        ParameterError: where the window is even, not above the order, or the step is not positive.
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
