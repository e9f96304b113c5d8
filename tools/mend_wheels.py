"""Correct paths of the build machine in the CMake files of the ROS 2 wheels."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

__all__ = ["mend_include_directories"]

PYTHON_INCLUDE = re.compile(r'[^;"]*/include/python3\.\d+(?=[;"])')
NUMPY_INCLUDE = re.compile(r'[^;"]*/numpy/_?core/include(?=[;"])')


def mend_include_directories(prefix: Path, python: Path) -> None:
    """Rewrite the include directories of Python and numpy in the exported CMake targets.

    The wheels contain absolute paths of the build machine, and CMake refuses targets whose include
    directories are missing. Run it again after a change of the interpreter or of numpy.

    Args:
        prefix: the venv.
        python: its interpreter.
    """
    ask = (
        "import numpy, sysconfig; print(sysconfig.get_path('include')); print(numpy.get_include())"
    )
    answer = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True)
    python_include, numpy_include = answer.stdout.splitlines()
    for file in prefix.glob("share/*/cmake/*rosidl_generator_pyExport.cmake"):
        text = file.read_text()
        mended = PYTHON_INCLUDE.sub(lambda _: python_include, text)
        mended = NUMPY_INCLUDE.sub(lambda _: numpy_include, mended)
        if mended != text:
            file.write_text(mended)
