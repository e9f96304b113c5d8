"""The model that comes with the package."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("safetensors", reason="networks need the extra rvt")

from evio_ros import detection
from evio_ros.detection.model_file import read_configuration
from evio_ros.detection.model_store import find_model
from evio_ros.ellipse import Ellipse
from evio_ros.simulation.camera import SensorParameters
from evio_ros.simulation.scene import Path as DiscPath
from evio_ros.simulation.scene import Rotor, Scene
from evio_ros.simulation.simulator import simulate
from evio_ros.simulation.speed import SpeedProfile
from evio_ros.windowing import windows

CAMERA = SensorParameters(width=192, height=128)
FAN = Rotor(DiscPath.fixed(Ellipse((110.0, 60.0), (32.0, 32.0), 0.0)), SpeedProfile.constant(900.0))
DURATION_US = 250_000


@pytest.fixture
def model(tmp_path, monkeypatch):
    # A model of the user's own would be taken for it.
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    return find_model("rotor")


def found_in(scene, model):
    from evio_ros.detection.network import NetworkParameters, open_network
    from evio_ros.object_detection import ObjectDetector

    _, network = open_network(NetworkParameters(str(model), "eager"))
    detector = ObjectDetector(CAMERA.size, network)
    batches = simulate(scene, CAMERA, DURATION_US)
    return [
        detector.process(window).boxes
        for window in windows(batches, CAMERA.size, 50_000, 0, DURATION_US)
    ]


def test_it_comes_with_the_package_by_its_name_and_with_its_card(model):
    assert model.parent == Path(detection.__file__).parent / "models"
    assert model.stat().st_size < 12e6
    assert read_configuration(model).classes == ("rotor", "drone")
    assert model.with_suffix(".md").exists()


def test_a_fan_is_found_where_it_is(model):
    pytest.importorskip("torch", reason="networks need the extra rvt")
    boxes = found_in(Scene("fan", (FAN,)), model)[-1]
    assert boxes.labels[0] == 0
    np.testing.assert_allclose(boxes.corners[0], (78, 28, 142, 92), atol=10)


def test_noise_alone_is_nothing(model):
    pytest.importorskip("torch", reason="networks need the extra rvt")
    assert all(not len(boxes) for boxes in found_in(Scene("nothing"), model))
