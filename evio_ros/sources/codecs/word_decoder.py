"""Base of the decoders of Prophesee's RAW formats, whose words need a state."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.sources.raw_columns import RawColumns, Triggers

__all__ = ["NO_ANCHOR", "NO_TIME", "WordDecoder", "next_high"]

NO_TIME = -1
"""Stands for the time of a decoder that has met none yet."""
NO_ANCHOR = -(1 << 62)
"""Stands for no time word before a step of half the range."""


@njit(cache=True, nogil=True)
def next_high(raw, high, anchor, half, near):
    """Count a time word on past its wraps: the value nearest to the one before.

    So a wrap is a step back of more than half the range, and a single wrong word does no harm to
    the next: the step to it and the step back cancel. Only about half the range away two steps the
    same way would be nearest, so the word before such a step is remembered, and a word near it is
    the way back.

    Args:
        raw: value of the word.
        high: the one before, counted on.
        anchor: the one before a step of about half the range, or `NO_ANCHOR`.
        half: half the range of the words, a power of two.
        near: what is near.

    Returns:
        The value counted on, and the next `anchor`.
    """
    if anchor != NO_ANCHOR:
        back = ((raw - anchor + half) & (2 * half - 1)) - half
        if abs(back) <= near:
            return anchor + back, NO_ANCHOR
    step = ((raw - high + half - 1) & (2 * half - 1)) - (half - 1)
    if abs(step) >= half - near:
        return high + step, high
    high += step
    if anchor != NO_ANCHOR and abs(abs(high - anchor) - half) > near:
        return high, NO_ANCHOR
    return high, anchor


class WordDecoder:
    """Turns words into events; its state makes the stream resumable at any word.

    Attributes:
        word_type: dtype of a word.
        wrap_us: period of the format's times.
        state: int64 (n,), all that the decoder carries from word to word.
        invalid: words dropped: of unknown type, or events before the first time.
        triggers: external triggers of the words decoded last.
        continued: number of words decoded last that go on from a vendor's word, where a format's
            other words may also be text that does not belong there.
    """

    word_type: ClassVar[np.dtype]
    wrap_us: ClassVar[int]
    invalid: int
    state: NDArray[np.int64]
    triggers: Triggers
    continued: int = 0

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
