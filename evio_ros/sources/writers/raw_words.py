"""Writing Prophesee RAW files; the formats are described in `codecs.evt2` and `codecs.evt3`."""

from __future__ import annotations

from contextlib import ExitStack
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from evio_ros.events import EventBatch
from evio_ros.sources.codecs.evt2 import Evt2Decoder, Evt2Encoder
from evio_ros.sources.codecs.evt3 import Evt3Decoder, Evt3Encoder
from evio_ros.sources.raw_columns import Triggers
from evio_ros.sources.writers.prophesee import PropheseeWriter

__all__ = ["Evt2Writer", "Evt3Writer"]


class _RawWriter(PropheseeWriter):
    """Writes the words of an encoder, which depend on the previous ones."""

    largest_side_px: ClassVar[int] = 1 << 11
    keeps_triggers: ClassVar[bool] = True
    version: ClassVar[int]
    encoder: ClassVar[type[Evt2Encoder] | type[Evt3Encoder]]

    def _open(self, stack: ExitStack) -> None:
        super()._open(stack)
        self._encoder = self.encoder()

    def _header_lines(self) -> list[str]:
        width, height = self.size.width, self.size.height
        return [
            f"evt {self.version}.0",
            f"format EVT{self.version};height={height};width={width}",
            f"geometry {self.size}",
            "integrator_name Prophesee",
        ]

    def _encoded(self, batch: EventBatch) -> NDArray[np.generic]:
        return self._encoder.encode(batch)

    def append_triggers(self, triggers: Triggers) -> None:
        """Write external triggers; arguments as for `EventWriter.append_triggers`."""
        if len(triggers):
            self._begin(int(triggers.t[0]))
            self._file.write(self._encoder.encode_triggers(triggers).tobytes())


class Evt2Writer(_RawWriter):
    """Writes an EVT2 file."""

    format_name = "EVT2"
    version = 2
    encoder = Evt2Encoder
    wrap_us: ClassVar[int] = Evt2Decoder.wrap_us


class Evt3Writer(_RawWriter):
    """Writes an EVT3 file."""

    format_name = "EVT3"
    version = 3
    encoder = Evt3Encoder
    wrap_us: ClassVar[int] = Evt3Decoder.wrap_us
