"""Identifying Prophesee's RAW formats by their words if the header gives none or a wrong one."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module

import numpy as np

from evio_ros.events import SensorSize
from evio_ros.sources.codecs.word_decoder import WordDecoder
from evio_ros.sources.event_clock import agreeing_share
from evio_ros.sources.raw_columns import RawColumns
from evio_ros.sources.readers.recording import REORDER_WINDOW_US

__all__ = ["format_of_words"]

_DECODERS = {
    "evt2": ("evt2:Evt2Decoder",),
    "evt21": ("evt21:Evt21Decoder", "evt21:LegacyEvt21Decoder"),
    "evt3": ("evt3:Evt3Decoder",),
}
_FEWEST_EVENTS = 64
_ODD, _GOOD = 0.005, 0.001
"""Shares of invalid words and of events outside the geometry: above the first, words do not fit a
format; below the second, they do."""
_DISORDERED, _ORDERED = 0.2, 0.05
"""The same limits for the share of events that are before the previous one."""
_LEAST_AGREED = 0.95


@lru_cache(maxsize=2)
def format_of_words(named: str | None, data: bytes, size: SensorSize | None) -> str | None:
    """The format of words: the declared one, unless they do not fit it and fit another one.

    Args:
        named: format in the header: `evt2`, `evt21` or `evt3`; others are returned unchanged; None
            if it has none, as old headers, so that the words must fit one.
        data: the first bytes after the header; a few thousand words are enough.
        size: geometry in the header; None if it has none.

    Returns:
        The format; None if the words fit none.
    """
    if named is not None and (
        named not in _DECODERS or any(not _is_odd(*_decoded(d, data, size)) for d in _of(named))
    ):
        return named
    for other in _DECODERS:
        if other != named and any(_is_good(*_decoded(d, data, size)) for d in _of(other)):
            return other
    return named


def _of(name: str) -> list[WordDecoder]:
    entries = [entry.partition(":") for entry in _DECODERS[name]]
    return [
        getattr(import_module(f"evio_ros.sources.codecs.{module}"), kind)()
        for module, _, kind in entries
    ]


def _decoded(
    decoder: WordDecoder, data: bytes, size: SensorSize | None
) -> tuple[RawColumns, float, float]:
    """Decode events; returns them with the shares of bad ones and of those out of order."""
    words = np.frombuffer(data[: len(data) // 8 * 8], decoder.word_type)
    columns = decoder.decode(words)
    bad = decoder.invalid / max(len(words), 1)
    if size is not None and len(columns):
        bad += float(np.mean((columns.x >= size.width) | (columns.y >= size.height)))
    backwards = float(np.mean(np.diff(columns.t) < 0)) if len(columns) > 1 else 0.0
    return columns, bad, backwards


def _is_odd(columns: RawColumns, bad: float, backwards: float) -> bool:
    return bad > _ODD or backwards > _DISORDERED


def _is_good(columns: RawColumns, bad: float, backwards: float) -> bool:
    return (
        len(columns) >= _FEWEST_EVENTS
        and bad <= _GOOD
        and backwards <= _ORDERED
        and agreeing_share(columns, REORDER_WINDOW_US) >= _LEAST_AGREED
    )
