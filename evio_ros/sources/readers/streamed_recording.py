"""What recordings share that another library reads from the beginning on, and nowhere else."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator
from functools import cached_property

from evio_ros.errors import SourceError
from evio_ros.sources.readers.recording import Recording
from evio_ros.sources.time_order import RawColumns

__all__ = ["StreamedRecording"]


class StreamedRecording(Recording):
    """A recording that is read from its beginning; a seek decodes all that comes before."""

    _stream: Generator[RawColumns, None, None] | None = None

    @abstractmethod
    def _pieces(self) -> Generator[RawColumns, None, None]:
        """Read the recording from its beginning.

        Raises:
            SourceError: where it cannot be read on.
        """

    @cached_property
    def start_us(self) -> int:
        """Sensor time of the first event in µs."""
        for columns in self._pieces():
            if len(columns):
                return int(columns.t[0])
        raise SourceError(self.path, "holds no events")

    @cached_property
    def end_us(self) -> int:
        """Sensor time just after the last event in µs; reads the whole recording."""
        newest = max((int(c.t.max()) for c in self._pieces() if len(c)), default=None)
        if newest is None:
            raise SourceError(self.path, "holds no events")
        return newest + 1

    def close(self) -> None:
        """Close the recording; may be called twice."""
        if self._stream is not None:
            self._stream.close()

    def _read_piece(self) -> RawColumns | None:
        if self._stream is None:
            self._stream = self._pieces()
        return next(self._stream, None)

    def _go_to(self, t_us: int | None) -> None:
        self.close()
        self._stream = None
