"""Writing Prophesee RAW files in EVT3; the format is described in `codecs.evt3`."""

from __future__ import annotations

from contextlib import ExitStack
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from evio_ros.events import EventBatch
from evio_ros.sources.codecs.evt3 import Evt3Decoder, Evt3Encoder
from evio_ros.sources.raw_columns import Triggers
from evio_ros.sources.writers.prophesee import PropheseeWriter

__all__ = ["Evt3Writer"]


class Evt3Writer(PropheseeWriter):
    """Writes an EVT3 file."""

    format_name = "EVT3"
    largest_side_px: ClassVar[int] = 1 << 11
    keeps_triggers: ClassVar[bool] = True
    wrap_us: ClassVar[int] = Evt3Decoder.wrap_us

    def _open(self, stack: ExitStack) -> None:
        super()._open(stack)
        self._encoder = Evt3Encoder()

    def _header_lines(self) -> list[str]:
        width, height = self.size.width, self.size.height
        return [
            "evt 3.0",
            f"format EVT3;height={height};width={width}",
            f"geometry {self.size}",
            "integrator_name Prophesee",
        ]

    def _encoded(self, batch: EventBatch) -> NDArray[np.generic]:
        return self._encoder.encode(batch)

    def append_triggers(self, triggers: Triggers) -> None:
        """Write external triggers; arguments as of `EventWriter.append_triggers`."""
        if len(triggers):
            self._begin(int(triggers.t[0]))
            self._file.write(self._encoder.encode_triggers(triggers).tobytes())
