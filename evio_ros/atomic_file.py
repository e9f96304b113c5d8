"""Atomic writing: a file appears under its name only when it is complete."""

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
        path: the name given by the user, for error messages.
    """

    def __init__(self, path: str | os.PathLike[str], file: BinaryIO) -> None:
        self.path = os.fspath(path)
        self._file = file

    def write(self, data: bytes | str) -> int:
        """Write bytes, or text as UTF-8, and return the number of bytes.

        Raises:
            BrokenPipeError: if it is a pipe whose reader has closed it.
            SourceError: if the disk is full or fails; gives the byte offset reached.
        """
        encoded = data.encode() if isinstance(data, str) else data
        try:
            return self._file.write(encoded)
        except OSError as error:
            self._fail(error)

    def flush(self) -> None:
        """Write buffered data; raises the errors of `write`."""
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
    """Open a file for writing that gets its name when the block ends without an error.

    Raises:
        SourceError: if the file cannot be opened, written or renamed.
    """
    with atomic_path(path) as name:
        try:
            file = open(name, "wb")  # noqa: SIM115 - closed below in all cases
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
    """Like `atomic_file`, for libraries that open files by name: yields a temporary name.

    The file with the temporary name is renamed to `path` when the block ends, and removed if the
    block fails. An existing file stays untouched until then, and the new one gets its permissions.
    A symbolic link is followed. A device or a pipe is written directly, without a temporary name.

    Raises:
        SourceError: if the file cannot be replaced or renamed.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        yield os.fspath(path)
        return
    final = os.path.realpath(path)
    # Renaming checks only the folder's permissions; respect those of the existing file too.
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
    except OSError as error:  # a network file system may report only now that it is full
        raise SourceError(path, f"cannot be written: {error.strerror}") from None


def _rename(partial: str, final: str, path: str | os.PathLike[str]) -> None:
    try:
        if os.path.exists(final):
            os.chmod(partial, stat.S_IMODE(os.stat(final).st_mode))
        os.replace(partial, final)
    except OSError as error:
        raise SourceError(path, f"cannot be written: {error.strerror}") from None
