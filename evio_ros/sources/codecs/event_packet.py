"""Decoding and encoding the payload of event_camera_msgs/EventPacket.

A packet may begin anywhere in a camera's stream, so each publisher needs a decoder with its own
state. Gaps in the packets' numbers are counted; after a gap, decoding continues once time and row
are known again.
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
"""The supported encodings."""

_LONGEST_STEP_BACK = 100
"""Maximum difference between the numbers of a repeated packet and of the newest one."""


class EventPacket(Protocol):
    """The fields of event_camera_msgs/EventPacket that are read."""

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
        statistics: counts lost packets and invalid words.

    Attributes:
        size: geometry of the packets; None before the first that has one.
        time_us: sensor time reached in µs; -1 before the first known time.
    """

    def __init__(self, statistics: SourceStatistics) -> None:
        self.size: SensorSize | None = None
        self.time_us = NO_TIME
        self.statistics = statistics
        self._encoding = ""
        self._next_seq: int | None = None
        self._evt3 = Evt3Decoder()
        self._unknown: set[int] = set()
        """Types of EVT3 words that must arrive before events can be placed."""

    def decode(self, packet: EventPacket) -> RawColumns:
        """Decode the next packet.

        Returns:
            Its events: unchecked, in the camera's order.

        Raises:
            EventError: if the encoding is not supported, or geometry or encoding change.
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
        """External triggers of the last packet that was decoded; only EVT3 has them."""
        return self._evt3.triggers

    def skip(self, packet: EventPacket) -> None:
        """Update the state by a packet without decoding events."""
        self._check(packet)
        self._follow(int(packet.seq))
        if self._encoding != "evt3":
            self.time_us = int(packet.time_base) // 1000
            return
        words = self._words(np.frombuffer(packet.events, np.uint8), packet.is_bigendian)
        if self._unknown:
            self._first_decodable(words)
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
                f"packet {packet.seq}: the stream changes from {self._encoding} of {self.size} to "
                f"{packet.encoding} of {size}"
            )
        self.size = size

    def _size_of(self, packet: EventPacket) -> SensorSize | None:
        """A packet's geometry; 0 means that of the previous packets."""
        if packet.width == packet.height == 0:
            return self.size
        return SensorSize(int(packet.width), int(packet.height))

    def _follow(self, seq: int) -> None:
        """Count lost packets; after a loss or restart, wait until the state is known."""
        expected, self._next_seq = self._next_seq, seq + 1
        if expected is None or seq == expected:
            return
        # A number that steps back means that the publisher has restarted.
        self.statistics.lost_packets += max(seq - expected, 0)
        if seq < expected - _LONGEST_STEP_BACK:
            # The camera's clock may have restarted, too: wraps are counted from 0.
            self._evt3 = Evt3Decoder()
        self._unknown = {TIME_HIGH, TIME_LOW, ADDR_Y}

    def _words(self, payload: NDArray[np.uint8], is_bigendian: bool) -> NDArray[np.uint16]:
        self.statistics.invalid += len(payload) % 2
        words = payload[: len(payload) // 2 * 2].view(">u2" if is_bigendian else "<u2")
        return words.astype(np.uint16, copy=False)

    def _decode_evt3(self, words: NDArray[np.uint16]) -> RawColumns:
        first = self._first_decodable(words) if self._unknown else 0
        if first:
            invalid_before = self._evt3.invalid
            dropped = len(self._evt3.decode(words[:first]))
            self.statistics.invalid += dropped + self._evt3.invalid - invalid_before
        invalid_before = self._evt3.invalid
        columns = self._evt3.decode(words[first:])
        self.statistics.invalid += self._evt3.invalid - invalid_before
        return columns

    def _first_decodable(self, words: NDArray[np.uint16]) -> int:
        """Index of the first word at which time and row are known again."""
        kinds = words >> 12
        # A low word of time is valid only after its high word; a row is always valid.
        after_time = 0
        for kind in (TIME_HIGH, TIME_LOW):
            if kind in self._unknown:
                after_time = self._first_after(kinds, kind, after_time)
        after_row = self._first_after(kinds, ADDR_Y, 0) if ADDR_Y in self._unknown else 0
        return max(after_time, after_row)

    def _first_after(self, kinds: NDArray[Any], kind: int, start: int) -> int:
        """Index after the first word of a type from `start` on; number of words if none."""
        found = np.flatnonzero(kinds[start:] == kind)
        if not len(found):
            return len(kinds)
        self._unknown.discard(kind)
        return start + int(found[0]) + 1


class EventPacketEncoder:
    """Encodes batches as payloads of encoding "evt3", each of which can be decoded independently.

    Attributes:
        time_base_ns: the packets' time base in ns, from which their 24-bit times are counted. Other
            decoders of EVT3 ignore it and count from 0.
    """

    encoding = "evt3"

    def __init__(self) -> None:
        self.time_base_ns = 0
        self._encoder: Evt3Encoder | None = None

    def encode(self, batch: EventBatch) -> bytes:
        """Encode a batch; times are kept modulo 2**24 µs.

        Raises:
            EventError: if the sensor has more than 2048 pixels a side, or time is negative.
        """
        if max(batch.size.width, batch.size.height) > 1 << 11:
            raise EventError(f"EVT3 supports sensors of up to 2048 pixels a side, not {batch.size}")
        if len(batch) and batch.t[0] < 0:
            raise EventError(f"EVT3 cannot store negative times: {batch.t[0]} us")
        if self._encoder is None:
            self._encoder = Evt3Encoder()
            first_us = int(batch.t[0]) if len(batch) else 0
            self.time_base_ns = (first_us - first_us % Evt3Decoder.wrap_us) * 1000
        self._encoder.repeat_state()
        return self._encoder.encode(batch).astype("<u2", copy=False).tobytes()
