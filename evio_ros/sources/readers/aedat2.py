"""AEDAT 1.0 and 2.0 files, as written by jAER and v2e.

Source: iniVation's documentation, "AEDAT 2.0", and jAER's extractors, which define the format if
the two differ (ON events of the DVS128 have polarity bit 0). A text header, then records of an
address and a time in µs, big-endian: 16 and 32 bits in version 1.0, twice 32 in 2.0. The meaning of
an address depends on the camera. Its origin is the lower right corner, which is converted to the
upper left one here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.errors import SourceError
from evio_ros.events import SensorSize
from evio_ros.sources.raw_columns import RawColumns
from evio_ros.sources.readers.aedat_header import LONGEST_HEADER_BYTES, split_header
from evio_ros.sources.readers.file_start import FileStart
from evio_ros.sources.readers.record_file import RecordFile

__all__ = ["Aedat1File", "Aedat2File"]

_HEADER_END = b"#End Of ASCII Header"
_OLDEST_HEADER = b"# This is a raw AE data file"
"""Beginning of files from before there were versions."""
_OLDEST_HEADER_BYTES = 1 << 10
_LEAST_PLAUSIBLE = 0.999
"""Minimum share of the first addresses that must fit a camera to accept it."""


@njit(cache=True, nogil=True)
def _decode(address, time, columns, rows, others, t, x, y, polarity):
    """Split addresses into pixels, counted from the upper left corner; returns their number."""
    count = 0
    for i in range(address.size):
        word = np.int64(address[i])
        if word & others[2]:
            continue
        t[count] = time[i]
        # A column outside becomes negative, and therefore a large uint16.
        x[count] = np.uint16(columns[2] - ((word >> columns[0]) & columns[1]))
        y[count] = np.uint16(rows[2] - ((word >> rows[0]) & rows[1]))
        polarity[count] = ((word >> others[0]) & 1) == others[1]
        count += 1
    return count


@dataclass(frozen=True, slots=True)
class _Chip:
    """Layout of a camera's addresses.

    Attributes:
        size: geometry.
        x_shift, x_bits, y_shift, y_bits: bits of the pixel.
        polarity_shift: bit of the polarity.
        on: value of the polarity bit of ON events.
        others: bits that are all 0 in an event of a pixel.
        has_events_only: False if samples of other kinds are between the events.
    """

    size: SensorSize
    x_shift: int
    x_bits: int
    y_shift: int
    y_bits: int
    polarity_shift: int
    on: int
    others: int
    has_events_only: bool = True

    def pixels(self, address: NDArray[np.uint32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Columns and rows as stored, counted from the lower right corner."""
        x = (address >> self.x_shift) & ((1 << self.x_bits) - 1)
        y = (address >> self.y_shift) & ((1 << self.y_bits) - 1)
        return x.astype(np.int64), y.astype(np.int64)

    def may_be_of(self, address: NDArray[np.uint32]) -> bool:
        """Whether nearly all of these addresses are possible for the camera."""
        events = address[(address & np.uint32(self.others)) == 0]
        if not len(events) or (self.has_events_only and len(events) < len(address)):
            return False
        x, y = self.pixels(events)
        unused = (1 << self.polarity_shift) - 1
        fits = (x < self.size.width) & (y < self.size.height) & ((events & unused) == 0)
        return float(np.mean(fits)) >= _LEAST_PLAUSIBLE


def _davis(width: int, height: int) -> _Chip:
    """A DAVIS: bit 31 is set for samples of frames and motion, bit 10 for edges of inputs."""
    return _Chip(SensorSize(width, height), 12, 10, 22, 9, 11, 1, 1 << 31 | 1 << 10, False)


DVS128 = _Chip(SensorSize(128, 128), 1, 7, 8, 7, 0, 0, 0xFFFF8000)
_DVS640 = _Chip(SensorSize(640, 480), 1, 10, 11, 10, 0, 1, 0xFFE00000)
_CHIPS = (
    (r"dvs128|tmpdiff128", DVS128),
    (r"davis128", _davis(128, 128)),
    (r"davis(192|208)", _davis(208, 192)),
    (r"davis240|sbret|dvs240", _davis(240, 180)),
    (r"c?davis346|dvs346", _davis(346, 260)),
    (r"davis(rgbw?)?640", _davis(640, 480)),
    (r"dvs640", _DVS640),
)
"""jAER's names of cameras, as patterns in lower case, and the layouts of their addresses."""
_UNNAMED = (DVS128, _davis(240, 180), _davis(346, 260), _davis(640, 480), _DVS640)
"""Candidates for files that do not name the camera; the first one that fits is used."""


class Aedat2File(RecordFile):
    """A recording in an AEDAT 2.0 file.

    Args:
        path: name of the file.
        size: geometry; None for that of the camera named by the header.

    Raises:
        SourceError: if the camera is unknown, or the file has no events.
    """

    format_name = "AEDAT 2.0"
    keeps = "events, geometry of the camera that is named"
    loses = "frames, IMU, edges of inputs, the dump of preferences"
    version = b"#!AER-DAT2.0"
    data_format = b"int32 address, int32 timestamp"
    record_bytes = 8
    address_bytes = 4

    @classmethod
    def recognises(cls, start: FileStart) -> bool:
        """Whether the file begins with the version line, or with jAER's older header."""
        if start.data.startswith(cls.version):
            return True
        is_unversioned = start.data.startswith(_OLDEST_HEADER)
        return is_unversioned and cls.data_format in start.data[:_OLDEST_HEADER_BYTES]

    def _prepare(self) -> SensorSize | None:
        header, self._data_offset = self._read_header()
        tick = re.search(rb"[Tt]ick is (\d{1,6}) us", header)
        self._tick_us = int(tick[1]) if tick and int(tick[1]) else 1
        self._wrap_us = self._tick_us << 32
        self._chip = DVS128
        self._count_records()
        self._chip = self._find_chip(header)
        return self._chip.size

    def _read_header(self) -> tuple[bytes, int]:
        """The header, and the offset after it."""
        start = bytes(self._read_at(0, min(self._file_bytes(), LONGEST_HEADER_BYTES)))
        return split_header(start, _HEADER_END, self.path)

    def _find_chip(self, header: bytes) -> _Chip:
        text = header.decode("latin-1").lower()
        for key in ("aechip", "hardwareinterface"):
            named = re.search(rf"#\s*{key}:\s*(\S.*)", text)
            if named is None:
                continue
            for pattern, chip in _CHIPS:
                if re.search(pattern, named[1]):
                    return chip
            if key == "aechip":
                name = named[1].strip().rpartition(".")[2][:60]
                reason = (
                    f"is {self.format_name} of the camera {name}, whose address layout is unknown"
                )
                raise SourceError(self.path, f"{reason}; jAER may read it", 0)
        return self._guess_chip()

    def _guess_chip(self) -> _Chip:
        """The camera that fits the first addresses, if the header does not name one."""
        addresses, _ = self._split(self._first_records())
        for chip in _UNNAMED:
            if chip.may_be_of(addresses):
                self.remarks.append(
                    "the header names no camera; addresses are read as those of a "
                    f"{chip.size} sensor"
                )
                return chip
        reason = f"is {self.format_name} without the camera's name in its header"
        raise SourceError(self.path, f"{reason}, and its addresses fit no known camera", 0)

    def _first_records(self) -> NDArray[np.uint8]:
        count = min(self._records, 1 << 16)
        data = self._read_at(self._data_offset, count * self.record_bytes)
        return np.frombuffer(bytes(data), np.uint8).reshape(count, self.record_bytes)

    def _split(self, records: NDArray[np.uint8]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """Addresses, uint32 (n,), and times in µs, int64 (n,), of records."""
        width = self.address_bytes
        address = np.ascontiguousarray(records[:, :width]).view(f">u{width}")[:, 0]
        time = np.ascontiguousarray(records[:, width:]).view(">u4")[:, 0]
        return address.astype(np.uint32), time.astype(np.int64) * self._tick_us

    def _decode(self, records: NDArray[np.uint8]) -> RawColumns:
        address, time = self._split(records)
        columns, chip = RawColumns.empty(len(address)), self._chip
        count = _decode(
            address,
            time,
            (chip.x_shift, (1 << chip.x_bits) - 1, chip.size.width - 1),
            (chip.y_shift, (1 << chip.y_bits) - 1, chip.size.height - 1),
            (chip.polarity_shift, chip.on, chip.others),
            columns.t,
            columns.x,
            columns.y,
            columns.polarity,
        )
        return columns.select(slice(0, count))


class Aedat1File(Aedat2File):
    """A recording in an AEDAT 1.0 file: 16-bit addresses of the DVS128 or its predecessor."""

    format_name = "AEDAT 1.0"
    version = b"#!AER-DAT1.0"
    data_format = b"int16 address, int32 timestamp"
    record_bytes = 6
    address_bytes = 2

    def _find_chip(self, header: bytes) -> _Chip:
        return DVS128
