from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from evio_ros.web.column_frame import column_frame, decode_column_frame, event_columns

DTYPES = st.sampled_from([np.uint8, np.uint16, np.uint32, np.int64, np.float64])


def test_the_layout_is_as_described():
    data = column_frame({"kind": "x"}, {"a": np.array([1, 2, 3], np.uint16)})
    length = int.from_bytes(data[:4], "little")
    assert (4 + length) % 8 == 0
    header = json.loads(data[4 : 4 + length])
    assert header == {
        "kind": "x",
        "rows": 3,
        "columns": [{"name": "a", "dtype": "<u2", "offset": 0}],
    }
    assert data[4 + length :] == bytes([1, 0, 2, 0, 3, 0, 0, 0])


@given(st.integers(0, 50).flatmap(lambda n: st.lists(DTYPES.flatmap(lambda d: arrays(d, n)))))
def test_columns_come_back_as_they_were(columns):
    named = {f"c{number}": column for number, column in enumerate(columns)}
    header, found = decode_column_frame(column_frame({}, named))
    assert header["rows"] == (len(columns[0]) if columns else 0)
    assert list(found) == list(named)
    for name, column in named.items():
        np.testing.assert_array_equal(found[name], column)


def test_what_ends_too_early_is_refused():
    with pytest.raises(ValueError, match="ends within its header"):
        decode_column_frame(b"\xff\0\0\0{}")


def test_no_samples_are_no_events():
    columns, share = event_columns([], 10)
    assert [len(column) for column in columns.values()] == [0, 0, 0, 0]
    assert share == 1.0
