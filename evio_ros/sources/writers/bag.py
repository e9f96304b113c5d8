"""Writing rosbag2 bags for `ros2 bag play`; ROS is not needed."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from evio_ros.errors import SourceError
from evio_ros.events import EventBatch, EventWindow
from evio_ros.sources.codecs.bag_messages import EVENT_ARRAY, EVENT_PACKET, message_types
from evio_ros.sources.codecs.event_packet import EventPacketEncoder
from evio_ros.sources.optional_library import optional_library
from evio_ros.sources.writers.event_writer import EventWriter
from evio_ros.windowing import LONGEST_GAP_US, WindowAssembler

__all__ = ["BagWriter", "PacketBagWriter", "SqliteBagWriter"]

_WINDOW_US = 10_000
_FRAME = "event_camera"
_ENDINGS = (".bag", ".mcap", ".db3")
"""Endings that select a bag; its storage files have their own."""


@contextmanager
def _atomic_folder(path: str) -> Iterator[str]:
    """Provide a temporary folder, which is renamed to `path` when the block ends.

    The storage file in it has the folder's name, without `.bag` or the like. An existing folder is
    replaced if it is a bag.
    """
    final = os.path.realpath(path)
    if os.path.exists(final) and not os.path.exists(os.path.join(final, "metadata.yaml")):
        raise SourceError(path, "exists and is not a bag; it is not replaced")
    parent = os.path.dirname(final)
    if not os.path.isdir(parent) or not os.access(parent, os.W_OK):
        raise SourceError(path, f"cannot be written: {parent} is not a writable folder")
    partial, older = f"{final}.{os.getpid()}.part", f"{final}.{os.getpid()}.old"
    stem, ending = os.path.splitext(os.path.basename(final))
    inside = os.path.join(partial, stem if ending in _ENDINGS else stem + ending)
    try:
        yield inside
        if os.path.exists(final):
            os.rename(final, older)
        os.rename(inside, final)
    except OSError as error:
        raise SourceError(path, f"cannot be written: {error.strerror}") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(older, ignore_errors=True)


class BagWriter(EventWriter):
    """Writes a bag of evio_ros/EventArray messages of 10 ms in MCAP storage.

    Stamps are sensor time: a recording that begins at 5 s of sensor time has stamps from 5 s on.
    """

    format_name = "rosbag2"
    message_type: ClassVar[str] = EVENT_ARRAY
    storage: ClassVar[str] = "MCAP"
    topic: ClassVar[str] = "/events"

    def _open(self, stack: ExitStack) -> None:
        rosbag2 = optional_library("rosbags.rosbag2", "rosbags", self.path)
        partial = stack.enter_context(_atomic_folder(self.path))
        self._types = message_types()
        self._messages = 0
        self._assembler = WindowAssembler(self.size, _WINDOW_US)
        try:
            self._bag: Any = rosbag2.Writer(
                Path(partial), version=8, storage_plugin=rosbag2.StoragePlugin[self.storage]
            )
            self._bag.open()
            stack.callback(self._abort)
            self._connection = self._bag.add_connection(
                self.topic, self.message_type, typestore=self._types
            )
        except Exception as error:  # the library does not catch what its storages raise
            self._fail(error)

    def _write(self, batch: EventBatch) -> None:
        if batch.t[0] < 0:
            raise SourceError(self.path, f"a bag cannot store negative times: {batch.t[0]} us")
        before_us = batch.t[0] if self._last_us is None else self._last_us
        gaps = np.flatnonzero(np.diff(batch.t, prepend=before_us) > LONGEST_GAP_US)
        for first, stop in itertools.pairwise((0, *gaps.tolist(), len(batch))):
            if first in gaps:
                self._end_windows()
            for window in self._assembler.push(batch.slice(first, stop)):
                self._write_window(window)

    def _end_windows(self) -> None:
        """Write the remaining events; new windows start with the next event."""
        for window in self._assembler.flush():
            self._write_window(window)
        self._assembler = WindowAssembler(self.size, _WINDOW_US)

    def _finish(self) -> None:
        self._end_windows()
        try:
            self._bag.close()
        except Exception as error:  # the library does not catch what its storages raise
            self._fail(error)

    def _abort(self) -> None:
        """Release a bag that has not been closed."""
        if self._bag.storage is not None:
            with suppress(Exception):
                self._bag.abort()

    def _write_window(self, window: EventWindow) -> None:
        if not len(window.events):
            return
        message = self._message(window)
        stamp_ns = window.start_us * 1000
        try:
            data = self._types.serialize_cdr(message, self.message_type)
            self._bag.write(self._connection, stamp_ns, data)
        except Exception as error:  # the library does not catch what its storages raise
            self._fail(error)
        self._messages += 1

    def _message(self, window: EventWindow) -> Any:
        events = window.events
        return self._types.types[EVENT_ARRAY](
            header=self._header(window.start_us),
            seq=self._messages,
            width=self.size.width,
            height=self.size.height,
            time_base=window.start_us,
            duration=window.length_us,
            t=(events.t - window.start_us).astype(np.uint32),
            x=events.x,
            y=events.y,
            polarity=events.polarity.view(np.uint8),
        )

    def _header(self, t_us: int) -> Any:
        seconds, rest_us = divmod(t_us, 1_000_000)
        time = self._types.types["builtin_interfaces/msg/Time"](sec=seconds, nanosec=rest_us * 1000)
        return self._types.types["std_msgs/msg/Header"](stamp=time, frame_id=_FRAME)


class SqliteBagWriter(BagWriter):
    """Writes the same messages in SQLite storage."""

    storage: ClassVar[str] = "SQLITE3"


class PacketBagWriter(BagWriter):
    """Writes a bag of event_camera_msgs/EventPacket messages in encoding evt3, for other tools.

    EVT3 times have 24 bits and are counted from the packets' time base, which other readers of EVT3
    take for 0.
    """

    format_name = "rosbag2 of EventPacket"
    largest_side_px: ClassVar[int] = 1 << 11
    message_type: ClassVar[str] = EVENT_PACKET
    topic: ClassVar[str] = "/event_camera/events"

    def _open(self, stack: ExitStack) -> None:
        super()._open(stack)
        self._encoder = EventPacketEncoder()

    def _message(self, window: EventWindow) -> Any:
        payload = self._encoder.encode(window.events)
        return self._types.types[EVENT_PACKET](
            header=self._header(window.start_us),
            height=self.size.height,
            width=self.size.width,
            seq=self._messages,
            time_base=self._encoder.time_base_ns,
            encoding=self._encoder.encoding,
            is_bigendian=False,
            events=np.frombuffer(payload, np.uint8),
        )
