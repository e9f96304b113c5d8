"""Prophesee RAW files in EVT2; the words are described in `evio_ros.sources.codecs.evt2`."""

from __future__ import annotations

from evio_ros.sources.codecs.evt2 import Evt2Decoder
from evio_ros.sources.readers.raw_words import RawWordFile

__all__ = ["Evt2File"]


class Evt2File(RawWordFile):
    """A recording in an EVT2 file."""

    format_name = "Prophesee EVT2"
    keeps = "events, external triggers, geometry"
    loses = "IMU and vendor words, counted"
    format_key = "evt2"
    decoder_type = Evt2Decoder
