"""Opening any recording: the format is told by content, not by the file's name."""

from __future__ import annotations

from evio_ros.errors import SourceError
from evio_ros.events import SensorSize
from evio_ros.sources.event_file import EventFile, open_regular_file
from evio_ros.sources.prophesee_header import PropheseeHeader, read_header

__all__ = ["open_source"]


def open_source(uri: str, *, size: SensorSize | None = None) -> EventFile:
    """Open a recording.

    Args:
        uri: a file's path, or `file://` and an absolute path.
        size: geometry of the sensor; None for what the recording says or lets guess.

    Raises:
        SourceError: where the file cannot be opened or is of no known format.
    """
    path = uri.removeprefix("file://")
    file = open_regular_file(path)
    try:
        header = read_header(file, path)
        file.seek(header.length)
        format_class = _recognise(header, file.read(16))
        if format_class is None:
            raise SourceError(path, _unknown(header), header.length)
    except BaseException:
        file.close()
        raise
    return format_class(path, file, size)


def _recognise(header: PropheseeHeader, start: bytes) -> type[EventFile] | None:
    from evio_ros.sources.dat import DatFile
    from evio_ros.sources.evt2 import Evt2File
    from evio_ros.sources.evt3 import Evt3File

    if header.event_format == "evt2":
        return Evt2File
    if header.event_format == "evt3":
        return Evt3File
    # A header that ends the file is left to the reader, which says so.
    if DatFile.recognises(header, start) or (header.length and not start):
        return DatFile
    return None


def _unknown(header: PropheseeHeader) -> str:
    if header.event_format is not None:
        return f"is in {header.event_format.upper()}, which cannot be read; known are EVT2 and EVT3"
    found = "its header names no RAW format" if header.length else "it has no Prophesee header"
    return f"is no recording that can be read (tried DAT, EVT2, EVT3): {found}"
