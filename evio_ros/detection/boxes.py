"""Boxes that a network has found, and the choice of those that are kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evio_ros.errors import ParameterError

__all__ = ["Boxes", "kept_boxes", "overlaps"]

_Real = NDArray[np.float64]
_OBJECT, _FIRST_CLASS = 4, 5
"""Columns of a network's prediction: probability of an object, and of the classes given one."""


@dataclass(frozen=True, slots=True)
class Boxes:
    """Boxes of one moment, the most certain first.

    Attributes:
        corners: float64 (n, 4): x0, y0, x1, y1 in pixels, pixel i from i to i + 1.
        scores: float64 (n,): probability of an object of the class.
        labels: int64 (n,): number of the class.
    """

    corners: _Real
    scores: _Real
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> Boxes:
        """Some of the boxes, by a mask or by their numbers."""
        return Boxes(self.corners[chosen], self.scores[chosen], self.labels[chosen])


def kept_boxes(
    predictions: NDArray[np.floating], minimum_score: float, maximum_overlap: float, most: int
) -> Boxes:
    """Choose among all predicted boxes: greedy non-maximum suppression within each class.

    The most certain box is kept, and those of its class that it overlaps by more than
    `maximum_overlap` (intersection over union) are dropped; and so on with the rest.

    Args:
        predictions: (places, 5 + classes) as of `RvtNetwork`: centre x and y, width and height in
            pixels, the probability of an object, and that of each class given one.
        minimum_score: boxes that are less probable are dropped, 0 to 1.
        maximum_overlap: 0 to 1.
        most: so many of the most certain ones are kept at most.

    Returns:
        The boxes kept; those with a number that is not finite are none.

    Raises:
        ParameterError: where the shape is another, or OpenCV is missing.
    """
    if predictions.ndim != 2 or predictions.shape[1] <= _FIRST_CLASS:
        raise ParameterError(f"predictions are {predictions.shape}, not (places, 5 + classes)")
    classes = predictions[:, _FIRST_CLASS:]
    labels = classes.argmax(axis=1)
    scores = predictions[:, _OBJECT] * classes[np.arange(len(labels)), labels]
    with np.errstate(invalid="ignore"):
        usable = (scores >= minimum_score) & np.isfinite(predictions).all(axis=1)
    places = np.flatnonzero(usable)
    corners = _corners(predictions[places, :_OBJECT].astype(np.float64))
    scores, labels = scores[places].astype(np.float64), labels[places].astype(np.int64)
    kept = _suppressed(corners, scores, labels, maximum_overlap)[:most]
    return Boxes(corners, scores, labels)[kept]


def overlaps(boxes: _Real, others: _Real) -> _Real:
    """Intersection over union of each of (n, 4) and each of (m, 4), corners x0, y0, x1, y1; (n, m).

    Empty boxes overlap nothing.
    """
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0.0), axis=2)
    areas = [np.prod(np.maximum(a[:, 2:] - a[:, :2], 0.0), axis=1) for a in (boxes, others)]
    together = areas[0][:, None] + areas[1][None, :] - shared
    share: _Real = shared / np.maximum(together, 1e-9)
    return share


def _corners(centered: _Real) -> _Real:
    half = 0.5 * centered[:, 2:]
    return np.concatenate((centered[:, :2] - half, centered[:, :2] + half), axis=1)


def _suppressed(
    corners: _Real, scores: _Real, labels: NDArray[np.int64], maximum_overlap: float
) -> NDArray[np.int64]:
    """Numbers of the boxes that are kept, the most certain first."""
    if not len(scores):
        return np.empty(0, np.int64)
    try:
        # The plain API of OpenCV has it; PyTorch alone has not.
        from cv2.dnn import NMSBoxesBatched
    except ImportError as error:
        raise ParameterError(
            "boxes are suppressed by OpenCV: pip install 'evio_ros[rvt]'"
        ) from error
    sizes = corners[:, 2:] - corners[:, :2]
    boxes = np.concatenate((corners[:, :2], sizes), axis=1)
    chosen = NMSBoxesBatched(boxes.tolist(), scores.tolist(), labels.tolist(), 0.0, maximum_overlap)
    kept = np.asarray(chosen, np.int64).reshape(-1)
    return kept[np.argsort(-scores[kept], kind="stable")]
