"""An encoder of Prophesee's ECF, written from its description, independently of the package."""

from __future__ import annotations

import itertools
import struct
from pathlib import Path

import h5py
import numpy as np
from encoded_events import Event

RECORD = np.dtype(
    {
        "names": ["x", "y", "p", "t"],
        "formats": ["<u2", "<u2", "<i2", "<i8"],
        "offsets": [0, 2, 4, 8],
        "itemsize": 16,
    }
)
FILTER = 0x8ECF


def times(values: list[int]) -> bytes:
    """The first time, then steps and run lengths: a nibble each, or more if they are longer."""
    coded, before = bytearray(struct.pack("<Q", values[0])), values[0]
    for time, run in itertools.groupby(values):
        count, step = len(list(run)), time - before
        if step >= 15:
            while step:
                coded.append(0xF0 | step & 15)
                step >>= 4
        before = time
        if count >= 15:
            coded += bytes((step << 4 | 15,)) + struct.pack("<H", count)
        else:
            coded.append(step << 4 | count)
    return bytes(coded)


def runs(values: list[int], bits: int, head: str) -> bytes:
    """Runs of equal values: the value above `bits` bits of length, or all ones and a length."""
    coded, most = bytearray(), (1 << bits) - 1
    for value, run in itertools.groupby(values):
        count = len(list(run))
        coded += struct.pack(head, value << bits | min(count, most))
        if count >= most:
            coded += struct.pack("<H", count)
    return bytes(coded)


def neighbours(columns: list[int]) -> bytes:
    """A column, and a mask of the five columns to its right that follow."""
    coded, place = bytearray(), 0
    while place < len(columns):
        first = columns[place]
        place += 1
        mask = 0
        for k in range(5):
            if place < len(columns) and columns[place] == first + k + 1:
                mask |= 16 >> k
                place += 1
        coded += struct.pack("<H", first << 5 | mask)
    return bytes(coded)


def fours(values: list[int], bits: int, word: str) -> bytes:
    """Four values in three words, in Prophesee's layout."""
    values = values + [0] * (-len(values) % 4)
    coded, step = bytearray(), bits // 3
    for a, b, c, d in zip(*(iter(values),) * 4, strict=True):
        coded += struct.pack(
            word,
            a << step | b & ((1 << step) - 1),
            (b >> step) << 2 * step | c & ((1 << 2 * step) - 1),
            (c >> 2 * step) << 3 * step | d,
        )
    return bytes(coded)


def chunk(events: list[Event], packing: str) -> bytes:
    """One chunk; packing is "all", "columns" or "runs"."""
    bits = {"all": 2, "columns": 1, "runs": 0}[packing]
    t, x, y, p = (list(column) for column in zip(*events, strict=True))
    coded = struct.pack("<I", len(events) << 2 | bits) + times(t)
    if packing == "all":
        packed = [b << 12 | a << 1 | on for a, b, on in zip(x, y, p, strict=True)]
        return coded + fours(packed, 24, "<III")
    coded += runs(y, 5, "<H")
    if packing == "columns":
        return coded + fours([a << 1 | on for a, on in zip(x, p, strict=True)], 12, "<HHH")
    return coded + neighbours(x) + runs(p, 7, "<B")


def ecf_file(path: Path, events: list[Event], chunk_events: int = 16384) -> None:
    """Write a file as Metavision does, with chunks in all three packings in turn."""
    with h5py.File(path, "w") as file:
        file.attrs.update(format="ECF", geometry="640x480", version="1.0")
        created = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        created.set_chunk((chunk_events,))
        created.set_filter(FILTER, h5py.h5z.FLAG_OPTIONAL, ())
        space = h5py.h5s.create_simple((len(events),), (h5py.h5s.UNLIMITED,))
        kind = h5py.h5t.py_create(RECORD)
        group = file.create_group("CD")
        dataset = h5py.h5d.create(group.id, b"events", kind, space, created)
        ways = itertools.cycle(("all", "columns", "runs"))
        for first in range(0, len(events), chunk_events):
            part = events[first : first + chunk_events]
            dataset.write_direct_chunk((first,), chunk(part, next(ways)))
