"""Compressed files, and text in unusual encodings: their content as a stream.

gzip, bzip2, xz, zstd and lz4 compress one file. In a zip archive, the only file is read, or the
only one with `event` in its name, as in archives of data sets. UTF-16, as written by spreadsheets,
becomes UTF-8.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Protocol

from evio_ros.errors import SourceError
from evio_ros.sources.optional_library import optional_library

__all__ = [
    "READ_ERRORS",
    "START_BYTES",
    "compression_of",
    "decompressed_stream",
    "decompression_error",
]

READ_ERRORS = (OSError, EOFError, ValueError, RuntimeError, zlib.error, zipfile.BadZipFile)
"""What reading such a stream may raise if the file is corrupt, besides `SourceError`."""
START_BYTES = 1 << 10
"""Number of bytes that determine how a file is compressed."""
_PIECE_BYTES = 1 << 16
_MOST_XZ_MEMORY = 1 << 28
_MOST_SHOWN = 6
_BEGINNINGS = (
    ("gzip", b"\x1f\x8b\x08"),
    ("xz", b"\xfd7zXZ\0"),
    ("zstd", b"\x28\xb5\x2f\xfd"),
    ("lz4", b"\x04\x22\x4d\x18"),
    ("zip", b"PK\x03\x04"),
)
_REMEDIES = {
    "gzip": "gzip -dc FILE > BEGINNING",
    "bzip2": "bzip2recover",
    "xz": "xz -dc FILE > BEGINNING",
    "zstd": "zstd -dc FILE > BEGINNING",
    "lz4": "lz4 -dc FILE > BEGINNING",
}
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class ByteStream(Protocol):
    """A stream that can be read once, from the beginning."""

    def read(self, count: int, /) -> bytes:
        """Up to `count` bytes; none at the end."""
        ...


def compression_of(start: bytes) -> str | None:
    """How a file is compressed, by its first `START_BYTES`; None if it is not.

    Archives of arrays, such as NPZ files, and of pickled objects count as not compressed.
    """
    for name, beginning in _BEGINNINGS:
        if start.startswith(beginning):
            is_other = name == "zip" and (b".npy" in start[:300] or b"data.pkl" in start[:300])
            return None if is_other else name
    if start.startswith(b"BZh") and start[4:10] == b"1AY&SY":
        return "bzip2"
    return "UTF-16" if start.startswith(_UTF_16) and _is_text(start) else None


def _is_text(start: bytes) -> bool:
    """Whether data that begin with the byte order mark of UTF-16 are text."""
    try:
        text = start[: len(start) // 2 * 2].decode("utf-16")
    except UnicodeDecodeError:
        return False
    return all(character >= " " or character in "\t\r\n" for character in text)


def decompression_error(path: str, compression: str, error: Exception) -> SourceError:
    """The error to raise if a compressed file is corrupt: what is wrong, and what to do."""
    reason = f"is compressed by {compression} and corrupt: {error}"
    remedy = _REMEDIES.get(compression)
    return SourceError(path, f"{reason}; {remedy} may save its beginning" if remedy else reason)


def decompressed_stream(file: BinaryIO, compression: str, path: str) -> ByteStream:
    """Decompress a file.

    Args:
        file: the file, at its beginning; it must stay open.
        compression: as returned by `compression_of`.
        path: name of the file, for messages.

    Returns:
        The decompressed content. Reading it may raise `SourceError` and `READ_ERRORS`.

    Raises:
        SourceError: if a zip archive does not have a unique file of events, or a library for the
            compression is missing.
    """
    if compression == "gzip":
        return gzip.open(file)
    if compression == "zip":
        return _member(file, path)
    if compression == "UTF-16":
        return _Utf8Stream(file)
    return _Decompressed(file, _decompressor(compression, path))


def _decompressor(compression: str, path: str) -> Callable[[], Any]:
    if compression == "bzip2":
        return bz2.BZ2Decompressor
    if compression == "xz":
        return lambda: lzma.LZMADecompressor(memlimit=_MOST_XZ_MEMORY)
    if compression == "zstd":
        return optional_library("backports.zstd", "backports.zstd", path).ZstdDecompressor
    return optional_library("lz4.frame", "lz4", path).LZ4FrameDecompressor


class _Decompressed:
    """A file of one or more consecutive compressed streams.

    Args:
        file: the compressed file.
        make: creates a decompressor with the interface of the standard library's.
    """

    def __init__(self, file: BinaryIO, make: Callable[[], Any]) -> None:
        self._file, self._make = file, make
        self._decompressor = make()
        self._rest = b""

    def read(self, count: int, /) -> bytes:
        """Up to `count` bytes; none at the end."""
        try:
            while True:
                decompressor = self._decompressor
                if decompressor.eof:
                    self._rest = decompressor.unused_data or self._file.read(_PIECE_BYTES)
                    if not self._rest.strip(b"\0"):
                        return b""
                    self._decompressor = decompressor = self._make()
                data, self._rest = self._rest, b""
                if not data and decompressor.needs_input:
                    data = self._file.read(_PIECE_BYTES)
                    if not data:
                        raise EOFError("it is truncated")
                found = decompressor.decompress(data, count)
                if found:
                    return bytes(found)
        except READ_ERRORS:
            raise
        except Exception as error:  # each library has its own errors
            raise ValueError(" ".join(str(error).split()) or type(error).__name__) from None


class _Utf8Stream:
    """Text in UTF-16 as UTF-8."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-16")()

    def read(self, count: int, /) -> bytes:
        """Up to `count` bytes; none at the end."""
        # A character of two bytes may become three.
        data = self._file.read(max(count // 2, 2))
        text = self._decoder.decode(data, final=not data)
        return text.encode() if text or not data else self.read(count)


def _member(file: BinaryIO, path: str) -> ByteStream:
    """The file of events in a zip archive."""
    try:
        archive = zipfile.ZipFile(file)
        names = list(_files_in(archive))
        wanted = names if len(names) == 1 else [name for name in names if _is_of_events(name)]
        if len(wanted) == 1:
            return archive.open(wanted[0])
    except READ_ERRORS as error:
        raise SourceError(path, f"is a corrupt zip archive: {error}") from None
    shown = ", ".join(names[:_MOST_SHOWN]) + (", ..." if len(names) > _MOST_SHOWN else "")
    reason = f"is a zip archive of {len(names)} files, {shown}; extract it and name one of them"
    raise SourceError(path, reason if names else "is a zip archive without files")


def _files_in(archive: zipfile.ZipFile) -> Iterator[str]:
    for name in archive.namelist():
        last = name.rpartition("/")[2]
        if last and not last.startswith(".") and not name.startswith("__MACOSX/"):
            yield name


def _is_of_events(name: str) -> bool:
    return "event" in name.rpartition("/")[2].lower()
