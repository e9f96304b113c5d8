"""What decoders of Prophesee's RAW formats share: words that only a state makes sense of."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from evio_ros.sources.raw_columns import RawColumns, Triggers

__all__ = ["NO_TIME", "WordDecoder"]

NO_TIME = -1
"""Stands for the time of a decoder that has met none yet."""


class WordDecoder:
    """Turns words into events; its state makes the stream resumable at any word.

    Attributes:
        word_type: dtype of a word.
        wrap_us: period of the format's times.
        state: int64 (n,), all that the decoder carries from word to word.
        invalid: words dropped: of unknown type, or events before the first time.
        triggers: external triggers of the words decoded last.
    """

    word_type: ClassVar[np.dtype]
    wrap_us: ClassVar[int]
    invalid: int
    state: NDArray[np.int64]
    triggers: Triggers

    @abstractmethod
    def __init__(self, epoch_us: int = 0) -> None:
        """Start before the first word; times are counted from `epoch_us`, a multiple of wrap_us."""

    @abstractmethod
    def decode(self, words: NDArray[np.unsignedinteger]) -> RawColumns:
        """Decode the next words of the stream."""

    @abstractmethod
    def skip(self, words: NDArray[np.unsignedinteger]) -> None:
        """Bring the state beyond the next words without making events."""

    @property
    @abstractmethod
    def time_us(self) -> int:
        """Sensor time that the state stands at; -1 before the first."""
