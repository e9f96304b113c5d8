"""MAT files of MATLAB's level 5: variables, structures, matrices, and refusals."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from encoded_events import events_of, random_events
from scipy.io import savemat

from evio_ros.errors import SourceError
from evio_ros.events import SensorSize
from evio_ros.sources.registry import open_source

EVENTS = random_events(3000, start_us=1000, mean_step_us=30.0)
T, X, Y, P = (np.array(column) for column in zip(*EVENTS, strict=True))
COLUMNS = {"t": T, "x": X, "y": Y, "p": P}
AS_DOUBLES = {name: column.astype(float) for name, column in COLUMNS.items()}


def saved(path, **variables):
    with path.open("wb") as file:
        savemat(file, variables)
    return path


def read(path):
    with open_source(str(path)) as source:
        return events_of(source.batches()), source


@pytest.mark.parametrize(
    "variables",
    [
        COLUMNS,
        AS_DOUBLES,
        {name: column[:, None] for name, column in COLUMNS.items()},
        {"TD": {"x": X, "y": Y, "p": 2 * P - 1, "ts": T.astype(float)}},
        {"data": {"events": {"time_us": T, "xy": np.stack((X, Y), 1), "on": P == 1}}},
        {"events": np.stack((T, X, Y, P), axis=1).astype(float)},
        {"events": np.stack((X, Y, P, T))},
        {"dvs": {"events": np.stack((T, X, Y, P), axis=1), "note": "a fan"}},
    ],
)
def test_events_are_found_wherever_they_lie(variables, tmp_path):
    assert read(saved(tmp_path / "a.mat", **variables))[0] == EVENTS


@pytest.mark.parametrize(
    "variables",
    [
        COLUMNS | {"resolution": "700x500"},
        {"outer": {"inner": COLUMNS, "width": 700.0, "height": 500.0}},
        {"aedat": {"data": {"polarity": COLUMNS}, "info": {"deviceAddressSpace": [700, 500]}}},
    ],
)
def test_geometry_is_named_by_the_structure_by_one_above_or_beside_it(variables, tmp_path):
    assert read(saved(tmp_path / "a", **variables))[1].size == SensorSize(700, 500)


def test_other_events_of_the_file_are_named(tmp_path):
    _, source = read(saved(tmp_path / "a", left=COLUMNS, right=AS_DOUBLES))
    assert "left is read; there are also events in right" in source.remarks


def test_a_packed_file_is_read(tmp_path):
    path = saved(tmp_path / "a", **COLUMNS)
    path.write_bytes(gzip.compress(path.read_bytes()))
    assert read(path)[0] == EVENTS


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"picture": np.zeros((40, 30, 3))}, "it has picture"),
        ({"a": {"b": np.arange(9)}}, "it has a.b"),
        ({}, "it has nothing"),
        (
            {"e": np.array([(1, 2)] * 3, [("t", "f8"), ("x", "f8")])},
            r"e \(an array of structures\)",
        ),
        ({"a": {"e": np.array([T, T], object)}}, r"has a.e \(a cell array\); save each column"),
        (COLUMNS | {"t": T[:-1]}, "columns differ in length"),
        (COLUMNS | {"t": "noon"}, "has no columns t, x, y, p"),
        ({name: column[:0] for name, column in COLUMNS.items()}, "has no events"),
        (COLUMNS | {"width": -3, "height": 9}, "the geometry is impossible"),
    ],
)
def test_what_holds_no_events_is_refused(variables, reason, tmp_path):
    with pytest.raises(SourceError, match=reason):
        read(saved(tmp_path / "a", **variables))


@pytest.mark.parametrize("bytes_kept", [60, 128, 200, 9000])
def test_a_file_that_is_cut_off_is_refused(bytes_kept, tmp_path):
    path = saved(tmp_path / "a", **COLUMNS)
    path.write_bytes(path.read_bytes()[:bytes_kept])
    with pytest.raises(SourceError):
        read(path)
