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
"""Formats by the ending of a file."""


def format_of(path: str) -> str:
    """The format for a file's ending.

    Raises:
        ParameterError: if no format has the ending.
    """
    ending = os.path.splitext(path.rstrip("/"))[1].lower()
    if ending not in ENDINGS:
        raise ParameterError(
            f"{path}: the ending {ending!r} is not that of a format; known endings are "
            f"{', '.join(ENDINGS)}; evio convert --to takes {'|'.join(WRITERS)}"
        )
    return ENDINGS[ending]


def open_writer(path: str, size: SensorSize, name: str) -> EventWriter:
    """Open a recording for writing.

    Args:
        path: name of the recording.
        size: geometry of the sensor.
        name: a key of `WRITERS`.

    Raises:
        ParameterError: if the format is unknown.
        SourceError: if the recording cannot be written.
    """
    if name not in WRITERS:
        raise ParameterError(f"format: {name!r} is not one of {', '.join(WRITERS)}")
    module, _, class_name = WRITERS[name].partition(":")
    kind: type[EventWriter] = getattr(
        import_module(f"evio_ros.sources.writers.{module}"), class_name
    )
    return kind(path, size)
