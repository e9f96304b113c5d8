"""`evio detect` without a network: its options are those of the node."""

from __future__ import annotations

import inspect

from evio_ros.cli.detect import detect
from evio_ros.detection.network import NetworkParameters
from evio_ros.detection.object_tracker import TrackingParameters
from evio_ros.object_detection import ObjectDetectionParameters


def test_what_is_not_given_is_as_in_the_node():
    defaults = {
        name: option.default for name, option in inspect.signature(detect).parameters.items()
    }
    network = NetworkParameters()
    assert (defaults["model"], defaults["backend"]) == (network.model, network.backend)
    assert defaults["score"] == ObjectDetectionParameters().minimum_score
    assert defaults["score_to_begin"] == TrackingParameters().score_to_begin


def test_the_recording_is_not_written_over(evio, fan_recording, tmp_path):
    path = tmp_path / "a.dat"
    path.write_bytes(fan_recording.read_bytes())
    outcome = evio("detect", path, "--json", path)
    assert outcome.code == 2
    assert "would overwrite the recording" in outcome.err
    assert path.read_bytes() == fan_recording.read_bytes()
