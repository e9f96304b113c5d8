"""Writing files that appear under their name only when they are complete."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, NoReturn

from evio_ros.errors import SourceError

__all__ = ["OutputFile", "atomic_file", "atomic_path"]


class OutputFile:
    """A file that is being written.

    Attributes:
        path: the name that the user gave, for messages.
    """

    def __init__(self, path: str | os.PathLike[str], file: BinaryIO) -> None:
        self.path = os.fspath(path)
        self._file = file

    def write(self, data: bytes | str) -> int:
        """Write bytes, or text as UTF-8; returns the number of bytes.

        Raises:
            BrokenPipeError: where it is a pipe that nobody reads any more.
            SourceError: where the disk is full or fails, with the byte offset reached.
        """
        encoded = data.encode() if isinstance(data, str) else data
        try:
            return self._file.write(encoded)
        except OSError as error:
            self._fail(error)

    def flush(self) -> None:
        """Write what is still buffered; raises what `write` does."""
        try:
            self._file.flush()
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> NoReturn:
        if isinstance(error, BrokenPipeError):
            raise error
        reached = os.fstat(self._file.fileno()).st_size
        raise SourceError(self.path, f"cannot be written: {error.strerror}", reached) from None


@contextmanager
def atomic_file(path: str | os.PathLike[str]) -> Iterator[OutputFile]:
    """Open a file for writing; it takes its name when the block ends, and not if it fails.

    Raises:
        SourceError: where the file cannot be opened, written or given its name.
    """
    with atomic_path(path) as name:
        try:
            file = open(name, "wb")  # noqa: SIM115 - closed below, whatever comes
        except OSError as error:
            raise SourceError(path, f"cannot be written: {error.strerror}") from None
        output = OutputFile(path, file)
        try:
            yield output
            output.flush()
        except BaseException:
            with suppress(OSError):
                file.close()
            raise
        _close(file, path)


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[str]:
    """Give a partial name for a library that writes files by name; as `atomic_file` otherwise.

    What lies under the partial name is renamed to `path` when the block ends, and removed if it
    fails. An older file stays untouched until then, and the new one gets its permissions; a link
    is followed. A device or a pipe has no partial name and is written directly.

    Raises:
        SourceError: where the file cannot be replaced or given its name.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        yield os.fspath(path)
        return
    final = os.path.realpath(path)
    # Renaming asks only for the folder's permissions; the older file's own count as well.
    if os.path.exists(final) and not os.access(final, os.W_OK):
        raise SourceError(path, "cannot be written: Permission denied")
    partial = f"{final}.{os.getpid()}.part"
    try:
        yield partial
        _rename(partial, final, path)
    finally:
        with suppress(OSError):
            Path(partial).unlink(missing_ok=True)


def _close(file: BinaryIO, path: str | os.PathLike[str]) -> None:
    try:
        file.close()
    except OSError as error:  # a file system on the network may tell only now that it is full
        raise SourceError(path, f"cannot be written: {error.strerror}") from None


def _rename(partial: str, final: str, path: str | os.PathLike[str]) -> None:
    try:
        if os.path.exists(final):
            os.chmod(partial, stat.S_IMODE(os.stat(final).st_mode))
        os.replace(partial, final)
    except OSError as error:
        raise SourceError(path, f"cannot be written: {error.strerror}") from None
