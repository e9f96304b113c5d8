import numpy as np
import pytest

pytest.importorskip("faster_coco_eval", reason="average precision needs the extra train")

from evio_ros.detection.boxes import Boxes
from evio_ros.errors import ParameterError
from evio_ros.training.average_precision import quality_of

TRUE = np.array([[0, 10, 10, 50, 50], [1, 60, 60, 100, 90]], np.float64)
NONE = np.zeros((0, 5))


def boxes(*rows):
    """(class, score, x0, y0, x1, y1) each."""
    table = np.array(rows, np.float64).reshape(-1, 6)
    return Boxes(table[:, 2:], table[:, 1], table[:, 0].astype(np.int64))


def test_perfect_boxes():
    found = boxes((0, 0.9, 10, 10, 50, 50), (1, 0.8, 60, 60, 100, 90))
    quality = quality_of(
        [TRUE] * 10 + [NONE] * 5, [found] * 10 + [boxes()] * 5, 2, 50_000, [0.5], [False] * 15
    )
    assert quality.ap50 == (1.0, 1.0)
    assert quality.ap == 1.0


def test_half_of_one_class():
    found = boxes((0, 0.9, 10, 10, 50, 50))
    quality = quality_of([TRUE] * 10, [found] * 5 + [boxes()] * 5, 2, 50_000, [0.5], [False] * 10)
    # COCO looks at 101 recalls from 0 to 1, of which 51 are reached.
    assert quality.ap50 == pytest.approx((51 / 101, 0.0))


def test_false_alarms_a_minute():
    found = [boxes((0, 0.6, 1, 1, 9, 9)), boxes((0, 0.4, 1, 1, 9, 9)), boxes()] * 4
    quality = quality_of([NONE] * 12, found, 2, 50_000, [0.5], [True] * 12)
    # 4 of 12 windows of 50 ms: 4 alarms in 0.6 s.
    assert quality.at_score[0].false_alarms_a_minute == pytest.approx(400)
    assert quality.ap50 == (-1.0, -1.0)


def test_recall_and_precision_at_scores():
    true = np.array([[0, 10, 10, 50, 50], [0, 60, 60, 100, 90], [1, 60, 60, 100, 90]], np.float64)
    found = boxes(
        (0, 0.9, 10, 10, 50, 50),
        (0, 0.8, 12, 10, 50, 50),  # twice
        (0, 0.7, 60, 60, 100, 74),  # too small by more than half
        (0, 0.4, 60, 60, 100, 80),
        (1, 0.3, 10, 10, 50, 50),  # of the other class
    )
    high, low = quality_of([true], [found], 2, 50_000, [0.6, 0.3], [False]).at_score
    assert (high.score, low.score) == (0.6, 0.3)
    assert high.recall == (1 / 2, 0.0)
    assert high.precision == pytest.approx((1 / 3, np.nan), nan_ok=True)
    assert low.recall == (1.0, 0.0)
    assert low.precision == (2 / 4, 0.0)


def test_small_boxes_are_left_out_as_in_published_figures():
    # A diagonal of 50, one of 17 pixels, and a side of 9.
    true = np.array([[0, 10, 10, 40, 50], [0, 60, 60, 72, 72], [0, 80, 10, 120, 19]], np.float64)
    found = boxes((0, 0.9, 10, 10, 40, 50), (0, 0.95, 0, 60, 12, 72))
    quality = quality_of([true] * 3, [found] * 3, 1, 50_000, [], [False] * 3)
    assert quality.ap50_published == (1.0,)
    # One of three is found, after a wrong one.
    assert quality.ap50 == pytest.approx((34 / 101 / 2,))


def test_lengths_must_agree():
    with pytest.raises(ParameterError, match="different lengths"):
        quality_of([NONE], [], 2, 50_000, [0.5], [True])
