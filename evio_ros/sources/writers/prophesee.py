"""Base of the writers of Prophesee's DAT and RAW files: a header, then words."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import ExitStack
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from evio_ros.atomic_file import atomic_file
from evio_ros.errors import SourceError
from evio_ros.events import EventBatch
from evio_ros.sources.readers.prophesee_header import TIME_OFFSET
from evio_ros.sources.writers.event_writer import EventWriter

__all__ = ["PropheseeWriter"]

_PIECE_EVENTS = 1 << 20


class PropheseeWriter(EventWriter):
    """Writes a header and words; the header declares times beyond the format's fields."""

    wrap_us: ClassVar[int]

    @abstractmethod
    def _header_lines(self) -> list[str]:
        """The header's lines without percent signs and without the end line."""

    @abstractmethod
    def _encoded(self, batch: EventBatch) -> NDArray[np.generic]:
        """Words of a batch."""

    def _open(self, stack: ExitStack) -> None:
        self._file = stack.enter_context(atomic_file(self.path))
        self._has_header = False

    def _write(self, batch: EventBatch) -> None:
        if batch.t[0] < 0:
            raise SourceError(
                self.path, f"{self.format_name} cannot store negative times: {batch.t[0]} us"
            )
        self._begin(int(batch.t[0]))
        for first in range(0, len(batch), _PIECE_EVENTS):
            words = self._encoded(batch.slice(first, first + _PIECE_EVENTS))
            self._file.write(words.tobytes())

    def _finish(self) -> None:
        self._begin(0)

    def _begin(self, first_us: int) -> None:
        """Write the header, once, given the file's first time in µs."""
        if not self._has_header:
            self._has_header = True
            self._write_header(first_us)

    def _write_header(self, first_us: int) -> None:
        lines = self._header_lines()
        offset_us = first_us - first_us % self.wrap_us
        if offset_us:
            lines.append(f"{TIME_OFFSET} {offset_us}")
        self._file.write("".join(f"% {line}\n" for line in [*lines, "end"]))
