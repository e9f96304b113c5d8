"""HDF5 files whose events are columns, or one column of records, that h5py can read.

Known layouts: datasets t, x, y, p (or ts, xs, ys, ps) in a group `events`, in `CD` or at the top,
as this package, DSEC and E2VID write them; or one dataset of records with these fields. DSEC's
t_offset is added. Integer times are µs, floating point ones seconds. Compression by the filters of
hdf5plugin is undone where that is installed, Prophesee's ECF where its HDF5 plugin is.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from evio_ros.errors import EventError, SourceError
from evio_ros.events import SensorSize
from evio_ros.sources.optional_library import optional_library
from evio_ros.sources.raw_columns import RawColumns
from evio_ros.sources.readers.column_recording import ColumnRecording, raw_columns
from evio_ros.sources.readers.file_start import FileStart
from evio_ros.sources.readers.npz import NAMES

__all__ = ["SIGNATURE", "Hdf5File"]

SIGNATURE = b"\x89HDF\r\n\x1a\n"
GROUPS = ("events", "CD", "/")
RECORDS = ("events", "CD/events")
LARGEST_CHUNK_BYTES = 1 << 28
ECF_FILTER = 0x8ECF


class Hdf5File(ColumnRecording):
    """A recording in an HDF5 file.

    Args:
        path: name of the file.
        size: geometry; None for the file's attributes width and height, or where there are none, a
            guess.
    """

    format_name = "HDF5"

    def __init__(self, path: str, size: SensorSize | None = None) -> None:
        self._hdf5: Any = None
        super().__init__(path, size)

    @classmethod
    def recognises(cls, start: FileStart) -> bool:
        """Whether the file begins as HDF5 files do."""
        return start.data.startswith(SIGNATURE)

    @property
    def event_count(self) -> int:
        """Number of events in the file."""
        return self._count

    def close(self) -> None:
        """Close the file; may be called twice."""
        if self._hdf5 is not None:
            self._hdf5.close()

    def _prepare(self) -> SensorSize | None:
        h5py = optional_library("h5py", "h5py", self.path)
        try:
            self._hdf5 = h5py.File(self.path, "r")
            self._find_columns()
            self._offset_us = self._time_offset()
            return self._declared_size()
        except SourceError:
            raise
        except Exception as error:  # the library lets through whatever it meets
            raise SourceError(self.path, f"cannot be read as HDF5: {_line(error)}") from None

    def _read_range(self, first: int, count: int) -> RawColumns:
        part = slice(first, first + count)
        try:
            if self._records is not None:
                records = self._records[part]
                columns = [records[name] for name in self._names]
            else:
                columns = [dataset[part] for dataset in self._datasets]
        except Exception as error:  # the library lets through whatever it meets
            reason = f"events {first} to {first + count} cannot be read: {_line(error)}"
            raise SourceError(self.path, reason) from None
        raw = raw_columns(*columns)
        if not self._offset_us:
            return raw
        return RawColumns(raw.t + self._offset_us, raw.x, raw.y, raw.polarity)

    def _find_columns(self) -> None:
        """Find the datasets of t, x, y, p in that order, and check them."""
        import h5py

        self._records, self._datasets, self._names = None, [], []
        for name in RECORDS:
            found = self._hdf5.get(name)
            if isinstance(found, h5py.Dataset) and (names := _fields(found.dtype.names or ())):
                self._names = names
                self._records, self._group = found, found
                self._check([found])
                return
        for name in GROUPS:
            group = self._hdf5.get(name)
            if isinstance(group, h5py.Group) and (names := _fields(group)):
                self._group = group
                self._datasets = [group[name] for name in names]
                self._check(self._datasets)
                return
        present = ", ".join(map(str, list(self._hdf5)[:12])) or "nothing"
        raise SourceError(self.path, f"has no event columns t, x, y, p; it holds {present}")

    def _check(self, datasets: list[Any]) -> None:
        lengths = {dataset.shape for dataset in datasets}
        if len(lengths) > 1 or any(len(shape) != 1 for shape in lengths):
            reason = f"columns differ in length or are not flat: {sorted(map(str, lengths))}"
            raise SourceError(self.path, reason)
        for dataset in datasets:
            _require_filters(dataset, self.path)
            if dataset.is_virtual or dataset.external:
                raise SourceError(self.path, f"{dataset.name} lies in another file")
            fields = dataset.dtype.fields or {"": (dataset.dtype, 0)}
            kinds = [field[0] for field in fields.values()]
            if any(kind.kind not in "iufb" for kind in kinds):
                raise SourceError(
                    self.path, f"{dataset.name} is of {dataset.dtype}, not of numbers"
                )
            chunk = int(np.prod(dataset.chunks or (0,), dtype=object)) * dataset.dtype.itemsize
            if chunk > LARGEST_CHUNK_BYTES:
                reason = f"{dataset.name} has chunks of {chunk} bytes, above {LARGEST_CHUNK_BYTES}"
                raise SourceError(self.path, reason)
        self._count = int(lengths.pop()[0])
        if not self._count:
            raise SourceError(self.path, "holds no events")

    def _time_offset(self) -> int:
        offset = self._hdf5.get("t_offset")
        return int(offset[()]) if offset is not None and offset.shape == () else 0

    def _declared_size(self) -> SensorSize | None:
        for holder in (self._group, self._hdf5):
            if "width" in holder.attrs and "height" in holder.attrs:
                try:
                    return SensorSize(int(holder.attrs["width"]), int(holder.attrs["height"]))
                except EventError as error:
                    raise SourceError(self.path, f"the geometry is impossible: {error}") from None
        return None


def _require_filters(dataset: Any, path: str) -> None:
    """Refuse a dataset whose compression the HDF5 library cannot undo."""
    import h5py

    created = dataset.id.get_create_plist()
    for number in range(created.get_nfilters()):
        code = created.get_filter(number)[0]
        if h5py.h5z.filter_avail(code):
            continue
        if code == ECF_FILTER:
            remedy = "install Prophesee's plugin hdf5_ecf and set HDF5_PLUGIN_PATH to its folder"
            raise SourceError(path, f"is compressed by Prophesee's ECF; {remedy}")
        # Importing it makes its filters known to the HDF5 library.
        optional_library("hdf5plugin", "evio_ros[formats]", path)
        if not h5py.h5z.filter_avail(code):
            raise SourceError(path, f"is compressed by HDF5 filter {code}, which is not installed")


def _fields(present: Any) -> list[str]:
    """The names that hold t, x, y and p; empty where one is missing."""
    found = [next((n for n in names if n in present), "") for names in NAMES.values()]
    return found if all(found) else []


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
