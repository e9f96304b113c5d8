"""The errors that evio_ros raises deliberately; any other exception is a defect."""

from __future__ import annotations

from os import PathLike, fspath

__all__ = [
    "EventError",
    "EvioError",
    "ParameterError",
    "SourceError",
    "content_error",
    "reason_of",
]


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


def reason_of(error: BaseException) -> str:
    """The text of an exception; of one of the system only its reason, such as "Is a directory"."""
    return getattr(error, "strerror", None) or str(error)


def content_error(path: str | PathLike[str], refusal: str, error: Exception) -> SourceError:
    """The error to raise if a file cannot be read, or its content is not what it should be.

    Args:
        path: the file.
        refusal: what the content is not, such as "is not a ground-truth file".
        error: what was raised when the file was read; a SourceError is returned as it is.
    """
    if isinstance(error, SourceError):
        return error
    if isinstance(error, OSError):
        return SourceError(path, f"cannot be read: {reason_of(error)}")
    reason = f"no field {error}" if isinstance(error, KeyError) else str(error)
    return SourceError(path, f"{refusal}: {reason}")
