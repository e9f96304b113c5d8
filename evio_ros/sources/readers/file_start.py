"""The beginning of a file, which determines its format."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO

from evio_ros.sources.readers.compressed_file import (
    READ_ERRORS,
    START_BYTES,
    compression_of,
    decompressed_stream,
    decompression_error,
)
from evio_ros.sources.readers.event_file import open_raw_file
from evio_ros.sources.readers.prophesee_header import (
    LONGEST_HEADER_BYTES,
    PropheseeHeader,
    read_header,
)

__all__ = ["FileStart", "read_file_start"]


@dataclass(frozen=True, slots=True)
class FileStart:
    """The beginning of a file of unknown format.

    Attributes:
        path: name of the file.
        data: its first bytes, decompressed, at most 64 KiB.
        header: the Prophesee header; None if there is none.
    """

    path: str
    data: bytes
    header: PropheseeHeader | None


def read_file_start(path: str) -> FileStart:
    """Read the beginning of a file.

    Raises:
        SourceError: if it cannot be opened or decompressed, or has an invalid Prophesee header.
    """
    with open_raw_file(path) as file:
        compression = compression_of(file.read(START_BYTES))
        file.seek(0)
        data = (
            file.read(LONGEST_HEADER_BYTES)
            if compression is None
            else _inside(file, compression, path)
        )
    header = read_header(BytesIO(data), path) if data[:1] == b"%" else None
    return FileStart(path, data, header if header and header.length else None)


def _inside(file: BinaryIO, compression: str, path: str) -> bytes:
    """The beginning of a compressed file, without decompressing all of it."""
    data = b""
    try:
        stream = decompressed_stream(file, compression, path)
        while len(data) < LONGEST_HEADER_BYTES:
            piece = stream.read(LONGEST_HEADER_BYTES - len(data))
            if not piece:
                break
            data += piece
    except READ_ERRORS as error:
        raise decompression_error(path, compression, error) from None
    return data
