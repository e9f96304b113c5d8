import pytest

from evio_ros.errors import SourceError
from evio_ros.sources.readers.aedat_header import split_header

MARK = b"#!END"


@pytest.mark.parametrize(
    ("start", "header", "offset"),
    [
        (b"#a\r\n#!END of it\r\n#data", b"#a\r\n", 17),
        (b"#a\n#!END", b"#a\n", 8),
        (b"#a\n#b\ndata", b"#a\n#b\n", 6),
        (b"data", b"", 0),
        (b"#a\n#\x00\x12\n", b"#a\n", 3),
        (b"#\xe9\tb\r\n#\x00\x12", b"#\xe9\tb\r\n", 6),
        (b"", b"", 0),
    ],
    ids=[
        "marked",
        "mark_at_the_end",
        "not_marked",
        "none",
        "data_like_a_line",
        "data_like_a_cut_line",
        "empty",
    ],
)
def test_a_header_ends_with_its_mark_or_its_last_line(start, header, offset):
    assert split_header(start, MARK, "a.aedat") == (header, offset)


def test_a_line_that_does_not_end_is_refused():
    with pytest.raises(SourceError, match=r"a\.aedat, byte 3: .* does not end"):
        split_header(b"#a\n#b", MARK, "a.aedat")
