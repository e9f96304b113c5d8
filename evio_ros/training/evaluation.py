"""Running a network over held-out simulated scenes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from evio_ros.detection.boxes import kept_boxes
from evio_ros.detection.inference import inference_of
from evio_ros.detection.rvt_configuration import RvtConfiguration
from evio_ros.training.average_precision import DetectionQuality, quality_of
from evio_ros.training.sequences import random_sequence

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["evaluate_model"]

_LEAST_SCORE = 0.01
"""Average precision looks at boxes of all scores; what is below changes it by nothing."""
_MOST_OVERLAP = 0.45
_MOST_BOXES = 100


def evaluate_model(
    configuration: RvtConfiguration,
    weights: dict[str, Tensor],
    scenes: int,
    length: int,
    seed: int,
    least_score: float,
    backend: str = "auto",
    advance: Callable[[int], None] = lambda _: None,
) -> DetectionQuality:
    """Average precision and false alarms of a network over random scenes.

    Args:
        configuration, weights: the network.
        scenes, length: number of scenes, and of windows in each.
        seed: of the scenes.
        least_score: from which a box is reported, for false alarms.
        backend: what runs it.
        advance: called with the number of scenes that are done.

    Raises:
        ParameterError: where the classes are not those of the scenes, or a library is missing.
    """
    inference = inference_of(configuration, weights, backend)
    truth, found, is_empty = [], [], []
    for number in range(scenes):
        sequence = random_sequence((seed, number), configuration, length)
        inference.reset()
        for histogram, boxes in zip(sequence.inputs, sequence.boxes, strict=True):
            predictions = inference.step(histogram)
            found.append(kept_boxes(predictions, _LEAST_SCORE, _MOST_OVERLAP, _MOST_BOXES))
            truth.append(boxes)
        is_empty += [not any(len(boxes) for boxes in sequence.boxes)] * length
        advance(number + 1)
    return quality_of(
        truth, found, len(configuration.classes), configuration.window_us, least_score, is_empty
    )
