"""Mend what the ROS 2 wheels' CMake files say of the machine on which the wheels were built."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

__all__ = ["mend_bundled_libraries", "mend_include_directories"]

PYTHON_INCLUDE = re.compile(r'[^;"]*/include/python3\.\d+(?=[;"])')
SYSTEM_LIBRARY = re.compile(r"/usr/lib64/(lib[\w+-]+)\.so(?=[;\"])")
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


def mend_bundled_libraries(prefix: Path) -> None:
    """Point exported CMake targets to the libraries that the wheels bring along.

    They name the build machine's, without which no C++ program links.

    Args:
        prefix: the venv.
    """
    bundled = {
        file.name.split("-")[0]: str(file)
        for file in prefix.glob("lib/python3.*/site-packages/ros_*.libs/lib*.so*")
    }
    for file in prefix.glob("share/*/cmake/*argets.cmake"):
        text = file.read_text()
        mended = SYSTEM_LIBRARY.sub(lambda found: bundled.get(found[1], found[0]), text)
        if mended != text:
            file.write_text(mended)
