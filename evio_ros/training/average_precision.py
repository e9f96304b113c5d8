"""Quality of detected boxes: COCO's average precision, and recall and precision at given scores.

Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014; computed by faster-coco-eval.
Published evaluations of detectors for event cameras leave the smallest boxes out, both true and
detected ones: Perot et al., "Learning to Detect Objects with a 1 Megapixel Event Camera", NeurIPS
2020, and Gehrig and Scaramuzza, CVPR 2023. Figures with and without them are given here. These
evaluations also leave out the first half second of each recording, which is kept here, because a
scene is no longer than that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evio_ros.detection.boxes import Boxes, overlaps
from evio_ros.errors import ParameterError

__all__ = ["DetectionQuality", "QualityAtScore", "quality_at_score", "quality_of", "require_coco"]

_AP, _AP50 = 0, 1
"""Indices in COCO's list of figures."""
_LEAST_OVERLAP = 0.5
"""Minimum intersection over union of a correct box with a true one of its class."""
_PUBLISHED_SIDE_PX, _PUBLISHED_DIAGONAL_PX = 10.0, 30.0
"""Minimum side and diagonal in pixels of the network's input (20 and 60 for the 1 Mpx data set,
which is halved)."""


@dataclass(frozen=True, slots=True)
class QualityAtScore:
    """Quality of the boxes with at least a given score.

    Attributes:
        score: the minimum score.
        recall: share of the true boxes that were detected, by class; NaN if there are none.
        precision: share of the detected boxes that are correct, by class; NaN if there are none.
        false_alarms_a_minute: windows with a box per minute of scenes without objects; NaN if there
            are no such scenes.
    """

    score: float
    recall: tuple[float, ...]
    precision: tuple[float, ...]
    false_alarms_a_minute: float


@dataclass(frozen=True, slots=True)
class DetectionQuality:
    """Quality of detected boxes.

    Attributes:
        ap50: average precision at an overlap of 0.5, by class; -1 if there is no true box of a
            class.
        ap50_published: the same without boxes, true or detected, with a side below 10 or a diagonal
            below 30 pixels, as in published evaluations of detectors for event cameras.
        ap: average precision over overlaps of 0.5 to 0.95 and all classes.
        at_score: quality for each minimum score.
    """

    ap50: tuple[float, ...]
    ap50_published: tuple[float, ...]
    ap: float
    at_score: tuple[QualityAtScore, ...]


def quality_of(
    truth: Sequence[np.ndarray],
    found: Sequence[Boxes],
    classes: int,
    window_us: int,
    minimum_scores: Sequence[float],
    is_empty: Sequence[bool],
) -> DetectionQuality:
    """Compare detected boxes with true ones.

    Args:
        truth: for each window (n, 5): class, then x0, y0, x1, y1.
        found: for each window the detected boxes, with no minimum score.
        classes: number of classes.
        window_us: length of a window in µs.
        minimum_scores: minimum scores for which recall, precision and false alarms are computed.
        is_empty: whether a window belongs to a scene that never shows an object.

    Raises:
        ParameterError: if faster-coco-eval is missing, or the lengths differ.
    """
    if not len(truth) == len(found) == len(is_empty):
        raise ParameterError("truth, found and is_empty are of different lengths")
    kinds = range(classes)
    large_truth = [rows[_is_large(rows[:, 1:])] for rows in truth]
    large_found = [boxes[_is_large(boxes.corners)] for boxes in found]
    hits = [_hits(rows, boxes) for rows, boxes in zip(truth, found, strict=True)]
    return DetectionQuality(
        tuple(_ap(truth, found, [kind])[_AP50] for kind in kinds),
        tuple(_ap(large_truth, large_found, [kind])[_AP50] for kind in kinds),
        _ap(truth, found, list(kinds))[_AP],
        tuple(
            _at_score(truth, found, hits, classes, window_us, score, is_empty)
            for score in minimum_scores
        ),
    )


def quality_at_score(
    truth: Sequence[np.ndarray],
    found: Sequence[Boxes],
    classes: int,
    window_us: int,
    minimum_score: float,
    is_empty: Sequence[bool],
) -> QualityAtScore:
    """Compare the detected boxes of a minimum score with true ones; see `quality_of`."""
    hits = [_hits(rows, boxes) for rows, boxes in zip(truth, found, strict=True)]
    return _at_score(truth, found, hits, classes, window_us, minimum_score, is_empty)


def _at_score(
    truth: Sequence[np.ndarray],
    found: Sequence[Boxes],
    hits: Sequence[np.ndarray],
    classes: int,
    window_us: int,
    minimum_score: float,
    is_empty: Sequence[bool],
) -> QualityAtScore:
    return QualityAtScore(
        minimum_score,
        *_recall_and_precision(truth, found, hits, classes, minimum_score),
        _false_alarms(found, window_us, minimum_score, is_empty),
    )


def _is_large(corners: np.ndarray) -> np.ndarray:
    """Whether boxes (n, 4) are large enough for the published evaluations."""
    sides = corners[:, 2:] - corners[:, :2]
    large: np.ndarray = (sides >= _PUBLISHED_SIDE_PX).all(axis=1)
    return large & (np.hypot(sides[:, 0], sides[:, 1]) >= _PUBLISHED_DIAGONAL_PX)


def _hits(truth: np.ndarray, boxes: Boxes) -> np.ndarray:
    """Which boxes are correct: in order of score, each matches the free true box it overlaps most.

    Boxes of lower score do not change earlier matches, so the result holds for every minimum score.
    """
    right = np.zeros(len(boxes), bool)
    of_class = boxes.labels[:, None] == truth[None, :, 0]
    shared = np.where(of_class, overlaps(boxes.corners, truth[:, 1:]), 0.0)
    for place in np.argsort(-boxes.scores, kind="stable").tolist():
        if shared[place].max(initial=0.0) >= _LEAST_OVERLAP:
            right[place] = True
            shared[:, shared[place].argmax()] = 0.0
    return right


def _recall_and_precision(
    truth: Sequence[np.ndarray],
    found: Sequence[Boxes],
    hits: Sequence[np.ndarray],
    classes: int,
    minimum_score: float,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    recall, precision = [], []
    for kind in range(classes):
        there = sum(int((rows[:, 0] == kind).sum()) for rows in truth)
        told = [(boxes.labels == kind) & (boxes.scores >= minimum_score) for boxes in found]
        right = sum(int((hit & own).sum()) for hit, own in zip(hits, told, strict=True))
        reported = sum(int(own.sum()) for own in told)
        recall.append(right / there if there else float("nan"))
        precision.append(right / reported if reported else float("nan"))
    return tuple(recall), tuple(precision)


def _ap(truth: Sequence[np.ndarray], found: Sequence[Boxes], kinds: list[int]) -> list[float]:
    """COCO's figures for some classes."""
    coco, evaluation = _coco()
    annotations = [
        _annotation(number, int(row[0]), row[1:].tolist())
        for number, rows in enumerate(truth)
        for row in rows
    ]
    for identity, annotation in enumerate(annotations, start=1):
        annotation["id"] = identity
    if not any(annotation["category_id"] in kinds for annotation in annotations):
        return [-1.0] * 12
    results = [
        {**_annotation(number, label, corners), "score": score}
        for number, boxes in enumerate(found)
        for label, corners, score in zip(
            boxes.labels.tolist(), boxes.corners.tolist(), boxes.scores.tolist(), strict=True
        )
    ]
    if not results:
        return [0.0] * 12
    described = coco(
        {
            "images": [{"id": number} for number in range(len(truth))],
            "annotations": annotations,
            "categories": [{"id": kind, "name": str(kind)} for kind in kinds],
        }
    )
    wanted = [result for result in results if result["category_id"] in kinds]
    if not wanted:
        return [0.0] * 12
    run = evaluation(described, described.loadRes(wanted), "bbox", print_function=_silent)
    run.params.catIds = kinds
    run.run()
    return [float(figure) for figure in run.stats]


def require_coco() -> None:
    """Raise ParameterError early if faster-coco-eval is missing."""
    _coco()


def _coco() -> tuple[Any, Any]:
    try:
        from faster_coco_eval import COCO, COCOeval_faster
    except ImportError as error:
        raise ParameterError(
            f"average precision is faster-coco-eval's: pip install 'evio_ros[train]' ({error})"
        ) from error
    return COCO, COCOeval_faster


def _annotation(number: int, label: int, corners: list[float]) -> dict[str, Any]:
    x0, y0, x1, y1 = corners
    width, height = x1 - x0, y1 - y0
    return {
        "image_id": number,
        "category_id": label,
        "bbox": [x0, y0, width, height],
        "area": width * height,
        "iscrowd": 0,
    }


def _false_alarms(
    found: Sequence[Boxes], window_us: int, minimum_score: float, is_empty: Sequence[bool]
) -> float:
    alarms = [
        bool((boxes.scores >= minimum_score).any())
        for boxes, empty in zip(found, is_empty, strict=True)
        if empty
    ]
    minutes = len(alarms) * window_us / 60e6
    return sum(alarms) / minutes if alarms else float("nan")


def _silent(*_: object) -> None: ...
