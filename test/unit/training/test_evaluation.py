import numpy as np
import pytest

pytest.importorskip("torch", reason="networks need the extra rvt")
pytest.importorskip("evlib", reason="networks need the extra rvt")
pytest.importorskip("faster_coco_eval", reason="average precision needs the extra train")

from evio_ros.detection.rvt_configuration import RvtConfiguration
from evio_ros.detection.rvt_network import RvtNetwork
from evio_ros.errors import ParameterError
from evio_ros.events import SensorSize
from evio_ros.training.evaluation import evaluate_model
from evio_ros.training.random_scene import CLASSES

CONFIGURATION = RvtConfiguration("nano", CLASSES, SensorSize(64, 64), 1, window_us=5000)


def test_a_network_that_always_reports_gives_an_alarm_in_each_empty_window(tmp_path):
    weights = RvtNetwork(CONFIGURATION).published_weights()
    for name, value in weights.items():
        if "obj_preds" in name or "cls_preds" in name:
            value.fill_(5.0 if name.endswith("bias") else 0.0)
    done = []
    quality = evaluate_model(
        CONFIGURATION, weights, 0, 2, 3, 7, [0.9], "eager", tmp_path, done.append
    )
    assert done == [1, 2]
    assert quality.boxes.ap50 == (-1.0, -1.0)
    # Windows of 5 ms.
    assert quality.boxes.at_score[0].false_alarms_a_minute == pytest.approx(60 / 0.005)
    # A track needs the three windows of a scene to begin.
    assert quality.tracks.false_alarms_a_minute == pytest.approx(60 / 0.005 / 3)


def test_untrained_networks_are_no_good(tmp_path):
    weights = RvtNetwork(CONFIGURATION).published_weights()
    quality = evaluate_model(CONFIGURATION, weights, 6, 0, 2, 7, [0.3], "eager", tmp_path)
    assert all(ap50 < 0.2 for ap50 in quality.boxes.ap50)


def test_no_scene_counts_twice(tmp_path):
    weights = RvtNetwork(CONFIGURATION).published_weights()
    evaluate_model(CONFIGURATION, weights, 12, 12, 1, 7, [0.3], "eager", tmp_path)
    kept = [np.load(path, allow_pickle=False) for path in tmp_path.glob("*.npz")]
    assert len({sequence["inputs"].tobytes() for sequence in kept}) == 24
    # Some of the scenes of all kinds have no objects either.
    assert sum(str(sequence["name"]) == "clutter" for sequence in kept) > 12


def test_networks_of_other_classes_are_refused():
    other = RvtConfiguration("nano", ("car", "pedestrian"), SensorSize(64, 64), 1)
    with pytest.raises(ParameterError, match="classes are car, pedestrian"):
        evaluate_model(other, {}, 1, 0, 1, 7, [0.3])
