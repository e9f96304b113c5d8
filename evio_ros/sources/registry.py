"""Opening any source of events: a file's format is told by its content, not by its name."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Protocol

from evio_ros.errors import SourceError
from evio_ros.events import SensorSize
from evio_ros.sources.cameras.camera import SCHEME, Camera, open_camera
from evio_ros.sources.cameras.camera_device import CameraParameters
from evio_ros.sources.readers.bag import Bag, is_bag
from evio_ros.sources.readers.file_start import FileStart, read_file_start
from evio_ros.sources.readers.recording import Recording

__all__ = ["FILE_FORMATS", "open_recording", "open_source"]

FILE_FORMATS = (
    "dat:DatFile",
    "evt2:Evt2File",
    "evt21:Evt21File",
    "evt3:Evt3File",
    "hdf5:Hdf5File",
    "npz:NpzFile",
    "npy:NpyFile",
    "aedat4:Aedat4File",
    "aedat3:Aedat3File",
    "aedat2:Aedat2File",
    "aedat2:Aedat1File",
    "event_stream:EventStreamFile",
    "csv_text:CsvFile",
    "nmnist:NmnistFile",
)
"""Module and class of each format, in the order in which they are asked for a file."""


class FileFormat(Protocol):
    """What the registry needs of a format's class."""

    format_name: str

    def __call__(self, path: str, size: SensorSize | None = None) -> Recording: ...

    def recognises(self, start: FileStart) -> bool:
        """Whether a file with this beginning is of the format."""
        ...


def open_source(
    uri: str, *, size: SensorSize | None = None, camera: CameraParameters | None = None
) -> Recording | Camera:
    """Open a recording or a live camera.

    Args:
        uri: as of `open_recording`, or `camera:MODEL?serial=...`; see
            `evio_ros.sources.cameras.camera.open_camera`.
        size: geometry of the sensor; None for what the source says or lets guess.
        camera: how a live camera is set up, where its URI does not say it.

    Raises:
        SourceError: where it cannot be opened or is of no known format.
        ParameterError: where a camera's URI is wrong or the camera lacks what is asked for.
    """
    if uri.startswith(SCHEME):
        return open_camera(uri, size, camera)
    return open_recording(uri, size=size)


def open_recording(uri: str, *, size: SensorSize | None = None) -> Recording:
    """Open a recording.

    Args:
        uri: the path of a file or of a bag's folder, or `file://` and an absolute path;
            `?topic=/name` after a bag's path picks one of several topics.
        size: geometry of the sensor; None for what the recording says or lets guess.

    Raises:
        SourceError: where it cannot be opened, is of no known format or a live camera.
    """
    if uri.startswith(SCHEME):
        raise SourceError(uri, "is a live camera, not a recording")
    path, topic = _split(uri.removeprefix("file://"))
    if is_bag(path):
        return Bag(path, size, topic)
    start = read_file_start(path)
    tried = []
    for entry in FILE_FORMATS:
        module, _, name = entry.partition(":")
        file_format: FileFormat = getattr(import_module(f"evio_ros.sources.readers.{module}"), name)
        if file_format.recognises(start):
            return file_format(path, size)
        tried.append(file_format.format_name)
    raise SourceError(path, _unknown(start, tried), 0)


def _split(path: str) -> tuple[str, str | None]:
    """A path and the topic named behind it."""
    base, mark, topic = path.rpartition("?topic=")
    return (base, topic) if mark and not os.path.exists(path) else (path, None)


def _unknown(start: FileStart, tried: list[str]) -> str:
    text = f"is no recording that can be read (tried {', '.join(tried)})"
    if start.header is None:
        return f"{text}: its first bytes are {start.data[:8].hex(' ')}"
    named = start.header.event_format
    if named is not None:
        return f"{text}: its header names the format {named.upper()[:40]}"
    return f"{text}: its header names no format and no contrast events follow it"
