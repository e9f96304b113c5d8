"""Tables of events: interpretation of their coordinates, in NPZ and HDF5."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from encoded_events import SIZE, events_of, random_events

from evio_ros.errors import SourceError
from evio_ros.events import SensorSize
from evio_ros.sources.registry import open_source

EVENTS = random_events(3000, start_us=1000, mean_step_us=30.0)
T, X, Y, P = (np.array(column) for column in zip(*EVENTS, strict=True))


def npz(path, **arrays) -> None:
    with path.open("wb") as file:
        np.savez(file, **arrays)


def hdf5(path, **arrays) -> None:
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array


@pytest.fixture(params=[npz, hdf5])
def table(request, tmp_path):
    """Saves a table and returns its path."""

    def save(x, y, **geometry) -> str:
        request.param(tmp_path / "a", t=T, x=x, y=y, p=P, **geometry)
        return str(tmp_path / "a")

    return save


@pytest.mark.parametrize("times", [8, 32, 128])
@pytest.mark.parametrize("kind", [np.int32, np.float64])
@pytest.mark.parametrize("geometry", [{}, {"width": 640, "height": 480}], ids=["guessed", "named"])
def test_coordinates_in_fixed_point_are_divided(table, times, kind, geometry):
    with open_source(
        table((X * times).astype(kind), (Y * times).astype(kind), **geometry)
    ) as source:
        assert events_of(source.batches()) == EVENTS
        assert (source.size, source.size_is_declared) == (SIZE, bool(geometry))
        assert f"in fixed point, with {times} steps per pixel," in str(source.remarks)
        assert not source.size_fault


@pytest.mark.parametrize("times", [1, 2, 4])
def test_coordinates_that_sensors_can_have_are_left_alone(table, times):
    with open_source(table(X * times, Y * times)) as source:
        assert {event[1] for event in events_of(source.batches())} == set((X * times).tolist())
        assert not source.size_fault


@pytest.mark.parametrize(("times", "shift"), [(32, 3), (16, 1), (100, 0)])
def test_a_geometry_that_no_sensor_has_is_told(table, times, shift):
    with open_source(table(X * times + shift, Y * times + shift)) as source:
        reach = 639 * times + shift, 479 * times + shift
        assert source.size == SensorSize(reach[0] + 1, reach[1] + 1)
        said = f"coordinates reach {reach[0]} and {reach[1]}, more than sensors have"
        assert said in source.size_fault
        assert events_of(source.batches())[0][1] == X[0] * times + shift


@pytest.mark.parametrize("share", [0.05, 0.45])
@pytest.mark.parametrize("geometry", [{}, {"width": 640, "height": 480}], ids=["guessed", "named"])
def test_negative_coordinates_are_left_out_and_tell_no_geometry(table, share, geometry):
    is_out = np.random.default_rng(1).random(len(X)) < share
    is_out[(639 - X) * (479 - Y) == 0] = False
    with open_source(table(np.where(is_out, -5.5, X + 0.25), Y + 0.5, **geometry)) as source:
        assert events_of(source.batches()) == [
            event for event, out in zip(EVENTS, is_out, strict=True) if not out
        ]
        assert (source.size, source.size_is_declared) == (SIZE, bool(geometry))
        assert source.statistics.outside == is_out.sum()


def noise(seed, centre, spread):
    return np.random.default_rng(seed).normal(centre, spread, len(X))


@pytest.mark.parametrize(
    ("x", "y", "reason"),
    [
        (noise(1, 0, 1), noise(2, 0, 1), "are negative"),
        (noise(1, 0, 200), noise(2, 0, 200), "are negative"),
        (X - 320, Y - 240, "are negative"),
        (X / 640, Y / 480, "have fractions and spread over 0.998"),
        (noise(1, 3, 0.3), noise(2, 9.81, 0.3), "have fractions and spread over"),
    ],
    ids=["gyroscope", "degrees", "centred", "normalised", "accelerometer"],
)
def test_what_is_no_pixels_is_no_table_of_events(table, x, y, reason):
    with pytest.raises(SourceError, match=f"its x and y are not pixels: .*{reason}"):
        open_source(table(x, y))


def npy(path, **columns) -> None:
    with path.open("wb") as file:
        np.save(file, np.stack([columns[name] for name in "txyp"], axis=1))


@pytest.mark.parametrize("save", [npz, hdf5, npy])
@pytest.mark.parametrize("bad", ["t", "x", "y", "txyp"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_rows_without_numbers_are_left_out_and_counted(save, bad, value, tmp_path):
    rows = [0, 1500, 2999]
    columns = {name: np.array(c, np.float64) for name, c in zip("txyp", (T, X, Y, P), strict=True)}
    for name in bad:
        columns[name][rows] = value
    save(tmp_path / "a", **columns)
    with open_source(str(tmp_path / "a")) as source:
        assert events_of(source.batches()) == [e for k, e in enumerate(EVENTS) if k not in rows]
        assert source.statistics.dropped == len(rows)
        assert not any("fractions" in remark for remark in source.remarks)
