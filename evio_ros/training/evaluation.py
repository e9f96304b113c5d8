"""Evaluating a network on held-out simulated scenes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from evio_ros.detection.boxes import Boxes, kept_boxes
from evio_ros.detection.inference import inference_of
from evio_ros.detection.object_tracker import ObjectTracker
from evio_ros.detection.rvt_configuration import RvtConfiguration
from evio_ros.errors import ParameterError
from evio_ros.object_detection import ObjectDetectionParameters
from evio_ros.training.average_precision import (
    DetectionQuality,
    QualityAtScore,
    quality_at_score,
    quality_of,
    require_coco,
)
from evio_ros.training.random_scene import CLASSES
from evio_ros.training.sequences import Sequence as LabelledSequence
from evio_ros.training.sequences import kept_sequence, random_sequence

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ModelQuality", "boxes_of_scenes", "evaluate_model"]

_LEAST_SCORE = 0.01
"""Minimum score of boxes for average precision; lower ones do not change it."""
_MOST_OVERLAP = 0.45
_MOST_BOXES = 100


@dataclass(frozen=True, slots=True)
class ModelQuality:
    """Quality of a network.

    Attributes:
        boxes: quality of its boxes in single windows.
        tracks: quality of the tracks that are seen in a window, with the default parameters of node
            and command line, and without a minimum score.
    """

    boxes: DetectionQuality
    tracks: QualityAtScore


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
) -> ModelQuality:
    """Average precision and false alarms of a network and of its tracks on random scenes.

    Args:
        configuration, weights: the network.
        scenes: number of scenes of all kinds.
        empty_scenes: number of further scenes without objects. All windows count for average
            precision; those of scenes without objects count for false alarms.
        length: number of windows in each scene.
        seed: seed of the scenes.
        minimum_scores: minimum scores for which recall, precision and false alarms are computed.
        backend: inference backend, see `inference_of`.
        folder: folder in which sequences are cached; None for no cache.
        advance: called with the number of finished scenes.

    Raises:
        ParameterError: if the classes are not those of the scenes, or a library is missing.
    """
    require_coco()
    if configuration.classes != CLASSES:
        raise ParameterError(
            f"the network's classes are {', '.join(configuration.classes)}; "
            f"the scenes show {', '.join(CLASSES)}"
        )
    truth: list[np.ndarray] = []
    found: list[Boxes] = []
    tracked: list[Boxes] = []
    is_empty: list[bool] = []
    looked_at = boxes_of_scenes(
        configuration, weights, scenes, empty_scenes, length, seed, backend, folder
    )
    for done, (sequence, boxes) in enumerate(looked_at, start=1):
        found += boxes
        tracked += _tracked(boxes, configuration.window_us)
        truth += sequence.boxes
        is_empty += [sequence.name == "clutter"] * length
        advance(done)
    classes, window_us = len(configuration.classes), configuration.window_us
    return ModelQuality(
        quality_of(truth, found, classes, window_us, tuple(minimum_scores), is_empty),
        quality_at_score(truth, tracked, classes, window_us, 0.0, is_empty),
    )


def boxes_of_scenes(
    configuration: RvtConfiguration,
    weights: dict[str, Tensor],
    scenes: int,
    empty_scenes: int,
    length: int,
    seed: int,
    backend: str = "auto",
    folder: Path | None = None,
) -> Iterator[tuple[LabelledSequence, list[Boxes]]]:
    """Held-out scenes, and what a network finds in each of their windows.

    Args:
        configuration, weights: the network.
        scenes, empty_scenes, length, seed, backend, folder: as of `evaluate_model`.

    Yields:
        A scene, and for each window the boxes with all scores that average precision needs.
    """
    inference = inference_of(configuration, weights, backend)
    wanted: list[tuple[int, str | None]] = [(number, None) for number in range(scenes)]
    # Numbers continue: with the same number, a scene drawn as clutter would be the same one.
    wanted += [(scenes + number, "clutter") for number in range(empty_scenes)]
    for number, kind in wanted:
        sequence = (
            random_sequence((seed, number), configuration, length, kind)
            if folder is None
            else kept_sequence(folder, seed, number, configuration, length, kind)
        )
        inference.reset()
        boxes = [
            kept_boxes(inference.step(histogram), _LEAST_SCORE, _MOST_OVERLAP, _MOST_BOXES)
            for histogram in sequence.inputs
        ]
        yield sequence, boxes


def _tracked(found: Sequence[Boxes], window_us: int) -> Iterator[Boxes]:
    """The tracks seen in each window of a scene, as boxes."""
    tracker = ObjectTracker()
    least = ObjectDetectionParameters().minimum_score
    for number, boxes in enumerate(found, start=1):
        tracks = tracker.update(number * window_us, boxes[boxes.scores >= least])
        seen = [track for track in tracks if track.is_seen]
        yield Boxes(
            np.array([track.corners for track in seen], np.float64).reshape(-1, 4),
            np.array([track.score for track in seen], np.float64),
            np.array([track.label for track in seen], np.int64),
        )
