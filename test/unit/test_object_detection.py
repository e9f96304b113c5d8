import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="networks need the extra rvt")
pytest.importorskip("evlib", reason="networks need the extra rvt")
pytest.importorskip("norfair", reason="tracks need the extra rvt")

from rvt_weights import patterned  # noqa: E402

from evio_ros.detection.model_file import write_model  # noqa: E402
from evio_ros.detection.network import NetworkParameters, open_network  # noqa: E402
from evio_ros.detection.rvt_configuration import RvtConfiguration  # noqa: E402
from evio_ros.detection.rvt_network import RvtNetwork  # noqa: E402
from evio_ros.errors import EventError, ParameterError, SourceError  # noqa: E402
from evio_ros.events import EventBatch, EventWindow, SensorSize  # noqa: E402
from evio_ros.object_detection import ObjectDetectionParameters, ObjectDetector  # noqa: E402

CONFIGURATION = RvtConfiguration("tiny", ("a", "b"), SensorSize(128, 64), 1, window_us=1000)
ALL = ObjectDetectionParameters(least_score=0.0, most_boxes=1000, most_skipped=2)


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


def test_an_empty_window_is_taken(network):
    size = SensorSize(100, 60)
    found = ObjectDetector(size, network, ALL).process(window(0, size, events=0))
    assert found.t_us == 1000


def test_what_does_not_fit_is_refused(network, tmp_path):
    size = SensorSize(100, 60)
    detector = ObjectDetector(size, network, ALL)
    with pytest.raises(ParameterError, match="2000 us, 1000 are due"):
        detector.process(EventWindow(0, 2000, window(0, size).events))
    with pytest.raises(EventError):
        detector.process(window(0, SensorSize(50, 50)))
    assert detector.statistics.windows == 0
    with pytest.raises(ParameterError, match="1280x720 sensor does not fit"):
        ObjectDetector(SensorSize(1280, 720), network)
    with pytest.raises(SourceError, match="no such file"):
        open_network(NetworkParameters(str(tmp_path / "none.safetensors")))
