"""DAT, EVT2, EVT2.1 and EVT3 against real recordings, the specifications and broken files."""

from __future__ import annotations

import itertools
import struct

import numpy as np
import pytest
from encoded_events import (
    SIZE,
    dat_file,
    digest_of,
    events_of,
    evt2_file,
    evt3_file,
    evt21_file,
    random_events,
    real_recording,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from evio_ros.errors import SourceError
from evio_ros.events import SensorSize
from evio_ros.sources.codecs.evt2 import Evt2Decoder
from evio_ros.sources.codecs.evt3 import Evt3Decoder
from evio_ros.sources.codecs.evt21 import Evt21Decoder
from evio_ros.sources.registry import open_source

ENCODERS = {"dat": dat_file, "evt2": evt2_file, "evt21": evt21_file, "evt3": evt3_file}
WRAPS_US = {"dat": 1 << 32, "evt2": 1 << 34, "evt21": 1 << 34, "evt3": 1 << 24}
HEADERS = {
    "dat": "% Version 2\n% Width {w}\n% Height {h}\n% end\n",
    "evt2": "% format EVT2;width={w};height={h}\n% end\n",
    "evt21": "% format EVT21;width={w};height={h}\n% end\n",
    "evt3": "% format EVT3;width={w};height={h}\n% end\n",
}

any_format = pytest.mark.parametrize("name", ENCODERS)
event_lists = st.lists(
    st.tuples(st.integers(0, 5_000), st.integers(0, 639), st.integers(0, 479), st.integers(0, 1)),
    min_size=1,
    max_size=60,
)


@pytest.fixture
def written(tmp_path):
    """Writes bytes to a file and returns its name."""

    def write(data: bytes) -> str:
        path = tmp_path / "recording"
        path.write_bytes(data)
        return str(path)

    return write


@pytest.mark.parametrize("name", ["sparklers_evt2.raw", "gen41_evt3.raw", "ncars.dat"])
def test_real_recordings_decode_to_their_digest(name):
    path, known = real_recording(name)
    with open_source(str(path)) as source:
        digest = digest_of(source.raw_pieces())
        assert source.start_us == known["t_first_us"]
        assert source.end_us == known["t_last_us"] + 1
    assert digest == known["sha256_t_i8_x_u2_y_u2_p_u1"]


@any_format
@settings(max_examples=40, deadline=None)
@given(steps=event_lists)
def test_decoding_gives_back_what_the_specification_encodes(name, steps, tmp_path_factory):
    times = np.cumsum([step[0] for step in steps]).tolist()
    events = [(t, *step[1:]) for t, step in zip(times, steps, strict=True)]
    path = tmp_path_factory.mktemp("files") / "recording"
    path.write_bytes(ENCODERS[name](events))
    with open_source(str(path)) as source:
        assert source.size == SIZE
        assert events_of(source.batches()) == events
        assert (source.start_us, source.end_us) == (times[0], times[-1] + 1)


@any_format
def test_times_are_counted_on_past_their_wraps(name, written):
    wrap = WRAPS_US[name]
    events = random_events(300, start_us=wrap - wrap // 20, mean_step_us=wrap / 100)
    with open_source(written(ENCODERS[name](events))) as source:
        assert events[-1][0] > 2 * wrap
        assert events_of(source.batches()) == events
        assert source.end_us == events[-1][0] + 1


@any_format
def test_seek_equals_skipping_to_the_time(name, written):
    events = random_events(200_000, start_us=1_000, mean_step_us=90.0)
    with open_source(written(ENCODERS[name](events))) as source:
        times = np.array([event[0] for event in events])
        for t_us in (-5, 1_000, 5_000_000, 9_000_001, int(times[-1]), int(times[-1]) + 1, 4_000):
            source.seek(t_us)
            found = events_of(source.batches())
            assert found == events[int(np.searchsorted(times, t_us)) :]


@any_format
def test_time_that_steps_back_is_put_in_order_and_counted(name, written):
    events = random_events(5_000)
    mixed = events.copy()
    mixed[1000], mixed[1100] = mixed[1100], mixed[1000]
    with open_source(written(ENCODERS[name](mixed))) as source:
        found = events_of(source.batches())
        assert source.statistics.reordered > 0
        assert source.statistics.late == 0
    assert sorted(found) == sorted(events)
    assert [event[0] for event in found] == [event[0] for event in events]


@any_format
def test_events_too_late_are_dropped_and_counted(name, written):
    events = random_events(5_000, start_us=100_000)
    late = [(90_000, 1, 1, 1), (90_001, 2, 2, 0)]
    with open_source(written(ENCODERS[name](events[:2000] + late + events[2000:]))) as source:
        assert events_of(source.batches()) == events
        assert source.statistics.late == 2
        assert source.statistics.dropped == 2


@any_format
def test_few_events_outside_the_geometry_are_dropped_and_counted(name, written):
    events = random_events(5_000)
    outside = [(events[10][0], 640, 3, 1), (events[10][0], 3, 480, 0), (events[10][0], 900, 700, 0)]
    with open_source(written(ENCODERS[name](events[:11] + outside + events[11:]))) as source:
        assert source.size == SIZE
        assert not source.remarks
        assert events_of(source.batches()) == events
        assert source.statistics.outside == 3


@any_format
def test_geometry_that_the_events_contradict_is_said(name, written):
    events = random_events(3_000, size=SensorSize(1200, 700))
    header = HEADERS[name].format(w=640, h=480)
    with open_source(written(ENCODERS[name](events, header))) as source:
        assert source.size == SensorSize(1280, 720)
        assert not source.size_is_declared
        assert "640x480" in source.remarks[0]
        assert events_of(source.batches()) == events


@any_format
def test_a_damaged_block_leaves_the_geometry_as_declared(name, written):
    data = bytearray(ENCODERS[name](random_events(3_000)))
    middle = len(data) // 2
    data[middle : middle + 2048] = np.random.default_rng(0).bytes(2048)
    with open_source(written(bytes(data))) as source:
        assert source.size == SIZE
        assert source.size_is_declared
        found = sum(map(len, source.batches()))
        assert found > 2_000
        assert source.statistics.outside > 10


@any_format
def test_the_callers_geometry_wins(name, written):
    events = random_events(100)
    with open_source(written(ENCODERS[name](events)), size=SensorSize(700, 500)) as source:
        assert source.size == SensorSize(700, 500)


@any_format
def test_a_cut_off_record_is_counted(name, written):
    events = random_events(100)
    with open_source(written(ENCODERS[name](events)[:-1])) as source:
        found = events_of(source.batches())
        assert found == events[: len(found)]
        assert len(found) >= 99
        assert source.statistics.truncated_bytes > 0


@any_format
def test_a_header_without_events_is_an_error_at_its_end(name, written):
    data = ENCODERS[name]([])
    path = written(data)
    with pytest.raises(SourceError, match="has a header but no events") as error:
        open_source(path)
    assert error.value.offset == HEADERS[name].format(w=640, h=480).__len__()


@pytest.mark.parametrize("name", ["dat", "evt21", "evt3"])
def test_random_bytes_after_a_good_header_are_refused(name, written):
    noise = np.random.default_rng(1).bytes(400_000)
    prefix = b"\x0c\x08" if name == "dat" else b""
    path = written(HEADERS[name].format(w=640, h=480).encode() + prefix + noise)
    with pytest.raises(SourceError, match="is not Prophesee"):
        open_source(path)


@any_format
def test_random_bytes_in_the_middle_lose_little_and_are_counted(name, written):
    events = random_events(2_000, mean_step_us=5.0)
    data = bytearray(ENCODERS[name](events))
    middle = len(data) // 2
    data[middle : middle + 64] = np.random.default_rng(2).bytes(64)
    with open_source(written(bytes(data))) as source:
        found = set(events_of(source.batches()))
        counted = source.statistics
    assert len(found & set(events)) > 900
    assert counted.dropped + counted.reordered > 0


@any_format
@pytest.mark.parametrize("seed", range(5))
def test_a_block_of_random_bytes_moves_no_time_after_it(name, seed, written):
    events = random_events(20_000, mean_step_us=5.0)
    data = bytearray(ENCODERS[name](events))
    middle = len(data) // 2
    data[middle : middle + 4096] = np.random.default_rng(seed).bytes(4096)
    with open_source(written(bytes(data)), size=SIZE) as source:
        found = events_of(source.batches())
    assert found[-1000:] == events[-1000:]
    assert found[:1000] == events[:1000]


def test_zeros_are_no_dat_events(written):
    header = HEADERS["dat"].format(w=640, h=480).encode() + b"\x0c\x08"
    with pytest.raises(SourceError, match="all zero") as error:
        open_source(written(header + bytes(8_000_000)))
    assert error.value.offset == len(header)


@any_format
@pytest.mark.parametrize("polarity", [0, 1])
def test_zeros_that_a_crash_leaves_at_the_end_are_left_out(name, polarity, written):
    events = [*random_events(100, start_us=50_000), (60_005, 639, 479, polarity)]
    data = ENCODERS[name](events)
    with open_source(written(data + bytes(800_000))) as source:
        assert events_of(source.batches()) == events
        assert any("zeros, as after a crash" in remark for remark in source.remarks)
        assert source.statistics.dropped == 0
    half = len(data) // 2
    with open_source(written(data[:half] + bytes(len(data) - half))) as source:
        found = events_of(source.batches())
    assert len(found) > len(events) // 4
    assert found == events[: len(found)]


def test_a_block_of_zeros_among_evt2_words_holds_no_events(written):
    events = random_events(5000, start_us=50_000)
    head, mark, words = evt2_file(events).partition(b"% end\n")
    with open_source(written(head + mark + words[:8000] + bytes(512) + words[8000:])) as source:
        assert events_of(source.batches()) == events
        assert source.statistics.invalid == 128


@pytest.mark.parametrize("named", ["evt2", "evt21", "evt3"])
@pytest.mark.parametrize("actual", ["evt2", "evt21", "evt3"])
def test_words_of_another_format_than_the_header_names_are_told(named, actual, written):
    events = random_events(5000, start_us=50_000, mean_step_us=20.0)
    words = ENCODERS[actual](events).partition(b"% end\n")[2]
    with open_source(written(HEADERS[named].format(w=640, h=480).encode() + words)) as source:
        assert events_of(source.batches()) == events
        said = [remark for remark in source.remarks if "the words are those of" in remark]
        assert len(said) == (named != actual)


@any_format
@pytest.mark.parametrize("more", ["", " "])
def test_two_recordings_in_one_file_are_refused_where_the_second_begins(name, more, written):
    first = ENCODERS[name](random_events(3000, start_us=50_000))
    # The second header begins at any position of a word.
    second = HEADERS[name].format(w=640, h=480).encode() + first.partition(b"% end\n")[2]
    joined = first + second.replace(b"% end", f"% name {more}\n% end".encode())
    with (
        pytest.raises(SourceError, match="another recording's header follows") as error,
        open_source(written(joined)) as source,
    ):
        list(source.batches())
    assert error.value.offset == len(first)


@pytest.mark.parametrize(
    ("head", "named"),
    [
        (b"% Version 2\n% end\n\x0e\x08", r"it is a DAT file of external triggers \(type 14\)"),
        (b"% Version 2\n% end\n\x05\x10", "it is a DAT file with records of type 5 and 16 bytes"),
        (b"% evt 4.0\n% end\n", "it is a RAW file in the format .*4.*; Metavision's"),
        (b"% format EVT4;width=640;height=480\n% end\n", "a RAW file in the format EVT4.*HDF5"),
        (b"% Version 2\n% end\n\xff\xff", r"tried Prophesee DAT, Prophesee EVT2"),
    ],
)
def test_other_contents_behind_a_header_are_refused_by_name(written, head, named):
    with pytest.raises(SourceError, match=named):
        open_source(written(head + bytes(80)))


@pytest.mark.parametrize("version", ["% Version 0\n", "% Version 1\n", ""])
def test_dat_of_before_version_2(version, written):
    events = [(t, x % 304, y % 240, p) for t, x, y, p in random_events(3000)]
    header = f"% Data file containing CD events\n{version}% Width 304\n% Height 240\n"
    records = [struct.pack("<II", t, x | y << 9 | p << 17) for t, x, y, p in events]
    with open_source(written(header.encode() + b"\x00\x08" + b"".join(records))) as source:
        assert events_of(source.batches()) == events
        assert ("has no version" in "".join(source.remarks)) == (not version)
        middle_us = events[1500][0]
        source.seek(middle_us)
        assert events_of(source.batches()) == [e for e in events if e[0] >= middle_us]


def test_dat_without_a_version_is_as_today_where_words_are_long(written):
    events = random_events(300)
    with open_source(written(dat_file(events, "% Width 640\n% Height 480\n"))) as source:
        assert events_of(source.batches()) == events
        assert not source.remarks


def test_odd_bits_of_old_dat_records_are_counted(written):
    records = [struct.pack("<II", 10 * k, 5 | 7 << 9 | (k == 30) << 20) for k in range(40)]
    header = b"% Version 1\n% Width 304\n% Height 240\n% end\n\x0c\x08"
    with open_source(written(header + b"".join(records))) as source:
        assert len(events_of(source.batches())) == 39
        assert source.statistics.invalid == 1


@pytest.mark.parametrize(
    ("make", "name"), [(evt2_file, "EVT2"), (evt21_file, "EVT2.1"), (evt3_file, "EVT3")]
)
def test_words_tell_the_format_that_an_old_header_does_not_name(make, name, written):
    events = random_events(3000)
    header = "% Date 2018-05-14 18:33:07\n% plugin_name hal_plugin_gen31_fx3\n% system_ID 28\n"
    with open_source(written(make(events, header))) as source:
        assert source.format_name == f"Prophesee {name}"
        assert events_of(source.batches()) == events
        assert "the header gives no format; the words are those of" in source.remarks[0]


def test_dat_polarities_beyond_one_are_dropped_and_counted(written):
    events = random_events(100)
    data = bytearray(dat_file(events))
    data[-1] |= 0x70
    with open_source(written(bytes(data))) as source:
        assert events_of(source.batches()) == events[:-1]
        assert source.statistics.invalid == 1


@pytest.mark.parametrize("declared", ["% endianness legacy\n", ""])
def test_evt21_halves_in_the_old_order_are_told_by_header_or_content(declared, written):
    events = random_events(500)
    header = f"% format EVT21;width=640;height=480\n{declared}% end\n"
    with open_source(written(evt21_file(events, header, legacy=True))) as source:
        assert events_of(source.batches()) == events


@pytest.mark.parametrize("legacy", [False, True])
def test_a_damaged_block_does_not_change_the_order_of_evt21_halves(legacy, written):
    events = random_events(3_000)
    data = bytearray(evt21_file(events, "% evt 2.1\n% geometry 640x480\n% end\n", legacy=legacy))
    middle = len(data) // 2
    data[middle : middle + 2048] = np.random.default_rng(0).bytes(2048)
    with open_source(written(bytes(data))) as source:
        assert set(events[:1_000]) <= set(events_of(source.batches()))


def test_evt21_words_hold_up_to_32_events():
    words = [0x8 << 60 | 3 << 32, 1 << 60 | 5 << 54 | 64 << 43 | 9 << 32 | 0x80000005]
    columns = Evt21Decoder().decode(np.array(words, np.uint64))
    time = 3 << 6 | 5
    assert events_of([columns]) == [(time, 64, 9, 1), (time, 66, 9, 1), (time, 95, 9, 1)]


def test_evt2_events_before_any_time_are_counted_as_invalid():
    decoder = Evt2Decoder()
    columns = decoder.decode(np.array([1 << 28 | 5, 0x8 << 28 | 1, 1 << 28 | 7, 0x5 << 28], "<u4"))
    assert events_of([columns]) == [(64, 0, 7, 1)]
    assert decoder.invalid == 2


@settings(max_examples=40, deadline=None)
@given(
    words=st.lists(st.integers(0, 0xFFFF), max_size=200),
    cuts=st.lists(st.integers(0, 200), max_size=4),
)
def test_evt3_decodes_the_same_however_the_stream_is_cut(words, cuts):
    stream = np.array(words, np.uint16)
    whole, cut, skipped = Evt3Decoder(), Evt3Decoder(), Evt3Decoder()
    expected = events_of([whole.decode(stream)])
    pieces = np.split(stream, sorted(min(place, len(words)) for place in cuts))
    assert events_of([cut.decode(piece) for piece in pieces]) == expected
    assert cut.invalid == whole.invalid
    for piece in pieces:
        skipped.skip(piece)
    assert skipped.state.tolist() == whole.state.tolist() == cut.state.tolist()


def test_evt3_vectors_follow_one_another_and_hold_their_bits_in_order():
    words = [0x8001, 0x6002, 0x0009, 0x3800 | 100, 0x4000 | 0b100000000001, 0x5000 | 0b10000010]
    columns = Evt3Decoder().decode(np.array(words, np.uint16))
    time = 1 << 12 | 2
    assert events_of([columns]) == [(time, x, 9, 1) for x in (100, 111, 113, 119)]


def test_evt3_holds_any_number_of_vectors_and_triggers():
    rows = [[row, 0x3000, 0x4FFF, 0x4FFF, 0xA001] for row in range(400)]
    words = [0x8001, 0x6002, *(word for row in rows for word in row)]
    decoder = Evt3Decoder()
    columns = decoder.decode(np.array(words, np.uint16))
    time = 1 << 12 | 2
    assert events_of([columns]) == [(time, x, y, 0) for y in range(400) for x in range(24)]
    assert decoder.triggers.t.tolist() == [time] * 400
    assert decoder.triggers.edge.tolist() == [1] * 400


def test_evt3_single_events_after_many_vectors_find_room():
    words = [0x8001, 0x6002, 0x0003, *[0x3000, 0x4FFF] * 100, *[0x2805] * 4000]
    columns = Evt3Decoder().decode(np.array(words, np.uint16))
    time = 1 << 12 | 2
    vectors = [(time, x, 3, 0) for x in range(12)] * 100
    assert events_of([columns]) == vectors + [(time, 5, 3, 1)] * 4000


def evt3_by_the_book(words):
    """Events t, x, y, polarity of EVT3 words, one word after another, for rising time-highs."""
    events, high, low, row, column, on = [], None, 0, 0, 0, 0
    for word in words:
        kind, value = word >> 12, word & 0xFFF
        if kind == 0x0:
            row = value & 0x7FF
        elif kind == 0x3:
            column, on = value & 0x7FF, value >> 11
        elif kind == 0x6:
            low = value
        elif kind == 0x8:
            low = low if high in (None, value) else 0
            high = value
        elif kind == 0x2 and high is not None:
            events.append((high << 12 | low, value & 0x7FF, row, value >> 11))
        elif kind in (0x4, 0x5):
            width = 12 if kind == 0x4 else 8
            bits = [place for place in range(width) if value >> place & 1]
            if high is not None:
                events += [(high << 12 | low, column + place, row, on) for place in bits]
            column += width
    return events


@given(
    words=st.lists(
        st.tuples(st.sampled_from([0, 0, 2, 2, 3, 4, 5, 6, 7, 8, 9, 14]), st.integers(0, 4095)),
        max_size=300,
    )
)
def test_evt3_words_in_any_order_are_decoded_by_the_book(words):
    time_highs = itertools.count(1)
    stream = [kind << 12 | (next(time_highs) if kind == 8 else value) for kind, value in words]
    columns = Evt3Decoder().decode(np.array(stream, np.uint16))
    assert events_of([columns]) == evt3_by_the_book(stream)


def evt3_times(highs, words=(0x6000, 0x2001)):
    """Times of an event after each of these time-high words."""
    stream = [word for high in highs for word in (0x8000 | high, *words)]
    return (Evt3Decoder().decode(np.array(stream, np.uint16)).t >> 12).tolist()


def test_evt3_time_high_wraps_where_it_steps_back_nearly_the_whole_range():
    assert evt3_times([100, 95, 80, 81]) == [100, 95, 80, 81]
    assert evt3_times([4000, 4095, 0, 1]) == [4000, 4095, 4096, 4097]
    assert evt3_times([4095, 1, 4095, 2]) == [4095, 4097, 4095, 4098]


@pytest.mark.parametrize("bit", range(12))
@pytest.mark.parametrize("high", [0, 5, 2047, 2048, 3000, 4094, 4095])
@pytest.mark.parametrize("repeated", [1, 2])
def test_evt3_one_wrong_time_high_moves_nothing_that_follows(bit, high, repeated):
    highs = [high, high, *[high ^ 1 << bit] * repeated, high, high]
    times = evt3_times(highs)
    assert times[:2] == times[-2:] == [high, high]
    following = evt3_times([high, high ^ 1 << bit, (high + 1) % 4096])
    assert following[-1] == high + 1


def test_evt3_half_steps_without_words_between_are_time_without_events():
    words = [0x8000, 0x6000, 0x2001, 0x8800, 0x8000, 0x8800, 0x8801, 0x6000, 0x2001]
    stream = np.array(words, np.uint16)
    for place in range(len(words) + 1):
        decoder = Evt3Decoder()
        columns = [decoder.decode(part) for part in (stream[:place], stream[place:])]
        times = np.concatenate([column.t for column in columns]) >> 12
        assert times.tolist() == [0, 3 * 2048 + 1]


def test_evt3_low_bits_begin_anew_at_a_new_time_high():
    words = [0x8001, 0x6FFF, 0x2001, 0x8002, 0x2001, 0x8002, 0x6003, 0x8002, 0x2001]
    columns = Evt3Decoder().decode(np.array(words, np.uint16))
    assert columns.t.tolist() == [1 << 12 | 0xFFF, 2 << 12, 2 << 12 | 3]


def test_evt3_triggers_are_kept_apart():
    decoder = Evt3Decoder()
    columns = decoder.decode(np.array([0xA001, 0x8001, 0x6005, 0xA001, 0xA100], np.uint16))
    found = decoder.triggers
    assert len(columns) == 0
    assert found.t.tolist() == [4101, 4101]
    assert found.edge.tolist() == [1, 0]
    assert found.channel.tolist() == [0, 1]


def test_evt2_triggers_are_kept_apart():
    words = [0xA << 28 | 1, 0x8 << 28 | 3, 0xA << 28 | 5 << 22 | 9 << 8 | 1, 0xA << 28 | 6 << 22]
    decoder = Evt2Decoder()
    assert len(decoder.decode(np.array(words, np.uint32))) == 0
    found = decoder.triggers
    assert found.t.tolist() == [3 << 6 | 5, 3 << 6 | 6]
    assert found.edge.tolist() == [1, 0]
    assert found.channel.tolist() == [9, 0]


def test_evt21_triggers_are_kept_apart():
    words = [0x8 << 60 | 3 << 32, 0xA << 60 | 5 << 54 | 9 << 40 | 1, 0xA << 60 | 6 << 54]
    decoder = Evt21Decoder()
    assert len(decoder.decode(np.array(words, np.uint64))) == 0
    found = decoder.triggers
    assert found.t.tolist() == [3 << 6 | 5, 3 << 6 | 6]
    assert found.edge.tolist() == [1, 0]
    assert found.channel.tolist() == [9, 0]


def test_a_file_that_shrinks_while_read_is_an_error_not_a_crash(written):
    path = written(dat_file(random_events(200_000)))
    with open_source(path) as source:
        batches = source.batches()
        next(batches)
        with open(path, "r+b") as file:
            file.truncate(1_200_000)
        with pytest.raises(SourceError, match="has shrunk") as error:
            list(batches)
    assert error.value.offset == 1_200_000


def test_a_file_that_grows_while_read_ends_where_it_ended(written):
    events = random_events(1_000)
    path = written(dat_file(events))
    with open_source(path) as source:
        with open(path, "ab") as file:
            file.write(struct.pack("<II", 9, 9))
        assert events_of(source.batches()) == events


def test_reading_after_closing_is_an_error(written):
    with open_source(written(dat_file(random_events(10)))) as source:
        pass
    source.close()
    with pytest.raises(SourceError, match="closed"):
        next(source.batches())
