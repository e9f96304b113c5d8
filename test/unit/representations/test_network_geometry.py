"""Pixels and boxes between sensor and network, there and back."""

from __future__ import annotations

import numpy as np
import pytest
from event_windows import few, window_of
from hypothesis import given
from hypothesis import strategies as st

from evio_ros.errors import ParameterError
from evio_ros.events import RegionOfInterest, SensorSize
from evio_ros.representations.base import represent
from evio_ros.representations.network_geometry import NetworkGeometry
from evio_ros.representations.stacked_histogram import StackedHistogram, StackedHistogramParameters


@pytest.mark.parametrize(
    ("sensor", "downsample", "network"),
    [
        (SensorSize(304, 240), 1, SensorSize(320, 256)),
        (SensorSize(1280, 720), 2, SensorSize(640, 384)),
        (SensorSize(640, 480), 1, SensorSize(640, 512)),
        (SensorSize(7, 5), 1, SensorSize(64, 64)),
    ],
)
def test_inputs_of_rvt(sensor, downsample, network):
    assert NetworkGeometry.padded(sensor, downsample=downsample).network == network


@st.composite
def geometries(draw: st.DrawFn) -> NetworkGeometry:
    sensor = SensorSize(draw(st.integers(1, 40)), draw(st.integers(1, 40)))
    downsample = draw(st.integers(1, 4))
    x0 = draw(st.integers(0, max(sensor.width - downsample, 0)))
    y0 = draw(st.integers(0, max(sensor.height - downsample, 0)))
    x1 = draw(st.integers(min(x0 + downsample, sensor.width), sensor.width))
    y1 = draw(st.integers(min(y0 + downsample, sensor.height), sensor.height))
    region = RegionOfInterest(x0, y0, x1, y1)
    if min(x1 - x0, y1 - y0) < downsample:
        downsample = 1
    multiple = draw(st.integers(1, 9))
    return NetworkGeometry.padded(sensor, region=region, downsample=downsample, multiple=multiple)


@few
@given(geometries(), st.integers(0, 99))
def test_every_pixel_is_where_its_box_is(geometry, seed):
    """A box about one sensor pixel lands on the input pixel that holds that pixel's value."""
    sensor, network = geometry.sensor, geometry.network
    tensor = np.arange(1, 2 * sensor.pixels + 1).reshape(2, sensor.height, sensor.width)
    tensor.flags.writeable = False
    out = np.full((2, network.height, network.width), -1)
    geometry.apply(tensor, out)
    kept = np.argwhere(out[0] > 0)
    region, step = geometry.region, geometry.downsample
    expected = ((region.y1 - region.y0) // step) * ((region.x1 - region.x0) // step)
    assert len(kept) == expected
    for row, column in kept[np.random.default_rng(seed).permutation(len(kept))[:5]]:
        y, x = divmod(out[0, row, column] - 1, sensor.width)
        assert out[1, row, column] == tensor[1, y, x]
        box = geometry.boxes_to_network(np.array([[x, y, x + 1, y + 1]]))[0]
        assert column <= box[0] <= box[2] <= column + 1
        assert row <= box[1] <= box[3] <= row + 1
    assert (out >= 0).all()


@few
@given(geometries(), st.lists(st.tuples(*[st.floats(-50, 90)] * 4), max_size=5))
def test_boxes_there_and_back(geometry, boxes):
    boxes = np.array(boxes).reshape(-1, 4)
    for back in (
        geometry.boxes_to_sensor(geometry.boxes_to_network(boxes)),
        geometry.boxes_to_network(geometry.boxes_to_sensor(boxes)),
    ):
        np.testing.assert_allclose(back, boxes, atol=1e-9)


def test_boxes_worked_out_by_hand():
    geometry = NetworkGeometry.padded(
        SensorSize(1280, 720), region=RegionOfInterest(100, 50, 740, 410), downsample=2
    )
    assert geometry.network == SensorSize(320, 192)
    boxes = np.array([[100.0, 50.0, 740.0, 410.0], [102.0, 53.0, 104.0, 57.0]])
    expected = [[0.0, 0.0, 320.0, 180.0], [1.0, 1.5, 2.0, 3.5]]
    np.testing.assert_array_equal(geometry.boxes_to_network(boxes), expected)


def test_halving_a_histogram_equals_making_it_halved():
    size = SensorSize(11, 9)
    t = np.random.default_rng(4).integers(0, 50_000, 3_000).tolist()
    window = window_of(size, t, 50_000)
    full = represent(StackedHistogram(size), window)
    halved = represent(StackedHistogram(size, StackedHistogramParameters(downsample=2)), window)
    geometry = NetworkGeometry.padded(size, downsample=2, multiple=1)
    out = np.empty_like(halved)
    geometry.apply(full, out)
    np.testing.assert_array_equal(out, halved)


@pytest.mark.parametrize("sides", [(304, 240), (305, 241), (1280, 720), (4, 4)])
def test_halving_equals_nearest_exact_of_pytorch(sides):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    size = SensorSize(*sides)
    tensor = np.random.default_rng(0).integers(0, 10, (3, size.height, size.width), np.uint8)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(tensor)[None].float(), scale_factor=0.5, mode="nearest-exact"
    )[0].numpy()
    geometry = NetworkGeometry.padded(size, downsample=2, multiple=1)
    out = np.empty((3, size.height // 2, size.width // 2), np.uint8)
    geometry.apply(tensor, out)
    np.testing.assert_array_equal(out, expected)


def test_what_does_not_fit_is_refused():
    sensor, whole = SensorSize(10, 8), RegionOfInterest(0, 0, 10, 8)
    for make, text in (
        (lambda: NetworkGeometry(sensor, RegionOfInterest(0, 0, 11, 8), 1, sensor), "exceeds the"),
        (lambda: NetworkGeometry(sensor, whole, 0, sensor), "downsample: 0 is below"),
        (lambda: NetworkGeometry(sensor, whole, 9, sensor), "leaves no pixel"),
        (lambda: NetworkGeometry(sensor, whole, 1, SensorSize(9, 8)), "does not hold 10x8"),
        (lambda: NetworkGeometry.padded(sensor, multiple=0), "multiple: 0 is below"),
        (lambda: NetworkGeometry.padded(sensor, downsample=0), "downsample: 0 is below"),
    ):
        with pytest.raises(ParameterError, match=text):
            make()
    geometry = NetworkGeometry.padded(sensor, multiple=4)
    with pytest.raises(ParameterError, match="its last axes must be"):
        geometry.apply(np.zeros((2, 8, 11)), np.zeros((2, 8, 12)))
    with pytest.raises(ParameterError, match="out is float64"):
        geometry.apply(np.zeros((2, 8, 10)), np.zeros((2, 8, 10)))
    with pytest.raises(ParameterError, match=r"boxes are \(4,\)"):
        geometry.boxes_to_sensor(np.zeros(4))
