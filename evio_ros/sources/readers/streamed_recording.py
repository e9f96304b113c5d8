"""Base of recordings that another library reads, from the beginning only."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator
from copy import copy
from typing import Self

from evio_ros.sources.base import SourceStatistics
from evio_ros.sources.raw_columns import RawColumns
from evio_ros.sources.readers.recording import Recording

__all__ = ["StreamedRecording"]


class StreamedRecording(Recording):
    """A recording that is read from its beginning; a seek decodes everything before."""

    _stream: Generator[RawColumns, None, None] | None = None

    @abstractmethod
    def _pieces(self) -> Generator[RawColumns, None, None]:
        """Read the recording from its beginning.

        Raises:
            SourceError: if it cannot be read any further.
        """

    def close(self) -> None:
        """Close the recording; can be called repeatedly."""
        if self._stream is not None:
            self._stream.close()

    def _read_piece(self) -> RawColumns | None:
        if self._stream is None:
            self._stream = self._pieces()
        return next(self._stream, None)

    def _independent(self) -> Self:
        other = copy(self)
        other.statistics, other._stream = SourceStatistics(), None
        return other

    def _go_to(self, t_us: int | None) -> None:
        self.close()
        self._stream = None
