"""Base of the decoders of Prophesee's RAW formats, whose words depend on a state."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.sources.raw_columns import RawColumns, Triggers

__all__ = ["NO_ANCHOR", "NO_TIME", "WordDecoder", "next_high"]

NO_TIME = -1
"""Time of a decoder that has not read any time yet."""
NO_ANCHOR = -(1 << 62)
"""Anchor if there was no step of half the range."""


@njit(cache=True, nogil=True)
def next_high(raw, high, anchor, half, near):
    """Unwrap a time word: the value nearest to the previous one.

    So a wrap is a step back of more than half the range, and a single corrupt word does not affect
    the next: the step to it and the step back cancel. Only if it is about half the range away, both
    steps could be taken in the same direction. Therefore the word before such a step is remembered
    as an anchor, and a word near the anchor returns to it.

    Args:
        raw: value of the word.
        high: the previous one, unwrapped.
        anchor: the one before a step of about half the range, or `NO_ANCHOR`.
        half: half the range of the words, a power of two.
        near: maximum distance of values that count as near.

    Returns:
        The unwrapped value, and the next `anchor`.
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
    """Decodes words into events; its state allows decoding to resume at any word.

    Attributes:
        word_type: dtype of a word.
        wrap_us: period of the format's times in µs.
        state: int64 (n,), everything that the decoder keeps from word to word.
        invalid: number of words dropped: of unknown type, or events before the first time.
        triggers: external triggers of the last words that were decoded.
        continued: number of the last words that continue a vendor's word; in some formats, other
            words may also be text that does not belong there.
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
        """Update the state by the next words without decoding events."""

    @property
    @abstractmethod
    def time_us(self) -> int:
        """Sensor time of the state in µs; -1 before the first."""
