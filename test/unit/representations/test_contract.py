"""What every representation must do, whatever its kind and wherever it is made."""

from __future__ import annotations

import importlib
import itertools

import numpy as np
import pytest
from builders import parts_of
from event_windows import START_US, few, window_of, windows
from hypothesis import given
from hypothesis import strategies as st

from evio_ros.errors import EventError, ParameterError
from evio_ros.events import EventBatch, EventWindow, SensorSize
from evio_ros.representations.base import Representation, represent
from evio_ros.representations.event_frame import EventFrameParameters
from evio_ros.representations.registry import KINDS, make

SIZE = SensorSize(9, 7)
LENGTH_US = 1_000

CHOICES = {
    "stacked_histogram": {"downsample": [1, 2], "span": ["events", "window"], "bins": [1, 10]},
    "voxel_grid": {
        "weighting": ["bilinear", "bilinear_tonic", "count"],
        "span": ["events", "window"],
        "bins": [1, 5],
    },
    "mixed_density": {"anchor": ["end", "start"], "span": ["events", "window"]},
}


def variants() -> list:
    rows = []
    for kind in KINDS:
        choices = CHOICES.get(kind, {})
        for values in itertools.product(*choices.values()):
            chosen = dict(zip(choices, values, strict=True))
            rows.append(pytest.param(kind, chosen, id=" ".join([kind, *map(str, values)])))
    return rows


every_variant = pytest.mark.parametrize(("kind", "values"), variants())
every_kind = pytest.mark.parametrize("kind", KINDS)


def make_one(kind: str, size: SensorSize = SIZE, **values) -> Representation:
    return make(kind, size, KINDS[kind].parameters(**values))


def busy_window(events: int = 4_000, size: SensorSize = SIZE) -> EventWindow:
    t = np.random.default_rng(5).integers(0, LENGTH_US, events).tolist()
    return window_of(size, t, LENGTH_US)


@every_kind
def test_keeps_the_protocol_and_is_named_as_its_module(kind):
    representation = make_one(kind)
    assert isinstance(representation, Representation)
    module = importlib.import_module(f"evio_ros.representations.{kind}")
    assert type(representation).__name__ in module.__all__


@every_variant
def test_empty_window_and_one_event(kind, values):
    representation = make_one(kind, **values)
    assert not represent(representation, window_of(SIZE, [], LENGTH_US)).any()
    representation.reset()
    one = represent(representation, window_of(SIZE, [LENGTH_US // 2], LENGTH_US))
    assert one.shape == representation.shape
    assert one.dtype == representation.dtype
    assert np.isfinite(one).all()
    assert representation.event_count == 1


@every_variant
@few
@given(windows(), st.lists(st.integers(0, 100), max_size=6))
def test_portions_do_not_matter(kind, values, window, cuts):
    representation = make_one(kind, window.events.size, **values)
    whole = represent(representation, window)
    representation.reset()
    representation.begin(window.start_us, window.length_us)
    for part in parts_of(window.events, cuts):
        representation.push(part)
    out = np.full_like(whole, 77)
    representation.read(out)
    np.testing.assert_array_equal(out, whole)
    representation.read(out)
    np.testing.assert_array_equal(out, whole)
    assert representation.event_count == len(window.events)


@every_variant
def test_windows_that_follow_do_not_mix(kind, values):
    first = busy_window()
    representation, fresh = make_one(kind, **values), make_one(kind, **values)
    represent(representation, first)
    if kind in ("activity", "time_surface"):
        represent(fresh, window_of(SIZE, [], LENGTH_US))
    second = window_of(SIZE, [3, 500], LENGTH_US, seed=9, start_us=first.end_us + 10**9)
    np.testing.assert_array_equal(represent(representation, second), represent(fresh, second))


@every_variant
def test_pytorch_gives_the_same(kind, values):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    by_numba, by_torch = make_one(kind, **values), make_one(kind, device="cpu", **values)
    tolerance = 1e-6 if kind == "activity" else 0.0
    for window in (window_of(SIZE, [], LENGTH_US, start_us=0), busy_window()):
        made, expected = represent(by_torch, window), represent(by_numba, window)
        np.testing.assert_allclose(made, expected, rtol=tolerance)
        assert made.dtype == expected.dtype
        np.testing.assert_array_equal(by_torch.bin_edges_us(), by_numba.bin_edges_us())
    by_torch.reset()
    by_numba.reset()
    window = busy_window(50)
    made, expected = represent(by_torch, window), represent(by_numba, window)
    np.testing.assert_allclose(made, expected, rtol=tolerance)


def test_device_that_is_missing_is_named():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    if torch.cuda.is_available():
        pytest.skip("there is a graphics card")
    with pytest.raises(ParameterError, match="cuda needs a graphics card"):
        make("event_frame", SIZE, EventFrameParameters(device="cuda"))


@every_kind
def test_events_outside_the_window_are_refused(kind):
    representation = make_one(kind)
    window = window_of(SIZE, [0, 10], LENGTH_US)
    with pytest.raises(EventError, match="no window has begun"):
        representation.push(window.events)
    with pytest.raises(EventError, match="no window has begun"):
        representation.read(np.empty(representation.shape, representation.dtype))
    with pytest.raises(EventError, match="a window of 0 us is empty"):
        representation.begin(0, 0)
    representation.begin(START_US + 1, 100)
    with pytest.raises(EventError, match=f"event at {START_US} us is outside the window"):
        representation.push(window.events)
    representation.reset()
    representation.begin(START_US, 10)
    with pytest.raises(EventError, match=f"event at {START_US + 10} us is outside the window"):
        representation.push(window.events)


@every_kind
def test_other_sensors_backward_time_and_odd_polarity_are_refused(kind):
    representation = make_one(kind)
    representation.begin(START_US, LENGTH_US)
    with pytest.raises(EventError, match="batch of a 8x7 sensor"):
        representation.push(window_of(SensorSize(8, 7), [0], LENGTH_US).events)
    representation.push(window_of(SIZE, [50], LENGTH_US).events)
    with pytest.raises(EventError, match=f"time goes back from {START_US + 50} to {START_US + 49}"):
        representation.push(window_of(SIZE, [49], LENGTH_US).events)
    pixel = np.zeros(2, np.uint16)
    polarity = np.array([1, 2], np.uint8).view(np.bool_)
    odd = EventBatch.trusted(SIZE, np.array([START_US + 60] * 2), pixel, pixel, polarity)
    with pytest.raises(EventError, match="polarity of event 1 is 2"):
        representation.push(odd)
    assert representation.event_count == 1


@pytest.mark.parametrize(
    "columns",
    [
        ([5, 4], [0, 0], [0, 0]),
        ([4, 5], [9, 0], [0, 0]),
        ([4, 5], [0, 0], [0, 7]),
    ],
    ids=["unsorted", "x outside", "y outside"],
)
def test_broken_columns_do_not_become_a_batch(columns):
    t, x, y = columns
    with pytest.raises(EventError):
        EventBatch(
            SIZE, np.array(t), np.array(x, np.uint16), np.array(y, np.uint16), np.zeros(2, bool)
        )


@every_kind
def test_output_that_does_not_fit_is_refused(kind):
    representation = make_one(kind)
    shape, dtype = representation.shape, representation.dtype
    representation.begin(START_US, LENGTH_US)
    read_only = np.empty(shape, dtype)
    read_only.flags.writeable = False
    for wrong in (
        np.empty(shape[1:], dtype),
        np.empty(shape, np.complex64),
        np.empty(shape[::-1], dtype).T,
        read_only,
    ):
        with pytest.raises(ParameterError, match="out is"):
            representation.read(wrong)


def test_parameters_out_of_range_are_refused():
    for kind, name in (
        ("stacked_histogram", "bins"),
        ("voxel_grid", "bins"),
        ("mixed_density", "stacks"),
        ("time_surface", "tau_us"),
        ("activity", "tau_us"),
    ):
        with pytest.raises(ParameterError, match=f"{name}: 0 is below the minimum 1"):
            KINDS[kind].parameters(**{name: 0})
    with pytest.raises(ParameterError, match="kind: 'voxels' is not one of activity,"):
        make("voxels", SIZE)
    with pytest.raises(ParameterError, match="voxel_grid takes VoxelGridParameters"):
        make("voxel_grid", SIZE, EventFrameParameters())
    with pytest.raises(EventError, match="sensor width 0"):
        make_one("stacked_histogram", SensorSize(1, 4), downsample=2)


@every_kind
def test_events_are_not_written_to(kind):
    window = busy_window()
    before = [column.copy() for column in (window.events.t, window.events.x, window.events.y)]
    represent(make_one(kind), window)
    for column, kept in zip(
        (window.events.t, window.events.x, window.events.y), before, strict=True
    ):
        np.testing.assert_array_equal(column, kept)
