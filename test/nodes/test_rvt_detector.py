from __future__ import annotations

import importlib.util
import itertools
import os
import subprocess
import sys
from array import array

import numpy as np
import pytest
import yaml
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from evio_ros.msg import EventArray, EventReceipt, EventTensor
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from node_recording import DURATION_US
from rclpy.qos import QoSProfile
from ros_probe import Probe, diagnostics_of, status_of
from rotor_events import SIZE
from rvt_weights import patterned
from vision_msgs.msg import Detection2DArray

from evio_ros.events import EventBatch, EventWindow, SensorSize
from evio_ros.representations.base import represent
from evio_ros.representations.stacked_histogram import StackedHistogram
from evio_ros.ros.detection_messages import detection_array
from evio_ros.ros.event_messages import from_message, to_message
from evio_ros.ros.node_process import NodeProcess
from evio_ros.ros.quality_of_service import receipts_quality
from evio_ros.tracked_object import TrackedObject

NODE = "/rvt_detector"
BOXES, TRACKS = "rvt_detector/detections", "rvt_detector/tracks"
HISTOGRAMS = "representation/stacked_histogram"
WINDOW_US = 50_000
LOADED_S = 120.0
"""To import PyTorch alone takes a second of the processor."""
NEEDED = ("torch", "evlib", "safetensors", "norfair", "cv2")

needs_torch = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in NEEDED),
    reason="the detector needs the extra rvt: pip install 'evio_ros[rvt]'",
)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A network with weights of no meaning, which sees boxes everywhere."""
    import torch

    from evio_ros.detection.model_file import write_model
    from evio_ros.detection.rvt_configuration import RvtConfiguration
    from evio_ros.detection.rvt_network import RvtNetwork

    configuration = RvtConfiguration("tiny", ("a", "b"), SensorSize(192, 128), 1)
    own = RvtNetwork(configuration).published_weights()
    made = patterned({name: tuple(value.shape) for name, value in own.items()})
    weights = {key: torch.from_numpy(value).to(own[key].dtype) for key, value in made.items()}
    path = tmp_path_factory.mktemp("models") / "meaningless.safetensors"
    write_model(path, configuration, weights)
    return path


def settings(model, **more):
    """Parameters by which there are some boxes, and each of them is a track."""
    return {
        "network.model": str(model),
        "network.backend": "eager",
        "network.threads": 1,
        "minimum_score": 0.05,
        "tracking.windows_to_begin": 1,
        "tracking.score_to_begin": 0.0,
        **more,
    }


def window_message(seq, size=SIZE, events=300, length_us=10_000):
    start_us = length_us * seq
    random = np.random.default_rng(seq)
    batch = EventBatch(
        size,
        np.sort(random.integers(start_us, start_us + length_us, events)),
        random.integers(0, size.width, events).astype(np.uint16),
        random.integers(0, size.height, events).astype(np.uint16),
        random.integers(0, 2, events).astype(bool),
    )
    window = EventWindow(start_us, length_us, batch)
    return to_message(window, seq, "camera", stamp_ns=10**9 + 1000 * start_us)


class Direct:
    """A probe that publishes events itself, with all that the detector says."""

    def __init__(self, probe, detector):
        self.probe, self.detector = probe, detector
        self.publisher = probe.node.create_publisher(EventArray, "events", QoSProfile(depth=100))
        self.reports = probe.collect(DiagnosticArray, "/diagnostics")
        self.receipts = probe.collect(EventReceipt, "events/receipts", receipts_quality())
        self.boxes = probe.collect(Detection2DArray, BOXES)
        self.tracks = probe.collect(Detection2DArray, TRACKS)
        probe.wait_until(lambda: self.publisher.get_subscription_count() == 1, LOADED_S)
        probe.wait_until(lambda: bool(self.receipts))
        probe.wait_for_publisher(BOXES)
        probe.wait_for_publisher(TRACKS)
        probe.spin_for(1.0)  # until the detector knows of the probe, too

    def send(self, message):
        self.publisher.publish(message)
        self.probe.wait_until(lambda: message.seq in [it.seq for it in self.receipts])

    def wait_for(self, **values):
        """The report that has these values."""

        def found():
            report = diagnostics_of(self.reports, NODE)
            return all(report.get(key) == str(value) for key, value in values.items())

        self.probe.wait_until(found)
        return diagnostics_of(self.reports, NODE)


@needs_torch
def test_boxes_and_tracks_of_every_window_of_a_recording(recording, model):
    with Probe() as probe, NodeProcess("rvt_detector", settings(model)) as detector:
        boxes = probe.collect(Detection2DArray, BOXES)
        tracks = probe.collect(Detection2DArray, TRACKS)
        reports = probe.collect(DiagnosticArray, "/diagnostics")
        probe.wait_until(lambda: diagnostics_of(reports, NODE).get("backend") == "eager", LOADED_S)
        probe.wait_for_publisher(BOXES)
        probe.wait_for_publisher(TRACKS)
        probe.spin_for(1.0)  # until the detector knows of the probe, too
        source = {"source": str(recording), "replay.rate": 0.0, "wait_for": "rvt_detector"}
        with NodeProcess("driver", source) as driver:
            probe.wait_until(lambda: driver.exit_code is not None)
            assert driver.exit_code == 0, driver.output()
        windows = DURATION_US // WINDOW_US
        probe.wait_until(lambda: len(boxes) == len(tracks) == windows)
        probe.wait_until(lambda: diagnostics_of(reports, NODE).get("windows") == str(windows))
        values = diagnostics_of(reports, NODE)
        assert (values["windows_behind"], values["windows_skipped"]) == ("0", "0")
        assert detector.exit_code is None
    stamps = [it.header.stamp.sec * 10**9 + it.header.stamp.nanosec for it in boxes]
    assert {b - a for a, b in itertools.pairwise(stamps)} == {1000 * WINDOW_US}
    assert boxes[0].header.frame_id == "event_camera"
    found = [one for message in boxes for one in message.detections]
    assert {one.results[0].hypothesis.class_id for one in found} <= {"a", "b"}
    assert len(found) > 10
    for one in found:
        assert 0.05 <= one.results[0].hypothesis.score <= 1.0
        assert one.id == ""
        half = 0.5 * one.bbox.size_x
        assert one.bbox.center.position.x - half >= -1e-6
        assert one.bbox.center.position.x + half <= SIZE.width + 1e-6
    followed = [one for message in tracks for one in message.detections]
    assert all(int(one.id) > 0 for one in followed)
    assert max([one.id for one in followed].count(one.id) for one in followed) > 3


@needs_torch
def test_losses_jumps_and_other_sensors_are_counted_and_survived(model):
    with Probe() as probe, NodeProcess("rvt_detector", settings(model)) as detector:
        direct = Direct(probe, detector)
        for seq in (*range(10), *range(15, 25)):
            direct.send(window_message(seq))
        # From 0.1 to 0.15 s all is missing: no window of it is looked at.
        values = direct.wait_for(messages=20, messages_lost=5, windows=4)
        assert (values["windows_skipped"], values["memory_resets"]) == ("1", "0")
        # Time goes back, and the sensor is another.
        for seq in range(5):
            direct.send(window_message(seq, SensorSize(100, 60)))
        direct.wait_for(windows=5, driver_restarts=1)
        # Back again, but far larger than the network's input.
        for seq in range(5):
            direct.send(window_message(seq, SensorSize(3000, 500)))
        values = direct.wait_for(messages=30, windows_failed=5, windows=5)
        assert "does not fit the network's input" in detector.output()
        assert status_of(direct.reports, NODE).level == DiagnosticStatus.WARN
        for seq in range(5):
            direct.send(window_message(seq))
        direct.wait_for(windows=6)
        assert detector.exit_code is None


@needs_torch
def test_a_network_that_is_slower_than_the_stream_skips_whole_windows(model):
    """Messages as fast as they can be sent: far more than any network takes."""
    quick = settings(model, **{"overload.maximum_wait_us": 1000})
    with Probe() as probe, NodeProcess("rvt_detector", quick) as detector:
        direct = Direct(probe, detector)
        number = 90
        direct.publisher.publish(window_message(0, length_us=WINDOW_US))
        probe.wait_until(lambda: len(direct.boxes) == 1)
        for seq in range(1, number):
            direct.publisher.publish(window_message(seq, length_us=WINDOW_US))
        probe.wait_until(lambda: number - 1 in [it.seq for it in direct.receipts])
        probe.spin_for(1.2)
        values = diagnostics_of(direct.reports, NODE)
        done, behind = int(values["windows"]), int(values["windows_behind"])
        assert done + behind + int(values["messages_lost"]) == number
        assert behind > number // 2
        assert done >= 2
        assert len(direct.boxes) == done
        # Neither is forgotten silently: gaps are passed over, or the memory is.
        assert int(values["windows_skipped"]) + int(values["memory_resets"]) > 0
        assert detector.exit_code is None


@needs_torch
def test_a_manager_configures_activates_and_releases_it_again_and_again(model):
    parameters = settings(model, autostart=False)
    with Probe() as probe, NodeProcess("rvt_detector", parameters) as detector:
        boxes = probe.collect(Detection2DArray, BOXES)
        publisher = probe.node.create_publisher(EventArray, "events", QoSProfile(depth=100))

        def take(transition):
            request = ChangeState.Request(transition=Transition(id=transition))
            done = probe.call(ChangeState, "rvt_detector/change_state", request, LOADED_S)
            assert done.success, detector.output()

        for _ in range(2):
            take(Transition.TRANSITION_CONFIGURE)
            take(Transition.TRANSITION_ACTIVATE)
            probe.wait_for_publisher(BOXES)
            probe.wait_until(lambda: publisher.get_subscription_count() == 1)
            before = len(boxes)
            probe.spin_for(0.3)
            for seq in range(5):
                publisher.publish(window_message(seq))
            probe.wait_until(lambda before=before: len(boxes) == before + 1)
            take(Transition.TRANSITION_DEACTIVATE)
            probe.wait_until(lambda: publisher.get_subscription_count() == 0)
            take(Transition.TRANSITION_CLEANUP)
            probe.wait_until(lambda: probe.node.count_publishers(BOXES) == 0)
        assert detector.exit_code is None


@needs_torch
def test_in_one_process_with_the_driver_it_sees_every_window(recording, model, tmp_path):
    awaited = {"wait_for": "rvt_detector", "wait_for_subscribers": 2}  # this probe, too
    nodes = {
        "driver": {"source": str(recording), "replay.rate": 0.0, **awaited},
        "rvt_detector": settings(model),
    }
    sections = {f"/**/{name}": {"ros__parameters": given} for name, given in nodes.items()}
    file = tmp_path / "parameters.yaml"
    file.write_text(yaml.safe_dump(sections))
    command = [sys.executable, "-m", "evio_ros.nodes.container", *nodes]
    command += ["--ros-args", "--params-file", str(file)]
    with Probe() as probe:
        probe.collect(EventArray, "events")
        boxes = probe.collect(Detection2DArray, BOXES)
        done = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        probe.wait_until(lambda: done.poll() is not None, LOADED_S)
        assert done.returncode == 0, done.communicate()[1]
        probe.wait_until(lambda: len(boxes) == DURATION_US // WINDOW_US)


def test_tracks_are_cues_for_the_rotation_detector():
    chosen = {"cues.classes": "rotor,drone"}
    with Probe() as probe, NodeProcess("rotation_detector", chosen) as detector:
        events = probe.node.create_publisher(EventArray, "events", QoSProfile(depth=100))
        tracks = probe.node.create_publisher(Detection2DArray, TRACKS, QoSProfile(depth=10))
        reports = probe.collect(DiagnosticArray, "/diagnostics")
        for publisher in (events, tracks):
            probe.wait_until(lambda it=publisher: it.get_subscription_count() == 1, LOADED_S)
        objects = [
            TrackedObject(50_000, str(i), (10.0, 10.0, 90.0, 90.0), name, score, 50_000)
            for i, (name, score) in enumerate([("drone", 0.9), ("car", 0.9), ("rotor", 0.1)])
        ]
        tracks.publish(detection_array(objects, 50_000, 10**9, "camera"))
        numbers = itertools.count()

        def has_cue():
            events.publish(window_message(next(numbers)))
            return diagnostics_of(reports, "/rotation_detector").get("cues") == "1"

        probe.wait_until(has_cue, LOADED_S)
        assert detector.exit_code is None


@needs_torch
def test_stacked_histograms_give_what_events_give(model):
    windows = 4
    with Probe() as probe, NodeProcess("rvt_detector", settings(model)) as detector:
        direct = Direct(probe, detector)
        for seq in range(windows):
            direct.send(window_message(seq, length_us=WINDOW_US))
        probe.wait_until(lambda: len(direct.boxes) == windows)
        of_events = list(direct.boxes)
    parameters = settings(model, **{"input.tensors": True})
    with Probe() as probe, NodeProcess("rvt_detector", parameters):
        publisher = probe.node.create_publisher(EventTensor, HISTOGRAMS, QoSProfile(depth=10))
        boxes = probe.collect(Detection2DArray, BOXES)
        probe.wait_until(lambda: publisher.get_subscription_count() == 1, LOADED_S)
        probe.wait_for_publisher(BOXES)
        probe.spin_for(1.0)
        representation = StackedHistogram(SIZE)
        for seq in range(windows):
            message = window_message(seq, length_us=WINDOW_US)
            tensor = represent(representation, from_message(message))
            publisher.publish(
                EventTensor(
                    header=message.header,
                    kind="stacked_histogram",
                    dtype="uint8",
                    shape=list(tensor.shape),
                    data=array("B", tensor.tobytes()),
                    window_start=message.time_base,
                    window_length=message.duration,
                )
            )
            probe.wait_until(lambda: len(boxes) == seq + 1)  # noqa: B023
    assert sum(len(message.detections) for message in of_events) > 10
    for one, other in zip(of_events, boxes, strict=True):
        assert one == other


@needs_torch
def test_histograms_that_do_not_fit_are_refused_and_survived(model):
    parameters = settings(model, **{"input.tensors": True})
    with Probe() as probe, NodeProcess("rvt_detector", parameters) as detector:
        publisher = probe.node.create_publisher(EventTensor, HISTOGRAMS, QoSProfile(depth=10))
        reports = probe.collect(DiagnosticArray, "/diagnostics")
        probe.wait_until(lambda: publisher.get_subscription_count() == 1, LOADED_S)

        def send(number, refused, failed, **changes):
            message = EventTensor(
                kind="stacked_histogram",
                dtype="uint8",
                shape=[20, 60, 100],
                window_length=WINDOW_US,
            )
            message.shape = [20, 60, 100]
            message.window_start = number * WINDOW_US
            message.data = np.zeros(20 * 60 * 100, np.uint8).tobytes()
            for name, value in changes.items():
                setattr(message, name, value)
            publisher.publish(message)
            wanted = {"messages_refused": str(refused), "windows_failed": str(failed)}
            probe.wait_until(lambda: wanted.items() <= diagnostics_of(reports, NODE).items())

        send(0, 0, 0)
        send(1, 1, 0, kind="voxel_grid")
        send(2, 2, 0, dtype="float32")
        send(3, 3, 0, shape=[20, 60, 101])
        send(4, 4, 0, window_length=0)
        send(5, 4, 1, window_length=20_000)
        send(6, 4, 2, shape=[24, 50, 100])
        send(7, 4, 3, shape=[20 * 60 * 100])
        publisher.publish(EventTensor())
        probe.wait_until(lambda: diagnostics_of(reports, NODE).get("messages_refused") == "5")
        assert detector.exit_code is None


@needs_torch
@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"network.model": "no_such"}, "no_such: no model of this name; known: "),
        ({"network.model": "/nowhere/a.safetensors"}, "/nowhere/a.safetensors: no such model file"),
        ({"classes": "a, zebra"}, "classes: 'zebra' is not one of a, b"),
        ({"network.backend": "magic"}, "network.backend: 'magic' is not one of auto"),
        ({"tracking.distance": "magic"}, "tracking.distance: 'magic' is not one of center"),
        ({"window_us": -1}, "Parameter window_us out of range"),
        ({"network.backend": "cuda"}, "cuda cannot be used: PyTorch finds no CUDA device"),
    ],
)
def test_what_cannot_work_is_one_line_and_exit_code_2(model, parameters, said):
    if parameters.get("network.backend") == "cuda":
        import torch

        if torch.cuda.is_available():
            pytest.skip("there is a CUDA device")
    with NodeProcess("rvt_detector", settings(model, **parameters)) as detector:
        assert detector.wait(LOADED_S) == 2, detector.output()
        assert said in detector.output()
        assert "Traceback" not in detector.output()


@needs_torch
@pytest.mark.parametrize("fault", ["truncated", "hostile", "not finite", "another network"])
def test_a_broken_model_file_is_one_line_and_exit_code_2(model, tmp_path, fault):
    import torch

    from evio_ros.detection.model_file import read_model, write_model

    path = tmp_path / "model.safetensors"
    configuration, weights = read_model(model)
    if fault == "truncated":
        path.write_bytes(model.read_bytes()[:100_000])
    elif fault == "hostile":
        torch.save({"a": os.system}, path)
    elif fault == "not finite":
        name = "backbone.stages.0.downsample_cf2cl.conv.weight"
        write_model(path, configuration, {**weights, name: weights[name] * float("nan")})
    else:
        write_model(path, configuration, {"a": torch.zeros(1)})
    with NodeProcess("rvt_detector", settings(path)) as detector:
        assert detector.wait(LOADED_S) == 2, detector.output()
        told = {
            "truncated": "not a safetensors file",
            "hostile": "not a safetensors file",
            "not finite": "contains numbers that are not finite",
            "another network": "weights do not fit the tiny network",
        }
        assert told[fault] in detector.output()
        assert "Traceback" not in detector.output()


def test_without_torch_the_node_says_so_once_and_stays_idle(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as u\n"
        "find = u.find_spec\n"
        "u.find_spec = lambda n, p=None: None if n == 'torch' else find(n, p)\n"
    )
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path}
    with Probe() as probe, NodeProcess("rvt_detector", environment=environment) as detector:
        reports = probe.collect(DiagnosticArray, "/diagnostics")
        probe.wait_until(lambda: "idle: " in diagnostics_of(reports, NODE).get("message", ""))
        told = len(reports)
        probe.wait_until(lambda: len(reports) > told + 1)
        status = status_of(reports, NODE)
        assert status.level == DiagnosticStatus.WARN
        assert "torch" in status.message
        assert "pip install 'evio_ros[rvt]'" in status.message
        assert detector.exit_code is None
        # Topics are there for who asks for them.
        assert probe.node.count_publishers(TRACKS) == 1
        assert detector.output().count("idle: ") == 1
