"""Writing Prophesee DAT files; the format is described in `evio_ros.sources.dat`."""

from __future__ import annotations

import os
from contextlib import ExitStack
from types import TracebackType
from typing import Self

import numpy as np

from evio_ros.atomic_file import atomic_file
from evio_ros.errors import SourceError
from evio_ros.events import EventBatch, SensorSize
from evio_ros.sources.dat import EVENT_TYPES, RECORD_BYTES

__all__ = ["DatWriter"]


class DatWriter:
    """Writes a DAT file; it appears under its name only when it is complete.

    Used as a context manager: leaving it by an exception removes what was written.

    Args:
        path: name of the file; an older one is replaced.
        size: geometry, at most 16384 pixels a side.

    Raises:
        SourceError: where the file cannot be written, with the byte offset reached.
    """

    def __init__(self, path: str | os.PathLike[str], size: SensorSize) -> None:
        if max(size.width, size.height) > 1 << 14:
            raise SourceError(path, f"DAT holds sensors of up to 16384 pixels a side, not {size}")
        self.path = os.fspath(path)
        self.size = size
        header = f"% Data file containing CD events.\n% Version 2\n% Width {size.width}\n"
        header += f"% Height {size.height}\n% end\n"
        with ExitStack() as stack:
            self._file = stack.enter_context(atomic_file(path))
            self._file.write(header.encode() + bytes((EVENT_TYPES[1], RECORD_BYTES)))
            self._stack = stack.pop_all()

    def append(self, batch: EventBatch) -> None:
        """Write events; their times are kept modulo 2**32 µs.

        Raises:
            SourceError: where the disk is full or fails; the text names the byte offset.
        """
        if batch.size != self.size:
            raise SourceError(self.path, f"events of a {batch.size} sensor, file of {self.size}")
        records = np.empty((len(batch), 2), "<u4")
        records[:, 0] = batch.t & 0xFFFFFFFF
        records[:, 1] = batch.x | batch.y.astype(np.uint32) << 14
        records[:, 1] |= batch.polarity.astype(np.uint32) << 28
        self._file.write(records.tobytes())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, traceback)
