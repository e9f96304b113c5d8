"""Recordings in a single file that is read by byte offset."""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
from collections import Counter
from pathlib import Path
from typing import BinaryIO

from evio_ros.errors import SourceError
from evio_ros.events import SensorSize
from evio_ros.sources.readers.compressed_file import (
    READ_ERRORS,
    START_BYTES,
    compression_of,
    decompressed_stream,
    decompression_error,
)
from evio_ros.sources.readers.recording import Recording

__all__ = [
    "FEWEST_ZEROS",
    "EventFile",
    "open_compressed_file",
    "open_raw_file",
    "open_regular_file",
    "zeros_at_end",
]

_DECOMPRESSED_PIECE = 1 << 20
FEWEST_ZEROS = 64
"""Minimum number of zero bytes at a file's end to leave out: fewer may be valid events."""
_ZEROS_PIECE = 1 << 16
_RAW_HEADER = re.compile(rb"(?:% [ -~]{2,200}\r?\n){2,}")
_AEDAT_HEADER = re.compile(rb"#!AER-DAT\d\.\d")


def open_regular_file(path: str) -> BinaryIO:
    """Open a file for reading; a compressed one is decompressed into a temporary file.

    Raises:
        SourceError: if it is missing, empty, unreadable, a directory, a device or a pipe, or
            cannot be decompressed.
    """
    file = open_raw_file(path)
    compression = _compression(file)
    if compression is None:
        return file
    with file:
        return _decompressed(file, compression, path)


def open_compressed_file(path: str) -> BinaryIO | None:
    """Decompress a file for libraries that open files themselves; None if it is not compressed.

    Raises the same errors as `open_regular_file`.
    """
    with open_raw_file(path) as file:
        compression = _compression(file)
        return None if compression is None else _decompressed(file, compression, path)


def _compression(file: BinaryIO) -> str | None:
    return compression_of(os.pread(file.fileno(), START_BYTES, 0))


def open_raw_file(path: str) -> BinaryIO:
    """Open a file for reading without decompressing it; raises as `open_regular_file`."""
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise SourceError(path, f"is a directory, not a recording; {_contents(path)}")
        if not stat.S_ISREG(mode):
            raise SourceError(path, "is not a regular file; save its content in a file first")
        file = Path(path).open("rb", buffering=0)  # noqa: SIM115 - the caller closes it
    except OSError as error:
        reason = f"cannot be opened: {error.strerror}"
        if os.path.islink(path) and not os.path.exists(path):
            reason += f"; it is a link to {os.readlink(path)}"
        raise SourceError(path, reason) from None
    except ValueError as error:
        raise SourceError(path, f"cannot be opened: {error}") from None
    if os.fstat(file.fileno()).st_size == 0:
        file.close()
        raise SourceError(path, "is empty", 0)
    return file


def zeros_at_end(file: BinaryIO) -> int:
    """Number of zero bytes at a file's end, as left by a crash; 0 if there are few."""
    size = os.fstat(file.fileno()).st_size
    end = size
    while end:
        length = min(_ZEROS_PIECE, end)
        rest = os.pread(file.fileno(), length, end - length).rstrip(b"\0")
        end -= length - len(rest)
        if rest:
            break
    return size - end if size - end >= FEWEST_ZEROS else 0


def _decompressed(file: BinaryIO, compression: str, path: str) -> BinaryIO:
    """Decompress a file into a temporary file.

    Raises:
        SourceError: if it is corrupt, empty, or larger than half of the free space.
    """
    room = shutil.disk_usage(tempfile.gettempdir()).free // 2
    target = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - the caller closes it
    try:
        source = decompressed_stream(file, compression, path)
        while piece := source.read(_DECOMPRESSED_PIECE):
            room -= len(piece)
            if room < 0:
                reason = f"is compressed by {compression} and too large to be decompressed here"
                raise SourceError(path, reason)
            target.write(piece)
    except READ_ERRORS as error:
        target.close()
        raise decompression_error(path, compression, error) from None
    except SourceError:
        target.close()
        raise
    if not target.tell():
        target.close()
        raise SourceError(path, "is empty", 0)
    target.seek(0)
    return target


class EventFile(Recording):
    """A recording in a single file. It is not memory-mapped: if a mapped file shrinks, reading
    crashes.

    Args:
        path: name of the file.
        size: geometry; None for the header's, or a guess if it has none.
    """

    def __init__(self, path: str, size: SensorSize | None = None) -> None:
        self._file = open_regular_file(path)
        self._buffer = bytearray()
        super().__init__(path, size)

    def close(self) -> None:
        """Close the file; can be called repeatedly."""
        self._file.close()

    def _file_bytes(self) -> int:
        return os.fstat(self._file.fileno()).st_size

    def _data_end(self, first: int) -> int:
        """End of the data from `first` on, before zeros left by a crash, which add a remark."""
        zeros, size = zeros_at_end(self._file), self._file_bytes()
        if not zeros or size - zeros <= first:
            return size
        self.remarks.append(
            f"the last {zeros} bytes are zeros, as after a crash; they are left out"
        )
        return size - zeros

    def _refuse_second_recording(self, offset: int, data: bytes) -> None:
        """Refuse a file that contains another recording's header; called if data are invalid.

        Args:
            offset: position of the data in the file, in bytes.
            data: the data that were read last.

        Raises:
            SourceError: if they contain a header.
        """
        found = _RAW_HEADER.search(data) or _AEDAT_HEADER.search(data)
        if found is not None:
            place = offset + found.start()
            reason = (
                "another recording's header follows; two files were joined: separate them by "
                f"head -c {place} and tail -c +{place + 1}"
            )
            raise SourceError(self.path, reason, place)

    def _read_at(self, offset: int, length: int) -> memoryview:
        """Exactly `length` bytes at an offset; valid until the next call.

        Raises:
            SourceError: if the file has shrunk, cannot be read or is closed.
        """
        if len(self._buffer) < length:
            self._buffer = bytearray(length)
        view = memoryview(self._buffer)[:length]
        done = 0
        try:
            while done < length:
                got = os.preadv(self._file.fileno(), [view[done:]], offset + done)
                if not got:
                    raise SourceError(self.path, "has shrunk while being read", offset + done)
                done += got
        except OSError as error:
            raise SourceError(self.path, f"cannot be read: {error.strerror}", offset) from None
        except ValueError:
            raise SourceError(self.path, "was read after being closed") from None
        return view


def _contents(folder: str) -> str:
    """What a folder contains, by the endings of its files."""
    endings = Counter(os.path.splitext(name)[1] or "no ending" for name in os.listdir(folder))
    listed = ", ".join(f"{count} of {ending}" for ending, count in endings.most_common(4))
    return f"name one of its files, {listed}" if listed else "it is empty"
