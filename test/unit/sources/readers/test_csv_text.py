"""Text files: headers in any order, seconds to the microsecond, bad lines by their offset."""

from __future__ import annotations

import pytest
from encoded_events import events_of
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


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 10**15), min_size=1, max_size=20).map(sorted))
def test_seconds_lose_no_microsecond(tmp_path_factory, times):
    path = tmp_path_factory.mktemp("files") / "a"
    text = "".join(f"{t // 10**6}.{t % 10**6:06d} 7 8 1\n" for t in times)
    assert read(path, text) == [(t, 7, 8, 1) for t in times]


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
def test_a_bad_line_is_an_error_with_its_offset(line, tmp_path):
    with pytest.raises(SourceError, match="is no event") as error:
        read(tmp_path / "a", f"t,x,y,p\n1,1,2,1\n{line}\n7,1,2,1\n")
    assert error.value.offset == 16


def test_a_last_line_that_is_cut_off_is_counted(tmp_path):
    path = tmp_path / "a"
    path.write_text("t,x,y,p\n5,1,2,1\n6,3,")
    with open_source(str(path)) as source:
        assert events_of(source.batches()) == [(5, 1, 2, 1)]
        assert source.statistics.truncated_bytes == 4


def test_a_table_of_something_else_is_no_recording(tmp_path):
    with pytest.raises(SourceError, match="is no recording that can be read"):
        read(tmp_path / "a", "name,age\nAnn,7\n")
