from __future__ import annotations

import sys

import pytest

from evio_ros.errors import EvioError
from evio_ros.opencv import opencv


def test_the_module_is_opencv():
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    assert opencv("a test") is cv2


def test_a_missing_opencv_is_reported_with_the_task_and_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(
        EvioError, match=r"^a test needs OpenCV: .*pip install 'evio_ros\[vision\]'$"
    ):
        opencv("a test")
