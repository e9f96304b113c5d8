"""Dense flow of a picture that was shifted by a known amount."""

import sys

import numpy as np
import pytest

from evio_ros.errors import EvioError
from evio_ros.motion.dense_flow import dense_flow


def smooth_picture(shift):
    """Three soft spots, moved by `shift` (x, y) pixels."""
    y, x = np.mgrid[0:96, 0:128]
    grey = np.zeros(x.shape)
    for spot_x, spot_y, width in ((40, 40, 9.0), (80, 50, 12.0), (60, 70, 8.0)):
        square = (x - spot_x - shift[0]) ** 2 + (y - spot_y - shift[1]) ** 2
        grey += 120.0 * np.exp(-0.5 * square / width**2)
    return np.clip(grey, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("method", ["farneback", "dis"])
def test_shift_of_a_picture_is_found(method):
    pytest.importorskip("cv2")
    flow = dense_flow(smooth_picture((0, 0)), smooth_picture((3.0, -2.0)), method)
    assert flow.shape == (96, 128, 2)
    assert np.median(flow[35:60, 40:80], axis=(0, 1)) == pytest.approx((3.0, -2.0), rel=0.2)


def test_pictures_that_do_not_fit_and_unknown_methods_are_refused():
    pytest.importorskip("cv2")
    picture = smooth_picture((0, 0))
    with pytest.raises(EvioError, match="alike"):
        dense_flow(picture, picture[:90], "dis")
    with pytest.raises(EvioError, match="16 a side"):
        dense_flow(picture[:8], picture[:8], "dis")
    with pytest.raises(EvioError, match="'lucas' is not one of farneback, dis"):
        dense_flow(picture, picture, "lucas")


def test_missing_opencv_is_reported_with_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    picture = smooth_picture((0, 0))
    with pytest.raises(EvioError, match=r"pip install 'evio_ros\[vision\]'"):
        dense_flow(picture, picture, "farneback")
