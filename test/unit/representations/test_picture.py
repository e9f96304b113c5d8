"""Pictures: brighter where there is more, or where it is more recent; rotors where they are."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from rotor_estimates import FAN

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
    picture = np.zeros((160, 200, 3), np.uint8)
    draw_rotors([rotor], picture)
    drawn = picture.any(axis=2)
    for x, y in ((100, 30), (100, 130), (80, 80), (120, 80), (100, 80)):
        assert drawn[y - 1 : y + 2, x - 1 : x + 2].any()
    # Tilted upright, it is 40 pixels wide below the text.
    columns = np.flatnonzero(drawn[60:].any(axis=0))
    assert (columns.min(), columns.max()) == (pytest.approx(80, abs=1), pytest.approx(120, abs=1))
