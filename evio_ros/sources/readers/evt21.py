"""Prophesee RAW files in EVT2.1; the words are described in `evio_ros.sources.codecs.evt21`."""

from __future__ import annotations

import re
from functools import cached_property

import numpy as np

from evio_ros.sources.codecs.evt21 import Evt21Decoder, LegacyEvt21Decoder
from evio_ros.sources.codecs.word_decoder import WordDecoder
from evio_ros.sources.event_clock import agreeing_events
from evio_ros.sources.readers.raw_words import RawWordFile
from evio_ros.sources.readers.recording import REORDER_WINDOW_US

__all__ = ["Evt21File"]

_SAMPLE_WORDS = 1 << 12


class Evt21File(RawWordFile):
    """A recording in an EVT2.1 file; header or content give the order of a word's halves."""

    format_name = "Prophesee EVT2.1"
    keeps = "events, external triggers, geometry"
    loses = "vendor words, counted"
    format_key = "evt21"
    decoder_type = Evt21Decoder

    def _new_decoder(self) -> WordDecoder:
        kind = LegacyEvt21Decoder if self._is_legacy else Evt21Decoder
        return kind(self._epoch_us)

    @cached_property
    def _is_legacy(self) -> bool:
        fields = self.header.fields
        named = re.search(r"endianness=(\w+)", fields.get("format", ""))
        order = named.group(1) if named else fields.get("endianness")
        if order is not None:
            return order.lower() == "legacy"
        words = self._read_words(0)[:_SAMPLE_WORDS]
        usual, legacy = (
            agreeing_events(decoder.decode(words), REORDER_WINDOW_US).t
            for decoder in (Evt21Decoder(), LegacyEvt21Decoder())
        )
        # In the wrong order, masks are taken for times: few of them agree, or all are the same.
        return len(np.unique(legacy)) > len(np.unique(usual))
