import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="networks need the extra rvt")
pytest.importorskip("evlib", reason="networks need the extra rvt")
pytest.importorskip("norfair", reason="tracks need the extra rvt")

from rvt_weights import patterned  # noqa: E402

from evio_ros.detection.model_file import write_model  # noqa: E402
from evio_ros.detection.network import NetworkParameters, open_network  # noqa: E402
from evio_ros.detection.object_tracker import TrackingParameters  # noqa: E402
from evio_ros.detection.rvt_configuration import RvtConfiguration  # noqa: E402
from evio_ros.detection.rvt_network import RvtNetwork  # noqa: E402
from evio_ros.errors import EventError, ParameterError, SourceError  # noqa: E402
from evio_ros.events import EventBatch, EventWindow, SensorSize  # noqa: E402
from evio_ros.object_detection import ObjectDetectionParameters, ObjectDetector  # noqa: E402
from evio_ros.representations.base import represent  # noqa: E402
from evio_ros.representations.stacked_histogram import (  # noqa: E402
    StackedHistogram,
    StackedHistogramParameters,
)

CONFIGURATION = RvtConfiguration("tiny", ("a", "b"), SensorSize(128, 64), 1, window_us=1000)
ALL = ObjectDetectionParameters(minimum_score=0.0, maximum_boxes=1000, maximum_skipped=2)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "a.safetensors"
    own = RvtNetwork(CONFIGURATION).published_weights()
    made = patterned({name: tuple(value.shape) for name, value in own.items()})
    weights = {k: torch.from_numpy(v).to(own[k].dtype) for k, v in made.items()}
    write_model(path, CONFIGURATION, weights)
    return path


@pytest.fixture
def network(model):
    return open_network(NetworkParameters(str(model), "eager"))[1]


def window(start_us, size, seed=0, events=2000):
    random = np.random.default_rng(seed)
    return EventWindow(
        start_us,
        1000,
        EventBatch(
            size=size,
            x=random.integers(0, size.width, events).astype(np.uint16),
            y=random.integers(0, size.height, events).astype(np.uint16),
            t=np.sort(random.integers(start_us, start_us + 1000, events)),
            polarity=random.integers(0, 2, events).astype(bool),
        ),
    )


def test_boxes_are_in_pixels_of_the_sensor(network):
    """Events at odd pixels of a sensor twice as large give the same boxes, twice as large."""
    small, large = SensorSize(100, 60), SensorSize(200, 120)
    events = window(0, small).events
    x, y = 2 * events.x + 1, 2 * events.y + 1
    doubled = EventBatch(size=large, x=x, y=y, t=events.t, polarity=events.polarity)
    near = ObjectDetector(small, network, ALL).process(EventWindow(0, 1000, events)).boxes
    far = ObjectDetector(large, network, ALL).process(EventWindow(0, 1000, doubled)).boxes
    assert len(near) > 10
    np.testing.assert_allclose(far.corners, 2 * near.corners, atol=1e-3)
    np.testing.assert_allclose(far.scores, near.scores, atol=1e-6)
    assert near.corners.min() >= 0
    assert (near.corners.max(axis=0) <= [100, 60, 100, 60]).all()


def test_gaps_are_counted_and_long_ones_forget(network):
    size = SensorSize(100, 60)
    fresh = ObjectDetector(size, network, ALL).process(window(9000, size, 5)).boxes
    detector = ObjectDetector(size, network, ALL)
    for start_us in (0, 1000, 3000, 4000):
        detector.process(window(start_us, size, start_us))
    assert (detector.statistics.windows_skipped, detector.statistics.memory_resets) == (1, 0)
    # Four windows are missing now, two are bridged.
    after = detector.process(window(9000, size, 5)).boxes
    assert (detector.statistics.windows_skipped, detector.statistics.memory_resets) == (1, 1)
    np.testing.assert_array_equal(after.corners, fresh.corners)
    detector.process(window(0, size))
    assert detector.statistics.memory_resets == 2
    assert detector.statistics.windows == 6


@pytest.mark.parametrize("size", [SensorSize(100, 60), SensorSize(200, 120)])
def test_a_histogram_that_others_made_gives_the_same(network, size):
    first, second = window(0, size, 1, 20_000), window(1000, size, 2, 20_000)
    detector = ObjectDetector(size, network, ALL)
    expected = [detector.process(one).boxes for one in (first, second)]
    detector = ObjectDetector(size, network, ALL)
    # Counts of others may go on beyond what the network knows.
    histogram = StackedHistogram(size, StackedHistogramParameters(cutoff=200))
    for one, wanted in zip((first, second), expected, strict=True):
        found = detector.process_tensor(represent(histogram, one), one.start_us).boxes
        np.testing.assert_array_equal(found.corners, wanted.corners)
    with pytest.raises(EventError, match="takes uint8"):
        detector.process_tensor(np.zeros((20, 60, 99), np.uint8), 2000)
    with pytest.raises(EventError, match="takes uint8"):
        detector.process_tensor(np.zeros((20, size.height, size.width), np.float32), 2000)


def test_only_wanted_classes_are_given_and_unknown_ones_refused(network):
    size = SensorSize(100, 60)
    wanted = ObjectDetectionParameters(classes=" b ", minimum_score=0.01)
    boxes = ObjectDetector(size, network, wanted).process(window(0, size)).boxes_as_objects()
    assert {one.class_name for one in boxes} == {"b"}
    with pytest.raises(ParameterError, match="'zebra' is not one of a, b"):
        ObjectDetector(size, network, ObjectDetectionParameters(classes="a,zebra"))


def test_tracks_by_appearance_and_without_are_both_objects(network):
    size = SensorSize(100, 60)
    for reach in (0.0, 0.5):
        tracking = TrackingParameters(
            windows_to_begin=1, score_to_begin=0.0, appearance_distance=reach
        )
        detector = ObjectDetector(
            size, network, ObjectDetectionParameters(minimum_score=0.05), tracking
        )
        objects = []
        for start_us in (0, 1000, 2000):
            objects = detector.process(window(start_us, size)).tracks_as_objects()
        assert objects
        assert {one.t_us for one in objects} == {3000}
        assert all(one.id and one.corners[2] > one.corners[0] for one in objects)
        assert any(one.is_seen for one in objects)


def test_a_network_that_says_nonsense_once_is_forgotten_and_goes_on(network, monkeypatch):
    size = SensorSize(100, 60)
    detector = ObjectDetector(size, network, ALL)
    before = detector.process(window(0, size)).boxes
    step = network.step
    monkeypatch.setattr(network, "step", lambda histogram: step(histogram) * np.float32("nan"))
    assert len(detector.process(window(1000, size)).boxes) == 0
    monkeypatch.setattr(network, "step", step)
    assert detector.statistics.predictions_refused == 1
    events = window(0, size).events
    later = EventBatch(size, events.t + 2000, events.x, events.y, events.polarity)
    after = detector.process(EventWindow(2000, 1000, later)).boxes
    np.testing.assert_array_equal(after.corners, before.corners)


def test_an_empty_window_is_taken(network):
    size = SensorSize(100, 60)
    found = ObjectDetector(size, network, ALL).process(window(0, size, events=0))
    assert found.t_us == 1000


def test_what_does_not_fit_is_refused(network, tmp_path):
    size = SensorSize(100, 60)
    detector = ObjectDetector(size, network, ALL)
    with pytest.raises(ParameterError, match="2000 us, expected 1000 us"):
        detector.process(EventWindow(0, 2000, window(0, size).events))
    with pytest.raises(EventError):
        detector.process(window(0, SensorSize(50, 50)))
    assert detector.statistics.windows == 0
    with pytest.raises(ParameterError, match="1280x720 sensor does not fit"):
        ObjectDetector(SensorSize(1280, 720), network)
    with pytest.raises(SourceError, match="no such model file"):
        open_network(NetworkParameters(str(tmp_path / "none.safetensors")))
