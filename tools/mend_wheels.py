"""Mend what the ROS 2 wheels' CMake files say of the machine on which the wheels were built."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

__all__ = ["mend_include_directories"]

PYTHON_INCLUDE = re.compile(r'[^;"]*/include/python3\.\d+(?=[;"])')
NUMPY_INCLUDE = re.compile(r'[^;"]*/numpy/_?core/include(?=[;"])')


def mend_include_directories(prefix: Path, python: Path) -> None:
    """Rewrite the include directories of Python and numpy in the exported CMake targets.

    The wheels carry absolute paths that exist on no other machine, and CMake refuses targets whose
    include directories are missing. Running it again follows a changed interpreter or numpy.

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
