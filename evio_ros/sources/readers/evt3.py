"""Prophesee RAW files in EVT3; the words are described in `evio_ros.sources.codecs.evt3`."""

from __future__ import annotations

from evio_ros.sources.codecs.evt3 import Evt3Decoder
from evio_ros.sources.readers.raw_words import RawWordFile

__all__ = ["Evt3File"]


class Evt3File(RawWordFile):
    """A recording in an EVT3 file."""

    format_name = "Prophesee EVT3"
    keeps = "events, external triggers, geometry"
    loses = "vendor and padding words, counted"
    format_key = "evt3"
    decoder_type = Evt3Decoder
