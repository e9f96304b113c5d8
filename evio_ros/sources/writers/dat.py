"""Writing Prophesee DAT files; the format is described in `evio_ros.sources.codecs.dat`."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from evio_ros.errors import SourceError
from evio_ros.events import EventBatch
from evio_ros.sources.codecs.dat import EVENT_TYPES, RECORD_BYTES, WRAP_US, encode_records
from evio_ros.sources.writers.prophesee import PropheseeWriter

__all__ = ["DatWriter"]


class DatWriter(PropheseeWriter):
    """Writes a DAT file; times are kept modulo 2**32 µs, so a gap is at most 2**31 µs long."""

    format_name = "DAT"
    largest_side_px: ClassVar[int] = 1 << 14
    wrap_us: ClassVar[int] = WRAP_US

    def _header_lines(self) -> list[str]:
        return [
            "Data file containing CD events.",
            "Version 2",
            f"Width {self.size.width}",
            f"Height {self.size.height}",
        ]

    def _write_header(self, first_us: int) -> None:
        super()._write_header(first_us)
        self._file.write(bytes((EVENT_TYPES[1], RECORD_BYTES)))

    def _encoded(self, batch: EventBatch) -> NDArray[np.generic]:
        self._check_gaps(batch)
        return encode_records(batch)

    def _check_gaps(self, batch: EventBatch) -> None:
        before_us = batch.t[0] if self._last_us is None else self._last_us
        longest_us = int(np.diff(batch.t, prepend=before_us).max())
        if longest_us >= WRAP_US // 2:
            reason = (
                f"no event for {longest_us} us; DAT supports gaps of up to {WRAP_US // 2 - 1} us"
            )
            raise SourceError(self.path, reason)
