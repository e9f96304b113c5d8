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
    # A recorder that was killed has not written the table of packets.
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


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda data: data[:15], "the header is cut off"),
        (lambda data: data[:14] + struct.pack("<I", 1 << 30) + data[18:], "is cut off"),
        (lambda data: data.replace(b"EVTS</attr", b"FRME</attr"), "holds no stream of events"),
        (lambda data: data.replace(b">640</attr", b">000</attr"), "geometry is impossible"),
    ],
)
def test_broken_headers_are_one_error(change, reason, tmp_path):
    path = tmp_path / "a.aedat4"
    write(path, ("lz4", 1), EVENTS[:100])
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(SourceError, match=reason):
        open_source(str(path))
