"""Text files: headers in any order, times to the microsecond, offsets of bad lines."""

from __future__ import annotations

import bisect
import gzip
import random

import numpy as np
import pytest
from encoded_events import SIZE, Event, events_of, random_events
from field_cases import field_case
from hypothesis import given, settings
from hypothesis import strategies as st

from evio_ros.errors import SourceError
from evio_ros.events import SensorSize
from evio_ros.sources.registry import open_source


def read(path, text):
    path.write_text(text)
    with open_source(str(path)) as source:
        return events_of(source.batches())


@pytest.mark.parametrize(
    "text",
    [
        "t,x,y,p\n5,1,2,1\n9,3,4,0\n",
        "t,x,y,p\r\n5,1,2,1\r\n\r\n9,3,4,-1\r\n",
        "x, y, polarity, timestamp\n1,2,1,5\n3, 4 ,0,9",
        "# made by hand\n# width: 640, height: 480\nt_us,x,y,on,note\n5,1,2,1,a b\n9,3,4,0,\n",
        "t_s,x,y,p\n0.000005,1,2,1\n0.0000094,3,4,0\n",
        "0.000005 1 2 1\n0.0000088\t3  4 0\n",
    ],
)
def test_forms_of_the_same_two_events(text, tmp_path):
    assert read(tmp_path / "a", text) == [(5, 1, 2, 1), (9, 3, 4, 0)]


EVENTS = random_events(600, start_us=1000, mean_step_us=40.0)
FORMS = {
    # No header: the values decide.
    "t x y p": "{t} {x} {y} {p}\n",
    "x,y,p,t": "{x},{y},{p},{t}\n",
    "x y t p": "{x} {y} {t} {p}\n",
    "p\\tt\\tx\\ty": "{p}\t{t}\t{x}\t{y}\n",
    "t;p;x;y": "{t};{p};{x};{y}\n",
    "x|y|p|t": "{x}|{y}|{p}|{t}\n",
    "numbered rows": "{i},{t},{x},{y},{p}\n",
    "numbered rows, time last": "{i},{x},{y},{p},{t}\n",
    "seconds and ns": "{sec} {nsec} {x} {y} {p}\n",
    "seconds of the epoch and us": "{x},{y},{epoch_s},{us},{p}\n",
    "delimiter at the end": "{t},{x},{y},{p},\n",
    "blanks": "  {t}   {x}\t{y}  {p}  \n",
    "in brackets": "({t}, {x}, {y}, {p})\n",
    "a constant beside": "0 {t} {x} {y} {p}\n",
    # How numbers are written.
    "polarity -1": "{t} {x} {y} {sign}\n",
    "polarity 255": "{t} {x} {y} {byte}\n",
    "polarity of 32 bits": "{t} {x} {y} {word}\n",
    "polarity 1 and 2": "{t} {x} {y} {from1}\n",
    "polarity T": "{x},{y},{on:.1},{t}\n",
    "polarity in words": "{t} {x} {y} {said}\n",
    "polarity + and -": "{t} {x} {y} {mark}\n",
    "polarity True": "{x},{y},{on},{t}\n",
    "seconds": "{s:.6f} {x} {y} {p}\n",
    "seconds as Python has them": "{s!r} {x} {y} {sign}\n",
    "all floats": "{s:.18e} {x:.18e} {y:.18e} {p:.18e}\n",
    "floats with one digit": "{t:.1f} {x:.1f} {y:.1f} {p:.1f}\n",
    "ms": "{ms:.3f} {x} {y} {p}\n",
    "ns": "{ns} {x} {y} {p}\n",
    "epoch in us": "{epoch} {x} {y} {p}\n",
    # With names, units and remarks.
    "names of seconds and ns": "x,y,ts.secs,ts.nsecs,polarity\n|{x},{y},{sec},{nsec},{p}\n",
    "names": "t,x,y,p\n|{t},{x},{y},{p}\n",
    "names in another order": "polarity;y;x;timestamp\n|{p};{y};{x};{t}\n",
    "names with blanks": "x y pol ts\n|{x} {y} {p} {t}\n",
    "unit of ns": "t_ns,x,y,p\n|{ns},{x},{y},{p}\n",
    "unit in brackets": "timestamp [ms],x,y,polarity\n|{ms!r},{x},{y},{on}\n",
    "unit in parentheses": "x, y, polarity, time (s)\n|{x}, {y}, {p}, {s:.6f}\n",
    "names of pandas": ",x,y,t,p\n|{i},{x},{y},{t},{p}\n",
    "numbers for names": "0,1,2,3\n|{t},{x},{y},{p}\n",
    "one name is unknown": "timestamp,col,row,value\n|{t},{x},{y},{p}\n",
    "names in quotes": '"t","x","y","p"\n|"{t}","{x}","{y}","{p}"\n',
    "names of savetxt": "# t x y p\n|{t} {x} {y} {p}\n",
    "comments of v2e": (
        "# DVS text file\n# Format is time (float s), x, y, polarity (0=off, 1=on)\n"
        "|{s:.6f} {x} {y} {p}\n"
    ),
    "a name with its order": "# columns: x y p t\n|{x} {y} {p} {t}\n",
    "byte order mark and CRLF": "\ufefft;x;y;p\r\n|{t};{x};{y};{p}\r\n",
    "comma for a point": "t [s];x;y;p\n|{comma};{x};{y};{p}\n",
    "geometry in the first line": "640 480\n|{s:.6f} {x} {y} {p}\n",
    "geometry of Metavision": "%geometry:640,480\n|{x},{y},{p},{t}\n",
    "comments on the way": "t,x,y,p\n|{t},{x},{y},{p}\n# {t}\n",
    "empty lines": "\n\nt,x,y,p\n\n|{t},{x},{y},{p}\n\n",
}


def written(form: str, events: list[Event]) -> str:
    head, bar, line = form.rpartition("\n|") if "\n|" in form else ("", "", form)
    rows = [
        line.format(
            i=i,
            t=t,
            x=x,
            y=y,
            p=p,
            s=t / 1e6,
            ms=t / 1e3,
            ns=t * 1000,
            epoch=1_573_195_687_000_000 + t,
            comma=f"{t // 10**6},{t % 10**6:06d}",
            sign=2 * p - 1,
            byte=1 if p else 255,
            word=1 if p else 4294967295,
            on=str(p == 1),
            from1=p + 1,
            said="positive" if p else "negative",
            mark="+" if p else "-",
            sec=t // 10**6,
            nsec=t % 10**6 * 1000,
            epoch_s=1_573_195_687 + t // 10**6,
            us=t % 10**6,
        )
        for i, (t, x, y, p) in enumerate(events)
    ]
    return (head + "\n" if bar else "") + "".join(rows)


@pytest.mark.parametrize(("factor", "unit"), [(1e-6, "s"), (1e-3, "ms"), (1.0, "us"), (1e3, "ns")])
@pytest.mark.parametrize("form", ["{t:.18e} {x} {y} {p}\n", "{t!r} {x} {y} {p}\n"])
def test_times_of_the_unix_epoch_as_floats(factor, unit, form, tmp_path):
    # Floats of this size resolve 0.25 µs.
    events = random_events(2_000, start_us=1_573_195_687_000_000)
    path = tmp_path / "a"
    lines = [form.format(t=t * factor, x=x, y=y, p=p) for t, x, y, p in events]
    path.write_text("".join(lines))
    with open_source(str(path)) as source:
        found = events_of(source.batches())
        assert source.details["time_unit"] == unit
    assert np.abs(np.array(found) - np.array(events))[:, 0].max() <= 1


@pytest.mark.parametrize("name", FORMS)
def test_whatever_tools_write_is_read(name, tmp_path):
    path = tmp_path / "a"
    path.write_text(written(FORMS[name], EVENTS), encoding="utf-8", newline="")
    with open_source(str(path)) as source:
        assert source.size == SIZE
        found = events_of(source.batches())
        assert source.statistics.dropped == 0
    if "epoch" in name:
        found = [(t - 1_573_195_687_000_000, x, y, p) for t, x, y, p in found]
    assert found == EVENTS


@pytest.mark.parametrize("packed", [False, True])
def test_the_end_of_a_large_file_is_found_and_sought(packed, tmp_path):
    events = random_events(120_000, mean_step_us=30.0)
    data = written("{x},{y},{p},{t}\n", events).encode()
    (tmp_path / "a").write_bytes(gzip.compress(data, 1) if packed else data)
    times = [event[0] for event in events]
    with open_source(str(tmp_path / "a")) as source:
        assert (source.start_us, source.end_us) == (times[0], times[-1] + 1)
        for t_us in (2_000_000, times[-1], 5):
            source.seek(t_us)
            assert events_of(source.batches()) == events[bisect.bisect_left(times, t_us) :]


def test_guesses_are_told(tmp_path):
    path = tmp_path / "a"
    path.write_text(written("{x} {y} {ns} {p}\n", EVENTS))
    with open_source(str(path)) as source:
        text = " ".join(source.remarks)
    assert "read as x y t p by their values" in text
    assert "times are read as ns" in text


def test_what_the_user_says_of_the_unit_counts(tmp_path):
    path = tmp_path / "a"
    path.write_text(written("{t} {x} {y} {p}\n", EVENTS))
    with open_source(f"{path}?time_unit=ms") as source:
        assert events_of(source.batches())[5][0] == EVENTS[5][0] * 1000
    with pytest.raises(SourceError, match="time_unit 'h' is not one of s, ms, us, ns"):
        open_source(f"{path}?time_unit=h")
    with pytest.raises(SourceError, match=r"is CSV, which has no option \?stream="):
        open_source(f"{path}?stream=left")


@pytest.mark.parametrize(
    "head",
    [
        "# width=64 height=48\n",
        "% geometry 64x48\n",
        "%geometry:64,48\n",
        "# Resolution: 64 x 48\n",
        "# sensor size = (64, 48)\n",
        "64 48\n",
        "# height: 48\n# width: 64, height: 48\n",
        "// 64x48\n",
        "64x48\n",
        "# width 64\n# height 48\n",
        "% height: 48\n% width: 64\n% t x y p\n",
        "# width,height: 64,48\n",
        "# height, width = 48 64\n",
        "# sizeX=64 sizeY=48\n",
    ],
)
def test_the_geometry_is_found_however_it_is_named(head, tmp_path):
    path = tmp_path / "a"
    path.write_text(head + "5 1 2 1\n6 3 1 0\n7 3 1 0\n")
    with open_source(str(path)) as source:
        assert source.size == SensorSize(64, 48)
        assert source.size_is_declared


@pytest.mark.parametrize(
    "text",
    [
        "1 2 3\n4 5 6\n",
        "1,2,3,1\n" * 50,
        "a b c d\ne f g h\n",
        "0.5 0.25 0.125 0.1\n" * 9,
        "5 3 2 7\n6 3 2 8\n7 3 2 9\n",
        "#\n" * 5000,
        "x" * 10_000,
        "0,1,2,3\n" * 20_000,
    ],
)
def test_tables_of_something_else_are_no_recordings(text, tmp_path):
    with pytest.raises(SourceError, match="is not a supported recording"):
        read(tmp_path / "a", text)


def test_the_field_cases_are_read():
    for name in ("a_txyp_int_us.txt", "d_metavision_no_header.csv", "e_metavision_geometry.csv"):
        with open_source(field_case(f"01_text/{name}")) as source:
            found = events_of(source.batches())
        assert [event[0] for event in found] == list(range(1000, 100_981, 20))
        assert sum(event[3] for event in found) == 2576
        assert source.size == SIZE
    with open_source(field_case("01_text/c_savetxt_default.txt")) as source:
        times = [event[0] for event in events_of(source.batches())]
    assert times == list(range(1000, 20_981, 20))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 10**15), min_size=1, max_size=20).map(sorted))
def test_seconds_lose_no_microsecond(tmp_path_factory, times):
    path = tmp_path_factory.mktemp("files") / "a"
    text = "".join(f"{t // 10**6}.{t % 10**6:06d} 7 8 1\n" for t in times)
    assert read(path, text) == [(t, 7, 8, 1) for t in times]


@pytest.mark.parametrize("head", ["# width=0 height=0\n", "%geometry:0,0\n", "# size 0x0\n"])
def test_a_geometry_of_0_in_a_comment_is_none(head, tmp_path):
    (tmp_path / "a").write_text(head + "".join(f"{t} {x} {y} {p}\n" for t, x, y, p in EVENTS))
    with open_source(str(tmp_path / "a")) as source:
        assert not source.size_is_declared
        assert events_of(source.batches()) == EVENTS


def test_the_geometry_of_a_comment_counts(tmp_path):
    path = tmp_path / "a"
    path.write_text("# width=64 height=48\nt,x,y,p\n5,1,2,1\n6,64,0,1\n")
    with open_source(str(path)) as source:
        assert source.size == SensorSize(64, 48)
        assert events_of(source.batches()) == [(5, 1, 2, 1)]
        assert source.statistics.outside == 1


@pytest.mark.parametrize(
    "line",
    [
        "5,1,2",
        "5,1,2,2",
        "5,x,2,1",
        "5,1,2,1,9",
        "5 1,2,1;",
        "9" * 19 + ",1,2,1",
        "-,1,2,1",
    ],
)
def test_a_bad_line_is_passed_over_and_told(line, tmp_path):
    path = tmp_path / "a"
    path.write_text(f"t,x,y,p\n1,1,2,1\n{line}\n7,1,2,1\n{line}\n8,1,2,1\n")
    with open_source(str(path)) as source:
        assert events_of(source.batches()) == [(1, 1, 2, 1), (7, 1, 2, 1), (8, 1, 2, 1)]
        assert source.statistics.invalid == 2
        told = [remark for remark in source.remarks if "not an event" in remark]
    assert told == [f"the line at byte 16 is not an event: {line!r}"]


def test_a_file_of_which_most_lines_are_no_events_is_refused(tmp_path):
    lines = ["5,1,2,1"] + ["6,1.5,2,1"] * 3 + ["7,1,2,1"]
    with pytest.raises(SourceError, match=r"3 of the first 5 lines .*'6,1\.5") as error:
        read(tmp_path / "a", "\n".join(["t,x,y,p", *lines]))
    assert error.value.offset == 16


@pytest.mark.parametrize(
    "names",
    ["t_us,window_us,id,rpm,locked", "# time [s]\tax\tay\taz\tvalid", "run;found;id;seen;all"],
)
def test_a_table_that_names_its_columns_but_none_of_x_y_and_p_is_refused(tmp_path, names):
    """Its values look like those of events: whole, small and of two kinds."""
    delimiter = next(mark for mark in ";\t," if mark in names)
    rows = [
        delimiter.join((f"{50_000 * i}", "100", f"{i % 7}", "60", f"{i % 2}")) for i in range(99)
    ]
    with pytest.raises(SourceError, match="lines of t, x, y, p are needed"):
        read(tmp_path / "a", "\n".join([names, *rows]))


@pytest.mark.parametrize("cut", ["22,1", "10,0", ",2,0", "61,42,0", "7"])
def test_the_rest_of_a_line_at_the_beginning_is_passed_over(cut, tmp_path):
    path = tmp_path / "a"
    path.write_text(f"{cut}\n" + written("{t},{x},{y},{p}\n", EVENTS))
    with open_source(str(path)) as source:
        assert events_of(source.batches()) == EVENTS
        assert not source.size_is_declared
        assert source.statistics.invalid == 1


def test_joined_files_with_headers_are_one_recording_whose_clock_starts_anew(tmp_path):
    path = tmp_path / "a"
    text = "# width=640 height=480\nt,x,y,p\n" + written("{t},{x},{y},{p}\n", EVENTS)
    path.write_text(text * 2)
    with open_source(str(path)) as source:
        found = events_of(source.batches())
        assert [event[1:] for event in found] == [event[1:] for event in EVENTS] * 2
        assert (source.statistics.invalid, source.statistics.clock_restarts) == (1, 1)


def test_bad_lines_are_counted_once_in_large_files_and_where_events_are_sorted(tmp_path):
    lines = [f"{t},{t % 64},{t % 48},{t % 2}" for t in range(2_200_000)]
    lines[1000] = lines[2_000_000] = lines[2_199_000] = "nan,nan,nan,nan"
    large, shuffled = tmp_path / "a", tmp_path / "b"
    large.write_text("t,x,y,p\n" + "\n".join(lines))
    shuffled.write_text("t,x,y,p\n" + "\n".join(lines[2_100_000:][::-1]))
    for path, bad in ((large, 3), (shuffled, 1)):
        with open_source(str(path)) as source:
            for _ in range(2):
                assert source.end_us == 2_200_000
                source.statistics.invalid = 0
                source.seek(0)
                events = sum(map(len, source.batches()))
                assert source.statistics.invalid == bad
        assert events == (2_200_000 if path == large else 100_000) - bad
        source.close()


def test_a_time_is_found_where_half_of_the_file_is_no_events(tmp_path):
    path = tmp_path / "a"
    with path.open("w") as file:
        file.writelines(f"{t},{t % 64},{t % 48},{t % 2}\n" for t in range(200_000))
        file.write("[WARN] buffer overflow\n" * 100_000)
        file.writelines(f"{t},{t % 64},{t % 48},{t % 2}\n" for t in range(200_000, 200_010))
        file.write("# the end\n" * 100_000)
    with open_source(str(path)) as source:
        assert (source.start_us, source.end_us) == (0, 200_010)
        for t_us in (5, 150_000, 200_003):
            source.seek(t_us)
            assert events_of(source.batches())[0][0] == t_us


@pytest.mark.parametrize("length", [5_000, 3_000_000])
@pytest.mark.parametrize("place", [400, -1])
def test_a_line_of_any_length_is_skipped_and_counted(length, place, tmp_path):
    path = tmp_path / "a"
    lines = written("{t},{x},{y},{p}\n", EVENTS).splitlines()
    lines.insert(place % len(lines), "1,2," * (length // 4))
    path.write_text("t,x,y,p\n" + "\n".join(lines) + "\n")
    start = path.read_bytes().index(b"1,2,1,2,1,2")
    with open_source(str(path)) as source:
        for t_us in (EVENTS[0][0], EVENTS[300][0], EVENTS[-1][0]):
            source.seek(t_us)
            first = bisect.bisect_left(EVENTS, (t_us,))
            assert events_of(source.batches()) == EVENTS[first:]
        assert (source.start_us, source.end_us) == (EVENTS[0][0], EVENTS[-1][0] + 1)
    with open_source(str(path)) as source:
        assert events_of(source.batches()) == EVENTS
        assert source.statistics.invalid == 1
        (remark,) = [remark for remark in source.remarks if "not an event" in remark]
    assert remark.startswith(f"the line at byte {start} is not an event: '1,2,1,2")


def test_a_last_line_of_any_length_that_is_truncated_is_counted(tmp_path):
    path, rest = tmp_path / "a", "1,2," * 1_000_000
    path.write_text(written("{t},{x},{y},{p}\n", EVENTS) + rest)
    with open_source(str(path)) as source:
        assert events_of(source.batches()) == EVENTS
        assert (source.statistics.invalid, source.statistics.truncated_bytes) == (0, len(rest))


def test_a_last_line_that_is_cut_off_is_counted(tmp_path):
    path = tmp_path / "a"
    path.write_text("t,x,y,p\n5,1,2,1\n6,3,")
    with open_source(str(path)) as source:
        assert events_of(source.batches()) == [(5, 1, 2, 1)]
        assert source.statistics.truncated_bytes == 4


def test_a_table_of_something_else_is_no_recording(tmp_path):
    with pytest.raises(SourceError, match="is not a supported recording"):
        read(tmp_path / "a", "name,age\nAnn,7\n")


def test_seconds_with_six_digits_are_no_ms_however_few_events_there_are(tmp_path):
    events = random_events(600, start_us=1000, mean_step_us=20_000.0)
    assert read(tmp_path / "a", written("{s:.6f} {x} {y} {p}\n", events)) == events


def test_whole_seconds_go_up_on_the_way(tmp_path):
    events = random_events(600, start_us=999_000, mean_step_us=5_000.0)
    assert read(tmp_path / "a", written("{sec} {nsec} {x} {y} {p}\n", events)) == events


def test_a_camera_number_is_no_seconds(tmp_path):
    events = random_events(600, start_us=1000, mean_step_us=4_000.0)
    assert read(tmp_path / "a", written("1 {t} {x} {y} {p}\n", events)) == events


def disordered(events, by_us=2000):
    """Events as an unsorting tool leaves them: each up to `by_us` early or late."""
    chance = random.Random(0)
    return sorted(events, key=lambda event: event[0] + chance.randint(-by_us, by_us))


@pytest.mark.parametrize("form", ["{t} {x} {y} {p}\n", "{x},{y},{p},{t}\n"])
def test_unnamed_columns_whose_times_are_a_little_out_of_order(form, tmp_path):
    lines = [form.format(t=t, x=x, y=y, p=p) for t, x, y, p in disordered(EVENTS)]
    found = read(tmp_path / "a", "".join(lines))
    assert sorted(found) == sorted(EVENTS)


def test_zeros_that_a_crash_leaves_after_text_are_left_out(tmp_path):
    path = tmp_path / "a"
    text = "".join(f"{t} {x} {y} {p}\n" for t, x, y, p in EVENTS)
    path.write_bytes(text.encode() + bytes(5000))
    with open_source(str(path)) as source:
        assert events_of(source.batches()) == EVENTS
        assert any("5000 bytes are zeros" in remark for remark in source.remarks)
