"""Event Stream files (.es), read by the library faery."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from evio_ros.errors import EventError, SourceError
from evio_ros.events import SensorSize
from evio_ros.sources.optional_library import optional_library
from evio_ros.sources.raw_columns import RawColumns
from evio_ros.sources.readers.event_file import open_raw_file, zeros_at_end
from evio_ros.sources.readers.file_start import FileStart
from evio_ros.sources.readers.streamed_recording import StreamedRecording

__all__ = ["EventStreamFile"]

_SIGNATURE = b"Event Stream"


class EventStreamFile(StreamedRecording):
    """A recording in an Event Stream file.

    Args:
        path: name of the file.
        size: geometry; None for the file's.
    """

    format_name = "Event Stream"
    keeps = "events, geometry"
    loses = "nothing"

    @classmethod
    def recognises(cls, start: FileStart) -> bool:
        """Whether the file begins with the format's signature."""
        return start.data.startswith(_SIGNATURE)

    def _prepare(self) -> SensorSize | None:
        with open_raw_file(self.path) as file:
            zeros, size = zeros_at_end(file), os.fstat(file.fileno()).st_size
        if zeros:
            # Each five of them would be an event of the pixel (0, 0).
            reason = f"the last {zeros} bytes are zeros, as after a crash; cut them off by "
            raise SourceError(self.path, f"{reason}truncate -s {size - zeros}", size - zeros)
        try:
            return SensorSize(*self._decoder().dimensions())
        except EventError as error:
            raise SourceError(self.path, f"the geometry is impossible: {error}") from None

    def _decoder(self) -> Any:
        faery = optional_library("faery", "evio_ros[formats]", self.path)
        with self._errors(f"cannot be read as {self.format_name}"):
            return faery.events_stream_from_file(self.path, file_type="es")

    def _pieces(self) -> Generator[RawColumns, None, None]:
        given = 0
        stream = iter(self._decoder())
        while True:
            with self._errors(f"cannot be read beyond {given} events"):
                events = next(stream, None)
            if events is None:
                return
            yield RawColumns(
                events["t"].astype(np.int64),
                np.ascontiguousarray(events["x"]),
                np.ascontiguousarray(events["y"]),
                np.ascontiguousarray(events["on"]).view(np.bool_),
            )
            given += len(events)

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        """Turn any error of the library's decoders into one line."""
        try:
            yield
        except BaseException as error:
            # A panic of the library's Rust code is not an Exception.
            if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                raise
            text = " ".join(str(error).split()) or type(error).__name__
            raise SourceError(self.path, f"{what}: {text}") from None
