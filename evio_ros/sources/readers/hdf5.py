"""HDF5 files with events, in the layouts of camera makers, simulators and data sets.

Columns t, x, y, p in a group (this package, DSEC, M3ED, TUM-VIE, E2VID, RVT), one dataset of
records (Metavision), or one matrix with a row for each event (v2e, MVSEC). If a file has several
cameras, `?stream=` after its path selects one. The geometry is searched in attributes and small
datasets beside the events and above them. DSEC's t_offset is added. Filters of hdf5plugin are
supported if it is installed, Prophesee's ECF always.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np
from numpy.typing import NDArray

from evio_ros.errors import EventError, SourceError
from evio_ros.events import SensorSize
from evio_ros.sources.codecs.ecf import decode_ecf
from evio_ros.sources.optional_library import optional_library
from evio_ros.sources.raw_columns import RawColumns
from evio_ros.sources.readers.column_layout import unit_named
from evio_ros.sources.readers.event_file import open_compressed_file
from evio_ros.sources.readers.event_table import (
    EventTable,
    column_table,
    columns_of,
    matrix_table,
    record_table,
)
from evio_ros.sources.readers.file_start import FileStart
from evio_ros.sources.readers.named_geometry import named_geometry
from evio_ros.sources.readers.table_recording import TableRecording, one_line
from evio_ros.sources.time_unit import TIME_UNITS, TimeUnit

__all__ = ["Hdf5File"]

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_SMALLEST_BLOCK = 512
_USUAL_PLACES = ("events", "CD/events", "CD", "")
_TRIGGERS = "EXT_TRIGGER/events"
_MOST_TRIGGERS = 1 << 24
_LARGEST_CHUNK_BYTES = 1 << 28
_MOST_OBJECTS = 4096
_MOST_COLUMNS = 16
_DEEPEST = 8
_ECF_FILTER = 0x8ECF
_RECTIFICATION = "rectify_map"
_NAME_ATTRIBUTES = ("columns", "column_names", "names", "fields", "order", "format", "layout")
_UNIT_ATTRIBUTES = ("t_unit", "time_unit", "unit", "units")


class Hdf5File(TableRecording):
    """A recording in an HDF5 file.

    Args:
        path: name of the file.
        size: geometry; None for the file's, or a guess if it has none.
        stream: path of the events within the file, or a part of it such as `right`; None for the
            usual one.
        time_unit: unit of the times; None for the file's, or a guess.

    Raises:
        SourceError: if the file cannot be read, or has no such events.
    """

    format_name = "HDF5"
    keeps = "events, geometry, t_offset; one of several cameras; external triggers of Metavision"
    loses = "frames, IMU, rectification"
    options: ClassVar[tuple[str, ...]] = ("stream", "time_unit")

    def __init__(
        self,
        path: str,
        size: SensorSize | None = None,
        stream: str | None = None,
        time_unit: TimeUnit | None = None,
    ) -> None:
        self._hdf5: Any = None
        self._decompressed: BinaryIO | None = None
        self._wanted_stream = stream
        super().__init__(path, size, time_unit)

    @classmethod
    def recognises(cls, start: FileStart) -> bool:
        """Whether the file begins as HDF5 files do."""
        # A block of another program may precede it, as in MATLAB's files.
        places = [0, *(_SMALLEST_BLOCK << k for k in range(8))]
        return any(start.data.startswith(_SIGNATURE, place) for place in places)

    def close(self) -> None:
        """Close the file; can be called repeatedly."""
        if self._hdf5 is not None:
            self._hdf5.close()
        if self._decompressed is not None:
            self._decompressed.close()

    def _prepare(self) -> SensorSize | None:
        h5py = optional_library("h5py", "h5py", self.path)
        try:
            self._decompressed = open_compressed_file(self.path)
            self._hdf5 = self._opened(h5py)
            place = self._find_events()
            holders = list(self._holders(place))
            self._offset_us = self._time_offset(holders)
            self._remark_on_rectification(place)
            self._find_triggers()
            return named_geometry(holders)
        except SourceError:
            raise
        except EventError as error:
            raise SourceError(self.path, f"the geometry is impossible: {error}") from None
        except Exception as error:  # the library may raise anything
            raise SourceError(self.path, f"cannot be read as HDF5: {one_line(error)}") from None

    def _opened(self, h5py: Any) -> Any:
        """The file, also if its writer was killed, or is still writing, in SWMR mode."""
        file = self._decompressed or self.path
        try:
            return h5py.File(file, "r")
        except OSError as error:
            if "already open for" not in str(error):
                raise
        self.remarks.append("its writer has not closed it; what it has written so far is read")
        return h5py.File(file, "r", swmr=True)

    def _find_events(self) -> str:
        """Choose the events to read; returns their path in the file."""
        refused: list[str] = []
        found = dict(self._tables(refused))
        place = self._choose(found)
        if place is None:
            reason = f"has no event columns t, x, y, p; {self._contents()}"
            raise SourceError(self.path, refused[0] if refused else reason)
        others = [name or "/" for name in found if name != place]
        if others and self._wanted_stream is None:
            self.remarks.append(
                f"has events in {len(found)} places; {place or '/'} is read, "
                f"others with ?stream={', '.join(others[:6])}"
            )
        self.details.update(stream=place or "/", streams=[name or "/" for name in found])
        self._set_table(found[place], _unit_of(self._hdf5[place or "/"]))
        return place

    def _find_triggers(self) -> None:
        """Read external triggers as stored by Metavision and by our own files."""
        try:
            dataset = self._hdf5.get(_TRIGGERS)
            names = getattr(getattr(dataset, "dtype", None), "names", None) or ()
            if not {"p", "t", "id"} <= set(names):
                return
            if dataset.is_virtual or dataset.external or len(dataset.shape) != 1:
                raise EventError("it is not flat, or is in another file")
            records = dataset[:_MOST_TRIGGERS]
        except Exception as error:  # the library may raise anything
            self.remarks.append(f"{_TRIGGERS} cannot be read: {one_line(error)}")
            return
        self._store_triggers(records["t"] + self._offset_us, records["p"], records["id"])

    def _choose(self, found: dict[str, EventTable]) -> str | None:
        wanted = self._wanted_stream
        if wanted is not None:
            wanted = wanted.strip("/")
            matches = [name for name in found if name == wanted]
            matches = matches or [name for name in found if wanted in name.split("/")]
            matches = matches or [name for name in found if f"/{wanted}/" in f"/{name}/"]
            if len(matches) == 1:
                return matches[0]
            present = ", ".join(name or "/" for name in found) or "no events"
            which = "several streams" if matches else "no stream"
            raise SourceError(self.path, f"has {which} {wanted!r}; it has {present}")
        usual = [name for name in _USUAL_PLACES if name in found]
        left = [name for name in found if "left" in name.split("/")]
        places = [*usual, *left, *found]
        return next((name for name in places if found[name].event_count), next(iter(places), None))

    def _tables(self, refused: list[str]) -> Iterator[tuple[str, EventTable]]:
        """Paths of event tables in the file, and the tables."""
        import h5py

        objects = list(_walk(self._hdf5))
        datasets = {name: item for name, item in objects if isinstance(item, h5py.Dataset)}
        for name, item in objects:
            try:
                table: EventTable | None
                if isinstance(item, h5py.Group):
                    prefix = f"{name}/" if name else ""
                    children = {
                        key.removeprefix(prefix): dataset
                        for key, dataset in datasets.items()
                        if key.startswith(prefix) and "/" not in key.removeprefix(prefix)
                    }
                    table = column_table(children | _pandas_columns(children))
                    used = [] if table is None else [column.array for column in table.columns]
                else:
                    table = self._dataset_table(name, item, is_only=len(datasets) == 1)
                    used = [item]
                if table is not None:
                    for dataset in used:
                        self._check(dataset)
                    yield name, table
            except (EventError, SourceError) as error:
                refused.append(getattr(error, "reason", str(error)))

    def _dataset_table(self, name: str, dataset: Any, *, is_only: bool) -> EventTable | None:
        if dataset.dtype.names:
            table = record_table(dataset)
            return table if table is None or not _is_ecf(dataset) else _EcfTable(dataset)
        last = name.rpartition("/")[2].lower()
        if len(dataset.shape) == 2 and (is_only or "event" in last or last in ("cd", "dvs")):
            self._check(dataset)
            return matrix_table(dataset, _names_of(dataset))
        return None

    def _check(self, dataset: Any) -> None:
        if not _is_ecf(dataset):
            _require_filters(dataset, self.path)
        if dataset.is_virtual or dataset.external:
            raise SourceError(self.path, f"{dataset.name} is stored in another file")
        if any(kind.kind not in "iufb" for kind in _kinds_in(dataset.dtype)):
            raise SourceError(
                self.path, f"{dataset.name} is of type {dataset.dtype}, which is not numeric"
            )
        chunk = int(np.prod(dataset.chunks or (0,), dtype=object)) * dataset.dtype.itemsize
        if chunk > _LARGEST_CHUNK_BYTES:
            reason = f"{dataset.name} has chunks of {chunk} bytes, above {_LARGEST_CHUNK_BYTES}"
            raise SourceError(self.path, reason)

    def _holders(self, place: str) -> Iterator[Any]:
        """The events' dataset or group and all groups above it."""
        parts = place.split("/") if place else []
        for depth in range(len(parts), -1, -1):
            yield self._hdf5["/".join(parts[:depth]) or "/"]

    def _time_offset(self, holders: list[Any]) -> int:
        """DSEC's t_offset in µs; it is in µs, or in the unit of times if that is given."""
        import h5py

        for holder in holders:
            found = holder.get("t_offset") if isinstance(holder, h5py.Group) else None
            if isinstance(found, h5py.Dataset) and found.size == 1 and found.dtype.kind in "iuf":
                offset: int | float = np.ravel(found[()])[0].item()
                unit = self._unit if isinstance(offset, float) else self._named_unit or "us"
                return round(offset * TIME_UNITS[unit]) if math.isfinite(offset) else 0
        return 0

    def _remark_on_rectification(self, place: str) -> None:
        """Add a remark that a map of rectified coordinates, here or beside, is not applied."""
        inside = [name for name, _ in _walk(self._hdf5) if _RECTIFICATION in name.lower()]
        folder = Path(self.path).parent
        beside = sorted(os.listdir(folder)) if not inside else []
        names = [*inside, *(name for name in beside if name.lower().startswith(_RECTIFICATION))]
        if names:
            self.remarks.append(
                f"{names[0]} is not applied: coordinates are those of the sensor, not rectified"
            )

    def _contents(self) -> str:
        """What the file contains, for the message that it has no events."""
        import h5py

        shown = []
        for name, item in _walk(self._hdf5):
            if isinstance(item, h5py.Dataset):
                shown.append(f"{name} {item.shape} {item.dtype}")
                if len(item.shape) == 4:
                    return (
                        f"{name} {item.shape} contains pictures or histograms made of events; "
                        "use the recording that they were made of"
                    )
        return f"it has {', '.join(shown[:6]) or 'nothing'}"


class _EcfTable:
    """Events compressed by Prophesee's ECF, decoded chunk by chunk.

    Args:
        dataset: the dataset of records; its chunks have up to 65535 events each.
    """

    unit: TimeUnit | None = "us"
    reason = ""
    has_seconds = False

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        self._chunk_events = int(dataset.chunks[0])
        self._decoded: tuple[int, RawColumns] | None = None

    @property
    def event_count(self) -> int:
        """Number of events."""
        return int(self._dataset.shape[0])

    def read(self, part: slice) -> tuple[NDArray[Any], ...]:
        """Columns t, x, y, p of a range of events."""
        first, last = part.start, min(part.stop, self.event_count)
        pieces = []
        for number in range(first // self._chunk_events, -(-last // self._chunk_events)):
            start = number * self._chunk_events
            inside = slice(max(first - start, 0), min(last - start, self._chunk_events))
            pieces.append(self._chunk(number).select(inside))
        columns = RawColumns.concatenate(pieces)
        return columns.t, columns.x, columns.y, columns.polarity

    def _chunk(self, number: int) -> RawColumns:
        if self._decoded is None or self._decoded[0] != number:
            start = number * self._chunk_events
            mask, data = self._dataset.id.read_direct_chunk((start,))
            columns = self._plain(data) if mask & 1 else decode_ecf(data)
            expected = min(self._chunk_events, self.event_count - start)
            if len(columns) < expected:
                raise EventError(f"the chunk at event {start} has {len(columns)} events")
            self._decoded = number, columns
        return self._decoded[1]

    def _plain(self, data: bytes) -> RawColumns:
        """A chunk that was stored without compression."""
        records = np.frombuffer(data, self._dataset.dtype, self._chunk_events)
        return RawColumns(
            records["t"].astype(np.int64),
            records["x"].astype(np.uint16),
            records["y"].astype(np.uint16),
            records["p"] > 0,
        )


def _walk(root: Any) -> Iterator[tuple[str, Any]]:
    """Names and objects of a file, the root first; links to other files and loops are left out."""
    import h5py

    seen: set[int] = set()
    waiting = [("", root)]
    while waiting and len(seen) < _MOST_OBJECTS:
        name, item = waiting.pop(0)
        address = h5py.h5o.get_info(item.id).addr
        if address in seen:
            continue
        seen.add(address)
        yield name, item
        if isinstance(item, h5py.Group) and name.count("/") < _DEEPEST:
            for key in item:
                if isinstance(item.get(key, getlink=True), h5py.ExternalLink):
                    continue
                try:
                    child = item.get(key)
                except (KeyError, OSError, RuntimeError):
                    continue
                if isinstance(child, h5py.Group | h5py.Dataset):
                    waiting.append((f"{name}/{key}" if name else key, child))


def _kinds_in(kind: np.dtype) -> Iterator[np.dtype]:
    """The numeric types that an element consists of."""
    for name in kind.names or ():
        yield from _kinds_in(kind[name].base)
    if kind.names is None:
        yield kind


def _pandas_columns(datasets: dict[str, Any]) -> dict[str, Any]:
    """The columns of a table written by pandas: matrices, and the names of their columns."""
    found: dict[str, Any] = {}
    for name, names in datasets.items():
        values = datasets.get(name.replace("_items", "_values"))
        if not re.fullmatch(r"block\d+_items", name) or values is None:
            continue
        if names.dtype.kind != "S" or len(names.shape) != 1 or names.shape[0] > _MOST_COLUMNS:
            continue
        columns = columns_of(values, names.shape[0])
        found |= zip((word.decode("utf-8", "replace") for word in names[()]), columns, strict=False)
    return found


def _is_ecf(dataset: Any) -> bool:
    created = dataset.id.get_create_plist()
    return (
        created.get_nfilters() == 1
        and created.get_filter(0)[0] == _ECF_FILTER
        and len(dataset.shape) == 1
        and bool(dataset.chunks)
    )


def _require_filters(dataset: Any, path: str) -> None:
    """Refuse a dataset with a compression that the HDF5 library does not support."""
    import h5py

    created = dataset.id.get_create_plist()
    for number in range(created.get_nfilters()):
        code = created.get_filter(number)[0]
        if h5py.h5z.filter_avail(code):
            continue
        # Importing it registers its filters with the HDF5 library.
        optional_library("hdf5plugin", "evio_ros[formats]", path)
        if not h5py.h5z.filter_avail(code):
            raise SourceError(path, f"is compressed by HDF5 filter {code}, which is not installed")


def _text_attributes(item: Any, names: tuple[str, ...]) -> Iterator[list[str]]:
    """The words in the attributes of these names."""
    for name in names:
        value = item.attrs.get(name)
        if isinstance(value, bytes | str):
            text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
            yield text.replace(",", " ").replace(";", " ").split() if len(text) != 4 else list(text)
        elif isinstance(value, np.ndarray | list | tuple) and 0 < len(value) <= 16:
            words = [
                v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in value
            ]
            yield words


def _names_of(dataset: Any) -> list[str] | None:
    """Names of a matrix's columns, if attributes give them."""
    wanted = min(dataset.shape)
    return next(
        (words for words in _text_attributes(dataset, _NAME_ATTRIBUTES) if len(words) == wanted),
        None,
    )


def _unit_of(item: Any) -> TimeUnit | None:
    """Unit of time in an attribute of the events or of their column of times."""
    holders = [item]
    if hasattr(item, "keys"):
        holders += [item[name] for name in ("t", "ts", "timestamps") if name in item]
    for holder in holders:
        for words in _text_attributes(holder, _UNIT_ATTRIBUTES):
            if len(words) == 1 and (unit := unit_named(words[0])):
                return unit
    return None
