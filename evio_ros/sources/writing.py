"""Opening a writer of any format."""

from __future__ import annotations

import os
from importlib import import_module

from evio_ros.errors import ParameterError
from evio_ros.events import SensorSize
from evio_ros.sources.event_writer import EventWriter

__all__ = ["WRITERS", "format_of", "open_writer"]

WRITERS = {
    "dat": "DatWriter",
    "evt2": "Evt2Writer",
    "evt3": "Evt3Writer",
}
"""Class of every format's writer; it is in the module of the format's name and `_writer`."""

ENDINGS = {
    ".dat": "dat",
    ".raw": "evt3",
}
"""Formats of files' endings."""


def format_of(path: str) -> str:
    """The format that a file's ending asks for.

    Raises:
        ParameterError: where no format has the ending.
    """
    ending = os.path.splitext(path.rstrip("/"))[1].lower()
    if ending not in ENDINGS:
        raise ParameterError(
            f"{path}: the ending {ending!r} names no format; known are "
            f"{', '.join(ENDINGS)}, or say --to {'|'.join(WRITERS)}"
        )
    return ENDINGS[ending]


def open_writer(path: str, size: SensorSize, name: str) -> EventWriter:
    """Open a recording for writing.

    Args:
        path: the recording's name.
        size: geometry of the sensor.
        name: a key of `WRITERS`.

    Raises:
        ParameterError: where the format is not known.
        SourceError: where the recording cannot be written.
    """
    if name not in WRITERS:
        raise ParameterError(f"format: {name!r} is not one of {', '.join(WRITERS)}")
    kind: type[EventWriter] = getattr(
        import_module(f"evio_ros.sources.{name}_writer"), WRITERS[name]
    )
    return kind(path, size)
