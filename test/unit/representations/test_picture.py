"""Pictures: brighter where there is more, or where it is more recent; rotors where they are."""

from __future__ import annotations

import math
from collections.abc import Container
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from rotor_estimates import FAN

from evio_ros.estimate import RotorEstimate
from evio_ros.representations.picture import draw_picture
from evio_ros.representations.rotor_overlay import draw_rotors


def test_brightness_grows_with_events_and_recency():
    number = np.zeros((2, 1, 6), np.int32)
    number[1, 0] = [0, 1, 2, 5, 14, 1000]
    picture = np.empty((1, 6, 3), np.uint8)
    draw_picture("event_frame", number, picture)
    assert (np.diff(picture[0, :, 0].astype(int)) > 0).all()
    recency = np.zeros((2, 1, 6), np.float32)
    recency[0, 0] = [0, 0.1, 0.3, 0.5, 0.8, 1]
    draw_picture("time_surface", recency, picture)
    assert (np.diff(picture[0].astype(int).sum(axis=1)) > 0).all()


def test_pictures_that_do_not_fit_are_refused():
    tensor = np.zeros((2, 8, 12), np.int32)
    for kind, out, text in (
        ("voxel_grid", np.empty((8, 12, 3), np.uint8), "has no picture"),
        ("event_frame", np.empty((8, 12), np.uint8), "out is"),
    ):
        with pytest.raises(ValueError, match=text):
            draw_picture(kind, tensor, out)
    with pytest.raises(ValueError, match="not \\(2, rows, columns\\)"):
        draw_picture("event_frame", tensor[0], np.empty((8, 12, 3), np.uint8))


def test_a_rotor_is_drawn_as_its_ellipse():
    pytest.importorskip("cv2", reason="OpenCV is not installed")
    rotor = replace(FAN, center=(100.0, 80.0), axes=(50.0, 20.0), tilt_rad=math.pi / 2)
    # The arrow is above, beside the text.
    rotor = replace(rotor, angle_rad=1.5 * math.pi)
    picture = np.zeros((160, 200, 3), np.uint8)
    draw_rotors([rotor], picture)
    drawn = picture.any(axis=2)
    for x, y in ((100, 30), (100, 130), (80, 80), (120, 80), (100, 80)):
        assert drawn[y - 1 : y + 2, x - 1 : x + 2].any()
    # Tilted upright, it is 40 pixels wide below the text.
    columns = np.flatnonzero(drawn[60:].any(axis=0))
    assert (columns.min(), columns.max()) == (pytest.approx(80, abs=1), pytest.approx(120, abs=1))


ROUND = replace(FAN, center=(100.0, 80.0), axes=(50.0, 50.0), tilt_rad=0.0, blade_count=1)
SIZE = (160, 200)


def drawn(*rotors: RotorEstimate, predicted: Container[int] = ()) -> NDArray[np.uint8]:
    """A black picture with rotors."""
    pytest.importorskip("cv2", reason="OpenCV is not installed")
    picture = np.zeros((*SIZE, 3), np.uint8)
    draw_rotors(rotors, picture, predicted)
    return picture


def is_lit(picture: NDArray[np.uint8], x: float, y: float) -> bool:
    """Whether something is drawn within a pixel of a place."""
    column, row = round(x), round(y)
    return bool(picture[row - 1 : row + 2, column - 1 : column + 2].any())


@pytest.mark.parametrize("angle", [0.0, 0.7, 2.5, 4.0])
def test_a_hand_points_to_the_reference_blade(angle):
    picture = drawn(replace(ROUND, angle_rad=angle))
    towards = 25 * math.cos(angle), 25 * math.sin(angle)
    assert is_lit(picture, 100 + towards[0], 80 + towards[1])
    assert not is_lit(picture, 100 - towards[0], 80 - towards[1])


def test_every_blade_has_a_line_and_the_reference_the_broadest():
    picture = drawn(replace(ROUND, blade_count=3, angle_rad=0.0)).any(axis=2)
    turn = np.radians(np.arange(360))
    x, y = np.round(100 + 25 * np.cos(turn)), np.round(80 + 25 * np.sin(turn))
    lit = picture[y.astype(int), x.astype(int)]
    near = [lit[np.arange(at - 20, at + 20) % 360].sum() for at in (0, 120, 240)]
    assert near[0] > near[1] > 0
    assert near[0] > near[2] > 0
    assert lit.sum() == sum(near)


def test_a_hand_lies_on_the_disc_as_it_is_seen():
    """A quarter turn from the longer axis of a disc seen from the side is the shorter one."""
    flat = replace(ROUND, axes=(50.0, 20.0), angle_rad=math.pi / 2)
    picture = drawn(flat)
    assert is_lit(picture, 100, 90)
    assert not is_lit(picture, 110, 80)


@pytest.mark.parametrize("rpm", [900.0, -900.0])
def test_an_arrow_tells_the_sense_of_rotation(rpm):
    picture = drawn(replace(ROUND, rpm=rpm, angle_rad=0.0))
    # Positive: clockwise on the screen, as y points down.
    ahead, behind = (0.3, -0.3) if rpm > 0 else (-0.3, 0.3)
    assert is_lit(picture, 100 + 54 * math.cos(ahead), 80 + 54 * math.sin(ahead))
    assert not is_lit(picture, 100 + 54 * math.cos(behind), 80 + 54 * math.sin(behind))


def test_a_prediction_has_a_dashed_rim_and_a_doubtful_rotor_is_faint():
    away = replace(ROUND, angle_rad=1.5 * math.pi)
    # Without the hand, arrow and text above.
    lower = np.s_[90:, :]
    whole = drawn(away)[lower]
    dashed = drawn(away, predicted={away.id})[lower]
    assert 0.3 < np.count_nonzero(dashed) / np.count_nonzero(whole) < 0.75
    faint = drawn(replace(away, confidence=0.2))[lower]
    assert 0 < faint.max() < 0.7 * whole.max()


def test_labels_do_not_lie_on_one_another():
    rotors = [replace(ROUND, id=number, center=(100.0 + number, 80.0)) for number in range(2)]
    apart, both = [drawn(one) for one in rotors], drawn(*rotors)
    # The second one's label is below its disc; above there is but the first one's.
    assert (both[:20] == apart[0][:20]).all()
    assert both[138:].any()
    assert not apart[1][138:].any()


def test_rotors_that_cannot_be_are_not_drawn():
    for changed in ({"center": (math.nan, 0.0)}, {"axes": (1e9, 1.0)}, {"angle_rad": math.inf}):
        assert not drawn(replace(ROUND, **changed)).any()
    assert drawn(replace(ROUND, rpm=math.nan)).any()
