"""AEDAT 1 to 3 and N-MNIST: pixels of every camera, other samples, headers, hostile input."""

from __future__ import annotations

import struct

import pytest
from encoded_events import events_of
from field_cases import field_case

from evio_ros.errors import SourceError
from evio_ros.events import SensorSize
from evio_ros.sources.registry import open_source

CHIP = b"# AEChip: "
EVENTS = [(1000 + 20 * i, 7 * i % 120, 5 * i % 100, i % 3 == 0) for i in range(500)]


def davis(x, y, p, width, height):
    return (height - 1 - y) << 22 | (width - 1 - x) << 12 | p << 11


def dvs128(x, y, p):
    return (127 - y) << 8 | (127 - x) << 1 | (1 - p)


def dvs640(x, y, p):
    return (479 - y) << 11 | (639 - x) << 1 | p


def aedat2(path, records, header=b""):
    data = b"".join(struct.pack(">II", address, time & 0xFFFFFFFF) for address, time in records)
    path.write_bytes(b"#!AER-DAT2.0\r\n" + header + data)
    return str(path)


def records_of_davis(events):
    return [(davis(x, y, p, 346, 260), t) for t, x, y, p in events]


def read(path):
    with open_source(path) as source:
        return events_of(source.batches()), source


@pytest.mark.parametrize(
    ("chip", "size"),
    [
        ("eu.seebetter.ini.chips.davis.DAVIS240C", (240, 180)),
        ("eu.seebetter.ini.chips.davis.DAVIS240B", (240, 180)),
        ("eu.seebetter.ini.chips.sbret10.SBret10", (240, 180)),
        ("eu.seebetter.ini.chips.davis.Davis346blue", (346, 260)),
        ("eu.seebetter.ini.chips.davis.Davis346BColor", (346, 260)),
        ("eu.seebetter.ini.chips.davis.Davis208PixelParade", (208, 192)),
        ("eu.seebetter.ini.chips.davis.Davis128", (128, 128)),
        ("eu.seebetter.ini.chips.davis.Davis640Color", (640, 480)),
    ],
)
def test_davis_cameras_by_their_names(chip, size, tmp_path):
    records = [(davis(x, y, p, *size), t) for t, x, y, p in EVENTS]
    found, source = read(aedat2(tmp_path / "a", records, CHIP + chip.encode() + b"\r\n"))
    assert (found, source.size) == (EVENTS, SensorSize(*size))


def test_the_dvs128_has_its_on_events_at_bit_0(tmp_path):
    records = [(dvs128(x, y, p), t) for t, x, y, p in EVENTS] + [(0x8000, 20_000)]
    header = CHIP + b"ch.unizh.ini.jaer.chip.retina.DVS128\r\n"
    found, source = read(aedat2(tmp_path / "a", records, header))
    assert (found, source.size) == (EVENTS, SensorSize(128, 128))


@pytest.mark.parametrize(
    ("encode", "size"),
    [
        (lambda x, y, p: davis(x + 100, y, p, 240, 180), SensorSize(240, 180)),
        (lambda x, y, p: davis(x, y, p, 346, 260), SensorSize(346, 260)),
        (dvs640, SensorSize(640, 480)),
        (dvs128, SensorSize(128, 128)),
    ],
)
def test_a_file_of_v2e_names_no_camera(encode, size, tmp_path):
    header = b"# This is a raw AE data file created by AEDat2Output in v2e\r\n"
    records = [(encode(x, y, p), t) for t, x, y, p in EVENTS]
    found, source = read(aedat2(tmp_path / "a", records, header))
    assert source.size == size
    assert [event[3] for event in found] == [event[3] for event in EVENTS]
    assert "the header names no camera" in source.remarks[0]


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (CHIP + b"ch.unizh.ini.jaer.chip.cochlea.CochleaAMS1c\r\n", "of the camera cochleaams1c"),
        (b"# of nobody\r\n", "without the camera's name in its header"),
    ],
)
def test_an_unknown_camera_is_refused_with_the_formats_name(header, reason, tmp_path):
    path = aedat2(tmp_path / "a", [(0x7FFFFFF0 - i, i) for i in range(99)], header)
    with pytest.raises(SourceError, match=f"is AEDAT 2.0 {reason}"):
        open_source(path)


def test_times_go_on_past_the_end_of_their_field(tmp_path):
    times = [(1 << 32) - 5000 + 100 * i for i in range(100)]
    records = [(davis(1, 2, 1, 346, 260), t) for t in times]
    with open_source(aedat2(tmp_path / "a", records, CHIP + b"Davis346blue\r\n")) as source:
        assert (source.start_us, source.end_us) == (times[0], times[-1] + 1)
        assert [event[0] for event in events_of(source.batches())] == times
        source.seek(times[60])
        assert [event[0] for event in events_of(source.batches())] == times[60:]


def test_a_first_byte_like_a_comments_is_no_comment(tmp_path):
    # The address begins with the byte of #.
    records = [(0x23 << 24 | 5 << 12, t) for t in range(10, 500)]
    header = CHIP + b"Davis346blue\r\n#End Of ASCII Header\r\n"
    assert len(read(aedat2(tmp_path / "a", records, header))[0]) == 490


@pytest.mark.parametrize("data", [b"", b"# no end", b"#End Of ASCII Header", b"\0\0\0"])
@pytest.mark.parametrize("version", [b"1.0", b"2.0", b"3.1"])
def test_files_without_events_are_one_error(version, data, tmp_path):
    (tmp_path / "a").write_bytes(b"#!AER-DAT" + version + b"\r\n" + data)
    with pytest.raises(SourceError) as error:
        open_source(str(tmp_path / "a"))
    assert "\n" not in str(error.value)


def packet(events, kind=1, source=1, overflow=0, flip=0):
    data = [
        struct.pack("<II", x << 17 | (flip - y if flip else y) << 2 | p << 1 | 1, t)
        for t, x, y, p in events
    ]
    count = len(data)
    head = struct.pack("<hhiiiiii", kind, source, 8, 4, overflow, count, count, count)
    return head + b"".join(data)


def aedat3(path, packets, version=b"3.1", sources=(b"#Source 1: DVS128",), form=b"RAW"):
    lines = [b"#!AER-DAT" + version, b"#Format: " + form, *sources, b"#!END-HEADER", b""]
    path.write_bytes(b"\r\n".join(lines) + b"".join(packets))
    return str(path)


def test_packets_count_how_often_time_has_wrapped(tmp_path):
    wrap = 1 << 31
    before = [(wrap - 2000 + 20 * i, x, y, p) for i, (_, x, y, p) in enumerate(EVENTS[:100])]
    after = [(20 * i, x, y, p) for i, (_, x, y, p) in enumerate(EVENTS[100:])]
    packets = [packet(before), packet(EVENTS[:9], kind=2), packet(after, overflow=1)]
    found, source = read(aedat3(tmp_path / "a", packets))
    assert found == before + [(wrap + t, x, y, p) for t, x, y, p in after]
    assert source.size == SensorSize(128, 128)


def test_version_3_0_counts_rows_from_below(tmp_path):
    path = aedat3(tmp_path / "a", [packet(EVENTS, flip=127)], version=b"3.0")
    assert read(path)[0] == EVENTS


def test_one_of_several_sources_is_named(tmp_path):
    sources = (b"#Source 1: DAVIS240C", b"#Source 2: DVS128")
    packets = [packet(EVENTS[:50], source=1), packet(EVENTS, source=2)]
    path = aedat3(tmp_path / "a", packets, sources=sources)
    found, source = read(path)
    assert (found, source.size) == (EVENTS[:50], SensorSize(240, 180))
    assert "1 (DAVIS240C), 2 (DVS128); the first one is read" in source.remarks[0]
    found, source = read(f"{path}?stream=2")
    assert (found, source.size) == (EVENTS, SensorSize(128, 128))
    with pytest.raises(SourceError, match="has no stream '3'; its sources are 1"):
        open_source(f"{path}?stream=3")


def test_other_codings_are_refused_by_name(tmp_path):
    path = aedat3(tmp_path / "a", [packet(EVENTS)], form=b"Serial-TS, PNG")
    with pytest.raises(SourceError, match="encoded as Serial-TS, PNG; DV may read it"):
        open_source(path)


def test_a_cut_packet_gives_its_whole_events(tmp_path):
    whole = packet(EVENTS)
    found, source = read(aedat3(tmp_path / "a", [whole[: 28 + 8 * 77 + 5]]))
    assert found == EVENTS[:77]
    assert source.statistics.truncated_bytes == 5


def test_a_length_that_cannot_be_ends_the_file(tmp_path):
    hostile = struct.pack("<hhiiiiii", 1, 1, 1 << 30, 4, 0, 1 << 30, 1 << 30, 1)
    found, source = read(aedat3(tmp_path / "a", [packet(EVENTS), hostile, packet(EVENTS)]))
    assert found == EVENTS
    assert "; the rest of the file is left out" in source.remarks[0]


def five_bytes(events):
    return b"".join(bytes((x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255)) for t, x, y, p in events)


def test_n_caltech101_has_markers_of_time(tmp_path):
    events = [(t, 2 * x % 230, y, p) for t, x, y, p in EVENTS]
    marker = bytes((0, 240, 0, 0, 0))
    (tmp_path / "a.bin").write_bytes(five_bytes(events[:99]) + marker + five_bytes(events[99:]))
    found, source = read(str(tmp_path / "a.bin"))
    assert found == events[:99] + [(t + 8192, x, y, p) for t, x, y, p in events[99:]]
    assert source.size == SensorSize(240, 180)


def test_bytes_of_something_else_are_not_taken_for_events(tmp_path):
    for data in (bytes(500), bytes(range(250)) * 4, b"\xff" * 1000, five_bytes(EVENTS) + b"ab"):
        (tmp_path / "a").write_bytes(data)
        with pytest.raises(SourceError, match="is not a supported recording"):
            open_source(str(tmp_path / "a"))


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("davis346_v2.aedat", (346, 260)),
        ("dvs128_v31.aedat", (128, 128)),
        ("nmnist.bin", (34, 34)),
    ],
)
def test_the_field_cases_are_read(name, size):
    found, source = read(field_case(f"34_old_aedat/{name}"))
    assert [event[0] for event in found] == list(range(1000, 100_981, 20))
    assert source.size == SensorSize(*size)


@pytest.mark.parametrize("width", [2, 4])
def test_files_from_before_there_were_versions(width, tmp_path):
    header = (
        b"# This is a raw AE data file - do not edit\r\n"
        b"# Data format is int%d address, int32 timestamp (%d bytes total), repeated\r\n"
    )
    form = ">HI" if width == 2 else ">II"
    data = b"".join(struct.pack(form, dvs128(x, y, p), t) for t, x, y, p in EVENTS)
    (tmp_path / "a.dat").write_bytes(header % (8 * width, width + 4) + data)
    found, source = read(str(tmp_path / "a.dat"))
    assert (found, source.size) == (EVENTS, SensorSize(128, 128))


@pytest.mark.parametrize("place", [1, 250, 498])
@pytest.mark.parametrize("start_us", [1000, (1 << 31) + 1000])
def test_the_highest_bit_of_one_time_moves_no_other(place, start_us, tmp_path):
    events = [(start_us + 100 * i, *event[1:]) for i, event in enumerate(EVENTS)]
    records = [(davis(x, y, p, 346, 260), t) for t, x, y, p in events]
    records[place] = (records[place][0], records[place][1] ^ 1 << 31)
    found, _ = read(aedat2(tmp_path / "a", records, CHIP + b"Davis346blue\r\n"))
    assert found == events[:place] + events[place + 1 :]


def test_external_triggers_of_aedat_3_are_kept(tmp_path):
    def packet(kind, rows):
        data = b"".join(struct.pack("<II", word, t) for word, t in rows)
        return struct.pack("<hhiiiiii", kind, 1, 8, 4, 0, len(rows), len(rows), len(rows)) + data

    def special(kind, is_valid=1):
        return kind << 1 | is_valid

    edges = [(special(2), 1005), (special(3), 1025), (special(10), 2000), (special(4), 3000)]
    others = [(special(0), 1000), (special(5), 1010), (special(2, is_valid=0), 1015)]
    data = packet(0, others + edges)
    data += packet(1, [(x << 17 | y << 2 | p << 1 | 1, t) for t, x, y, p in EVENTS])
    data += packet(0, [(special(6), 90_000)])
    header = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DVS128\r\n#!END-HEADER\r\n"
    (tmp_path / "a").write_bytes(header + data)
    with open_source(str(tmp_path / "a")) as source:
        triggers = source.read_triggers()
        assert events_of(source.batches()) == EVENTS
        assert source.statistics.triggers == 5
    columns = triggers.t.tolist(), triggers.edge.tolist(), triggers.channel.tolist()
    assert list(zip(*columns, strict=True)) == [
        (1005, 1, 0),
        (1025, 0, 0),
        (2000, 0, 2),
        (3000, 1, 0),
        (90_000, 1, 1),
    ]


def test_zeros_at_the_end_of_aedat2_are_left_out(tmp_path):
    path = tmp_path / "a"
    aedat2(path, records_of_davis(EVENTS), CHIP + b"Davis346blue\r\n")
    path.write_bytes(path.read_bytes() + bytes(4096))
    found, source = read(str(path))
    assert found == EVENTS
    assert source.statistics.dropped == 0
    assert any("4096 bytes are zeros" in remark for remark in source.remarks)


def test_two_aedat2_files_in_one_are_refused_where_the_second_begins(tmp_path):
    path = tmp_path / "a"
    aedat2(path, records_of_davis(EVENTS), CHIP + b"Davis346blue\r\n")
    data = path.read_bytes()
    path.write_bytes(data + data)
    with pytest.raises(SourceError, match="another recording's header follows") as error:
        read(str(path))
    assert error.value.offset == len(data)
