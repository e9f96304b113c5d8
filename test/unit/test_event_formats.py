"""Events from and to other libraries' forms: the same events, whatever form they took."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from builders import SMALL, batch_at, columns, event_times
from hypothesis import given
from hypothesis import strategies as st

from evio_ros.errors import EventError, EvioError
from evio_ros.event_formats import (
    METAVISION_EVENT,
    TONIC_EVENT,
    events_from,
    events_from_array,
    events_from_columns,
    events_from_polars,
    events_to_array,
    events_to_columns,
    events_to_polars,
)
from evio_ros.events import EventBatch, SensorSize
from evio_ros.sources.registry import open_source

METAVISION = np.dtype(
    {
        "names": ["x", "y", "p", "t"],
        "formats": ["<u2", "<u2", "<i2", "<i8"],
        "offsets": [0, 2, 4, 8],
        "itemsize": 16,
    }
)
"""EventCD, as OpenEB's test of its DAT reader has it."""

TONIC = np.dtype([("x", np.int16), ("y", np.int16), ("t", np.int64), ("p", bool)])
"""events_struct of tonic/io.py."""

INTEGERS = ("i1", "u1", "<i2", ">i2", "<u2", "<i4", ">u4", "<i8", ">i8", "<u8")
SIZE = SensorSize(100, 80)


def rows(dtype: np.dtype, *events: tuple[int, int, int, int]) -> np.ndarray:
    """A structured array of (t, x, y, p), written field by field."""
    array = np.zeros(len(events), dtype)
    for index, values in enumerate(events):
        for name, value in zip("txyp", values, strict=True):
            array[name][index] = value
    return array


@pytest.mark.parametrize("dtype", [METAVISION, TONIC], ids=["metavision", "tonic"])
def test_arrays_of_other_libraries(dtype):
    batch = events_from_array(rows(dtype, (5, 1, 2, 1), (5, 99, 79, 0), (2**40, 0, 0, 1)), SIZE)
    assert batch.size == SIZE
    assert columns(batch) == [(5, 1, 2, True), (5, 99, 79, False), (2**40, 0, 0, True)]


def test_the_element_types_are_those_of_the_libraries():
    assert METAVISION_EVENT == METAVISION
    assert METAVISION_EVENT.itemsize == 16
    assert TONIC_EVENT == TONIC


@given(event_times(), st.sampled_from([METAVISION, TONIC]))
def test_an_array_and_back(times, dtype):
    batch = batch_at(times)
    array = events_to_array(batch, dtype)
    assert array.dtype == dtype
    assert columns(events_from_array(array, SMALL)) == columns(batch)
    for name, column in zip("txyp", (batch.t, batch.x, batch.y, batch.polarity), strict=True):
        np.testing.assert_array_equal(array[name], column)


@given(st.permutations("txyp"), st.lists(st.sampled_from(INTEGERS), min_size=4, max_size=4))
def test_any_order_of_fields_and_any_width(names, formats):
    dtype = np.dtype([*zip(names, formats, strict=True), ("further", "f4")])
    events = [(0, 3, 4, 1), (7, 0, 5, 0), (100, 9, 1, 1)]
    assert columns(events_from_array(rows(dtype, *events), SIZE)) == [
        (t, x, y, bool(p)) for t, x, y, p in events
    ]


@pytest.mark.parametrize(
    "names",
    [("timestamp", "x", "y", "polarity"), ("ts", "x", "y", "pol"), ("ts", "xs", "ys", "ps")],
)
def test_other_names_of_the_fields(names):
    array = np.zeros(1, [(name, np.int64) for name in names])
    array[names[0]], array[names[1]], array[names[3]] = 17, 4, 1
    assert columns(events_from_array(array, SIZE)) == [(17, 4, 0, True)]


def test_an_array_is_copied_and_left_as_it_is():
    array = rows(METAVISION, (5, 1, 2, 1), (6, 3, 4, 0))
    array.flags.writeable = False
    batch = events_from_array(array, SIZE)
    for column in (batch.t, batch.x, batch.y, batch.polarity):
        assert not np.shares_memory(column, array)
        assert column.flags.c_contiguous


@given(
    event_times(),
    st.sampled_from([(-1, 1), (0, 1), (False, True)]),
    st.sampled_from(["us", "ms", "ns"]),
)
def test_a_polars_frame(times, polarities, unit):
    polars = pytest.importorskip("polars", reason="Polars is not installed")
    batch = batch_at([1000 * t for t in times])
    frame = polars.DataFrame(
        {
            "t": batch.t.view("timedelta64[us]"),
            "x": batch.x.astype(np.int16),
            "y": batch.y.astype(np.int16),
            "polarity": np.array(polarities)[batch.polarity.astype(int)],
        }
    ).with_columns(polars.col("t").cast(polars.Duration(unit)))
    for each in (frame, frame.lazy(), frame.select("polarity", "y", "x", "t")):
        assert columns(events_from_polars(each, SMALL)) == columns(batch)


@given(event_times())
def test_a_polars_frame_and_back(times):
    polars = pytest.importorskip("polars", reason="Polars is not installed")
    batch = batch_at(times)
    frame = events_to_polars(batch)
    assert dict(frame.schema) == {
        "x": polars.Int16,
        "y": polars.Int16,
        "t": polars.Duration("us"),
        "polarity": polars.Int8,
    }
    assert frame["polarity"].to_list() == [1 if on else -1 for on in batch.polarity]
    assert columns(events_from_polars(frame, SMALL)) == columns(batch)


def test_what_evlib_reads_is_what_we_read(fan_recording, tmp_path):
    evlib = pytest.importorskip("evlib", reason="evlib is not installed")
    from evio_ros.sources.conversion import convert
    from evio_ros.sources.writers.registry import open_writer

    path = tmp_path / "fan.h5"
    with open_source(str(fan_recording)) as source:
        end_us = source.start_us + 50_000
        with open_writer(str(path), source.size, "hdf5") as writer:
            convert(source, writer, source.start_us, end_us)
        source.seek(source.start_us)
        ours = EventBatch.concatenate(source.size, source.batches()).between(0, end_us)
    frame = evlib.load_events(str(path)).collect()
    assert sorted(columns(events_from_polars(frame, ours.size))) == sorted(columns(ours))
    # And evlib's own columns and types, for its functions to take.
    assert events_to_polars(ours).schema == frame.schema


@given(event_times())
def test_columns_and_back(times):
    batch = batch_at(times)
    held = events_to_columns(batch)
    assert list(held) == ["t", "x", "y", "p"]
    assert columns(events_from_columns(*held.values(), SMALL)) == columns(batch)
    as_lists = [column.tolist() for column in held.values()]
    assert columns(events_from_columns(*as_lists, SMALL)) == columns(batch)
    for name, column in held.items():
        assert (
            np.shares_memory(column, getattr(batch, {"p": "polarity"}.get(name, name))) or not times
        )


@pytest.mark.parametrize(
    ("t", "unit", "expected_us"),
    [
        (np.array([1, 2]), None, [1, 2]),
        (np.array([1, 2], ">u4"), "us", [1, 2]),
        (np.array([1, 2]), "s", [1_000_000, 2_000_000]),
        (np.array([-1, 2]), "ms", [-1000, 2000]),
        (np.array([1_499, 1_500, 2_501]), "ns", [1, 2, 3]),
        (np.array([0.000_003, 1.5, 1_000_000.000_001]), "s", [3, 1_500_000, 1_000_000_000_001]),
        (np.array([0.25, 1.0004]), "ms", [250, 1000]),
        (np.array([0.5, 7.25], np.float32), "s", [500_000, 7_250_000]),
        (np.array([3, 4], "timedelta64[us]"), None, [3, 4]),
        (np.array([3_000, 4_000], "timedelta64[ns]"), None, [3, 4]),
        (np.array([3, 4], "timedelta64[ms]"), None, [3_000, 4_000]),
        (np.array([3, 4], "timedelta64[s]"), None, [3_000_000, 4_000_000]),
        ([], "s", []),
        ([], None, []),
        (np.array([], np.float64), "s", []),
    ],
)
def test_units_of_time(t, unit, expected_us):
    ones = [1] * len(t)
    batch = events_from_columns(t, ones, ones, ones, SIZE, unit)
    assert batch.t.tolist() == expected_us


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"t": [0.0, 1.0]}, "t is float64 without a unit: give time_unit="),
        ({"t": [0.0, np.nan], "time_unit": "s"}, "t = nan of event 1 does not fit"),
        ({"t": [0.0, np.inf], "time_unit": "s"}, "t = inf of event 1 does not fit"),
        ({"t": np.array([0, 2**63], np.uint64)}, "t = 9223372036854775808 of event 1"),
        ({"t": [0, 10**14], "time_unit": "s"}, "t = 100000000000000 of event 1 does not fit"),
        (
            {"t": np.array([0, 1e9], np.float32), "time_unit": "s"},
            "resolution at 1e+09 is 6.4e+07 us",
        ),
        ({"t": [0, 1], "time_unit": "h"}, "time_unit: 'h' is not one of s, ms, us, ns"),
        ({"t": ["0", "1"]}, "t is <U1, not integers, timedelta64 or floats with a unit"),
        ({"t": [0, 10**30]}, "t is object, not integers"),
        ({"t": np.array([1, 2], "datetime64[us]")}, "t is datetime64[us], not integers"),
        ({"t": np.array([1, "NaT"], "timedelta64[us]")}, "t of event 1 is not a time"),
        ({"t": np.array([1, 2], "timedelta64[D]")}, "not timedelta64 of s, ms, us or ns"),
        ({"t": np.array([1, 2], "timedelta64[us]"), "time_unit": "s"}, "already has a unit"),
        ({"t": [5, 4]}, "time goes back from 5 to 4 us at event 1"),
        ({"t": [5]}, "x has 2 events, t has 1"),
        ({"t": 5}, "t has 0 dimensions, not 1"),
        ({"x": [[1], [2]]}, "x has 2 dimensions, not 1"),
        ({"x": [[1], [2, 3]]}, "x cannot be made an array"),
        ({"x": [1.0, 2.0]}, "x is float64, not integers"),
        ({"x": [1, -1]}, "x = -1 of event 1 is outside 0 to 99"),
        ({"x": [100, 1]}, "x = 100 of event 0 is outside 0 to 99"),
        ({"x": [1, 65_537]}, "x = 65537 of event 1 is outside 0 to 99"),
        ({"y": [1, 80]}, "y = 80 of event 1 is outside 0 to 79"),
        ({"y": np.array([0, 2**64 - 1], np.uint64)}, "y = 18446744073709551615 of event 1"),
        ({"y": [True, False]}, "y is bool, not integers"),
        ({"polarity": [0.0, 1.0]}, "polarity is float64, not bool or integers"),
        ({"polarity": [1, 2]}, "polarity = 2 of event 1: not all are 0 and 1, or -1 and 1"),
        ({"polarity": [-2, 1]}, "polarity = -2 of event 0"),
        ({"polarity": [-1, 0]}, "polarity = 0 of event 1"),
        ({"polarity": [255, 1]}, "polarity = 255 of event 0"),
    ],
)
def test_what_is_not_understood_is_refused_by_name(changes, message):
    given_columns = {"t": [0, 1], "x": [2, 3], "y": [4, 5], "polarity": [0, 1], "size": SIZE}
    with pytest.raises(EventError) as refused:
        events_from_columns(**{**given_columns, **changes})
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("off", "on"), [(0, 1), (-1, 1), (False, True)])
def test_polarities_of_one_kind_alone(off, on):
    for values, expected in (([on, on], [True, True]), ([off, off], [False, False])):
        assert (
            events_from_columns([0, 1], [1, 1], [1, 1], values, SIZE).polarity.tolist() == expected
        )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("xyt", "no p or ps or pol or polarity among the columns x, y, t"),
        ("xyp", "no t or ts or timestamp or timestamps among the columns x, y, p"),
        (("t", "timestamp", "x", "y", "p"), "both t and timestamp among the columns"),
    ],
)
def test_a_field_that_is_missing_or_there_twice(fields, message):
    array = np.zeros(2, [(name, np.int64) for name in fields])
    with pytest.raises(EventError, match=message):
        events_from_array(array, SIZE)
    with pytest.raises(EventError, match=message):
        events_from({name: array[name] for name in fields}, SIZE)
    polars = pytest.importorskip("polars", reason="Polars is not installed")
    with pytest.raises(EventError, match=message):
        events_from_polars(polars.DataFrame({name: array[name] for name in fields}), SIZE)


def test_nulls_are_refused():
    polars = pytest.importorskip("polars", reason="Polars is not installed")
    frame = polars.DataFrame({"t": [1, None], "x": [1, 1], "y": [1, 1], "polarity": [1, 1]})
    with pytest.raises(EventError, match="t has 1 nulls of 2 values"):
        events_from_polars(frame, SIZE)


@pytest.mark.parametrize(
    ("dtype", "message"),
    [
        ([("t", "<i4"), ("x", "u2")], "t: int32 cannot hold 0 to 4294967296"),
        ([("t", "<i8"), ("x", "i1")], "x: int8 cannot hold 0 to 300"),
        ([("t", "<i8"), ("x", "?")], "x: bool cannot hold a column of uint16"),
        ([("t", "<f8"), ("x", "u2")], "t: float64 cannot hold a column of int64"),
        ([("t", "<i8"), ("z", "u2")], "dtype: events have no column z"),
        (np.int64, "dtype: int64 has no fields"),
    ],
)
def test_an_array_that_cannot_hold_the_events_is_refused(dtype, message):
    batch = events_from_columns([0, 2**32], [0, 300], [0, 1], [0, 1], SensorSize(640, 480))
    with pytest.raises(EventError, match=message):
        events_to_array(batch, dtype)


def test_a_frame_of_a_wide_sensor_is_refused():
    pytest.importorskip("polars", reason="Polars is not installed")
    batch = events_from_columns([0], [40_000], [0], [1], SensorSize(65_536, 1))
    with pytest.raises(EventError, match="x: int16 cannot hold 40000 to 40000"):
        events_to_polars(batch)


def test_where_polars_is_missing_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(EvioError, match=r"pip install 'evio_ros\[polars\]'"):
        events_to_polars(EventBatch.empty(SIZE))


def test_any_form_is_told_by_its_type():
    batch = batch_at([1, 2, 30])
    assert events_from(batch) is batch
    assert events_from(batch, SMALL) is batch
    assert columns(events_from(events_to_array(batch), SMALL)) == columns(batch)
    assert columns(events_from(events_to_columns(batch), SMALL)) == columns(batch)
    pytest.importorskip("polars", reason="Polars is not installed")
    assert columns(events_from(events_to_polars(batch), SMALL)) == columns(batch)
    assert columns(events_from(events_to_polars(batch).lazy(), SMALL)) == columns(batch)


@pytest.mark.parametrize(
    ("data", "size", "message"),
    [
        (np.zeros((3, 4), np.int64), SIZE, "not a structured array with fields t, x, y, p"),
        ([(1, 2, 3, 4)], SIZE, "a list holds no events: supported are EventBatch"),
        (b"12", SIZE, "a bytes holds no events"),
        (rows(TONIC, (1, 2, 3, 1)), None, "size: give the sensor's geometry"),
        ({"t": [1], "x": [2], "y": [3], "p": [0]}, None, "size: give the sensor's geometry"),
        (batch_at([1]), SIZE, "size: 100x80 was given for events of a"),
    ],
)
def test_what_is_no_form_of_events_is_refused(data, size, message):
    with pytest.raises(EventError, match=message):
        events_from(data, size)


def test_only_a_frame_is_one():
    with pytest.raises(EventError, match="a dict is not a Polars frame"):
        events_from_polars({"t": [1]}, SIZE)


def test_nothing_heavy_is_imported():
    ask = "import sys, evio_ros.event_formats; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    names = set(loaded.stdout.split())
    assert "numpy" in names
    assert not {"polars", "evlib", "numba", "pyarrow", "pandas"} & names
