"""The errors that evio_ros raises deliberately; any other exception is a defect."""

from __future__ import annotations

from os import PathLike, fspath

__all__ = ["EventError", "EvioError", "ParameterError", "SourceError"]


class EvioError(Exception):
    """Base of all errors that a user can cause and correct; its text is one readable line."""


class ParameterError(EvioError, ValueError):
    """A parameter is unknown, of the wrong type or outside its range."""


class EventError(EvioError, ValueError):
    """Event columns violate the rules of `evio_ros.events.EventBatch`."""


class SourceError(EvioError):
    """A recording, bag or camera, or a file to be written, cannot be used.

    Args:
        path: the file, URI or device concerned.
        reason: what is wrong and, if there is a remedy, what to do. It may quote the file:
            characters that cannot be printed become blanks.
        offset: byte offset of the error in the file; None if it has no offset.
    """

    def __init__(self, path: str | PathLike[str], reason: str, offset: int | None = None) -> None:
        self.path = fspath(path)
        self.reason = "".join(mark if mark.isprintable() else " " for mark in reason)
        self.offset = offset
        where = self.path if offset is None else f"{self.path}, byte {offset}"
        super().__init__(f"{where}: {self.reason}")
