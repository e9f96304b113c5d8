"""Running a network over held-out simulated scenes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from evio_ros.detection.boxes import kept_boxes
from evio_ros.detection.inference import inference_of
from evio_ros.detection.rvt_configuration import RvtConfiguration
from evio_ros.errors import ParameterError
from evio_ros.training.average_precision import DetectionQuality, quality_of, require_coco
from evio_ros.training.random_scene import CLASSES
from evio_ros.training.sequences import kept_sequence, random_sequence

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
    empty_scenes: int,
    length: int,
    seed: int,
    minimum_scores: Iterable[float],
    backend: str = "auto",
    folder: Path | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> DetectionQuality:
    """Average precision and false alarms of a network over random scenes.

    Args:
        configuration, weights: the network.
        scenes: number of scenes of all kinds.
        empty_scenes: number of further scenes without objects; all windows count for average
            precision, and those of scenes without objects for false alarms.
        length: number of windows of each.
        seed: of the scenes.
        minimum_scores: from which a box is reported, for recall, precision and false alarms.
        backend: what runs it.
        folder: where the sequences are kept for the next time; None to keep none.
        advance: called with the number of scenes that are done.

    Raises:
        ParameterError: where the classes are not those of the scenes, or a library is missing.
    """
    require_coco()
    if configuration.classes != CLASSES:
        raise ParameterError(
            f"the network's classes are {', '.join(configuration.classes)}; "
            f"the scenes show {', '.join(CLASSES)}"
        )
    inference = inference_of(configuration, weights, backend)
    truth, found, is_empty = [], [], []
    wanted: list[tuple[int, str | None]] = [(number, None) for number in range(scenes)]
    # Of one number, a scene of any kind that has no objects and one that may not are the same.
    wanted += [(scenes + number, "clutter") for number in range(empty_scenes)]
    for done, (number, kind) in enumerate(wanted, start=1):
        sequence = (
            random_sequence((seed, number), configuration, length, kind)
            if folder is None
            else kept_sequence(folder, seed, number, configuration, length, kind)
        )
        inference.reset()
        for histogram, boxes in zip(sequence.inputs, sequence.boxes, strict=True):
            predictions = inference.step(histogram)
            found.append(kept_boxes(predictions, _LEAST_SCORE, _MOST_OVERLAP, _MOST_BOXES))
            truth.append(boxes)
        is_empty += [sequence.name == "clutter"] * length
        advance(done)
    return quality_of(
        truth,
        found,
        len(configuration.classes),
        configuration.window_us,
        tuple(minimum_scores),
        is_empty,
    )
