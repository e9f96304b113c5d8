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
    """Writes a recording; it appears under its name only when it is complete.

    Used as a context manager: leaving it by an exception removes what was written.

    Args:
        path: name of the recording; an older one is replaced.
        size: geometry of the sensor.

    Raises:
        SourceError: where the recording cannot be written, or the format cannot hold the geometry.
    """

    format_name: ClassVar[str]
    largest_side_px: ClassVar[int] = 1 << 16
    keeps_triggers: ClassVar[bool] = False
    """Whether the format has a place for external triggers."""

    def __init__(self, path: str | os.PathLike[str], size: SensorSize) -> None:
        self.path = os.fspath(path)
        self.size = size
        if max(size.width, size.height) > self.largest_side_px:
            raise SourceError(
                path,
                f"{self.format_name} holds sensors of up to {self.largest_side_px} pixels a side, "
                f"not {size}",
            )
        self._last_us: int | None = None
        with ExitStack() as stack:
            self._open(stack)
            self._stack = stack.pop_all()

    @abstractmethod
    def _open(self, stack: ExitStack) -> None:
        """Open what is written; what is entered into `stack` is left at the end."""

    @abstractmethod
    def _write(self, batch: EventBatch) -> None:
        """Write a batch that is not empty and follows the one before in time."""

    def _finish(self) -> None:  # noqa: B027 - most formats need nothing here
        """Write what belongs at the end."""

    def append(self, batch: EventBatch) -> None:
        """Write the next events.

        Raises:
            SourceError: where they are of another sensor or before the events already written, or
                the disk is full or fails, with the byte offset reached.
        """
        if batch.size != self.size:
            raise SourceError(self.path, f"events of a {batch.size} sensor, file of {self.size}")
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
        """Write external triggers, where the format has a place for them: see `keeps_triggers`.

        Args:
            triggers: in order of time, and not before the events written already.
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
        """Say in one line why a library could not write."""
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise SourceError(self.path, f"cannot be written: {reason}") from None
