"""Reading bags whose end is missing, as after a crash of the recorder, as far as they go.

Sources: the MCAP specification, version 0, and the ROS wiki, "Bags/Format/2.0". Both are sequences
of records that can be read from the beginning; their ends contain only an index. These readers have
the part of the interface of rosbags' readers that `evio_ros.sources.readers.bag` uses.
"""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from evio_ros.errors import SourceError
from evio_ros.sources.optional_library import optional_library

__all__ = ["UnfinishedMcap", "UnfinishedRosbag1"]

_MCAP_SIGNATURE = b"\x89MCAP0\r\n"
_ROSBAG1_SIGNATURE = b"#ROSBAG V2.0\n"
SCHEMA, CHANNEL, MESSAGE, CHUNK = 0x03, 0x04, 0x05, 0x06
ROS1_MESSAGE, ROS1_CHUNK, ROS1_CONNECTION = 0x02, 0x05, 0x07
_LARGEST_RECORD_BYTES = 1 << 28
_MESSAGE_HEADER_BYTES = 22
_CHUNK_HEADER_BYTES = 28


@dataclass(frozen=True, slots=True)
class _Connection:
    """A topic of a bag.

    Attributes:
        id: its number in the bag.
        topic: its name.
        msgtype: type of its messages, as `package/msg/Type`.
        digest: hash of the type's definition; "" if the bag has none.
    """

    id: int
    topic: str
    msgtype: str
    digest: str = ""


class _UnfinishedBag(ABC):
    """A bag that is read from its beginning to its end or first error.

    Args:
        path: the storage file.

    Raises:
        SourceError: if it does not begin as such a file does.

    Attributes:
        cut_off_bytes: number of bytes at the end that are not a whole record.
    """

    signature: bytes

    def __init__(self, path: str) -> None:
        self._path = path
        self._known: dict[int, _Connection] = {}
        self.cut_off_bytes = 0
        with Path(path).open("rb") as file:
            if file.read(len(self.signature)) != self.signature:
                raise SourceError(path, "does not begin as a bag does", 0)
        for _ in self._entries():
            pass

    @property
    def connections(self) -> list[_Connection]:
        """Topics of the bag."""
        return list(self._known.values())

    def messages(
        self, connections: Collection[Any], start: int = 0
    ) -> Iterator[tuple[_Connection, int, bytes]]:
        """Connection, stamp in ns and bytes of the messages from a stamp on."""
        wanted = {connection.id for connection in connections}
        for number, stamp, data in self._entries():
            if number in wanted and stamp >= start:
                yield self._known[number], stamp, data

    @abstractmethod
    def _record(self, file: BinaryIO) -> tuple[Any, bytes, bool] | None:
        """The next record's head, its data, and whether they are complete; None at the end."""

    @abstractmethod
    def _messages_in(self, head: Any, data: bytes, depth: int) -> Iterator[tuple[int, int, bytes]]:
        """Store the topic that a record describes, or yield the messages in it."""

    @abstractmethod
    def _is_chunk(self, head: Any) -> bool:
        """Whether a record contains others; then a part of its data is useful, too."""

    def _entries(self) -> Iterator[tuple[int, int, bytes]]:
        with Path(self._path).open("rb") as file:
            end = file.seek(0, 2)
            place = file.seek(len(self.signature))
            while place < end:
                record = self._record(file)
                if record is None:
                    break
                head, data, is_whole = record
                try:
                    if is_whole or self._is_chunk(head):
                        yield from self._messages_in(head, data, depth=0)
                except SourceError:
                    raise
                except Exception:  # a corrupt record, or any error of the decompressors
                    break
                if not is_whole:
                    break
                place = file.tell()
            self.cut_off_bytes = end - place


class UnfinishedMcap(_UnfinishedBag):
    """An MCAP file."""

    signature = _MCAP_SIGNATURE

    def __init__(self, path: str) -> None:
        self._schemas: dict[int, str] = {}
        super().__init__(path)

    def _is_chunk(self, head: int) -> bool:
        return head == CHUNK

    def _record(self, file: BinaryIO) -> tuple[int, bytes, bool] | None:
        head = file.read(9)
        if len(head) < 9:
            return None
        kind, length = struct.unpack("<BQ", head)
        data = file.read(min(length, _LARGEST_RECORD_BYTES))
        return kind, data, len(data) == length

    def _messages_in(self, head: int, data: bytes, depth: int) -> Iterator[tuple[int, int, bytes]]:
        if head == MESSAGE and len(data) >= _MESSAGE_HEADER_BYTES:
            channel, _, stamp, _ = struct.unpack_from("<HIQQ", data)
            if channel in self._known:
                yield channel, stamp, data[_MESSAGE_HEADER_BYTES:]
        elif head == SCHEMA:
            (number,) = struct.unpack_from("<H", data)
            name, _ = _text(data, 2)
            self._schemas[number] = name
        elif head == CHANNEL:
            number, schema = struct.unpack_from("<HH", data)
            topic, _ = _text(data, 4)
            self._known[number] = _Connection(number, topic, self._schemas.get(schema, ""))
        elif head == CHUNK and depth == 0:
            yield from self._in_chunk(data)

    def _in_chunk(self, data: bytes) -> Iterator[tuple[int, int, bytes]]:
        (size,) = struct.unpack_from("<Q", data, 16)
        compression, place = _text(data, _CHUNK_HEADER_BYTES)
        (length,) = struct.unpack_from("<Q", data, place)
        packed = data[place + 8 : place + 8 + length]
        records = _decompressed(packed, compression, size, self._path)
        inside = BytesIO(records)
        while (record := self._record(inside)) is not None and record[2]:
            yield from self._messages_in(record[0], record[1], depth=1)


class UnfinishedRosbag1(_UnfinishedBag):
    """A bag of ROS 1, version 2.0."""

    signature = _ROSBAG1_SIGNATURE

    def _is_chunk(self, head: dict[str, bytes]) -> bool:
        return head.get("op", b"\0")[0] == ROS1_CHUNK

    def _record(self, file: BinaryIO) -> tuple[dict[str, bytes], bytes, bool] | None:
        fields, has_fields = _sized(file)
        data, is_whole = _sized(file)
        return (_fields(fields), data, is_whole) if has_fields else None

    def _messages_in(
        self, head: dict[str, bytes], data: bytes, depth: int
    ) -> Iterator[tuple[int, int, bytes]]:
        kind = head.get("op", b"\0")[0]
        if kind == ROS1_MESSAGE:
            (number,) = struct.unpack("<I", head["conn"])
            sec, nsec = struct.unpack("<II", head["time"])
            if number in self._known:
                yield number, sec * 1_000_000_000 + nsec, data
        elif kind == ROS1_CONNECTION:
            (number,) = struct.unpack("<I", head["conn"])
            said = _fields(data)
            package, _, name = said["type"].decode().partition("/")
            topic, digest = head["topic"].decode(), said["md5sum"].decode()
            self._known[number] = _Connection(number, topic, f"{package}/msg/{name}", digest)
        elif kind == ROS1_CHUNK and depth == 0:
            (size,) = struct.unpack("<I", head["size"])
            records = _decompressed(data, head["compression"].decode(), size, self._path)
            inside = BytesIO(records)
            while (record := self._record(inside)) is not None and record[2]:
                yield from self._messages_in(record[0], record[1], depth=1)


def _sized(file: BinaryIO) -> tuple[bytes, bool]:
    """Data preceded by their length, and whether they are complete."""
    head = file.read(4)
    if len(head) < 4:
        return b"", False
    (length,) = struct.unpack("<I", head)
    data = file.read(min(length, _LARGEST_RECORD_BYTES))
    return data, len(data) == length


def _fields(data: bytes) -> dict[str, bytes]:
    """The fields `name=value` of a ROS 1 record."""
    fields, place = {}, 0
    while place + 4 <= len(data):
        (length,) = struct.unpack_from("<I", data, place)
        name, _, value = data[place + 4 : place + 4 + length].partition(b"=")
        fields[name.decode("latin-1")] = value
        place += 4 + length
    return fields


def _text(data: bytes, place: int) -> tuple[str, int]:
    """A string of MCAP, and the offset after it."""
    (length,) = struct.unpack_from("<I", data, place)
    return data[place + 4 : place + 4 + length].decode(), place + 4 + length


def _decompressed(data: bytes, compression: str, size: int, path: str) -> bytes:
    """Decompress a chunk's records; never gives more than the declared size."""
    if size > _LARGEST_RECORD_BYTES:
        raise ValueError(f"a chunk of {size} bytes")
    if compression in ("", "none"):
        return data
    if compression == "lz4":
        lz4 = optional_library("lz4.frame", "lz4", path)
        return lz4.LZ4FrameDecompressor().decompress(data, size)
    if compression == "zstd":
        zstd = optional_library("backports.zstd", "backports.zstd", path)
        return zstd.ZstdDecompressor().decompress(data, size)
    if compression == "bz2":
        return optional_library("bz2", "bz2", path).BZ2Decompressor().decompress(data, size)
    raise SourceError(path, f"has chunks compressed by {compression[:20]}, which is not supported")
