"""NPZ files: numpy arrays t, x, y, p with any usual names, records or a matrix, and the geometry.

An NPZ file is a zip archive of NPY files. Arrays that are stored without compression, as by
numpy.savez, are read piece by piece from the archive; those of numpy.savez_compressed are first
decompressed into temporary files. EVIMO2's files have events_t, events_xy and events_p.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from typing import BinaryIO

import numpy as np

from evio_ros.errors import SourceError
from evio_ros.events import SensorSize
from evio_ros.sources.readers.event_file import open_regular_file
from evio_ros.sources.readers.file_start import FileStart
from evio_ros.sources.readers.named_arrays import NamedArrays
from evio_ros.sources.readers.npy import NpyArray
from evio_ros.sources.readers.table_recording import one_line

__all__ = ["NpzFile"]

_ENDING = ".npy"
_LOCAL_HEADER_BYTES = 30
_MOST_MEMBERS = 256


class NpzFile(NamedArrays):
    """A recording in an NPZ file.

    Args:
        path: name of the file.
        size: geometry; None for the file's, or a guess if it has none.
        time_unit: unit of the times; None for the file's, or a guess.

    Raises:
        SourceError: if the file is invalid, or has no events.
    """

    format_name = "NPZ"
    keeps = "events, geometry, external triggers of our own files"
    loses = "all other arrays; pickled ones are never read"

    @classmethod
    def recognises(cls, start: FileStart) -> bool:
        """Whether the file is a zip archive that begins with an NPY file."""
        return start.data[:4] == b"PK\x03\x04" and b".npy" in start.data[:300]

    def _prepare(self) -> SensorSize | None:
        self._file = self._stack.enter_context(open_regular_file(self.path))
        try:
            self._archive = self._stack.enter_context(zipfile.ZipFile(self._file))
        except zipfile.BadZipFile:
            reason = "has no directory at its end: it is truncated, or still being written; "
            reason += "copy or write it again"
            raise SourceError(self.path, reason, os.fstat(self._file.fileno()).st_size) from None
        except Exception as error:  # the parser may raise anything
            raise SourceError(
                self.path, f"is not a valid zip archive: {one_line(error)}", 0
            ) from None
        names = self._archive.namelist()[:_MOST_MEMBERS]
        # The archive may contain a folder with the arrays.
        folders = {name.rpartition("/")[0] for name in names}
        folder = f"{folders.pop()}/" if len(folders) == 1 else ""
        return self._take({name.removeprefix(folder).removesuffix(_ENDING): name for name in names})

    def _open(self, member: str) -> NpyArray:
        info = self._archive.getinfo(member)
        if info.compress_type != zipfile.ZIP_STORED:
            decompressed = self._decompressed(info)
            return NpyArray(decompressed, 0, info.file_size, self.path, member)
        header = b""
        if 0 <= info.header_offset < 1 << 62:
            header = os.pread(self._file.fileno(), _LOCAL_HEADER_BYTES, info.header_offset)
        if len(header) < _LOCAL_HEADER_BYTES or header[:4] != b"PK\x03\x04":
            raise SourceError(self.path, f"{member} has no header", info.header_offset)
        name_bytes, extra_bytes = np.frombuffer(header[26:30], "<u2").tolist()
        offset = info.header_offset + _LOCAL_HEADER_BYTES + name_bytes + extra_bytes
        return NpyArray(self._file, offset, info.file_size, self.path, member)

    def _decompressed(self, info: zipfile.ZipInfo) -> BinaryIO:
        """Decompress a member into a temporary file, which never exceeds the declared size."""
        free = shutil.disk_usage(tempfile.gettempdir()).free
        if info.file_size > free // 2:
            reason = (
                f"{info.filename} would take {info.file_size} bytes decompressed; {free} are free"
            )
            raise SourceError(self.path, reason, info.header_offset)
        target = self._stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
        try:
            # ZipFile stops at the declared size and verifies the checksum.
            with self._archive.open(info) as source:
                shutil.copyfileobj(source, target, 1 << 20)
            target.flush()
        except Exception as error:  # the library may raise anything
            reason = f"{info.filename} cannot be decompressed: {one_line(error)}"
            raise SourceError(self.path, reason, info.header_offset) from None
        return target
