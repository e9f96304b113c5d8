"""Recordings with some wrong times: what is read, and that seeks agree with it."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from encoded_events import (
    RECORDINGS,
    SIZE,
    batch_of,
    dat_file,
    events_of,
    evt2_file,
    evt2_words,
    evt3_file,
    evt3_words,
    evt21_file,
)
from rosbags.rosbag2 import Reader, StoragePlugin, Writer

from evio_ros.events import EventBatch
from evio_ros.sources.codecs.bag_messages import EVENT_ARRAY, message_types
from evio_ros.sources.event_clock import NOMINAL_GAP_US
from evio_ros.sources.registry import open_recording
from evio_ros.sources.writers.registry import open_writer

FORMATS = {"dat": dat_file, "evt2": evt2_file, "evt21": evt21_file, "evt3": evt3_file}
any_format = pytest.mark.parametrize("name", [*FORMATS, "npz"])

GOOD = [(1_000_000 + 20 * i, i % 640, i % 480, i % 2) for i in range(5_000)]


def at(t_us, count, x=3):
    """Some events from a time on."""
    return [(t_us + i, x, 7, 1) for i in range(count)]


def write(path: Path, name: str, events) -> str:
    if name in FORMATS:
        path.write_bytes(FORMATS[name](events))
        return str(path)
    t, x, y, p = np.array(events).T
    kinds = {"x": x.astype(np.uint16), "y": y.astype(np.uint16), "p": p.astype(np.uint8)}
    np.savez(path.with_suffix(".npz"), t=t, **kinds, width=640, height=480)
    return str(path.with_suffix(".npz"))


def check(path, expected, dropped):
    """Check the events that are read, the ends, and seeks to many times."""
    times = np.array([event[0] for event in expected])
    with open_recording(path) as source:
        assert (source.start_us, source.end_us) == (times[0], times[-1] + 1)
        assert events_of(source.batches()) == expected
        assert source.statistics.late + source.statistics.outliers == dropped
        for t_us in (int(times[0]) - 9, int(times[-1]), *times[[1, 400, 2500, 4900]].tolist()):
            source.seek(t_us)
            assert events_of(source.batches()) == expected[int(np.searchsorted(times, t_us)) :]
        source.seek(int(times[-1]) + 1)
        assert not list(source.batches())
    with open_recording(path) as source:
        assert events_of(source.batches()) == expected


@any_format
@pytest.mark.parametrize("place", [0, 1, 2_500, 4_999, 5_000])
@pytest.mark.parametrize("count", [1, 20])
@pytest.mark.parametrize("t_us", [5_000_000, 8_000_000])
def test_outliers_ahead(name, tmp_path, place, count, t_us):
    wrong = at(t_us, count)
    check(write(tmp_path / "a", name, GOOD[:place] + wrong + GOOD[place:]), GOOD, count)


@pytest.mark.parametrize("name", ["dat", "evt2", "evt21", "npz"])
@pytest.mark.parametrize("t_us", [1_500_000_000, 3_264_000_000])
@pytest.mark.parametrize("place", [0, 2_500, 5_000])
def test_outliers_farther_ahead_than_half_a_wrap(name, tmp_path, t_us, place):
    wrong = at(t_us, 20)
    check(write(tmp_path / "a", name, GOOD[:place] + wrong + GOOD[place:]), GOOD, 20)


@any_format
@pytest.mark.parametrize("place", [0, 1, 2_500, 5_000])
def test_outliers_behind(name, tmp_path, place):
    good = [(t + 3_000_000, *rest) for t, *rest in GOOD]
    wrong = at(10, 3)
    check(write(tmp_path / "a", name, good[:place] + wrong + good[place:]), good, 3)


@pytest.mark.parametrize("bit", range(14, 28))
def test_a_flipped_bit_of_an_evt2_time_word_moves_nothing_else(tmp_path, bit):
    words = evt2_words(GOOD)
    place = [i for i, word in enumerate(words) if word >> 28 == 8][700]
    words[place] ^= 1 << bit
    header = b"% format EVT2;width=640;height=480\n% end\n"
    (tmp_path / "a.raw").write_bytes(header + struct.pack(f"<{len(words)}I", *words))
    with open_recording(str(tmp_path / "a.raw")) as source:
        found = events_of(source.batches())
        assert (source.start_us, source.end_us) == (GOOD[0][0], GOOD[-1][0] + 1)
    assert set(found) <= set(GOOD)
    assert len(found) >= len(GOOD) - 4


@pytest.mark.parametrize("bit", range(3, 12))
def test_a_flipped_bit_of_an_evt3_time_high_moves_nothing_else(tmp_path, bit):
    # Time-high words only where they change, as cameras send them.
    words = evt3_words(GOOD)
    kept, high = [], None
    for word in words:
        if word >> 12 != 8 or word != high:
            kept.append(word)
        high = word if word >> 12 == 8 else high
    highs = [i for i, word in enumerate(kept) if word >> 12 == 8]
    kept[highs[12]] ^= 1 << bit
    header = b"% format EVT3;width=640;height=480\n% end\n"
    (tmp_path / "a.raw").write_bytes(header + struct.pack(f"<{len(kept)}H", *kept))
    with open_recording(str(tmp_path / "a.raw")) as source:
        found = events_of(source.batches())
        assert (source.start_us, source.end_us) == (GOOD[0][0], GOOD[-1][0] + 1)
        assert source.statistics.clock_restarts == 0
    assert set(found) <= set(GOOD)
    assert len(found) >= len(GOOD) - 205


def test_a_real_recording_with_one_wrong_time_high():
    path = RECORDINGS.parent / "field_cases" / "43_evt3_bad_time_high" / "bit_set.raw"
    if not path.exists():
        pytest.skip(f"no {path}")
    with open_recording(str(path)) as source:
        assert source.end_us == 600_998 + 1
        assert sum(len(batch) for batch in source.batches()) == 333_196


@any_format
def test_a_clock_that_starts_anew(name, tmp_path):
    later = [(t + 4_000_000, *rest) for t, *rest in GOOD]
    shift_us = later[-1][0] + NOMINAL_GAP_US - GOOD[0][0]
    expected = later + [(t + shift_us, *rest) for t, *rest in GOOD]
    path = write(tmp_path / "a", name, later + GOOD)
    check(path, expected, 0)
    with open_recording(path) as source:
        list(source.batches())
        (restart,) = source.statistics.restarts
        assert source.statistics.clock_restarts == 1
    assert (restart.t_us, restart.gap_us) == (expected[5_000][0], None)


@pytest.mark.parametrize("kind", ["bag", "bag_packets"])
def test_a_bag_tells_how_long_the_clock_was_away(kind, tmp_path):
    # A driver that is restarted: sensor time and numbers restart, stamps continue.
    gap_us = 2_345_000
    parts = [[(t + 4_000_000, *rest) for t, *rest in GOOD], GOOD]
    store = message_types()
    stamp_ns = 1_700_000_000_000_000_000
    with Writer(tmp_path / "bag", version=8, storage_plugin=StoragePlugin.MCAP) as target:
        connection = None
        for number, part in enumerate(parts):
            with open_writer(str(tmp_path / f"part{number}"), batch_of([]).size, kind) as writer:
                writer.append(batch_of(part))
            with Reader(tmp_path / f"part{number}") as reader:
                for source, own_ns, raw in reader.messages():
                    if connection is None:
                        connection = target.add_connection(
                            source.topic, source.msgtype, typestore=store
                        )
                    since_ns = own_ns - part[0][0] * 1000
                    away_ns = number * (gap_us * 1000 + (GOOD[-1][0] - GOOD[0][0]) * 1000)
                    target.write(connection, stamp_ns + since_ns + away_ns, raw)
    shift_us = parts[0][-1][0] + gap_us - GOOD[0][0]
    expected = parts[0] + [(t + shift_us, *rest) for t, *rest in GOOD]
    check(str(tmp_path / "bag"), expected, 0)
    with open_recording(str(tmp_path / "bag")) as source:
        list(source.batches())
        assert [restart.gap_us for restart in source.statistics.restarts] == [gap_us]


def test_only_samples_of_a_long_recording_are_read_to_know_its_end(tmp_path):
    random, count = np.random.default_rng(0), 3_000_000
    t = np.cumsum(random.poisson(2.0, count))
    x, y = random.integers(0, [[SIZE.width], [SIZE.height]], (2, count)).astype(np.uint16)
    batch = EventBatch(SIZE, t, x, y, random.random(count) < 0.5)
    with open_writer(str(tmp_path / "a.dat"), batch.size, "dat") as writer:
        writer.append(batch)
    with open_recording(str(tmp_path / "a.dat")) as source:
        assert (source.start_us, source.end_us) == (batch.t[0], batch.t[-1] + 1)
        for t_us in (1, 2_000_000, int(batch.t[-1])):
            source.seek(t_us)
            found = next(source.batches())
            assert found.t[0] == batch.t[np.searchsorted(batch.t, t_us)]


@pytest.mark.parametrize("word", [0x9999, 0x1234, 0xB000, 0xC0FF])
@pytest.mark.parametrize("every", [1, 5])
def test_words_of_a_vendors_own_are_counted(tmp_path, word, every):
    words = evt3_words(GOOD)
    mixed = [
        w for i, known in enumerate(words) for w in ((known, word) if i % every == 0 else (known,))
    ]
    header = b"% format EVT3;width=640;height=480\n% end\n"
    (tmp_path / "a.raw").write_bytes(header + struct.pack(f"<{len(mixed)}H", *mixed))
    with open_recording(str(tmp_path / "a.raw")) as source:
        assert events_of(source.batches()) == GOOD
        assert source.statistics.invalid == len(mixed) - len(words)


def test_an_event_array_bag_keeps_its_messages_whole(tmp_path):
    with open_writer(str(tmp_path / "a"), batch_of([]).size, "bag") as writer:
        writer.append(batch_of(GOOD))
    with Reader(tmp_path / "a") as reader:
        assert {c.msgtype for c in reader.connections} == {EVENT_ARRAY}
    with open_recording(str(tmp_path / "a")) as source:
        pieces = list(source.raw_pieces())
    assert pieces[0].received_us == GOOD[0][0]


@pytest.mark.parametrize("bit", [20, 30, 31])
@pytest.mark.parametrize("start_us", [1_000_000, (1 << 31) + 1_000_000])
@pytest.mark.parametrize("place", [1, 2500, 4998])
def test_any_bit_of_a_dat_time_may_be_flipped(tmp_path, bit, start_us, place):
    events = [(start_us + 20 * i, i % 640, i % 480, i % 2) for i in range(5_000)]
    wrong = list(events)
    wrong[place] = (events[place][0] ^ 1 << bit, *events[place][1:])
    path = write(tmp_path / "r", "dat", wrong)
    check(path, events[:place] + events[place + 1 :], 1)


def test_coordinates_below_zero_make_no_huge_sensor(tmp_path):
    kind = np.dtype([("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "u1")])
    records = np.array(GOOD, kind)
    records["x"][5], records["y"][9] = -3, -1
    np.save(tmp_path / "r.npy", records)
    with open_recording(str(tmp_path / "r.npy")) as source:
        assert (source.size.width, source.size.height) == (640, 480)
        kept = [event for i, event in enumerate(GOOD) if i not in (5, 9)]
        assert events_of(source.batches()) == kept
        assert source.statistics.outside == 2
