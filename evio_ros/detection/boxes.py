"""Detected boxes, and non-maximum suppression."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evio_ros.errors import ParameterError

__all__ = ["Boxes", "kept_boxes", "overlaps"]

_Real = NDArray[np.float64]
_OBJECT, _FIRST_CLASS = 4, 5
"""Columns of a network's prediction: objectness, and the first of the class probabilities."""


@dataclass(frozen=True, slots=True)
class Boxes:
    """Boxes of one moment, in descending order of score.

    Attributes:
        corners: float64 (n, 4): x0, y0, x1, y1 in pixels, pixel i from i to i + 1.
        scores: float64 (n,): probability of an object of the class.
        labels: int64 (n,): index of the class.
    """

    corners: _Real
    scores: _Real
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> Boxes:
        """A selection of boxes, by a mask or by indices."""
        return Boxes(self.corners[chosen], self.scores[chosen], self.labels[chosen])


def kept_boxes(
    predictions: NDArray[np.floating], minimum_score: float, maximum_overlap: float, most: int
) -> Boxes:
    """Select from all predicted boxes: greedy non-maximum suppression within each class.

    The box with the highest score is kept, and boxes of its class that overlap it by more than
    `maximum_overlap` (intersection over union) are dropped; then the same with the rest.

    Args:
        predictions: (places, 5 + classes), see `RvtNetwork.forward`: centre x and y, width and
            height in pixels, objectness, and the probability of each class given an object.
        minimum_score: boxes with a lower score are dropped, 0 to 1.
        maximum_overlap: intersection over union, 0 to 1.
        most: maximum number of boxes kept.

    Returns:
        The boxes kept; predictions with a number that is not finite are dropped.

    Raises:
        ParameterError: if the shape is wrong, or OpenCV is missing.
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
    """Intersection over union (n, m) of boxes (n, 4) with boxes (m, 4), corners x0, y0, x1, y1.

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
    """Indices of the boxes that are kept, in descending order of score."""
    if not len(scores):
        return np.empty(0, np.int64)
    try:
        # OpenCV has this function; PyTorch without torchvision does not.
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
