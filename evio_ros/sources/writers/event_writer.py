"""Base of all writers of recordings."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from contextlib import ExitStack
from types import TracebackType
from typing import ClassVar, NoReturn, Self

from evio_ros.errors import SourceError
from evio_ros.events import EventBatch, SensorSize
from evio_ros.sources.raw_columns import Triggers

__all__ = ["EventWriter"]


class EventWriter(ABC):
    """Writes a recording, which appears under its name only when it is complete.

    Use it as a context manager: if an exception leaves the block, the written file is removed.

    Args:
        path: name of the recording; an existing one is replaced.
        size: geometry of the sensor.

    Raises:
        SourceError: if the recording cannot be written, or the format does not support the
            geometry.
    """

    format_name: ClassVar[str]
    largest_side_px: ClassVar[int] = 1 << 16
    keeps_triggers: ClassVar[bool] = False
    """Whether the format supports external triggers."""

    def __init__(self, path: str | os.PathLike[str], size: SensorSize) -> None:
        self.path = os.fspath(path)
        self.size = size
        if max(size.width, size.height) > self.largest_side_px:
            raise SourceError(
                path,
                f"{self.format_name} supports sensors of up to {self.largest_side_px} pixels "
                f"a side, not {size}",
            )
        self._last_us: int | None = None
        with ExitStack() as stack:
            self._open(stack)
            self._stack = stack.pop_all()

    @abstractmethod
    def _open(self, stack: ExitStack) -> None:
        """Open the output; contexts entered into `stack` are closed at the end."""

    @abstractmethod
    def _write(self, batch: EventBatch) -> None:
        """Write a batch that is not empty and follows the previous one in time."""

    def _finish(self) -> None:  # noqa: B027 - most formats need nothing here
        """Write the end of the file."""

    def append(self, batch: EventBatch) -> None:
        """Write the next events.

        Raises:
            SourceError: if they have another geometry or are before the events already written, or
                the disk is full or fails, with the byte offset reached.
        """
        if batch.size != self.size:
            raise SourceError(
                self.path, f"events have the geometry {batch.size}, but the file has {self.size}"
            )
        if not len(batch):
            return
        first_us = int(batch.t[0])
        if self._last_us is not None and first_us < self._last_us:
            raise SourceError(
                self.path, f"time goes back from {self._last_us} to {first_us} us between batches"
            )
        self._write(batch)
        self._last_us = int(batch.t[-1])

    def append_triggers(self, triggers: Triggers) -> None:  # noqa: B027 - most formats hold none
        """Write external triggers, if the format supports them: see `keeps_triggers`.

        Args:
            triggers: in order of time, and not before the events already written.
        """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._stack.__exit__(kind, error, traceback)
            return
        with self._stack:
            self._finish()

    def _fail(self, error: Exception) -> NoReturn:
        """Raise SourceError with a library's reason in one line."""
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise SourceError(self.path, f"cannot be written: {reason}") from None
