"""Opening a writer of any format."""

from __future__ import annotations

import os
from importlib import import_module

from evio_ros.errors import ParameterError
from evio_ros.events import SensorSize
from evio_ros.sources.writers.event_writer import EventWriter

__all__ = ["format_of", "open_writer"]

WRITERS = {
    "dat": "dat:DatWriter",
    "evt2": "raw_words:Evt2Writer",
    "evt3": "raw_words:Evt3Writer",
    "hdf5": "hdf5:Hdf5Writer",
    "dsec": "hdf5:DsecWriter",
    "csv": "csv_text:CsvWriter",
    "text": "csv_text:TextWriter",
    "npz": "npz:NpzWriter",
    "bag": "bag:BagWriter",
    "bag_sqlite3": "bag:SqliteBagWriter",
    "bag_packets": "bag:PacketBagWriter",
}
"""Module and class of every format's writer."""

ENDINGS = {
    ".dat": "dat",
    ".raw": "evt3",
    ".h5": "hdf5",
    ".hdf5": "hdf5",
    ".csv": "csv",
    ".txt": "text",
    ".npz": "npz",
    ".bag": "bag",
    ".mcap": "bag",
    ".db3": "bag_sqlite3",
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
            f"{', '.join(ENDINGS)}; evio convert --to takes {'|'.join(WRITERS)}"
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
    module, _, class_name = WRITERS[name].partition(":")
    kind: type[EventWriter] = getattr(
        import_module(f"evio_ros.sources.writers.{module}"), class_name
    )
    return kind(path, size)
