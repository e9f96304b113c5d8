from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("cv2", reason="drawing needs the extra vision")

from evio_ros.representations.object_overlay import draw_objects
from evio_ros.tracked_object import TrackedObject

TRACK = TrackedObject(1000, "3", (20.0, 40.0, 60.0, 70.0), "drone", 0.9, 1000)


def drawn(one):
    picture = np.zeros((100, 120, 3), np.uint8)
    draw_objects([one], picture)
    return picture.any(axis=2)


def test_a_box_has_four_sides_and_nothing_in_it():
    picture = drawn(replace(TRACK, id=""))
    assert picture[40, 20:61].all()
    assert picture[70, 20:61].all()
    assert picture[40:71, 20].all()
    assert picture[40:71, 60].all()
    assert picture.sum() == 2 * 41 + 2 * 29


def test_a_track_says_its_name_above_and_where_it_is_predicted_has_corners_alone():
    seen, predicted = drawn(TRACK), drawn(replace(TRACK, seen_us=0))
    assert seen[:40].any()
    assert seen[70, 20:61].all()
    assert predicted[70, 20]
    assert not predicted[70, 40]


@pytest.mark.parametrize("x", [float("nan"), float("inf"), -1e9])
def test_what_no_object_in_a_picture_can_be_is_not_drawn(x):
    assert not drawn(replace(TRACK, corners=(x, 40.0, 60.0, 70.0))).any()


def test_a_box_across_the_border_is_drawn_as_far_as_it_is_seen():
    assert drawn(replace(TRACK, corners=(-30.0, -30.0, 30.0, 30.0)))[30, :31].all()
