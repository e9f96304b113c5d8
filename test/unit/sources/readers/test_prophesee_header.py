"""Headers as cameras write them, and hostile ones."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evio_ros.errors import SourceError
from evio_ros.events import SensorSize
from evio_ros.sources.readers.prophesee_header import LONGEST_HEADER_BYTES, read_header


def header_of(data: bytes):
    return read_header(io.BytesIO(data), "file")


@pytest.mark.parametrize(
    ("text", "size", "event_format"),
    [
        ("% Width 640\n% Height 480\n", (640, 480), None),
        ("% geometry 1280x720\n% evt 3.0\n", (1280, 720), "evt3"),
        ("% format EVT2;height=240;width=320\n", (320, 240), "evt2"),
        ("% format EVT21;width=640;height=480;endianness=legacy\n", (640, 480), "evt21"),
        ("% evt 2.1\n", None, "evt21"),
        ("% Width 640\n", None, None),
        ("% date 2024-01-01\n% end\n", None, None),
        ("% integrator Caf\u00e9 \u00b2\n% geometry 320x320\n", (320, 320), None),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_geometry_and_format_are_found_wherever_they_are_named(text, size, event_format, encoding):
    header = header_of(text.encode(encoding) + b"\x01\x02")
    assert header.length == len(text.encode(encoding))
    assert header.size == (SensorSize(*size) if size else None)
    assert header.event_format == event_format


def test_data_that_begin_like_a_header_line_are_data_after_the_end_line():
    assert header_of(b"% end\n% not a line\n").length == 6


def test_a_percent_sign_in_the_data_ends_a_header_without_end_line():
    assert header_of(b"% Version 2\n%\x00\x01\x02").length == 12


@pytest.mark.parametrize(
    ("data", "reason", "offset"),
    [
        (b"% Width 640", "last line does not end", 0),
        (b"% Width 0\n% Height 480\n", "geometry is impossible", 0),
        (b"% Width 2147483648\n% Height 2147483648\n", "geometry is impossible", 0),
        (b"% Width -5\n% Height 480\n", "geometry is impossible", 0),
        (b"% Width wide\n% Height high\n", "geometry is impossible", 0),
        (b"% evio_time_offset_us later\n", "is not a time in us", 0),
    ],
)
def test_a_broken_header_is_an_error_with_its_place(data, reason, offset):
    with pytest.raises(SourceError, match=reason) as error:
        header_of(data)
    assert error.value.offset == offset


def test_an_endless_header_is_an_error_not_an_endless_loop():
    with pytest.raises(SourceError, match="is longer than"):
        header_of(b"% " + b"a" * (2 * LONGEST_HEADER_BYTES))
    with pytest.raises(SourceError, match="is longer than"):
        header_of(b"% a line of thirty-two letters.\n" * (LONGEST_HEADER_BYTES // 16))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80).map(lambda tail: b"% " + tail))
def test_any_bytes_give_a_header_or_one_error(data):
    try:
        header = header_of(data)
    except SourceError as problem:
        text = str(problem)
    else:
        text = ""
        assert 0 <= header.length <= len(data)
    assert "\n" not in text
