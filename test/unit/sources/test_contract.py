"""What every format keeps: the same rules for all, one row each."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from encoded_events import (
    SIZE,
    Event,
    batch_of,
    dat_file,
    events_of,
    evt2_file,
    evt3_file,
    evt21_file,
    random_events,
)

from evio_ros.errors import SourceError
from evio_ros.events import EventBatch
from evio_ros.sources.base import EventSource, SeekableSource
from evio_ros.sources.registry import FILE_FORMATS, open_source
from evio_ros.sources.writing import open_writer

Maker = Callable[[Path, list[Event]], None]


def of_bytes(encode: Callable[[list[Event]], bytes]) -> Maker:
    return lambda path, events: path.write_bytes(encode(events)) and None


def of_writer(name: str) -> Maker:
    def make(path: Path, events: list[Event]) -> None:
        with open_writer(str(path), SIZE, name) as writer:
            writer.append(batch_of(events))

    return make


def of_numpy(save: Callable) -> Maker:
    def make(path: Path, events: list[Event]) -> None:
        t, x, y, p = np.array(events).T
        columns = {"x": x.astype(np.uint16), "y": y.astype(np.uint16), "p": p.astype(np.uint8)}
        with path.open("wb") as file:
            save(file, t=t, **columns, width=640, height=480)

    return make


def csv(path: Path, events: list[Event]) -> None:
    lines = [f"{y},{t},a b,{x},{p}" for t, x, y, p in events]
    path.write_text("# width=640 height=480\ny,t,note,x,polarity\n" + "\r\n".join(lines))


def plain_text(path: Path, events: list[Event]) -> None:
    # Such files name no geometry; an event in the last corner tells it.
    path.write_text("".join(f"{t // 10**6}.{t % 10**6:06d} {x} {y} {p}\n" for t, x, y, p in events))


def hdf5_seconds(path: Path, events: list[Event]) -> None:
    t, x, y, p = np.array(events).T
    with h5py.File(path, "w") as file:
        columns = {"ts": t * 1e-6, "xs": x, "ys": y, "ps": p.astype(bool)}
        for name, values in columns.items():
            file.create_dataset(f"events/{name}", data=values, compression="gzip")
        file.attrs.update(width=640, height=480)


def hdf5_records(path: Path, events: list[Event]) -> None:
    kind = np.dtype([("x", "<u2"), ("y", "<u2"), ("p", "<i2"), ("t", "<i8")])
    records = np.array([(x, y, p, t) for t, x, y, p in events], kind)
    with h5py.File(path, "w") as file:
        file.create_dataset("CD/events", data=records).attrs.update(width=640, height=480)


def of_faery(file_type: str) -> Maker:
    def make(path: Path, events: list[Event]) -> None:
        faery = pytest.importorskip("faery")
        records = np.array(events, faery.EVENTS_DTYPE)
        stream = faery.events_stream_from_array(records, (640, 480))
        stream.to_file(str(path), file_type=file_type)

    return make


MAKERS: dict[str, Maker] = {
    "DAT": of_bytes(dat_file),
    "EVT2": of_bytes(evt2_file),
    "EVT2.1": of_bytes(evt21_file),
    "EVT3": of_bytes(evt3_file),
    "HDF5": of_writer("hdf5"),
    "HDF5 in seconds": hdf5_seconds,
    "HDF5 of records": hdf5_records,
    "NPZ": of_writer("npz"),
    "NPZ by numpy": of_numpy(np.savez),
    "NPZ compressed": of_numpy(np.savez_compressed),
    "CSV": csv,
    "CSV by us": of_writer("csv"),
    "text": plain_text,
    "AEDAT4": of_faery("aedat"),
    "Event Stream": of_faery("es"),
    "bag": of_writer("bag"),
    "bag in SQLite": of_writer("bag_sqlite3"),
    "bag of packets": of_writer("bag_packets"),
}
# The first event is at 0 because Event Stream files begin there.
EVENTS = [(0, 0, 0, 1), *random_events(150_000, start_us=20, mean_step_us=6.0)]
EVENTS[7] = (EVENTS[7][0], 639, 479, 0)
TIMES = np.array([event[0] for event in EVENTS])


@pytest.fixture(scope="module", params=MAKERS)
def path(request, tmp_path_factory) -> str:
    made = tmp_path_factory.mktemp("recordings") / "recording"
    MAKERS[request.param](made, EVENTS)
    return str(made)


def test_it_is_a_source_that_gives_the_events_once(path):
    with open_source(path) as source:
        assert isinstance(source, EventSource)
        assert isinstance(source, SeekableSource)
        assert not source.is_live
        assert source.format_name
        assert source.size == SIZE
        assert (source.start_us, source.end_us) == (TIMES[0], TIMES[-1] + 1)
        batches = list(source.batches())
        assert not list(source.batches())
        assert source.statistics.events == len(EVENTS)
        assert source.statistics.dropped == source.statistics.reordered == 0
    assert events_of(batches) == EVENTS
    for batch in batches:
        assert len(batch)
        assert not batch.t.flags.writeable
        EventBatch(SIZE, batch.t, batch.x, batch.y, batch.polarity)


def test_a_seek_gives_the_same_as_skipping(path):
    with open_source(path) as source:
        for t_us in (500_000, int(TIMES[-1]), -1, 123_456, int(TIMES[-1]) + 1, 0):
            source.seek(t_us)
            first = int(np.searchsorted(TIMES, t_us))
            found = next(source.batches(), None)
            if first == len(EVENTS):
                assert found is None
            else:
                assert events_of([found]) == EVENTS[first : first + len(found)]
        assert events_of(source.batches())[-1] == EVENTS[-1]


def test_it_may_be_closed_twice_and_by_an_error(path):
    source = open_source(path)
    next(source.batches())
    with pytest.raises(ZeroDivisionError), source:
        raise ZeroDivisionError
    source.close()


@pytest.mark.parametrize("name", MAKERS)
def test_broken_copies_end_in_one_line_or_in_events(name, tmp_path):
    MAKERS[name](tmp_path / "whole", EVENTS[:3000])
    whole = tmp_path / "whole"
    target = next(whole.glob("*.*[3p]")) if whole.is_dir() else whole
    data = target.read_bytes()
    chance = random.Random(name)
    for number in range(24):
        broken = bytearray(data)
        if number % 3 == 0:
            del broken[chance.randrange(len(broken)) :]
        else:
            for _ in range(1 + number):
                broken[chance.randrange(min(len(broken), 10 ** (2 + number % 4)))] ^= (
                    1 << chance.randrange(8)
                )
        target.write_bytes(broken)
        text = ""
        try:
            with open_source(str(whole)) as source:
                assert source.end_us > source.start_us
                events = sum(len(batch) for batch in source.batches())
                assert events <= 40 * len(data)
        except SourceError as error:
            text = str(error)
        assert "\n" not in text


def test_every_registered_format_has_a_row():
    names = {entry.partition(":")[2] for entry in FILE_FORMATS}
    assert names == {
        "DatFile",
        "Evt2File",
        "Evt21File",
        "Evt3File",
        "Hdf5File",
        "NpzFile",
        "Aedat4File",
        "EventStreamFile",
        "CsvFile",
    }
