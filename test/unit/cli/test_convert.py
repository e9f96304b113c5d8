"""`evio convert`: the same events in every format, parts, and complete outputs or none."""

from __future__ import annotations

import pytest
from encoded_events import SIZE, dat_file, digest_of, events_of, random_events, real_recording

from evio_ros.sources.registry import open_source
from evio_ros.sources.writers.registry import ENDINGS, WRITERS


@pytest.fixture
def recording(tmp_path):
    path = tmp_path / "in.dat"
    path.write_bytes(dat_file(random_events(30_000, start_us=1_000_000)))
    return path


def read(path):
    with open_source(str(path)) as source:
        assert source.size == SIZE
        return events_of(source.batches())


@pytest.mark.parametrize("to", WRITERS)
def test_there_and_back_is_the_same(evio, recording, tmp_path, to):
    code, out, err = evio("convert", recording, tmp_path / "middle", "--to", to)
    assert (code, err) == (0, "")
    assert "30000 events in " in out
    assert evio("convert", tmp_path / "middle", tmp_path / "back.dat").code == 0
    assert read(tmp_path / "back.dat") == read(recording)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["back.dat", "in.dat", "middle"]


@pytest.mark.parametrize("name", ["sparklers_evt2.raw", "gen41_evt3.raw", "ncars.dat"])
@pytest.mark.parametrize("to", WRITERS)
def test_real_recordings_keep_their_events_through_every_format(evio, tmp_path, name, to):
    path, _ = real_recording(name)
    assert evio("convert", path, tmp_path / "middle", "--to", to).code == 0
    with open_source(str(path)) as source, open_source(str(tmp_path / "middle")) as copy:
        assert copy.size == source.size
        assert digest_of(copy.batches()) == digest_of(source.batches())


@pytest.mark.parametrize("name", ["event_packet_db3", "event_packet_mcap"])
@pytest.mark.parametrize("to", ["dat", "evt3", "bag"])
def test_real_bags_keep_their_events(evio, tmp_path, name, to):
    path, _ = real_recording(name)
    assert evio("convert", path, tmp_path / "middle", "--to", to).code == 0
    with open_source(str(path)) as source, open_source(str(tmp_path / "middle")) as copy:
        assert digest_of(copy.batches()) == digest_of(source.batches())


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_ending_names_the_format(evio, recording, tmp_path, ending):
    assert evio("convert", recording, tmp_path / f"out{ending}").code == 0
    assert read(tmp_path / f"out{ending}") == read(recording)


def test_cuts_in_time_and_space(evio, recording, tmp_path):
    options = ("--start", 0.02, "--duration", 0.03, "--roi", 100, 50, 500, 400)
    assert evio("convert", recording, tmp_path / "out.csv", *options).code == 0
    events = read(recording)
    first = events[0][0]
    kept = [
        event
        for event in events
        if first + 20_000 <= event[0] < first + 50_000
        and 100 <= event[1] < 500
        and 50 <= event[2] < 400
    ]
    assert read(tmp_path / "out.csv") == kept
    assert len(kept) > 1_000


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("out.xyz",), "the ending '.xyz' is not that of a format; known endings are .dat, .raw"),
        (("out.dat", "--to", "mp4"), "format: 'mp4' is not one of dat, evt2, evt3"),
        (("in.dat",), "would overwrite the recording"),
        (("none/out.dat",), "cannot be written: No such file or directory"),
        (("out.dat", "--start", "9"), "--start: 9 s is past the recording's end"),
        (("out.dat", "--roi", "0", "0", "641", "2"), "--roi: (641, 2) is outside the sensor"),
        (("out.dat", "--roi", "0", "0", "1", "1"), "there are no events in the selected part"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_leaves_nothing(
    evio, recording, tmp_path, monkeypatch, arguments, reason
):
    monkeypatch.chdir(tmp_path)
    before = recording.read_bytes()
    code, out, err = evio("convert", "in.dat", *arguments)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert reason in err
    assert [p.name for p in tmp_path.iterdir()] == ["in.dat"]
    assert recording.read_bytes() == before


def test_a_bag_is_not_replaced_by_a_part_of_itself(evio, recording, tmp_path):
    bag = tmp_path / "a.mcap"
    assert evio("convert", recording, bag).code == 0
    (file,) = bag.glob("*.mcap")
    before = file.read_bytes()
    for source in (bag, file):
        outcome = evio("convert", source, bag, "--duration", 0.01)
        assert outcome.code == 2
        assert "would overwrite the recording" in outcome.err
    assert file.read_bytes() == before


def test_a_dash_writes_text_and_nothing_else(recording, evio, evio_process, tmp_path):
    done = evio_process("convert", recording, "-", "--duration", 0.01)
    assert done.code == 0
    assert evio("convert", recording, tmp_path / "a.csv", "--duration", 0.01).code == 0
    assert done.out == (tmp_path / "a.csv").read_text()
    assert "CSV" in done.err


def test_what_the_copy_lacks_is_said(evio, tmp_path):
    path = tmp_path / "in.dat"
    events = random_events(100)
    path.write_bytes(dat_file([*events, (events[-1][0], 700, 3, 1)]) + b"\x01")
    code, out, err = evio("convert", path, tmp_path / "out.dat")
    assert code == 0
    assert "100 events" in out
    assert "1 events outside the geometry dropped" in err
    assert "1 bytes at the end that are not a whole record, left out" in err


def test_filters_leave_out_what_they_name(evio, tmp_path):
    rows = [(t, 3, 3) for t in range(0, 3_000_000, 1000)]  # a hot pixel
    rows += [(t + k, 10 + k, 10) for t in range(0, 3_000_000, 100_000) for k in range(4)]
    rows += [(500_500, 30, 30), (1_500_500, 31, 5)]  # alone
    rows.sort()
    lines = "\n".join(f"{t},{x},{y},1" for t, x, y in rows)
    (tmp_path / "in.csv").write_text(f"t,x,y,p\n{lines}\n")
    asked = ("--filter", "hot_pixels=learn", "--filter", "background_activity_time_us=2000")
    asked += ("--filter", "region=0,0,100,20", "--time-unit", "us")
    code, _, err = evio("convert", tmp_path / "in.csv", tmp_path / "out.csv", *asked)
    assert code == 0
    assert "3000 events left out by hot_pixels" in err
    assert "1 events left out by region" in err
    # The first of each four has no support, nor has the isolated one.
    assert "31 events left out by background_activity" in err
    with open_source(str(tmp_path / "out.csv")) as source:
        assert sum(map(len, source.batches())) == 90


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("noise=1", "noise: no such parameter"),
        ("hot_pixels", "'hot_pixels' is not NAME=VALUE"),
        ("background_activity_time_us=2ms", "background_activity_time_us: '2ms' is not a number"),
        ("region=0,0,9999,1", "region: (9999, 1) is outside the sensor"),
        ("mask=nothere.png", "mask: nothere.png cannot be read"),
    ],
)
def test_filters_that_cannot_be_are_refused(evio, recording, tmp_path, asked, words):
    code, _, err = evio("convert", recording, tmp_path / "out.dat", "--filter", asked)
    assert (code, words in err) == (2, True), err
    assert not (tmp_path / "out.dat").exists()
