from __future__ import annotations

import os
import subprocess
import sys

import pytest
from numba import njit

from evio_ros import kernels
from evio_ros.compilation import report_compilation
from evio_ros.errors import EvioError

PROBE = """
from evio_ros.compilation import report_compilation
from evio_ros.rotation.detector import RotationDetector
from evio_ros.rotation.warm_up import _SIZE, warm_up
told = []
with report_compilation(told.append):
    warm_up(RotationDetector(_SIZE))
print(len(told))
"""


def test_what_is_compiled_is_told():
    told: list[int] = []
    with report_compilation(told.append):
        njit(lambda x: x + 1)(1)
    assert told[0] == 1
    njit(lambda x: x + 2)(1)
    assert told == sorted(set(told))
    assert len(told) < 5


def test_after_compiling_nothing_is_left_to_compile():
    kernels.compile_kernels(lambda _: None)
    done = subprocess.run(
        [sys.executable, "-c", PROBE], capture_output=True, text=True, env=dict(os.environ)
    )
    assert done.stdout == "0\n", done.stderr
    told: list[int] = []
    assert kernels.compile_kernels(told.append) == 0


def test_a_part_that_fails_says_why(monkeypatch):
    monkeypatch.setattr(kernels, "_PROCESSES", (("detectr",),))
    with pytest.raises(EvioError, match="KeyError: 'detectr'"):
        kernels.compile_kernels(lambda _: None)
