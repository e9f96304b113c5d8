"""MAT files of MATLAB's level 5, written by versions up to 7.2 and scipy.io.savemat.

Columns t, x, y, p as variables or fields of a structure at any depth, such as AedatTools'
`aedat.data.polarity`, or one matrix with a row for each event. All variables are held in memory.
Files of version 7.3 are HDF5.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from evio_ros.errors import EventError, SourceError
from evio_ros.events import SensorSize
from evio_ros.sources.codecs.mat5 import MAT5_SIGNATURE, NotRead, read_mat5
from evio_ros.sources.readers.event_file import open_regular_file
from evio_ros.sources.readers.event_table import (
    EventTable,
    column_table,
    matrix_table,
    unnamed_table,
)
from evio_ros.sources.readers.file_start import FileStart
from evio_ros.sources.readers.named_geometry import geometry_of
from evio_ros.sources.readers.table_recording import TableRecording

__all__ = ["MatFile"]

_DEEPEST = 8
_MOST_SHOWN = 6

_Structure = dict[str, Any]


class MatFile(TableRecording):
    """A recording in a MAT file.

    Args:
        path: name of the file.
        size: geometry; None for the file's, or a guess if it has none.
        time_unit: unit of the times; None for the file's, or a guess.

    Raises:
        SourceError: if the file cannot be read, or has no events.
    """

    format_name = "MATLAB"
    keeps = "events, geometry"
    loses = "all other variables"

    @classmethod
    def recognises(cls, start: FileStart) -> bool:
        """Whether the file begins as MAT files of level 5 do."""
        return start.data.startswith(MAT5_SIGNATURE)

    def close(self) -> None:
        """Does nothing, since no file stays open."""

    def _prepare(self) -> SensorSize | None:
        structures = list(_structures(self._variables()))
        refused: list[str] = []
        found = {}
        for holders in structures:
            for name, table in _tables(*holders[0], refused):
                found[name] = table, [values for _, values in holders]
        if not found:
            names = ", ".join(_names(structures)[:_MOST_SHOWN]) or "nothing"
            reason = (
                f"has no columns t, x, y, p and no table of them; it has {names}; save each "
                "column as a variable, or all as one matrix"
            )
            raise SourceError(self.path, refused[0] if refused else reason)
        place = next((name for name, (table, _) in found.items() if table.event_count), "")
        table, holders_of_it = found[place]
        others = [name or "the variables" for name in found if name != place]
        if others:
            self.remarks.append(f"{place} is read; there are also events in {', '.join(others)}")
        self._set_table(table)
        return self._declared_size(holders_of_it)

    def _variables(self) -> _Structure:
        """All variables, with structures as dictionaries."""
        with open_regular_file(self.path) as file:
            data = file.read()
        try:
            return read_mat5(data)
        except EventError as error:
            raise SourceError(self.path, f"cannot be read as a MAT file: {error}") from None

    def _declared_size(self, holders: list[_Structure]) -> SensorSize | None:
        """The geometry in the structures around the events, or beside these."""
        try:
            sizes = (
                geometry_of(_small(values))
                for holder in holders
                for values in (holder, *(one for one in holder.values() if isinstance(one, dict)))
            )
            return next((size for size in sizes if size is not None), None)
        except EventError as error:
            raise SourceError(self.path, f"the geometry is impossible: {error}") from None


def _structures(variables: _Structure) -> Iterator[list[tuple[str, _Structure]]]:
    """Each structure of a file with its name, followed by those that contain it."""
    waiting = [[("", variables)]]
    while waiting:
        holders = waiting.pop(0)
        yield holders
        name, values = holders[0]
        if len(holders) <= _DEEPEST:
            waiting += [
                [(_inside(name, key), value), *holders]
                for key, value in values.items()
                if isinstance(value, dict)
            ]


def _tables(name: str, values: _Structure, refused: list[str]) -> Iterator[tuple[str, EventTable]]:
    """Tables of events in a structure: its columns, or else one of its matrices."""
    arrays = {key: value for key, value in values.items() if isinstance(value, np.ndarray)}
    try:
        table: EventTable | None = column_table(arrays)
        if table is not None:
            yield name, table
            return
        matrices = {key: matrix_table(array) for key, array in arrays.items()}
        for key, matrix in matrices.items():
            if matrix is not None:
                yield _inside(name, key), matrix
        if not any(matrices.values()) and (table := unnamed_table(arrays)) is not None:
            yield name, table
    except EventError as error:
        refused.append(str(error))


def _inside(structure: str, name: str) -> str:
    """Name of a part of a structure; that of a variable outside any structure."""
    return f"{structure}.{name}" if structure else name


def _names(structures: list[list[tuple[str, _Structure]]]) -> list[str]:
    """Names of everything in a file except structures, with the kind of what is not read."""
    return [
        _inside(name, key) + (f" ({value.what})" if isinstance(value, NotRead) else "")
        for (name, values), *_ in structures
        for key, value in values.items()
        if not isinstance(value, dict)
    ]


def _small(values: _Structure) -> _Structure:
    """Numbers and texts that may give a geometry."""
    return {
        key: value if isinstance(value, str) else np.ravel(value)
        for key, value in values.items()
        if isinstance(value, str)
        or (isinstance(value, np.ndarray) and value.dtype.kind in "iuf" and value.size <= 4)
    }
