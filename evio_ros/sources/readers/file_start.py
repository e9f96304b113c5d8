"""The beginning of a file, from which its format is told."""

from __future__ import annotations

import gzip
import os
import zlib
from dataclasses import dataclass
from typing import BinaryIO, cast

from evio_ros.errors import SourceError
from evio_ros.sources.readers.event_file import open_regular_file
from evio_ros.sources.readers.prophesee_header import (
    LONGEST_HEADER_BYTES,
    PropheseeHeader,
    read_header,
)

__all__ = ["FileStart", "read_file_start"]


@dataclass(frozen=True, slots=True)
class FileStart:
    """What is known of a file before its format is.

    Attributes:
        path: the file.
        data: its first bytes, at most 64 KiB.
        header: the Prophesee header; None where there is none.
    """

    path: str
    data: bytes
    header: PropheseeHeader | None


def read_file_start(path: str) -> FileStart:
    """Read the beginning of a file.

    Raises:
        SourceError: where it cannot be opened or has a broken Prophesee header.
    """
    try:
        with _start_of(path) as file:
            data = file.read(LONGEST_HEADER_BYTES)
            header = read_header(file, path) if data[:1] == b"%" else None
    except (EOFError, zlib.error) as error:
        raise SourceError(path, f"is packed by gzip and broken: {error}") from None
    return FileStart(path, data, header if header and header.length else None)


def _start_of(path: str) -> BinaryIO:
    """The file, or what it holds where it is packed by gzip, without unpacking all of it."""
    try:
        packed = gzip.open(path) if os.path.isfile(path) else None  # noqa: SIM115
        if packed is not None and packed.peek(1):
            return cast(BinaryIO, packed)
    except (OSError, EOFError, ValueError, zlib.error):
        pass
    return open_regular_file(path)
