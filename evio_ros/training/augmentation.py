"""Augmentation of labelled sequences, without further simulation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evio_ros.training.sequences import Sequence

__all__ = ["augmented", "overlaid"]

_SHIFTED = 0.5
"""Share of sequences that are shifted."""
_FARTHEST_SHIFT = 0.4
"""Of the image's sides."""
_CROPPED = 0.3
"""Share of sequences that are cropped to a rectangle, like a region of interest."""
_LEAST_CROP = 0.25
"""Of the image's sides."""
_LEAST_VISIBLE, _LEAST_SIDE_PX = 0.4, 6.0
"""Minimum visible share of a box, and minimum side, below which it is dropped."""


def overlaid(first: Sequence, second: Sequence, cutoff: int) -> Sequence:
    """Overlay two scenes: the events of both, as if one were seen through the other.

    Args:
        first, second: sequences of the same shape.
        cutoff: count at which an element saturates.
    """
    inputs = np.minimum(first.inputs + second.inputs, cutoff)
    boxes = tuple(np.concatenate(pair) for pair in zip(first.boxes, second.boxes, strict=True))
    return Sequence(inputs, boxes, f"{first.name}+{second.name}")


def augmented(sequence: Sequence, random: np.random.Generator) -> Sequence:
    """The sequence randomly mirrored, shifted, cropped, and with polarities exchanged."""
    across, down, inverted = random.random(3) < 0.5
    inputs, boxes = _mirrored(sequence, bool(across), bool(down))
    if inverted:
        inputs = np.roll(inputs, inputs.shape[1] // 2, axis=1)
    if random.random() < _SHIFTED:
        rows, columns = inputs.shape[2:]
        shift = np.rint(random.uniform(-_FARTHEST_SHIFT, _FARTHEST_SHIFT, 2) * (columns, rows))
        inputs, boxes = _moved(inputs, boxes, int(shift[0]), int(shift[1]))
    if random.random() < _CROPPED:
        inputs, boxes = _cropped(inputs, boxes, random)
    return Sequence(inputs, tuple(boxes), sequence.name)


def _mirrored(
    sequence: Sequence, across: bool, down: bool
) -> tuple[NDArray[np.uint8], list[NDArray[np.float64]]]:
    """Mirrored along one or both axes."""
    inputs, boxes = sequence.inputs, [found.copy() for found in sequence.boxes]
    rows, columns = inputs.shape[2:]
    if across:
        inputs = inputs[..., ::-1]
        for found in boxes:
            found[:, [1, 3]] = columns - found[:, [3, 1]]
    if down:
        inputs = inputs[..., ::-1, :]
        for found in boxes:
            found[:, [2, 4]] = rows - found[:, [4, 2]]
    return inputs, boxes


def _moved(
    inputs: NDArray[np.uint8], boxes: list[NDArray[np.float64]], right: int, down: int
) -> tuple[NDArray[np.uint8], list[NDArray[np.float64]]]:
    """Shifted by whole pixels, filled with zeros; boxes that leave the image are dropped."""
    rows, columns = inputs.shape[2:]
    moved = np.zeros_like(inputs)
    to = (slice(max(down, 0), rows + min(down, 0)), slice(max(right, 0), columns + min(right, 0)))
    of = (slice(max(-down, 0), rows - max(down, 0)), slice(max(-right, 0), columns - max(right, 0)))
    moved[..., to[0], to[1]] = inputs[..., of[0], of[1]]
    placed = [found + np.array((0, right, down, right, down)) for found in boxes]
    return moved, [_cut(found, (0, 0, columns, rows)) for found in placed]


def _cropped(
    inputs: NDArray[np.uint8], boxes: list[NDArray[np.float64]], random: np.random.Generator
) -> tuple[NDArray[np.uint8], list[NDArray[np.float64]]]:
    """Cropped to a random rectangle of a minimum size, with zeros around it."""
    sides = np.array((inputs.shape[3], inputs.shape[2]))
    size = np.ceil(random.uniform(_LEAST_CROP, 1.0, 2) * sides).astype(int)
    x0, y0 = random.integers(0, sides - size + 1).tolist()
    x1, y1 = x0 + int(size[0]), y0 + int(size[1])
    kept = np.zeros_like(inputs)
    kept[..., y0:y1, x0:x1] = inputs[..., y0:y1, x0:x1]
    return kept, [_cut(found, (x0, y0, x1, y1)) for found in boxes]


def _cut(boxes: NDArray[np.float64], view: tuple[int, int, int, int]) -> NDArray[np.float64]:
    """Boxes clipped to a view, without those of which too little is left."""
    x0, y0, x1, y1 = view
    seen = boxes.copy()
    seen[:, 1::2] = np.clip(boxes[:, 1::2], x0, x1)
    seen[:, 2::2] = np.clip(boxes[:, 2::2], y0, y1)
    sides, whole = seen[:, 3:] - seen[:, 1:3], boxes[:, 3:] - boxes[:, 1:3]
    large = (sides >= _LEAST_SIDE_PX).all(axis=1)
    return seen[large & (sides.prod(axis=1) >= _LEAST_VISIBLE * whole.prod(axis=1))]
