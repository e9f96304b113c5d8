"""Copies keep external triggers if the format supports them."""

from __future__ import annotations

import struct

import h5py
import numpy as np
import pytest
from encoded_events import batch_of, events_of, random_events

from evio_ros.sources.conversion import convert
from evio_ros.sources.registry import open_recording
from evio_ros.sources.writers.registry import open_writer

EVENTS = [(1_000 + 20 * i, 5 + i % 600, i % 400, i % 2) for i in range(4_000)]
TRIGGERS = [(500 + 777 * i, i % 2, i % 3) for i in range(106)]
"""Time, edge, channel; some are before the first event, one is after the last."""


def evt3_with_triggers(path):
    """A RAW file with the triggers among the events, word by word."""
    words = []
    rows = [(t, 1, event) for event in EVENTS for t in event[:1]]
    rows += [(trigger[0], 0, trigger) for trigger in TRIGGERS]
    for t, is_event, row in sorted(rows, key=lambda row: row[:2]):
        words += [0x8000 | t >> 12, 0x6000 | t & 0xFFF]
        if is_event:
            words += [row[2], 0x2000 | row[3] << 11 | row[1]]
        else:
            words.append(0xA000 | row[2] << 8 | row[1])
    header = b"% format EVT3;width=640;height=480\n% end\n"
    path.write_bytes(header + struct.pack(f"<{len(words)}H", *words))
    return str(path)


def found_in(path):
    with open_recording(path) as source:
        found = source.read_triggers()
        assert events_of(source.batches()) == EVENTS
        assert source.statistics.triggers == len(found)
    return list(zip(found.t.tolist(), found.edge.tolist(), found.channel.tolist(), strict=True))


def copied(path, target, name, **section):
    with open_recording(path) as source, open_writer(str(target), source.size, name) as writer:
        start_us = section.get("start_us", source.start_us)
        end_us = section.get("end_us", source.end_us)
        return convert(source, writer, start_us, end_us)


def test_triggers_are_read_and_counted(tmp_path):
    assert found_in(evt3_with_triggers(tmp_path / "a.raw")) == TRIGGERS


@pytest.mark.parametrize("name", ["evt2", "evt3"])
def test_raw_copies_hold_them(tmp_path, name):
    path = evt3_with_triggers(tmp_path / "a.raw")
    assert copied(path, tmp_path / "b.raw", name) == (len(EVENTS), len(TRIGGERS))
    assert found_in(str(tmp_path / "b.raw")) == TRIGGERS


def test_npz_holds_them_as_arrays(tmp_path):
    copied(evt3_with_triggers(tmp_path / "a.raw"), tmp_path / "b.npz", "npz")
    with np.load(tmp_path / "b.npz") as arrays:
        names = ("trigger_t", "trigger_edge", "trigger_channel")
        columns = [arrays[name].tolist() for name in names]
    assert list(zip(*columns, strict=True)) == TRIGGERS
    with open_recording(str(tmp_path / "b.npz")) as source:
        assert events_of(source.batches()) == EVENTS


def test_hdf5_holds_them_as_the_cameras_maker_does(tmp_path):
    copied(evt3_with_triggers(tmp_path / "a.raw"), tmp_path / "b.h5", "hdf5")
    with h5py.File(tmp_path / "b.h5") as file:
        records = file["EXT_TRIGGER/events"][()]
    found = [(int(r["t"]), int(r["p"]), int(r["id"])) for r in records]
    assert found == TRIGGERS


def test_a_part_holds_those_of_its_time(tmp_path):
    path = evt3_with_triggers(tmp_path / "a.raw")
    section = {"start_us": 20_000, "end_us": 40_000}
    inside = [trigger for trigger in TRIGGERS if 20_000 <= trigger[0] < 40_000]
    assert copied(path, tmp_path / "b.raw", "evt3", **section) == (1_000, len(inside))


def test_a_format_without_triggers_says_that_none_was_written(tmp_path):
    path = evt3_with_triggers(tmp_path / "a.raw")
    assert copied(path, tmp_path / "b.dat", "dat") == (len(EVENTS), 0)


@pytest.mark.parametrize("name", ["evt2", "evt3"])
def test_a_recording_without_triggers_has_none(tmp_path, name):
    with open_writer(str(tmp_path / "a"), batch_of([]).size, name) as writer:
        writer.append(batch_of(random_events(100)))
    with open_recording(str(tmp_path / "a")) as source:
        assert len(source.read_triggers()) == 0


@pytest.mark.parametrize("kind", ["npz", "hdf5"])
def test_triggers_come_back_from_copies(tmp_path, kind):
    path = str(tmp_path / f"b.{kind}")
    copied(evt3_with_triggers(tmp_path / "a.raw"), path, kind)
    assert found_in(path) == TRIGGERS
    with open_recording(str(path)) as source:
        source.take_triggers()
        source.seek(30_000)
        for _ in source.batches():
            pass
        times = source.take_triggers().t.tolist()
    # Those of the piece that contains the sought time may be included.
    assert [t for t in times if t >= 30_000] == [t for t, *_ in TRIGGERS if t >= 30_000]


def test_triggers_that_cannot_be_read_are_told(tmp_path):
    path = tmp_path / "b.h5"
    copied(evt3_with_triggers(tmp_path / "a.raw"), path, "hdf5")
    with h5py.File(path, "a") as file:
        records = file["EXT_TRIGGER/events"][:]
        del file["EXT_TRIGGER/events"]
        file["EXT_TRIGGER/events"] = records.reshape(-1, 1)
    with open_recording(str(path)) as source:
        assert len(source.read_triggers()) == 0
        assert any("EXT_TRIGGER/events cannot be read" in remark for remark in source.remarks)
