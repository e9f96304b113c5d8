from __future__ import annotations

import configparser
import math
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from rotor_events import IdealRotor, events_of

from evio_ros.cell_counts import activity_grid
from evio_ros.ellipse import Ellipse
from evio_ros.errors import EvioError
from evio_ros.rotation.classical.outline import outlines

pytest.importorskip("cv2")


def test_the_outlines_of_two_discs():
    round_disc = Ellipse((90.0, 120.0), (50.0, 50.0), 0.0)
    flat_disc = Ellipse((240.0, 110.0), (45.0, 20.0), 0.5)
    rotors = [IdealRotor(19.0, ellipse=round_disc), IdealRotor(40.0, ellipse=flat_disc)]
    found = outlines(activity_grid(events_of(rotors, 200_000), 1))
    assert len(found) == 2
    for outline, truth in zip(found, (round_disc, flat_disc), strict=True):
        assert math.dist(outline.center, truth.center) < 3
        assert outline.axes == pytest.approx(truth.axes, abs=5)
    assert found[1].tilt_rad == pytest.approx(0.5, abs=0.15)


def test_maps_without_an_outline():
    assert outlines(np.zeros((60, 80), np.int32)) == []
    hot = np.zeros((60, 80), np.int32)
    hot[30, 40] = 100_000
    assert outlines(hot) == []


def test_without_opencv_the_extra_that_brings_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(EvioError, match="OpenCV") as raised:
        outlines(np.zeros((4, 4), np.int32))
    (extra,) = re.findall(r"evio_ros\[(\w+)\]", str(raised.value))
    setup = configparser.ConfigParser()
    setup.read(Path(__file__).parents[4] / "setup.cfg", encoding="utf-8")
    assert "opencv" in setup["options.extras_require"][extra]
