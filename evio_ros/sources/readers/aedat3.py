"""AEDAT 3.0 and 3.1 files of iniVation's cAER.

Source: iniVation's documentation, "AEDAT 3.1". A text header, then packets of events of one type
and one source: a header of 28 bytes and a number of events of equal length, little-endian. Contrast
events are type 1: bit 0 is 1 if the event is valid, bit 1 is the polarity, bits 2 to 16 the row and
17 to 31 the column, then 31 bits of time in µs. In version 3.0, rows are counted from the bottom.
Special events are type 0; bits 1 to 7 are their kind, such as edges of external triggers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from evio_ros.errors import SourceError
from evio_ros.events import SensorSize
from evio_ros.sources.raw_columns import RawColumns, StoredTriggers, Triggers
from evio_ros.sources.readers.aedat_header import LONGEST_HEADER_BYTES, split_header
from evio_ros.sources.readers.file_start import FileStart
from evio_ros.sources.readers.packet_file import PacketFile

__all__ = ["Aedat3File"]

_VERSION = b"#!AER-DAT3."
_HEADER_END = b"#!END-HEADER"
_LARGEST_PACKET_BYTES = 1 << 28
_SPECIAL_EVENTS, _POLARITY_EVENTS = 0, 1
_EDGES = {
    **{2: (1, 0), 3: (0, 0), 4: (1, 0)},
    **{6: (1, 1), 7: (0, 1), 8: (1, 1)},
    **{9: (1, 2), 10: (0, 2), 11: (1, 2)},
}
"""Edge and channel of those kinds of special events that are edges; a pulse counts as rising."""
_MOST_TYPES = 256
_SAMPLES = 64
_LAST_PACKETS = 16
PACKET = np.dtype(
    [
        ("kind", "<i2"),
        ("source", "<i2"),
        ("event_bytes", "<i4"),
        ("time_offset", "<i4"),
        ("overflow", "<i4"),
        ("capacity", "<i4"),
        ("events", "<i4"),
        ("valid", "<i4"),
    ]
)
EVENT = np.dtype([("data", "<u4"), ("time", "<u4")])
_SIZES = {
    "dvs128": SensorSize(128, 128),
    "edvs": SensorSize(128, 128),
    "davis128": SensorSize(128, 128),
    "davis208": SensorSize(208, 192),
    "davis240": SensorSize(240, 180),
    "davis346": SensorSize(346, 260),
    "davis640": SensorSize(640, 480),
    "dvxplorer": SensorSize(640, 480),
}


class Aedat3File(PacketFile):
    """A recording in an AEDAT 3 file.

    Args:
        path: name of the file.
        size: geometry; None for that of the camera named by the header, or a guess.
        stream: number of the source to read; None for the first with contrast events.

    Raises:
        SourceError: if the header is invalid, or there are no contrast events.
    """

    format_name = "AEDAT 3"
    keeps = "events and external triggers of one source, geometry"
    loses = "frames, IMU, special events of the camera itself"

    @classmethod
    def recognises(cls, start: FileStart) -> bool:
        """Whether the file begins with the version line."""
        return start.data.startswith(_VERSION)

    def _prepare(self) -> SensorSize | None:
        header, offset = self._read_header()
        self._flips = header[len(_VERSION) : len(_VERSION) + 1] == b"0"
        text = header.decode("latin-1")
        coding = re.search(r"(?m)^#?\s*Format:\s*(\S.*)$", text)
        if coding and coding[1].strip().upper() != "RAW":
            reason = f"is AEDAT 3 with packets encoded as {coding[1].strip()[:40]}; DV may read it"
            raise SourceError(self.path, reason, 0)
        sources = re.findall(r"(?m)^#?\s*Source (\d{1,5}):(.*)$", text)
        cameras = {int(number): name.strip() for number, name in sources}
        packets = self._find_packets(offset)
        events = packets[packets[:, 5] == _POLARITY_EVENTS]
        self._packets = self._packets_of_source(events, cameras, offset)
        self._find_triggers(packets[packets[:, 5] == _SPECIAL_EVENTS])
        camera = cameras.get(self._source, "").lower()
        size = next((size for name, size in _SIZES.items() if name in camera), None)
        if self._flips and size is None:
            reason = (
                f"is AEDAT 3.0 of the unknown camera {camera or 'without a name'}; DV may read it"
            )
            raise SourceError(self.path, reason, 0)
        self._height = size.height if size else 0
        return size

    def _sampled_times(self) -> NDArray[np.int64]:
        places = np.linspace(0, len(self._packets) - 1, _SAMPLES).astype(int)
        parts = [self._read_packet(int(place)).t[:1] for place in np.unique(places)]
        return np.concatenate(parts)

    def _last_pieces(self) -> Iterator[RawColumns]:
        for number in range(max(len(self._packets) - _LAST_PACKETS, 0), len(self._packets)):
            yield self._read_packet(number)

    def _read_header(self) -> tuple[bytes, int]:
        """The header, and the offset after it."""
        start = bytes(self._read_at(0, min(self._file_bytes(), LONGEST_HEADER_BYTES)))
        return split_header(start, _HEADER_END, self.path)

    def _find_packets(self, offset: int) -> NDArray[np.int64]:
        """List packets of contrast events and of special events.

        Truncated packets at the end, and bytes that are not a packet, are counted.

        Returns:
            int64 (n, 6): offset, events, bytes per event, overflows, source and type.
        """
        end = self._file_bytes()
        found = []
        while offset + PACKET.itemsize <= end:
            packet = np.frombuffer(self._read_at(offset, PACKET.itemsize), PACKET)[0]
            count, event_bytes = int(packet["events"]), int(packet["event_bytes"])
            if not (
                0 <= packet["kind"] < _MOST_TYPES
                and 0 <= packet["valid"] <= count
                and event_bytes > 0
                and count * event_bytes <= _LARGEST_PACKET_BYTES
            ):
                self.remarks.append(
                    f"there is no valid packet at byte {offset}; the rest of the file is left out"
                )
                break
            data = offset + PACKET.itemsize
            if data + count * event_bytes > end:
                count = (end - data) // event_bytes
            kind = int(packet["kind"])
            if kind in (_POLARITY_EVENTS, _SPECIAL_EVENTS) and event_bytes >= EVENT.itemsize:
                overflow = max(int(packet["overflow"]), 0)
                source = int(packet["source"])
                found += [(data, count, event_bytes, overflow, source, kind)] if count else []
            if data + int(packet["events"]) * event_bytes > end:
                offset = data + count * event_bytes
                break
            offset = data + count * event_bytes
        self.statistics.truncated_bytes = end - offset
        return np.array(found, np.int64).reshape(-1, 6)

    def _packets_of_source(
        self, packets: NDArray[np.int64], cameras: dict[int, str], offset: int
    ) -> NDArray[np.int64]:
        """The packets of the source to read."""
        if not len(packets):
            raise SourceError(self.path, "has a header but no contrast events", offset)
        present = sorted(set(packets[:, 4].tolist()))
        shown = ", ".join(f"{number} ({cameras.get(number, 'no name')})" for number in present)
        wanted = self._wanted_stream
        if wanted is not None and wanted not in map(str, present):
            raise SourceError(self.path, f"has no stream {wanted!r}; its sources are {shown}")
        self._source = present[0] if wanted is None else int(wanted)
        self.details.update(stream=str(self._source), streams=[str(number) for number in present])
        if len(present) > 1 and wanted is None:
            self.remarks.append(
                f"has several sources, {shown}; the first one is read, another with ?stream=NUMBER"
            )
        return packets[packets[:, 4] == self._source]

    def _find_triggers(self, packets: NDArray[np.int64]) -> None:
        """Read the external triggers among the special events of the source."""
        parts = []
        for packet in packets[packets[:, 4] == self._source].tolist():
            time, data = self._valid_events(packet)
            kinds = (data >> 1 & 0x7F).tolist()
            edges = [(t, *_EDGES[k]) for t, k in zip(time, kinds, strict=True) if k in _EDGES]
            if edges:
                t, edge, channel = np.array(edges, np.int64).T
                parts.append(Triggers(t, edge.astype(np.uint8), channel.astype(np.uint8)))
        if parts:
            self._stored_triggers = StoredTriggers(Triggers.concatenate(parts))

    def _valid_events(self, packet: list[int]) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
        """Times in µs, and the other words, of the valid events in a packet."""
        offset, count, event_bytes, overflow, _, _ = packet
        data = np.frombuffer(self._read_at(offset, count * event_bytes), np.uint8)
        records = data.reshape(count, event_bytes)[:, : EVENT.itemsize]
        events = np.ascontiguousarray(records).view(EVENT)[:, 0]
        events = events[(events["data"] & 1) == 1]
        return (overflow << 31) + events["time"].astype(np.int64), events["data"]

    def _read_packet(self, number: int) -> RawColumns:
        time, address = self._valid_events(self._packets[number].tolist())
        y = ((address >> 2) & 0x7FFF).astype(np.uint16)
        return RawColumns(
            time,
            (address >> 17).astype(np.uint16),
            (self._height - 1 - y).astype(np.uint16) if self._flips else y,
            ((address >> 1) & 1) == 1,
        )
