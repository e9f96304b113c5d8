"""Decoding and encoding the payload of event_camera_msgs/EventPacket, with state over packets.

A packet begins anywhere in a camera's stream, so one decoder serves one publisher. A gap in the
packets' numbers is counted, and the stream is taken up again once time and row are known.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from evio_ros.errors import EventError
from evio_ros.events import EventBatch, SensorSize
from evio_ros.sources.base import SourceStatistics
from evio_ros.sources.codecs.evt3 import (
    ADDR_Y,
    TIME_HIGH,
    TIME_LOW,
    Evt3Decoder,
    Evt3Encoder,
)
from evio_ros.sources.codecs.libcaer import decode_libcaer, decode_libcaer_compressed, decode_mono
from evio_ros.sources.codecs.word_decoder import NO_TIME
from evio_ros.sources.raw_columns import RawColumns, Triggers

__all__ = ["EventPacket", "EventPacketDecoder", "EventPacketEncoder"]

_SELF_CONTAINED = {
    "libcaer": decode_libcaer,
    "libcaer_cmp": decode_libcaer_compressed,
    "mono": decode_mono,
}
ENCODINGS = ("evt3", *_SELF_CONTAINED)
"""The encodings that can be decoded."""

_LONGEST_STEP_BACK = 100
"""Packets that come again are at most so many before the newest."""


class EventPacket(Protocol):
    """The fields of event_camera_msgs/EventPacket that matter here."""

    height: int
    width: int
    seq: int
    time_base: int
    encoding: str
    is_bigendian: bool
    events: Any


class EventPacketDecoder:
    """Decodes the packets of one publisher, in their order.

    Args:
        statistics: where lost packets and invalid words are counted.

    Attributes:
        size: geometry of the packets; None before the first that names one.
        time_us: sensor time reached; -1 before the first that is known.
    """

    def __init__(self, statistics: SourceStatistics) -> None:
        self.size: SensorSize | None = None
        self.time_us = NO_TIME
        self.statistics = statistics
        self._encoding = ""
        self._next_seq: int | None = None
        self._evt3 = Evt3Decoder()
        self._unknown: set[int] = set()
        """Kinds of EVT3 words that must come before events can be placed."""

    def decode(self, packet: EventPacket) -> RawColumns:
        """Events of the next packet: unchecked, in the camera's order.

        Raises:
            EventError: where the encoding is not known, or geometry or encoding change.
        """
        self._check(packet)
        payload = np.frombuffer(packet.events, np.uint8)
        self._follow(int(packet.seq))
        if self._encoding == "evt3":
            columns = self._decode_evt3(self._words(payload, packet.is_bigendian))
            self.time_us = self._evt3.time_us
            return columns
        self.time_us = int(packet.time_base) // 1000
        columns, invalid = _SELF_CONTAINED[self._encoding](payload, int(packet.time_base))
        self.statistics.invalid += invalid
        return columns

    @property
    def triggers(self) -> Triggers:
        """External triggers of the packet decoded last; only EVT3 has them."""
        return self._evt3.triggers

    def skip(self, packet: EventPacket) -> None:
        """Bring the state beyond a packet without making events."""
        self._check(packet)
        self._follow(int(packet.seq))
        if self._encoding != "evt3":
            self.time_us = int(packet.time_base) // 1000
            return
        words = self._words(np.frombuffer(packet.events, np.uint8), packet.is_bigendian)
        if self._unknown:
            self._first_placed(words)
        self._evt3.skip(words)
        self.time_us = self._evt3.time_us

    def _check(self, packet: EventPacket) -> None:
        if packet.encoding not in ENCODINGS:
            raise EventError(
                f"packet {packet.seq}: encoding {packet.encoding!r} is not one of "
                f"{', '.join(ENCODINGS)}"
            )
        if packet.is_bigendian and packet.encoding != "evt3":
            raise EventError(f"packet {packet.seq}: big-endian {packet.encoding} is not supported")
        size = self._size_of(packet)
        if not self._encoding:
            self._encoding = packet.encoding
            base_us, rest_ns = divmod(int(packet.time_base), 1000)
            if not rest_ns and base_us % Evt3Decoder.wrap_us == 0:
                self._evt3 = Evt3Decoder(base_us)
        if (size, packet.encoding) != (self.size or size, self._encoding):
            raise EventError(
                f"packet {packet.seq}: {packet.encoding} of {size} after {self._encoding} of "
                f"{self.size}"
            )
        self.size = size

    def _size_of(self, packet: EventPacket) -> SensorSize | None:
        """A packet's geometry; one that leaves it at 0 is of that of the packets before."""
        if packet.width == packet.height == 0:
            return self.size
        return SensorSize(int(packet.width), int(packet.height))

    def _follow(self, seq: int) -> None:
        """Count lost packets; after a loss or a new start of the publisher, wait for a state."""
        expected, self._next_seq = self._next_seq, seq + 1
        if expected is None or seq == expected:
            return
        # A number that steps back is that of a publisher that has started again.
        self.statistics.lost_packets += max(seq - expected, 0)
        if seq < expected - _LONGEST_STEP_BACK:
            # Its camera's clock may have started again, too: wraps are counted from 0.
            self._evt3 = Evt3Decoder()
        self._unknown = {TIME_HIGH, TIME_LOW, ADDR_Y}

    def _words(self, payload: NDArray[np.uint8], is_bigendian: bool) -> NDArray[np.uint16]:
        self.statistics.invalid += len(payload) % 2
        words = payload[: len(payload) // 2 * 2].view(">u2" if is_bigendian else "<u2")
        return words.astype(np.uint16, copy=False)

    def _decode_evt3(self, words: NDArray[np.uint16]) -> RawColumns:
        first = self._first_placed(words) if self._unknown else 0
        if first:
            invalid_before = self._evt3.invalid
            dropped = len(self._evt3.decode(words[:first]))
            self.statistics.invalid += dropped + self._evt3.invalid - invalid_before
        invalid_before = self._evt3.invalid
        columns = self._evt3.decode(words[first:])
        self.statistics.invalid += self._evt3.invalid - invalid_before
        return columns

    def _first_placed(self, words: NDArray[np.uint16]) -> int:
        """Place of the first word before which time and row are known again."""
        kinds = words >> 12
        # Low bits of time count only after the high ones that they belong to; rows always do.
        after_time = 0
        for kind in (TIME_HIGH, TIME_LOW):
            if kind in self._unknown:
                after_time = self._first_after(kinds, kind, after_time)
        after_row = self._first_after(kinds, ADDR_Y, 0) if ADDR_Y in self._unknown else 0
        return max(after_time, after_row)

    def _first_after(self, kinds: NDArray[Any], kind: int, start: int) -> int:
        """Place after the first word of a kind from `start` on; the words' end where none is."""
        found = np.flatnonzero(kinds[start:] == kind)
        if not len(found):
            return len(kinds)
        self._unknown.discard(kind)
        return start + int(found[0]) + 1


class EventPacketEncoder:
    """Encodes batches as payloads of encoding "evt3", each of which can be decoded by itself.

    Attributes:
        time_base_ns: time base of the packets: what their 24-bit times are counted from. Other
            decoders of EVT3 do not look at it, and count from 0.
    """

    encoding = "evt3"

    def __init__(self) -> None:
        self.time_base_ns = 0
        self._encoder: Evt3Encoder | None = None

    def encode(self, batch: EventBatch) -> bytes:
        """Payload of a batch; times are kept modulo 2**24 µs.

        Raises:
            EventError: where the sensor has more than 2048 pixels a side, or time is below 0.
        """
        if max(batch.size.width, batch.size.height) > 1 << 11:
            raise EventError(f"EVT3 holds sensors of up to 2048 pixels a side, not {batch.size}")
        if len(batch) and batch.t[0] < 0:
            raise EventError(f"EVT3 holds no time below 0: {batch.t[0]} us")
        if self._encoder is None:
            self._encoder = Evt3Encoder()
            first_us = int(batch.t[0]) if len(batch) else 0
            self.time_base_ns = (first_us - first_us % Evt3Decoder.wrap_us) * 1000
        self._encoder.repeat_state()
        return self._encoder.encode(batch).astype("<u2", copy=False).tobytes()
