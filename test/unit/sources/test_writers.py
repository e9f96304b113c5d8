"""Writers: what they write can be read again, complete or not at all."""

from __future__ import annotations

import resource

import h5py
import numpy as np
import pytest
from encoded_events import SIZE, batch_of, events_of, random_events
from hypothesis import given, settings
from hypothesis import strategies as st

from evio_ros.errors import SourceError
from evio_ros.events import SensorSize
from evio_ros.sources.registry import open_source
from evio_ros.sources.writers.registry import WRITERS, open_writer

any_writer = pytest.mark.parametrize("name", WRITERS)
raw_writer = pytest.mark.parametrize("name", ["dat", "evt2", "evt3"])
short_times = pytest.mark.parametrize("name", ["dat", "evt2", "evt3", "bag_packets"])


def write(path, events, name, size=SIZE, pieces=3):
    with open_writer(str(path), size, name) as writer:
        for piece in np.array_split(np.arange(len(events)), pieces):
            writer.append(batch_of([events[i] for i in piece], size))


def append_all(path, batches, name):
    with open_writer(str(path), SIZE, name) as writer:
        for batch in batches:
            writer.append(batch)


def interrupted(batches):
    yield from batches
    raise KeyboardInterrupt


@any_writer
def test_what_is_written_is_read_again(name, tmp_path):
    events = random_events(20_000, start_us=77)
    path = tmp_path / "recording"
    write(path, events, name)
    with open_source(str(path)) as source:
        assert source.size == SIZE
        assert source.size_is_declared
        assert events_of(source.batches()) == events
        assert (source.start_us, source.end_us) == (events[0][0], events[-1][0] + 1)
        assert source.statistics.dropped == source.statistics.reordered == 0
    assert [entry.name for entry in tmp_path.iterdir()] == ["recording"]


@short_times
@settings(max_examples=60, deadline=None)
@given(
    start=st.sampled_from((0, 5, (1 << 24) - 3, 1 << 40, 1_700_000_000_000_000)),
    steps=st.lists(st.sampled_from((0, 1, 63, 4096, 1 << 20, 1 << 30)), min_size=1, max_size=50),
    seed=st.integers(0, 1000),
)
def test_long_times_and_gaps_come_back(name, start, steps, seed, tmp_path_factory):
    rng = np.random.default_rng(seed)
    times = start + np.cumsum(steps)
    events = [
        (int(t), int(x), int(y), int(p))
        for t, x, y, p in zip(
            times,
            rng.integers(0, 20, len(steps)),
            rng.integers(0, 2, len(steps)),
            rng.integers(0, 2, len(steps)),
            strict=True,
        )
    ]
    path = tmp_path_factory.mktemp("files") / "recording"
    write(path, events, name)
    with open_source(str(path)) as source:
        assert events_of(source.batches()) == events
        source.seek(int(times[-1]))
        assert events_of(source.batches()) == [e for e in events if e[0] == times[-1]]


def test_evt3_vectors_shrink_a_row_of_events(tmp_path):
    row = [(9, 100 + i, 7, 1) for i in range(12)]
    write(tmp_path / "row", row, "evt3", pieces=1)
    write(tmp_path / "one", row[:1], "evt3", pieces=1)
    assert (tmp_path / "row").stat().st_size == (tmp_path / "one").stat().st_size + 2


def test_a_gap_that_dat_cannot_hold_is_refused(tmp_path):
    with pytest.raises(SourceError, match="DAT supports gaps"):
        write(tmp_path / "a", [(0, 0, 0, 0), (1 << 31, 0, 0, 0)], "dat", pieces=2)
    assert not list(tmp_path.iterdir())


@raw_writer
def test_a_sensor_too_large_for_the_format_is_refused(name, tmp_path):
    with pytest.raises(SourceError, match="pixels a side, not 65536x1"):
        open_writer(str(tmp_path / "a"), SensorSize(65536, 1), name)
    assert not list(tmp_path.iterdir())


@any_writer
def test_other_geometry_and_backward_time_are_refused_and_leave_nothing(name, tmp_path):
    late, early = batch_of([(9, 1, 1, 1)]), batch_of([(8, 1, 1, 1)])
    for batches, reason in (
        ((batch_of([(1, 1, 1, 1)], SensorSize(9, 9)),), "events have the geometry 9x9"),
        ((late, early), "time goes back from 9 to 8 us"),
    ):
        with pytest.raises(SourceError, match=reason):
            append_all(tmp_path / "a", batches, name)
        assert not list(tmp_path.iterdir())


@any_writer
def test_a_disk_that_fills_up_is_one_error_and_leaves_nothing(name, tmp_path):
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    events = batch_of(random_events(200_000))
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, old[1]))
    try:
        with pytest.raises(SourceError, match="cannot be written") as error:
            append_all(tmp_path / "full", [events], name)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


@any_writer
def test_an_interruption_leaves_nothing(name, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        append_all(tmp_path / "a", interrupted([batch_of(random_events(1000))]), name)
    assert not list(tmp_path.iterdir())


@any_writer
def test_an_older_recording_is_replaced_only_by_a_complete_one(name, tmp_path):
    path = tmp_path / "a"
    write(path, [(1, 2, 3, 1)], name, pieces=1)
    with pytest.raises(KeyboardInterrupt):
        append_all(path, interrupted([batch_of([(5, 6, 7, 0)])]), name)
    with open_source(str(path)) as source:
        assert events_of(source.batches()) == [(1, 2, 3, 1)]
    write(path, [(5, 6, 7, 0)], name, pieces=1)
    with open_source(str(path)) as source:
        assert events_of(source.batches()) == [(5, 6, 7, 0)]


def test_text_is_what_numpy_reads(tmp_path):
    events = [(0, 1, 2, 1), (5, 3, 4, 0), (1_573_195_687_650_001, 5, 6, 1)]
    write(tmp_path / "a", events, "text")
    lines = (tmp_path / "a").read_text().splitlines()
    assert lines[2:] == ["0.000000 1 2 1", "0.000005 3 4 0", "1573195687.650001 5 6 1"]
    assert np.loadtxt(tmp_path / "a").tolist() == [[t / 1e6, x, y, p] for t, x, y, p in events]


def test_dsec_has_an_index_of_milliseconds(tmp_path):
    events = random_events(20_000, start_us=5_000_123, mean_step_us=70.0)
    write(tmp_path / "a", events, "dsec", pieces=7)
    with h5py.File(tmp_path / "a") as file:
        times, index, offset = file["events/t"][:], file["ms_to_idx"][:], file["t_offset"][()]
        assert (file["events/t"].dtype, index.dtype) == (np.uint32, np.uint64)
    assert offset == events[0][0]
    assert (times + offset).tolist() == [event[0] for event in events]
    assert len(index) == times[-1] // 1000 + 1
    for ms, place in enumerate(index.tolist()):
        assert times[place] >= ms * 1000
        assert place == 0 or times[place - 1] < ms * 1000


def test_dsec_cannot_hold_more_than_32_bits_of_time(tmp_path):
    with pytest.raises(SourceError, match="supports times up to 4294967295 us, not 4294967296"):
        write(tmp_path / "a", [(7, 0, 0, 0), ((1 << 32) + 7, 0, 0, 0)], "dsec")
    assert not list(tmp_path.iterdir())
