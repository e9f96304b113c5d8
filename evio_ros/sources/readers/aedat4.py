"""AEDAT4 files of iniVation's cameras.

Source: iniVation's documentation, "AEDAT 4.0". A line with the version, a header, then packets:
stream number and size as int32, and as many bytes, which are compressed. Header and packets are
FlatBuffers tables. Libraries for this format may crash the process if a file is corrupt, so it is
decoded here.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evio_ros.errors import EventError, SourceError
from evio_ros.events import SensorSize
from evio_ros.sources.optional_library import optional_library
from evio_ros.sources.raw_columns import RawColumns, StoredTriggers, Triggers
from evio_ros.sources.readers.file_start import FileStart
from evio_ros.sources.readers.packet_file import PacketFile

__all__ = ["Aedat4File"]

_VERSION_LINE = b"#!AER-DAT4.0\r\n"
_LARGEST_HEADER_BYTES = 1 << 20
_LARGEST_PACKET_BYTES = 1 << 28
_PACKET_HEADER_BYTES = 8
NO_COMPRESSION, LZ4, LZ4_HIGH, ZSTD, ZSTD_HIGH = range(5)
_EVENT = np.dtype(
    {
        "names": ["t", "x", "y", "on"],
        "formats": ["<i8", "<i2", "<i2", "u1"],
        "offsets": [0, 8, 10, 12],
        "itemsize": 16,
    }
)
_NO_TABLE = -1
_SEARCHED_BYTES = 1 << 20
"""Bytes read at a time to find another recording's header after the packets."""
_Stream = tuple[str, str, str]
"""Number, camera and description of a stream."""
_EDGES = {1: 1, 2: 0, 3: 1}
"""Edge for each kind of trigger at a camera's input: rising, falling, and a pulse, which counts as
rising."""


class Aedat4File(PacketFile):
    """A recording in an AEDAT4 file.

    Args:
        path: name of the file.
        size: geometry; None for the file's.
        stream: number or camera of the stream to read; None for the first.

    Raises:
        SourceError: if the header is invalid or has no such stream of events.
    """

    format_name = "AEDAT4"
    keeps = "events and external triggers of one camera, geometry"
    loses = "frames, IMU, signals that the camera generates"

    @classmethod
    def recognises(cls, start: FileStart) -> bool:
        """Whether the file begins with the version line."""
        return start.data.startswith(_VERSION_LINE)

    def _prepare(self) -> SensorSize | None:
        offset = len(_VERSION_LINE)
        table, offset = self._header(offset)
        try:
            compression = _field(table, 0, "<i", NO_COMPRESSION)
            self._table_offset = _field(table, 1, "<q", _NO_TABLE)
            description = _text(table, 2)
        except struct.error as error:
            raise SourceError(
                self.path, f"the header is invalid: {error}", len(_VERSION_LINE)
            ) from None
        self._decompress = self._decompressor(compression)
        for chosen, shown in self._event_streams(description):
            self._stream, size = self._take_stream(chosen, shown, description)
            self._packets = self._find_packets(offset)
            if len(self._packets):
                break
        else:
            raise SourceError(self.path, "has a header but no events", offset)
        if len(shown) > 1 and self._wanted_stream is None:
            self.remarks.append(
                f"has events of {len(shown)} streams, {', '.join(shown)}; {self._stream} is "
                "read, another with ?stream=NUMBER"
            )
        if self._trigger_packets:
            self._stored_triggers = StoredTriggers(self._all_triggers())
        return size

    def _all_triggers(self) -> Triggers:
        """The external triggers of all packets before the first corrupt one."""
        found: list[Triggers] = []
        try:
            for packet in self._trigger_packets:
                found.append(self._read_triggers(*packet))
        except SourceError as error:
            self.remarks.append(
                f"external triggers from byte {error.offset} on are corrupt and left out"
            )
        return Triggers.concatenate(found)

    def _header(self, offset: int) -> tuple[bytes, int]:
        """The header's table, and the offset after it."""
        if self._file_bytes() < offset + 4:
            raise SourceError(self.path, "the header is truncated", offset)
        (length,) = struct.unpack("<I", self._read_at(offset, 4))
        if length > min(_LARGEST_HEADER_BYTES, self._file_bytes() - offset - 4):
            raise SourceError(self.path, f"the header of {length} bytes is truncated", offset)
        return bytes(self._read_at(offset + 4, length)), offset + 4 + length

    def _decompressor(self, compression: int) -> Callable[[bytes], bytes]:
        if compression == NO_COMPRESSION:
            return bytes
        if compression in (LZ4, LZ4_HIGH):
            lz4 = optional_library("lz4.frame", "lz4", self.path)
            return lambda data: lz4.LZ4FrameDecompressor().decompress(data, _LARGEST_PACKET_BYTES)
        if compression in (ZSTD, ZSTD_HIGH):
            zstd = optional_library("backports.zstd", "backports.zstd", self.path)
            return lambda data: zstd.ZstdDecompressor().decompress(data, _LARGEST_PACKET_BYTES)
        raise SourceError(self.path, f"compression {compression} is unknown", len(_VERSION_LINE))

    def _event_streams(self, description: str) -> list[tuple[_Stream, list[str]]]:
        """Streams of events to choose from, by the header's XML, and names of all of them."""
        streams = _streams_of(description, "EVTS")
        if not streams:
            raise SourceError(self.path, "has no stream of events", len(_VERSION_LINE))
        wanted = self._wanted_stream
        shown = [f"{number} ({camera})" if camera else number for number, camera, _ in streams]
        chosen = [each for each in streams if wanted is None or wanted in each[:2]]
        if not chosen or (wanted is not None and len(chosen) > 1):
            which = "several streams" if chosen else "no stream"
            raise SourceError(
                self.path, f"has {which} {wanted!r}; its streams are {', '.join(shown)}"
            )
        return [(each, shown) for each in chosen]

    def _take_stream(
        self, stream: _Stream, shown: list[str], description: str
    ) -> tuple[int, SensorSize | None]:
        """Number and geometry of a stream; also selects its camera's triggers."""
        number, camera, text = stream
        self._trigger_streams = {
            int(found)
            for found, name, _ in _streams_of(description, "TRIG")
            if camera in ("", name)
        }
        self.details.update(stream=number, streams=shown)
        sides = [
            re.search(rf'key="{side}"[^>]*>\s*(\d{{1,9}})\s*<', text) for side in ("sizeX", "sizeY")
        ]
        if not all(sides):
            return int(number), None
        try:
            return int(number), SensorSize(*(int(side[1]) for side in sides if side))
        except EventError as error:
            raise SourceError(self.path, f"the geometry is impossible: {error}") from None

    def _find_packets(self, offset: int) -> NDArray[np.int64]:
        """Offsets and lengths of the stream's packets, int64 (n, 2); truncated bytes are counted.

        Packets of external triggers are added to `_trigger_packets`.
        """
        end = self._file_bytes()
        if offset <= self._table_offset <= end:
            end = self._table_offset
        packets: list[tuple[int, int]] = []
        self._corrupt: set[int] = set()
        self._trigger_packets: list[tuple[int, int]] = []
        while offset + _PACKET_HEADER_BYTES <= end:
            stream, length = struct.unpack("<ii", self._read_at(offset, _PACKET_HEADER_BYTES))
            data = offset + _PACKET_HEADER_BYTES
            if length < 0 and not packets:
                raise SourceError(self.path, f"a packet cannot have {length} bytes", offset)
            if length < 0 or data + length > end:
                break
            if stream == self._stream:
                packets.append((data, length))
            elif stream in self._trigger_streams:
                self._trigger_packets.append((data, length))
            offset = data + length
        self.statistics.truncated_bytes = end - offset
        for place in range(offset, self._file_bytes(), _SEARCHED_BYTES):
            length = min(_SEARCHED_BYTES + len(_VERSION_LINE), self._file_bytes() - place)
            self._refuse_second_recording(place, bytes(self._read_at(place, length)))
        return np.array(packets, np.int64).reshape(-1, 2)

    def _read_piece(self) -> RawColumns | None:
        number = self._next
        columns = super()._read_piece()
        self.statistics.lost_packets += number in self._corrupt
        return columns

    def _read_packet(self, number: int) -> RawColumns:
        """The events of a packet; none if it is corrupt, unless the recording's first one is."""
        offset, length = (int(value) for value in self._packets[number])
        try:
            events = self._decompressed(offset, length, lambda table: _structs(table, 0, _EVENT))
        except SourceError as error:
            if not number:
                raise
            if not self._corrupt:
                self.remarks.append(f"at byte {offset} {error.reason}; its events are missing")
            self._corrupt.add(number)
            return RawColumns.empty(0)
        return RawColumns(
            np.ascontiguousarray(events["t"]),
            # Negative coordinates become large ones, outside any geometry.
            np.ascontiguousarray(events["x"]).view(np.uint16),
            np.ascontiguousarray(events["y"]).view(np.uint16),
            events["on"] != 0,
        )

    def _read_triggers(self, offset: int, length: int) -> Triggers:
        """The edges at the camera's input in a packet of triggers."""
        rows = self._decompressed(offset, length, _trigger_rows)
        times = np.array([t for t, kind in rows if kind in _EDGES], np.int64)
        edges = np.array([_EDGES[kind] for _, kind in rows if kind in _EDGES], np.uint8)
        return Triggers(times, edges, np.zeros(len(times), np.uint8))

    def _decompressed(self, offset: int, length: int, read: Callable[[bytes], Any]) -> Any:
        """Apply a function to a packet's decompressed table."""
        try:
            # The table's length precedes it.
            return read(self._decompress(bytes(self._read_at(offset, length)))[4:])
        except SourceError:
            raise
        except Exception as error:  # the decompressors may raise anything
            text = " ".join(str(error).split()) or type(error).__name__
            raise SourceError(self.path, f"a packet is corrupt: {text}", offset) from None


def _streams_of(description: str, kind: str) -> list[_Stream]:
    """Number, camera and description of each stream of a kind; the camera's name may be ""."""
    # A stream's node is named by its number and ends at the next such node.
    parts = re.split(r'<node name="(\d+)"', description)
    found = []
    for number, text in zip(parts[1::2], parts[2::2], strict=True):
        if re.search(rf'key="typeIdentifier"[^>]*>\s*{kind}\s*<', text):
            camera = re.search(r'key="source"[^>]*>\s*([^<]*?)\s*<', text)
            found.append((number, camera[1][:40] if camera else "", text))
    return found


def _trigger_rows(table: bytes) -> list[tuple[int, int]]:
    """Time in µs and kind of each trigger in a packet's table."""
    place, count = _vector(table, 0, 4)
    rows = []
    for entry in range(place, place + 4 * count, 4):
        inner = entry + struct.unpack_from("<I", table, entry)[0]
        t, kind = (
            0 if found is None else struct.unpack_from(form, table, found)[0]
            for found, form in ((_place(table, 0, inner), "<q"), (_place(table, 1, inner), "<b"))
        )
        rows.append((t, kind))
    return rows


def _place(table: bytes, field: int, root: int | None = None) -> int | None:
    """Offset of a field in a table, by default the root; None if it has its default value.

    Raises:
        struct.error: if the buffer is invalid.
    """
    if root is None:
        (root,) = struct.unpack_from("<I", table, 0)
        assert root is not None
    (back,) = struct.unpack_from("<i", table, root)
    layout = root - back
    if layout < 0:
        raise struct.error("a table's layout is before the buffer")
    (length,) = struct.unpack_from("<H", table, layout)
    entry = 4 + 2 * field
    if entry + 2 > length:
        return None
    (place,) = struct.unpack_from("<H", table, layout + entry)
    return root + place if place else None


def _field(table: bytes, field: int, kind: str, default: int) -> int:
    place = _place(table, field)
    return default if place is None else int(struct.unpack_from(kind, table, place)[0])


def _vector(table: bytes, field: int, item_bytes: int) -> tuple[int, int]:
    """Offset and length of a field that is a vector."""
    place = _place(table, field)
    if place is None:
        return 0, 0
    place += struct.unpack_from("<I", table, place)[0]
    (length,) = struct.unpack_from("<I", table, place)
    if place + 4 + length * item_bytes > len(table):
        raise struct.error(f"a vector of {length} items is longer than the buffer")
    return place + 4, length


def _text(table: bytes, field: int) -> str:
    place, length = _vector(table, field, 1)
    return table[place : place + length].decode("utf-8", "replace")


def _structs(table: bytes, field: int, kind: np.dtype) -> NDArray[np.void]:
    place, length = _vector(table, field, kind.itemsize)
    return np.frombuffer(table, kind, length, place) if length else np.empty(0, kind)
