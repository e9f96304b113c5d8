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
"""Anchor if there was no long step."""
_STEADY = 6
"""Number of steps in a row that make a clock, see `next_high`; fewer than eight, because eight of
the longest span the range."""


@njit(cache=True, nogil=True)
def next_high(raw, high, anchor, doubt, half, near):
    """Unwrap a time word: the value nearest to the previous one.

    So a wrap is a step back of more than half the range. A corrupt word may step anywhere, and many
    of them together through several ranges. Therefore the word before a long step is remembered as
    an anchor. A clock without events makes long steps forward as well, but after a long step back,
    a word near the anchor returns to it. So does a word after one half the range away, because the
    step from there could be taken in either direction.

    The anchor is given up when the clock goes on: after a long step back, once `_STEADY` steps in a
    row are short, or forward by less than an eighth of the range, as is one in eight of random
    words; otherwise after two short steps.

    Args:
        raw: value of the word.
        high: the previous one, unwrapped.
        anchor: the one before a long step, or `NO_ANCHOR`.
        doubt: number of steps of a clock that still have to follow a long step back; without one,
            0, or -1 after a first short step.
        half: half the range of the words.
        near: maximum distance of values that count as near.

    Returns:
        The unwrapped value, and the next `anchor` and `doubt`.
    """
    step = (raw - high + half - 1) % (2 * half) - (half - 1)
    if anchor == NO_ANCHOR:
        if abs(step) <= near:
            return high + step, anchor, 0
        anchor, doubt = high, 0
    back = (raw - anchor + half) % (2 * half) - half
    may_return = doubt > 0 or step < -near or abs(abs(high - anchor) - half) <= near
    is_back = may_return and abs(back) <= near
    high = anchor + back if is_back else high + step
    goes_on = is_back or -near <= step <= (half // 4 if doubt > 0 else near)
    if not goes_on:
        doubt = _STEADY if doubt > 0 or step < 0 else 0
    elif doubt > 1 or doubt == 0:
        doubt -= 1
    elif abs(abs(high - anchor) - half) > near:
        anchor, doubt = NO_ANCHOR, 0
    return high, anchor, doubt


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
