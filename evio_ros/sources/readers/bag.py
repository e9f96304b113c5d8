"""Bags of ROS 1 and ROS 2 with events in any of the usual message types; ROS is not needed.

Types: `evio_ros.sources.codecs.bag_messages.EVENT_TYPES`. A bag without its end is read as far as
it goes.
"""

from __future__ import annotations

import copy
import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from evio_ros.errors import EventError, SourceError
from evio_ros.events import SensorSize
from evio_ros.sources.base import SourceStatistics
from evio_ros.sources.codecs.bag_messages import (
    DVS_ARRAYS,
    EVENT_ARRAY,
    EVENT_TYPES,
    message_types,
    ros1_message_types,
)
from evio_ros.sources.codecs.dvs_message import DvsMessageDecoder, parse_cdr, parse_ros1
from evio_ros.sources.codecs.event_array import EventArrayDecoder
from evio_ros.sources.codecs.event_packet import EventPacketDecoder
from evio_ros.sources.optional_library import optional_library
from evio_ros.sources.raw_columns import RawColumns, Triggers
from evio_ros.sources.readers.event_file import open_compressed_file
from evio_ros.sources.readers.file_start import read_file_start
from evio_ros.sources.readers.recording import REORDER_WINDOW_US, Recording
from evio_ros.sources.readers.unfinished_bag import UnfinishedMcap, UnfinishedRosbag1

__all__ = ["Bag", "is_bag"]

_STORAGE_ENDINGS = (".mcap", ".db3")
_PACKED_ENDINGS = tuple(f"{ending}.zstd" for ending in _STORAGE_ENDINGS)
MCAP, SQLITE, ROSBAG1 = b"\x89MCAP0\r\n", b"SQLite format 3\0", b"#ROSBAG V"
_ENDING_OF = {MCAP: ".mcap", SQLITE: ".db3", ROSBAG1: ".bag"}
_PIECE_EVENTS = 1 << 15
_INDEX_BYTES = 1 << 21
_NO_TIME = -1
_REMEDIES = (
    ("malformed", "try to recover it with sqlite3 FILE .recover"),
    ("Unrecognized storage format", "rename it to end in .db3 or .mcap, according to its content"),
)
_LONGEST_MESSAGE_US = 1_000_000
"""Maximum time span of a message; longer ones contain wrong times, or a restart of the clock."""
_ZSTD = b"\x28\xb5\x2f\xfd"
"""First bytes of a compressed message; CDR begins with 0."""
_LARGEST_MESSAGE_BYTES = 1 << 28
_MOST_UNSIZED = 256
"""Number of messages at the beginning that are searched for a geometry."""
_MOST_EMPTY = 1 << 12
"""Maximum number of messages without events before a topic's first event: 40 s of messages of 10
ms."""


def is_bag(path: str) -> bool:
    """Whether a path is a bag: its folder, or a file with such first bytes or such a name."""
    if os.path.isdir(path):
        return os.path.exists(os.path.join(path, "metadata.yaml")) or bool(_storage_files(path))
    return path.endswith(_STORAGE_ENDINGS) or bool(_signature(path))


def _signature(path: str) -> bytes:
    """The signature of a bag at a file's beginning, compressed or not; b"" if there is none."""
    if not os.path.isfile(path):
        return b""
    try:
        data = read_file_start(path).data
    except SourceError:  # reported when the file is opened
        return b""
    return next((signature for signature in _ENDING_OF if data.startswith(signature)), b"")


def _storage_files(folder: str) -> list[Path]:
    """The storage files in a folder, in the order of the numbers in their names."""
    endings = _STORAGE_ENDINGS + _PACKED_ENDINGS
    return sorted((p for p in Path(folder).iterdir() if p.name.endswith(endings)), key=_numbered)


def _numbered(file: Path) -> list[str | int]:
    """Sort key that compares the numbers in names: part 5 before part 10."""
    parts = re.split(r"([0-9]+)", file.name)
    return [int(part) if place % 2 else part for place, part in enumerate(parts)]


def _journal_of(file: Path) -> Path:
    """The write-ahead log of a database."""
    return file.with_name(f"{file.name}-wal")


def _has_journal(file: Path) -> bool:
    """Whether transactions of a database may be in its write-ahead log only."""
    journal = _journal_of(file)
    return journal.is_file() and journal.stat().st_size > 0


@dataclass(frozen=True, slots=True)
class _Entry:
    """A position in the bag from which reading can resume.

    Attributes:
        stamp_ns: stamp of the message there, in ns.
        repeated: number of earlier messages with the same stamp.
        time_us: sensor time of the decoder before it, in µs.
        decoder: the decoder's state before it.
    """

    stamp_ns: int
    repeated: int
    time_us: int
    decoder: Any


_Decoded = tuple[int, RawColumns, Triggers]
"""A message's stamp in ns, and its events and triggers."""


class Bag(Recording):
    """A recording in a bag.

    Args:
        path: the bag's folder, or one of its storage files.
        size: geometry; None for the messages'.
        topic: the topic to read; None if only one has events.

    Raises:
        SourceError: if the bag cannot be read, or the topic is not unique or has no events.
    """

    format_name = "rosbag2"
    keeps = "events of one topic, geometry, lost messages"
    loses = "all other topics; header stamps"
    options: ClassVar[tuple[str, ...]] = ("topic",)

    def __init__(self, path: str, size: SensorSize | None = None, topic: str | None = None) -> None:
        self._stack = ExitStack()
        self._is_ros1 = _signature(path) == ROSBAG1
        if self._is_ros1:
            self.format_name = "rosbag"
        self._following: _Decoded | None = None
        self._position: Iterator[_Decoded] = iter(())
        self._triggers = Triggers.empty()
        self._gaps: list[range] = []
        # Time up to which events are known, and whether messages after it were lost.
        self._after_us: int | None = None
        self._is_missing = False
        self._wanted_topic = topic
        super().__init__(path, size)

    def close(self) -> None:
        """Close the bag; can be called repeatedly."""
        self._stack.close()

    def _prepare(self) -> SensorSize | None:
        try:
            self._readers = self._open_readers()
        except SourceError:
            raise
        except Exception as error:  # the library does not catch what its parsers raise
            raise SourceError(self.path, f"cannot be read as a bag: {_line(error)}") from None
        self.topic, self._type = self._choose_topic()
        self.details.update(topic=self.topic, type=self._type)
        self._index: list[_Entry] = []
        self._indexed = False
        self._go_to(None)
        return self._declared_size()

    def _declared_size(self) -> SensorSize | None:
        """The geometry in the first messages; None if it is 0 there."""
        message = None
        for _, message in islice(self._messages(0, 0), _MOST_UNSIZED):
            if not message.width == message.height == 0:
                break
        if message is None:
            raise SourceError(self.path, f"has no message on {self.topic}")
        if message.width == message.height == 0:
            return None
        try:
            return SensorSize(int(message.width), int(message.height))
        except EventError as error:
            raise SourceError(self.path, f"the geometry is impossible: {error}") from None

    def _read_piece(self) -> RawColumns | None:
        """The events of some messages; a piece also ends where time goes back between messages."""
        parts: list[RawColumns] = []
        triggers: list[Triggers] = []
        self._gaps = []
        received_us, newest_us, events = None, None, 0
        while events < _PIECE_EVENTS:
            following, self._following = self._following, None
            if following is None:
                following = next(self._position, None)
            if following is None:
                break
            stamp, columns, found = following
            if len(columns):
                first_us = int(columns.t[0])
                if newest_us is not None and first_us < newest_us - REORDER_WINDOW_US:
                    self._following = following
                    break
                newest_us = int(columns.t[-1])
                received_us = stamp // 1000 if received_us is None else received_us
            parts.append(columns)
            triggers.append(found)
            events += len(columns)
        self._triggers = Triggers.concatenate(triggers)
        if not parts:
            return None
        together = parts[0] if len(parts) == 1 else RawColumns.concatenate(parts)
        return replace(together, received_us=received_us)

    @property
    def _piece_triggers(self) -> Triggers:
        return self._triggers

    @property
    def _piece_gaps(self) -> list[range]:
        return self._gaps

    def _go_to(self, t_us: int | None) -> None:
        self._following = None
        self._after_us, self._is_missing = None, False
        if t_us is not None:
            self._extend_index(t_us)
            for entry in reversed(self._index):
                if _NO_TIME < entry.time_us < t_us - REORDER_WINDOW_US:
                    self._decoder = copy.deepcopy(entry.decoder)
                    self._decoder.statistics = self.statistics
                    self._position = self._decoded(entry.stamp_ns, entry.repeated)
                    return
        self._decoder = _decoder(self._type, self.statistics)
        self._position = self._decoded(0, 0)

    def _decoded(self, stamp_ns: int, repeated: int) -> Iterator[_Decoded]:
        """Stamps, events and triggers of the messages of `_messages`."""
        decoder = self._decoder
        for stamp, message in self._messages(stamp_ns, repeated):
            lost = decoder.statistics.lost_packets
            try:
                columns = decoder.decode(message)
            except (EventError, ValueError) as error:
                raise SourceError(self.path, f"{self.topic}: {error}") from None
            if self._type in DVS_ARRAYS:
                columns = self._in_order(columns)
            self._is_missing |= decoder.statistics.lost_packets > lost
            self._note_gap(message, columns)
            yield stamp, columns, decoder.triggers

    def _in_order(self, columns: RawColumns) -> RawColumns:
        """The events of a message in order of time; some drivers sort them by polarity."""
        t = columns.t
        if not (t[1:] < t[:-1]).any() or np.ptp(t) > _LONGEST_MESSAGE_US:
            return columns
        self.statistics.reordered += int(np.count_nonzero(t < np.maximum.accumulate(t)))
        return columns.select(np.argsort(t, kind="stable"))

    def _note_gap(self, message: Any, columns: RawColumns) -> None:
        """Record the time between the messages, or events, before and after lost ones as a gap."""
        if self._type == EVENT_ARRAY:
            first_us = int(message.time_base)
            after_us = first_us + int(message.duration)
        elif len(columns):
            first_us, after_us = int(columns.t[0]), int(columns.t[-1]) + 1
        else:
            return
        if self._is_missing and self._after_us is not None:
            self._gaps.append(range(self._after_us, first_us))
        self._after_us, self._is_missing = after_us, False

    def _open_readers(self) -> list[Any]:
        """Readers of the bag, or of its storage files if the bag's metadata are unusable."""
        if self._is_ros1:
            return [self._open_rosbag1()]
        Reader = optional_library("rosbags.rosbag2", "rosbags", self.path).Reader  # noqa: N806
        files = [Path(self.path)] if os.path.isfile(self.path) else _storage_files(self.path)
        has_metadata = os.path.exists(f"{self.path}/metadata.yaml")
        if not has_metadata or any(map(_has_journal, files)):
            return [self._open_storage(file) for file in files]
        self._check_free_space()
        try:
            return [self._stack.enter_context(Reader(self.path))]
        except Exception as error:
            if not files:
                raise
            readers = [self._open_storage(file) for file in files]
            self.remarks.append(
                f"metadata.yaml is not usable ({_line(error)}); the storage files are read "
                "without it"
            )
            return readers

    def _open_rosbag1(self) -> Any:
        reader = optional_library("rosbags.rosbag1", "rosbags", self.path).Reader
        file = self._decompressed_file(Path(self.path))
        try:
            return self._stack.enter_context(reader(file))
        except Exception as error:  # the library does not catch what its parsers raise
            return self._open_unfinished(UnfinishedRosbag1, file, error)

    def _open_storage(self, file: Path) -> Any:
        reader = optional_library("rosbags.rosbag2", "rosbags", self.path).Reader
        file = self._merged_file(file) if _has_journal(file) else self._decompressed_file(file)
        try:
            return self._stack.enter_context(reader(file))
        except Exception as error:  # the library does not catch what its parsers raise
            if _signature(str(file)) != MCAP:
                raise
            return self._open_unfinished(UnfinishedMcap, file, error)

    def _decompressed_file(self, file: Path) -> Path:
        """A storage file, decompressed into a temporary copy if needed, which `close` deletes."""
        decompressed = open_compressed_file(str(file))
        if decompressed is None:
            return file
        folder = self._stack.enter_context(tempfile.TemporaryDirectory())
        copied = Path(folder, file.stem).with_suffix(_ENDING_OF.get(_signature(str(file)), ""))
        with decompressed, copied.open("wb") as target:
            shutil.copyfileobj(decompressed, target)
        return copied

    def _merged_file(self, file: Path) -> Path:
        """A temporary copy of a database, with the transactions that are only in its journal."""
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        needed = file.stat().st_size + 2 * _journal_of(file).stat().st_size
        if needed > shutil.disk_usage(folder).free:
            raise SourceError(
                self.path,
                f"a recorder that was cut off left {_journal_of(file).name}; merge it by "
                f"sqlite3 {file.name} 'PRAGMA wal_checkpoint(TRUNCATE)'",
            )
        for part in (file, _journal_of(file)):
            shutil.copyfile(part, folder / part.name)
        with closing(sqlite3.connect(folder / file.name)) as database:
            database.execute("PRAGMA journal_mode=DELETE")
        self.remarks.append(
            f"a recorder that was cut off left {_journal_of(file).name}; its messages are read"
        )
        return folder / file.name

    def _open_unfinished(
        self, kind: type[UnfinishedMcap | UnfinishedRosbag1], file: Path, error: Exception
    ) -> Any:
        """A reader of the readable part of a storage file whose end is missing or corrupt."""
        unfinished = kind(str(file))
        if not unfinished.connections:
            raise error
        self.statistics.truncated_bytes += unfinished.cut_off_bytes
        self.remarks.append(
            f"{file.name} has no usable end ({_line(error)}), as after a crash of its recorder; "
            "it is read as far as it goes"
        )
        return unfinished

    def _check_free_space(self) -> None:
        """Refuse compressed storage files that do not fit in the temporary folder."""
        packed = sum(p.stat().st_size for p in Path(self.path).glob("*.zstd"))
        free = shutil.disk_usage(tempfile.gettempdir()).free
        if packed * 3 > free:
            raise SourceError(
                self.path,
                f"decompressing {packed} bytes needs more than the {free} bytes that are free",
            )

    def _choose_topic(self) -> tuple[str, str]:
        topics = {
            connection.topic: connection.msgtype
            for reader in self._readers
            for connection in reader.connections
        }
        usable = {t: kind for t, kind in topics.items() if kind in EVENT_TYPES}
        self.details["topics"] = sorted(usable)
        if self._wanted_topic is not None:
            wanted = self._wanted_topic
            named = [t for t in usable if t == wanted]
            # A part of a name, such as right, may be enough.
            named = named or [t for t in usable if f"/{wanted.strip('/')}/" in f"{t}/"]
            usable = {t: usable[t] for t in named}
        if len(usable) > 1:
            usable = self._topics_with_events(usable)
        if len(usable) == 1:
            return next(iter(usable.items()))
        present = ", ".join(f"{t} ({kind})" for t, kind in sorted(topics.items())) or "no topics"
        if usable:
            reason = f"has events on several topics; name one as {self.path}?topic=NAME: {present}"
        else:
            wanted = f" on {self._wanted_topic}" if self._wanted_topic else ""
            reason = f"has no events of a known type{wanted}; it has {present}"
            if any(kind.replace("/", "/msg/") in EVENT_TYPES for kind in topics.values()):
                reason += " in the encoding of ROS 1: name the .bag file that it was made from"
        raise SourceError(self.path, reason)

    def _topics_with_events(self, topics: dict[str, str]) -> dict[str, str]:
        """Those of several topics, with their types, that may have events."""
        filled = {t: kind for t, kind in topics.items() if self._may_have_events(t, kind)}
        if not filled:
            raise SourceError(self.path, f"has no events on any of {', '.join(sorted(topics))}")
        return filled

    def _may_have_events(self, topic: str, kind: str) -> bool:
        """False if none of a topic's messages has an event; corrupt messages may have some."""
        decoder = _decoder(kind, SourceStatistics())
        messages = chain.from_iterable(
            reader.messages([c for c in reader.connections if c.topic == topic])
            for reader in self._readers
            if any(c.topic == topic for c in reader.connections)
        )
        try:
            for number, (_, _, raw) in enumerate(messages):
                if number >= _MOST_EMPTY or len(decoder.decode(self._parsed(raw, kind))):
                    return True
        except Exception:  # the library does not catch what its parsers raise
            return True
        return False

    def _messages(self, stamp_ns: int, repeated: int) -> Iterator[tuple[int, Any]]:
        """Stamps and messages from a stamp on, without the first few of that stamp.

        A message that equals the previous one, byte by byte, is left out and counted.
        """
        last = b""
        try:
            for reader in self._readers:
                connections = [c for c in reader.connections if c.topic == self.topic]
                if not connections:
                    continue
                self._check_versions(connections)
                for _, stamp, raw in reader.messages(connections, start=stamp_ns):
                    if raw == last:
                        self.statistics.repeated_packets += 1
                        continue
                    last = raw
                    if stamp == stamp_ns and repeated:
                        repeated -= 1
                        continue
                    yield stamp, self._parsed(raw, self._type)
        except SourceError:
            raise
        except Exception as error:  # the library does not catch what its parsers raise
            raise SourceError(
                self.path, f"a message on {self.topic} is corrupt: {_line(error)}"
            ) from None

    def _parsed(self, raw: bytes, kind: str) -> Any:
        """Parse a message of a type."""
        if self._is_ros1:
            if kind in DVS_ARRAYS:
                return parse_ros1(bytes(raw))
            return ros1_message_types().deserialize_ros1(raw, kind)
        if raw[: len(_ZSTD)] == _ZSTD:
            raw = self._decompressed(raw)
        if kind in DVS_ARRAYS:
            return parse_cdr(bytes(raw))
        return message_types().deserialize_cdr(raw, kind)

    def _decompressed(self, raw: bytes) -> bytes:
        """Decompress a message of a bag with compression by message."""
        zstd = optional_library("backports.zstd", "backports.zstd", self.path)
        decompressor = zstd.ZstdDecompressor()
        message: bytes = decompressor.decompress(raw, _LARGEST_MESSAGE_BYTES)
        if not decompressor.eof:
            raise ValueError(
                f"a compressed message is truncated or larger than {_LARGEST_MESSAGE_BYTES} B"
            )
        return message

    def _check_versions(self, connections: list[Any]) -> None:
        if self._is_ros1:
            known = ros1_message_types().generate_msgdef(self._type, ros_version=1)[1]
        else:
            known = message_types().hash_rihs01(self._type)
        for connection in connections:
            if connection.digest and connection.digest != known:
                reason = f"{self.topic} has another version of {self._type}: {connection.digest}"
                raise SourceError(self.path, reason)

    def _extend_index(self, t_us: int | None) -> None:
        """Read on through the bag, without decoding events, until the index reaches `t_us`."""
        if self._indexed:
            return
        entry = self._index[-1] if self._index else None
        if entry and t_us is not None and entry.time_us >= t_us:
            return
        if entry is None:
            decoder, position = _decoder(self._type, SourceStatistics()), self._messages(0, 0)
            last_stamp, repeated, read_bytes = _NO_TIME, -1, _INDEX_BYTES
        else:
            decoder = copy.deepcopy(entry.decoder)
            position = self._messages(entry.stamp_ns, entry.repeated)
            last_stamp, repeated, read_bytes = entry.stamp_ns, entry.repeated - 1, 0
        for stamp, message in position:
            repeated = repeated + 1 if stamp == last_stamp else 0
            last_stamp = stamp
            if read_bytes >= _INDEX_BYTES:
                read_bytes = 0
                self._index.append(_Entry(stamp, repeated, decoder.time_us, copy.deepcopy(decoder)))
                if t_us is not None and decoder.time_us >= t_us:
                    return
            decoder.skip(message)
            read_bytes += _message_bytes(message)
        self._indexed = True


def _decoder(
    kind: str, statistics: SourceStatistics
) -> EventArrayDecoder | EventPacketDecoder | DvsMessageDecoder:
    if kind in DVS_ARRAYS:
        return DvsMessageDecoder(statistics)
    return EventArrayDecoder(statistics) if kind == EVENT_ARRAY else EventPacketDecoder(statistics)


def _message_bytes(message: Any) -> int:
    return len(message.events) if hasattr(message, "events") else 9 * len(message.t)


def _line(error: Exception) -> str:
    """A library's message in one line, with advice if there is any."""
    text = " ".join(str(error).split()) or type(error).__name__
    remedy = next((remedy for part, remedy in _REMEDIES if part in text), "")
    return f"{text.rstrip('.')}; {remedy}" if remedy else text
