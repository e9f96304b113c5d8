import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("cv2", reason="boxes are suppressed by OpenCV")

from evio_ros.detection.boxes import kept_boxes, overlaps
from evio_ros.errors import ParameterError


def overlap(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0.0) * max(height, 0.0)
    areas = [(c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)]
    return shared / (sum(areas) - shared)


def reference(predictions, minimum_score, maximum_overlap):
    """Greedy suppression, a box at a time: (corners, score, label) of each that is kept."""
    boxes = []
    for x, y, width, height, certain, *classes in predictions.tolist():
        label = int(np.argmax(classes))
        corners = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        if certain * classes[label] >= minimum_score:
            boxes.append((corners, certain * classes[label], label))
    boxes.sort(key=lambda box: -box[1])
    kept = []
    for box in boxes:
        if all(box[2] != k[2] or overlap(box[0], k[0]) <= maximum_overlap for k in kept):
            kept.append(box)
    return kept


@given(st.integers(0, 2**32), st.integers(0, 60), st.sampled_from([0.3, 0.45, 0.7]))
def test_suppression_equals_a_plain_reference(seed, n, maximum_overlap):
    random = np.random.default_rng(seed)
    predictions = np.concatenate(
        (
            random.uniform(0, 120, (n, 2)),
            random.uniform(10, 50, (n, 2)),
            random.uniform(0, 1, (n, 4)),
        ),
        axis=1,
    )
    found = kept_boxes(predictions, 0.1, maximum_overlap, 1000)
    wanted = reference(predictions, 0.1, maximum_overlap)
    assert len(found) == len(wanted)
    for i, (corners, score, label) in enumerate(wanted):
        np.testing.assert_allclose(found.corners[i], corners, atol=1e-9)
        assert found.scores[i] == pytest.approx(score)
        assert found.labels[i] == label


def test_overlaps_equal_those_of_pairs():
    random = np.random.default_rng(1)
    first, second = (
        np.concatenate((low, low + random.uniform(1, 40, (n, 2))), axis=1)
        for n in (7, 9)
        for low in [random.uniform(0, 50, (n, 2))]
    )
    wanted = [[overlap(a, b) for b in second.tolist()] for a in first.tolist()]
    np.testing.assert_allclose(overlaps(first, second), wanted, atol=1e-12)
    assert overlaps(first, np.zeros((0, 4))).shape == (7, 0)


def test_numbers_that_are_not_finite_are_no_boxes():
    good = [50.0, 50.0, 20.0, 20.0, 0.9, 0.9]
    predictions = np.array([good, [np.nan, *good[1:]], [*good[:2], np.inf, *good[3:]]])
    assert len(kept_boxes(predictions, 0.1, 0.5, 10)) == 1


def test_the_most_certain_are_kept():
    predictions = np.array([[50.0 * i, 50, 10, 10, 0.1 * i, 1.0] for i in range(1, 9)])
    found = kept_boxes(predictions, 0.05, 0.5, 3)
    np.testing.assert_allclose(found.scores, [0.8, 0.7, 0.6])


@pytest.mark.parametrize("shape", [(3,), (3, 5), (2, 3, 7)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ParameterError, match="predictions are"):
        kept_boxes(np.zeros(shape), 0.1, 0.5, 10)
