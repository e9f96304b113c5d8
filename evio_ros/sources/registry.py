"""Opening any source of events; a file's format is determined by its content, not by its name."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any, Protocol

from evio_ros.errors import EventError, SourceError
from evio_ros.events import SensorSize
from evio_ros.sources.cameras.camera import SCHEME, Camera, open_camera
from evio_ros.sources.cameras.camera_device import CameraParameters
from evio_ros.sources.file_signature import describe_file, describe_header
from evio_ros.sources.file_uri import SCENE_SCHEME, path_of
from evio_ros.sources.readers.bag import Bag, is_bag
from evio_ros.sources.readers.file_start import FileStart, read_file_start
from evio_ros.sources.readers.npy_folder import NpyFolder
from evio_ros.sources.readers.recording import Recording
from evio_ros.sources.time_unit import TIME_UNITS

__all__ = ["format_classes", "open_recording", "open_source"]

FILE_FORMATS = (
    "dat:DatFile",
    "evt2:Evt2File",
    "evt21:Evt21File",
    "evt3:Evt3File",
    "hdf5:Hdf5File",
    "npz:NpzFile",
    "npy:NpyFile",
    "mat:MatFile",
    "aedat4:Aedat4File",
    "aedat3:Aedat3File",
    "aedat2:Aedat2File",
    "aedat2:Aedat1File",
    "event_stream:EventStreamFile",
    "csv_text:CsvFile",
    "nmnist:NmnistFile",
)
"""Module and class of each format, in the order in which they examine a file."""


OPTIONS = ("size", "topic", "stream", "time_unit")
"""Options allowed after a recording's path, as `?stream=left&time_unit=ns`."""


def format_classes() -> list[Any]:
    """The class of every format, bags last."""
    entries = [entry.partition(":") for entry in FILE_FORMATS]
    modules = [import_module(f"evio_ros.sources.readers.{module}") for module, _, _ in entries]
    return [getattr(m, name) for m, (_, _, name) in zip(modules, entries, strict=True)] + [Bag]


class _FileFormat(Protocol):
    """The part of the interface of a format's class that the registry uses."""

    format_name: str
    options: tuple[str, ...]
    """Those of `OPTIONS` that the class supports."""

    def __call__(self, *arguments: Any, **options: Any) -> Recording: ...

    def recognises(self, start: FileStart) -> bool:
        """Whether a file with this beginning has the format."""
        ...


def open_source(
    uri: str | os.PathLike[str],
    *,
    size: SensorSize | None = None,
    time_unit: str | None = None,
    camera: CameraParameters | None = None,
) -> Recording | Camera:
    """Open a recording or a live camera.

    Args:
        uri: a path or URI as for `open_recording`, or `camera:MODEL?serial=...`; see
            `evio_ros.sources.cameras.camera.open_camera`.
        size: geometry of the sensor; None for the source's, or a guess.
        time_unit: as for `open_recording`; a camera has its own.
        camera: settings of a live camera that its URI does not give.

    Raises:
        SourceError: if it cannot be opened or has no known format.
        ParameterError: if a camera's URI is invalid or the camera does not support a setting.
    """
    if isinstance(uri, str) and uri.startswith(SCHEME):
        return open_camera(uri, size, camera)
    return open_recording(uri, size=size, time_unit=time_unit)


def open_recording(
    uri: str | os.PathLike[str], *, size: SensorSize | None = None, time_unit: str | None = None
) -> Recording:
    """Open a recording.

    Args:
        uri: the path of a file or of a bag's folder, or `file://` and an absolute path. After it,
            `?topic=/name` selects one of several topics of a bag, `?stream=left` one of several
            cameras in a file, `?size=640x480` sets the geometry, and `?time_unit=ns` the unit of
            times without one: s, ms, us or ns. Several such options are joined by `&`. In a URI,
            `%20` stands for a blank.
        size: geometry of the sensor, overrides `?size=`; None for the recording's, or a guess.
        time_unit: overrides `?time_unit=`.

    Raises:
        SourceError: if it cannot be opened, has no known format, is a live camera or a scene, or
            does not have what an option selects.
    """
    uri = _text_of(uri)
    if uri.startswith(SCHEME):
        raise SourceError(uri, "is a live camera, not a recording")
    if uri.startswith(SCENE_SCHEME):
        raise SourceError(uri, "is a scene, not a recording; `evio simulate` makes one of it")
    path, options = _split(path_of(uri))
    if time_unit is not None:
        options["time_unit"] = time_unit
    _check_time_unit(path, options)
    named = _size_of(path, options.pop("size", None))
    size = size or named
    if is_bag(path):
        return _opened(Bag, path, size, options)
    if NpyFolder.is_folder_of_arrays(path):
        return _opened(NpyFolder, path, size, options)
    start = read_file_start(path)
    tried = []
    for entry in FILE_FORMATS:
        module, _, name = entry.partition(":")
        file_format: _FileFormat = getattr(
            import_module(f"evio_ros.sources.readers.{module}"), name
        )
        if file_format.recognises(start):
            return _opened(file_format, path, size, options)
        tried.append(file_format.format_name)
    raise SourceError(path, _unknown(start, tried), 0)


def _text_of(uri: str | os.PathLike[str]) -> str:
    try:
        return os.fsdecode(uri)
    except TypeError:
        kind = type(uri).__name__
        raise SourceError(repr(uri), f"is {kind}, not the path or URI of a recording") from None


def _opened(
    file_format: Any, path: str, size: SensorSize | None, options: dict[str, str]
) -> Recording:
    for name in options:
        if name not in file_format.options:
            raise SourceError(path, f"is {file_format.format_name}, which has no option ?{name}=")
    return file_format(path, size, **options)


def _split(path: str) -> tuple[str, dict[str, str]]:
    """A path and the options after it."""
    base, mark, query = path.rpartition("?")
    pairs = [part.partition("=") for part in query.split("&")]
    if not mark or os.path.exists(path):
        return path, {}
    for name, _, _ in pairs:
        if name not in OPTIONS:
            if os.path.exists(base):
                reason = f"?{name}= is not an option of a recording; there are {', '.join(OPTIONS)}"
                raise SourceError(base, reason)
            return path, {}
    return base, {name: value for name, _, value in pairs}


def _check_time_unit(path: str, options: dict[str, str]) -> None:
    unit = options.get("time_unit")
    if unit is not None and unit not in TIME_UNITS:
        raise SourceError(path, f"time_unit {unit!r} is not one of {', '.join(TIME_UNITS)}")


def _size_of(path: str, text: str | None) -> SensorSize | None:
    try:
        return None if text is None else SensorSize.parse(text)
    except EventError as error:
        raise SourceError(path, f"?size=: {error}") from None


def _unknown(start: FileStart, tried: list[str]) -> str:
    """Why a file is refused, with a description of its content if its beginning reveals it."""
    header = start.header
    if header is None:
        named = describe_file(start.data)
    else:
        named = describe_header(header.event_format, start.data[header.length :])
    if named is not None:
        return f"is not a supported recording: it is {named}"
    text = f"is not a supported recording (tried {', '.join(tried)})"
    if header is None:
        return f"{text}: its first bytes are {start.data[:8].hex(' ')}"
    return f"{text}: its header gives no format and no contrast events follow"
