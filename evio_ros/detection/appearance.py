"""Appearance of objects: the network's own features within their boxes.

DeepSORT (Wojke, Bewley and Paulus, ICIP 2017) computes a vector for each box with a second network
and compares vectors by the cosine. Here the vector is the mean, over the box, of the hidden state
of the recurrent network's third stage, which has seen the object over several windows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["APPEARANCE_STAGE", "appearances"]

APPEARANCE_STAGE = 2
_CELL_PX = 16
"""Side of a cell of this stage in pixels of the network's input."""


def appearances(
    features: NDArray[np.float32], corners: NDArray[np.floating]
) -> NDArray[np.float64]:
    """A unit vector for each box.

    Args:
        features: float32 (channels, rows, columns), hidden state of the stage `APPEARANCE_STAGE`.
        corners: (n, 4) x0, y0, x1, y1 in pixels of the network's input.

    Returns:
        float64 (n, channels): the mean over the cells that a box touches, at least one, divided by
        its norm; zeros if the norm is zero.
    """
    _, rows, columns = features.shape
    limits = np.array([columns, rows] * 2)
    low = np.clip(np.floor(corners / _CELL_PX).astype(np.int64), 0, limits - 1)[:, :2]
    high = np.clip(np.ceil(corners / _CELL_PX).astype(np.int64), 1, limits)[:, 2:]
    high = np.maximum(high, low + 1)
    means = np.zeros((len(corners), len(features)))
    for i, ((x0, y0), (x1, y1)) in enumerate(zip(low, high, strict=True)):
        means[i] = features[:, y0:y1, x0:x1].mean(axis=(1, 2), dtype=np.float64)
    norms = np.linalg.norm(means, axis=1, keepdims=True)
    return means / np.where(norms > 0.0, norms, 1.0)
