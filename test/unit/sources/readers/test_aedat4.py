"""AEDAT4 files, written by two other libraries and read to the same events."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from encoded_events import SIZE, events_of, random_events

from evio_ros.errors import SourceError
from evio_ros.sources.registry import open_source

faery = pytest.importorskip("faery")
EVENTS = random_events(60_000, start_us=1_700_000_000_000_000)
COMPRESSIONS = [None, ("lz4", 1), ("zstd", 3)]


def write(path, compression, events=EVENTS):
    records = np.array(events, faery.EVENTS_DTYPE)
    stream = faery.events_stream_from_array(records, (SIZE.width, SIZE.height))
    stream.to_file(str(path), file_type="aedat", compression=compression)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_every_compression_is_read(compression, tmp_path):
    path = tmp_path / "a.aedat4"
    write(path, compression)
    with open_source(str(path)) as source:
        assert source.size == SIZE
        assert events_of(source.batches()) == EVENTS
        assert source.statistics.truncated_bytes == 0
        assert (source.start_us, source.end_us) == (EVENTS[0][0], EVENTS[-1][0] + 1)


def test_files_of_dv_processing_are_read(tmp_path):
    dv = pytest.importorskip("dv_processing")
    path = tmp_path / "a.aedat4"
    configuration = dv.io.MonoCameraWriter.Config("DVXplorer_ABC")
    configuration.addEventStream((SIZE.width, SIZE.height))
    configuration.addFrameStream((SIZE.width, SIZE.height))
    writer = dv.io.MonoCameraWriter(dv.Path(str(path)), configuration)
    for first in range(0, 20_000, 5_000):
        store = dv.EventStore()
        for t, x, y, p in EVENTS[first : first + 5_000]:
            store.push_back(t, x, y, bool(p))
        writer.writeEvents(store)
    del writer
    with open_source(str(path)) as source:
        assert source.size == SIZE
        assert events_of(source.batches()) == EVENTS[:20_000]


def test_a_recording_that_was_cut_off_ends_before_the_broken_packet(tmp_path):
    path = tmp_path / "a.aedat4"
    write(path, ("lz4", 1))
    data = bytearray(path.read_bytes())
    # A recorder that crashed has not written the table of packets.
    with open_source(str(path)) as source:
        last_offset, last_length = source._packets[-1].tolist()
        packets = len(source._packets)
    del data[last_offset + last_length - 5 :]
    path.write_bytes(data)
    with open_source(str(path)) as source:
        found = events_of(source.batches())
        assert source.statistics.truncated_bytes == last_length - 5 + 8
    assert packets > 1
    assert found == EVENTS[: len(found)]
    assert len(found) > 0


@pytest.mark.parametrize("compression", [("lz4", 1), ("zstd", 3)])
def test_a_corrupt_packet_is_left_out_and_counted(compression, tmp_path):
    path = tmp_path / "a.aedat4"
    write(path, compression)
    with open_source(str(path)) as source:
        offset, length = source._packets[5].tolist()
        before, corrupt, after = (len(source._read_packet(number)) for number in (4, 5, 6))
    assert before == corrupt == after
    data = bytearray(path.read_bytes())
    data[offset : offset + length] = bytes(length)
    path.write_bytes(data)
    others = EVENTS[: 5 * before] + EVENTS[6 * before :]
    with open_source(str(path)) as source:
        assert events_of(source.batches()) == others
        assert source.statistics.lost_packets == 1
        assert f"at byte {offset} a packet is corrupt" in source.remarks[0]
        middle_us = EVENTS[7 * before][0]
        source.seek(middle_us)
        found = events_of(source.batches())
        assert found == [event for event in others if event[0] >= middle_us]


@pytest.mark.parametrize("has_table", [False, True])
def test_two_recordings_in_one_file_are_refused_where_the_second_begins(has_table, tmp_path):
    path = tmp_path / "a.aedat4"
    write(path, ("lz4", 1), EVENTS[:1000])
    first = path.read_bytes()
    if not has_table:
        with open_source(str(path)) as source:
            first = first[: sum(source._packets[-1].tolist())]
    path.write_bytes(first + path.read_bytes())
    with pytest.raises(SourceError, match="another recording's header follows") as error:
        open_source(str(path))
    assert error.value.offset == len(first)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda data: data[:15], "the header is truncated"),
        (lambda data: data[:14] + struct.pack("<I", 1 << 30) + data[18:], "is truncated"),
        (lambda data: data.replace(b"EVTS</attr", b"FRME</attr"), "has no stream of events"),
        (lambda data: data.replace(b">640</attr", b">000</attr"), "geometry is impossible"),
    ],
)
def test_broken_headers_are_one_error(change, reason, tmp_path):
    path = tmp_path / "a.aedat4"
    write(path, ("lz4", 1), EVENTS[:100])
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(SourceError, match=reason):
        open_source(str(path))


def table(field, items, count):
    """A FlatBuffers table whose only field is a vector."""
    layout = struct.pack(f"<HH{field + 1}H", 6 + 2 * field, 8, *[0] * field, 4)
    layout += bytes(-len(layout) % 4)
    vector = struct.pack("<I", count) + items
    return struct.pack("<I", 4 + len(layout)) + layout + struct.pack("<iI", len(layout), 4) + vector


def trigger_table(rows):
    """A FlatBuffers table of a vector of tables, each of a time and a kind."""
    inner = b"".join(struct.pack("<HHHHiqbxxx", 8, 20, 4, 12, 8, *row) for row in rows)
    size = struct.calcsize("<HHHHiqbxxx")
    first = 4 * len(rows)
    places = [first + size * k + 8 - 4 * k for k in range(len(rows))]
    return table(0, struct.pack(f"<{len(rows)}I", *places) + inner, len(rows))


def two_cameras(path, left=((10, 5, 6, 1),)):
    """A file of two cameras of different sizes, written by the format's description."""
    attribute = '<attr key="{}" type="string">{}</attr>'
    nodes = ""
    for number, (camera, size, kind) in enumerate(
        [
            ("left", SIZE, "EVTS"),
            ("left", SIZE, "IMUS"),
            ("right", (64, 48), "EVTS"),
            ("right", SIZE, "TRIG"),
        ]
    ):
        width, height = (size.width, size.height) if size is SIZE else size
        told = {"typeIdentifier": kind, "source": camera, "sizeX": width, "sizeY": height}
        lines = "".join(attribute.format(*item) for item in told.items())
        nodes += f'<node name="{number}" path="/{number}/">{lines}</node>'
    header = table(2, nodes.encode(), len(nodes))
    data = b"#!AER-DAT4.0\r\n" + struct.pack("<I", len(header)) + header
    edges = trigger_table([(5, 2), (11, 1), (11, 6), (99, 3)])
    edges = struct.pack("<I", len(edges)) + edges
    data += struct.pack("<ii", 3, len(edges)) + edges
    for stream, events in ((0, left), (2, [(11, 7, 8, 0), (12, 7, 9, 1)])):
        if not events:
            continue
        packed = b"".join(struct.pack("<qhhB3x", *event) for event in events)
        packet = table(0, packed, len(events))
        packet = struct.pack("<I", len(packet)) + packet
        data += struct.pack("<ii", stream, len(packet)) + packet
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("wanted", "events", "size"),
    [
        ("", [(10, 5, 6, 1)], "640x480"),
        ("?stream=0", [(10, 5, 6, 1)], "640x480"),
        ("?stream=2", [(11, 7, 8, 0), (12, 7, 9, 1)], "64x48"),
        ("?stream=right", [(11, 7, 8, 0), (12, 7, 9, 1)], "64x48"),
    ],
)
def test_one_of_several_cameras_is_read(tmp_path, wanted, events, size):
    two_cameras(tmp_path / "a.aedat4")
    with open_source(f"{tmp_path / 'a.aedat4'}{wanted}") as source:
        assert events_of(source.batches()) == events
        assert str(source.size) == size
        assert source.details["streams"] == ["0 (left)", "2 (right)"]
        assert any("?stream=" in remark for remark in source.remarks) == (not wanted)


@pytest.mark.parametrize(
    ("wanted", "triggers"), [("left", []), ("right", [(5, 0, 0), (11, 1, 0), (99, 1, 0)])]
)
def test_external_triggers_are_those_of_the_camera(tmp_path, wanted, triggers):
    two_cameras(tmp_path / "a.aedat4")
    with open_source(f"{tmp_path / 'a.aedat4'}?stream={wanted}") as source:
        found = source.read_triggers()
        rows = zip(found.t.tolist(), found.edge.tolist(), found.channel.tolist(), strict=True)
        assert list(rows) == triggers
        assert sum(map(len, source.batches())) > 0
        assert source.statistics.triggers == len(triggers)


def test_triggers_of_dv_processing_are_read(tmp_path):
    dv = pytest.importorskip("dv_processing")
    path = tmp_path / "a.aedat4"
    configuration = dv.io.MonoCameraWriter.Config("DVXplorer_ABC")
    configuration.addEventStream((SIZE.width, SIZE.height))
    configuration.addTriggerStream()
    writer = dv.io.MonoCameraWriter(dv.Path(str(path)), configuration)
    store = dv.EventStore()
    for t, x, y, p in EVENTS[:1000]:
        store.push_back(t, x, y, bool(p))
    writer.writeEvents(store)
    at = EVENTS[500][0]
    writer.writeTrigger(dv.Trigger(at, dv.TriggerType.EXTERNAL_SIGNAL_RISING_EDGE))
    writer.writeTrigger(dv.Trigger(at + 7, dv.TriggerType.EXTERNAL_SIGNAL_FALLING_EDGE))
    writer.writeTrigger(dv.Trigger(at + 9, dv.TriggerType.APS_FRAME_START))
    del writer
    with open_source(str(path)) as source:
        found = source.read_triggers()
    assert found.t.tolist() == [at, at + 7]
    assert found.edge.tolist() == [1, 0]


@pytest.mark.parametrize("wanted", ["1", "middle"])
def test_a_camera_that_is_not_there_is_refused(tmp_path, wanted):
    two_cameras(tmp_path / "a.aedat4")
    with pytest.raises(SourceError, match=rf"no stream '{wanted}'; its streams are 0 \(left\), 2"):
        open_source(f"{tmp_path / 'a.aedat4'}?stream={wanted}")


def test_a_camera_without_any_packet_is_not_the_one_that_is_read(tmp_path):
    two_cameras(tmp_path / "a.aedat4", left=())
    with open_source(str(tmp_path / "a.aedat4")) as source:
        assert (source.details["stream"], str(source.size)) == ("2", "64x48")
        assert events_of(source.batches()) == [(11, 7, 8, 0), (12, 7, 9, 1)]
        assert "2 is read, another with ?stream=" in " ".join(source.remarks)
    with pytest.raises(SourceError, match="has a header but no events"):
        open_source(f"{tmp_path}/a.aedat4?stream=0")
