"""Recordings in every format, each made by the format's definition or by another library."""

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
    evt2_file,
    evt3_file,
    evt21_file,
)

from evio_ros.sources.writers.registry import open_writer

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


def storage_file(recording: Path) -> Path:
    """The file that holds a recording's events."""
    return next(recording.glob("*.*[3p]")) if recording.is_dir() else recording


def mutated(data: bytes, chance: random.Random) -> bytes:
    """A broken copy: cut off, some bits flipped, a part overwritten, left out or repeated."""
    broken = bytearray(data)
    place = chance.randrange(len(broken))
    length = chance.choice((1, 4, 8, 64, 1000))
    kind = chance.randrange(6)
    if kind == 0:
        del broken[place:]
    elif kind == 1:
        del broken[place : place + length]
    elif kind == 2:
        broken[place:place] = broken[place : place + length]
    elif kind == 3:
        broken[place : place + length] = chance.randbytes(length)
    else:
        # Headers and tables are at the beginning, so most flips are there.
        most = min(len(broken), 10 ** chance.randint(2, 5))
        for _ in range(chance.choice((1, 2, 5, 20))):
            broken[chance.randrange(most)] ^= 1 << chance.randrange(8)
    return bytes(broken) or data
