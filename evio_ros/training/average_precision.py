"""How good found boxes are: average precision as COCO defines it, and false alarms a minute.

Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014; computed by faster-coco-eval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evio_ros.detection.boxes import Boxes
from evio_ros.errors import ParameterError

__all__ = ["DetectionQuality", "quality_of"]

_AP, _AP50 = 0, 1
"""Places in COCO's list of figures."""


@dataclass(frozen=True, slots=True)
class DetectionQuality:
    """What is right and wrong with boxes.

    Attributes:
        ap50: average precision at an overlap of 0.5, by class; -1 where a class is never there.
        ap: averaged over overlaps of 0.5 to 0.95, all classes together.
        false_alarms_a_minute: windows of scenes without objects in which a box is reported, over
            the time of these scenes; NaN where there is none.
    """

    ap50: tuple[float, ...]
    ap: float
    false_alarms_a_minute: float


def quality_of(
    truth: Sequence[np.ndarray],
    found: Sequence[Boxes],
    classes: int,
    window_us: int,
    least_score: float,
    is_empty: Sequence[bool],
) -> DetectionQuality:
    """Compare found boxes with true ones.

    Args:
        truth: of each window (n, 5): class, then x0, y0, x1, y1.
        found: of each window, with scores as low as they come.
        classes: number of classes.
        window_us: length of a window.
        least_score: from which a box is reported, for false alarms.
        is_empty: whether a window belongs to a scene that never shows an object.

    Raises:
        ParameterError: where faster-coco-eval is missing, or lengths differ.
    """
    if not len(truth) == len(found) == len(is_empty):
        raise ParameterError("truth, found and is_empty are of different lengths")
    return DetectionQuality(
        tuple(_ap(truth, found, [kind])[_AP50] for kind in range(classes)),
        _ap(truth, found, list(range(classes)))[_AP],
        _false_alarms(found, window_us, least_score, is_empty),
    )


def _ap(truth: Sequence[np.ndarray], found: Sequence[Boxes], kinds: list[int]) -> list[float]:
    """COCO's figures over some classes."""
    try:
        from faster_coco_eval import COCO, COCOeval_faster
    except ImportError as error:
        raise ParameterError(
            f"average precision is faster-coco-eval's: pip install 'evio_ros[train]' ({error})"
        ) from error
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
    described = COCO(
        {
            "images": [{"id": number} for number in range(len(truth))],
            "annotations": annotations,
            "categories": [{"id": kind, "name": str(kind)} for kind in kinds],
        }
    )
    wanted = [result for result in results if result["category_id"] in kinds]
    if not wanted:
        return [0.0] * 12
    run = COCOeval_faster(described, described.loadRes(wanted), "bbox", print_function=_silent)
    run.params.catIds = kinds
    run.run()
    return [float(figure) for figure in run.stats]


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
    found: Sequence[Boxes], window_us: int, least_score: float, is_empty: Sequence[bool]
) -> float:
    alarms = [
        bool((boxes.scores >= least_score).any())
        for boxes, empty in zip(found, is_empty, strict=True)
        if empty
    ]
    minutes = len(alarms) * window_us / 60e6
    return sum(alarms) / minutes if alarms else float("nan")


def _silent(*_: object) -> None: ...
