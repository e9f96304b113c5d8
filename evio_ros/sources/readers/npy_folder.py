"""Folders with an NPY file for each array: t, x, y, p with any usual names, as in EVIMO2."""

from __future__ import annotations

import os
from pathlib import Path

from evio_ros.events import SensorSize
from evio_ros.sources.readers.event_file import open_regular_file
from evio_ros.sources.readers.named_arrays import NamedArrays
from evio_ros.sources.readers.npy import NpyArray

__all__ = ["NpyFolder"]

_ENDING = ".npy"
_MOST_FILES = 256


class NpyFolder(NamedArrays):
    """A recording in a folder with an NPY file for each array.

    Args:
        path: name of the folder.
        size: geometry; None for the files', or a guess if they have none.
        time_unit: unit of the times; None for the files', or a guess.

    Raises:
        SourceError: if a file is invalid, or there are no events.
    """

    format_name = "NPY"
    keeps = "events, geometry"
    loses = "all other files"

    @classmethod
    def is_folder_of_arrays(cls, path: str) -> bool:
        """Whether a path is a folder that contains NPY files."""
        return os.path.isdir(path) and any(map(_is_array, os.listdir(path)))

    def _prepare(self) -> SensorSize | None:
        names = sorted(filter(_is_array, os.listdir(self.path)))[:_MOST_FILES]
        return self._take({name.removesuffix(_ENDING): name for name in names})

    def _open(self, member: str) -> NpyArray:
        path = Path(self.path) / member
        file = self._stack.enter_context(open_regular_file(str(path)))
        return NpyArray(file, 0, os.fstat(file.fileno()).st_size, str(path), member)


def _is_array(name: str) -> bool:
    return name.endswith(_ENDING)
