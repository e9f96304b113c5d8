import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from evio_ros.training.augmentation import augmented, overlaid
from evio_ros.training.sequences import Sequence

ROWS, COLUMNS, BINS = 40, 60, 3


def blocks(seed, number=2):
    """Two windows in which every box is full of ON events, and nothing else is there."""
    random = np.random.default_rng(seed)
    inputs = np.zeros((2, 2 * BINS, ROWS, COLUMNS), np.uint8)
    boxes = []
    for window in inputs:
        rows = []
        for kind in range(number):
            # Side by side, so that each box tells its own events.
            x0, y0 = 30 * kind + int(random.integers(0, 15)), int(random.integers(0, 25))
            window[BINS:, y0 : y0 + 12, x0 : x0 + 14] = kind + 1
            rows.append((kind, x0, y0, x0 + 14, y0 + 12))
        boxes.append(np.array(rows, np.float64))
    return Sequence(inputs, tuple(boxes), "blocks")


@given(st.integers(0, 10_000))
def test_boxes_go_where_the_events_go(seed):
    original = blocks(seed)
    before = [found.copy() for found in original.boxes]
    made = augmented(original, np.random.default_rng(seed))
    for window, found in zip(made.inputs, made.boxes, strict=True):
        for kind, x0, y0, x1, y1 in found.astype(int).tolist():
            inside = window[:, y0:y1, x0:x1]
            assert (inside.max(axis=0) == kind + 1).all()
            assert (inside > 0).sum() == (window == kind + 1).sum()
    for found, kept in zip(original.boxes, before, strict=True):
        np.testing.assert_array_equal(found, kept)


def test_what_is_hardly_seen_is_not_labelled():
    lost = 0
    for seed in range(60):
        made = augmented(blocks(seed), np.random.default_rng(seed))
        for window, found in zip(made.inputs, made.boxes, strict=True):
            for kind in (0, 1):
                mask = (window == kind + 1).any(axis=0)
                share = mask.sum() / (12 * 14)
                labelled = bool((found[:, 0] == kind).any())
                assert labelled if share > 0.7 else not labelled or share > 0.3
                lost += not labelled
    assert lost


def test_overlaid_scenes_show_both():
    first, second = blocks(1), blocks(2)
    made = overlaid(first, second, cutoff=2)
    np.testing.assert_array_equal(made.inputs.astype(int).max(), 2)
    assert ((made.inputs > 0) == ((first.inputs > 0) | (second.inputs > 0))).all()
    assert [len(found) for found in made.boxes] == [4, 4]
