"""The text header of Prophesee DAT and RAW files: lines that begin with a percent sign."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO

from evio_ros.errors import EventError, SourceError
from evio_ros.events import SensorSize

__all__ = ["LONGEST_HEADER_BYTES", "TIME_OFFSET", "PropheseeHeader", "read_header"]

LONGEST_HEADER_BYTES = 1 << 16
TIME_OFFSET = "evio_time_offset_us"


@dataclass(frozen=True, slots=True)
class PropheseeHeader:
    """Content of a header.

    Attributes:
        fields: the rest of each line, by its first word in lower case.
        length: length of the header in bytes, which is the offset of the data.
        size: geometry; None if the header has none.
        event_format: "evt2", "evt21", "evt3" or another format of a RAW file; None if the header
            has none.
        time_offset_us: sensor time of the file's time 0 in µs; written by our own writers if times
            exceed the format's fields.
    """

    fields: Mapping[str, str]
    length: int
    size: SensorSize | None
    event_format: str | None
    time_offset_us: int = 0

    def epoch_us(self, wrap_us: int, path: str) -> int:
        """The time offset in µs, checked to be a multiple of the format's period `wrap_us`."""
        if self.time_offset_us % wrap_us:
            reason = (
                f"the header's {TIME_OFFSET} {self.time_offset_us} is not a multiple of {wrap_us}"
            )
            raise SourceError(path, reason, 0)
        return self.time_offset_us


def read_header(file: BinaryIO, path: str) -> PropheseeHeader:
    """Read the header at the file's beginning; a file without one gives an empty header.

    Source: Prophesee Metavision documentation, "DAT file format" and "RAW file format".

    Raises:
        SourceError: if the header does not end, or gives an impossible geometry.
    """
    file.seek(0)
    start = file.read(LONGEST_HEADER_BYTES)
    fields: dict[str, str] = {}
    position = 0
    while start[position : position + 1] == b"%" and start[position + 1 : position + 2] in b" \n\r":
        end = start.find(b"\n", position)
        if end < 0 and len(start) == LONGEST_HEADER_BYTES:
            raise SourceError(path, f"the header is longer than {len(start)} bytes", position)
        if end < 0:
            raise SourceError(path, "the header's last line does not end", position)
        line = _text(start[position + 1 : end])
        position = end + 1
        name, _, value = line.partition(" ")
        if name.lower() == "end":
            break
        if name:
            fields[name.lower()] = value.strip()
    if position == LONGEST_HEADER_BYTES:
        raise SourceError(path, f"the header is longer than {LONGEST_HEADER_BYTES} bytes", 0)
    size = _size(fields, path)
    return PropheseeHeader(
        fields, position, size, _event_format(fields), _time_offset(fields, path)
    )


def _text(line: bytes) -> str:
    """A line as text; if it is not UTF-8, as Latin-1, in which any bytes are valid."""
    try:
        return line.decode("utf-8").strip()
    except UnicodeDecodeError:
        return line.decode("latin-1").strip()


def _size(fields: Mapping[str, str], path: str) -> SensorSize | None:
    """Geometry from `Width` and `Height`, `geometry 1280x720` or `format EVT3;height=720;...`."""
    found = re.fullmatch(r"(\d+)x(\d+)", fields.get("geometry", ""))
    options = dict(re.findall(r"(\w+)=(\d+)", fields.get("format", "")))
    width = options.get("width", fields.get("width"))
    height = options.get("height", fields.get("height"))
    if found:
        width, height = found.groups()
    if width is None or height is None or (set(width + height) == {"0"}):
        return None
    try:
        return SensorSize(int(width), int(height))
    except (ValueError, EventError) as error:
        raise SourceError(path, f"the header's geometry is impossible: {error}", 0) from None


def _time_offset(fields: Mapping[str, str], path: str) -> int:
    text = fields.get(TIME_OFFSET, "0")
    if not re.fullmatch(r"\d{1,18}", text):
        raise SourceError(path, f"the header's {TIME_OFFSET} is not a time in us: {text[:40]!r}", 0)
    return int(text)


_VERSIONS = {"2.0": "evt2", "2.1": "evt21", "3.0": "evt3", "2": "evt2", "3": "evt3"}


def _event_format(fields: Mapping[str, str]) -> str | None:
    """RAW format from `evt 3.0` or `format EVT3;...`."""
    named = fields.get("format", "").split(";")[0].strip().lower()
    if named.removeprefix("evt") in _VERSIONS:
        return _VERSIONS[named.removeprefix("evt")]
    if named.startswith("evt"):
        return named
    version = fields.get("evt", "")
    if version in _VERSIONS:
        return _VERSIONS[version]
    return f"evt{version}" if re.fullmatch(r"\d+(\.\d+)?", version) else None
