from __future__ import annotations

from array import array
from collections.abc import Callable

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from evio_ros.msg import EventArray, EventReceipt, EventTensor, RotationState, RotationStateArray
from node_recording import DURATION_US
from rclpy.qos import QoSProfile, ReliabilityPolicy
from ros_probe import Probe, diagnostics_of
from rotor_events import SIZE
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from vision_msgs.msg import Detection2DArray

from evio_ros.errors import EventError
from evio_ros.events import EventBatch, EventWindow, SensorSize
from evio_ros.representations.base import represent
from evio_ros.representations.picture import draw_picture
from evio_ros.representations.registry import KINDS, make
from evio_ros.ros.detection_messages import detection_array
from evio_ros.ros.event_messages import to_message
from evio_ros.ros.node_process import NodeProcess
from evio_ros.ros.quality_of_service import receipts_quality
from evio_ros.ros.tensor_messages import TensorMessage, tensor_of
from evio_ros.sources.registry import open_source
from evio_ros.tracked_object import TrackedObject
from evio_ros.windowing import windows

NODE = "/representation"
WINDOW_US = 50_000
MESSAGE_US = 20_000
OFFSET_NS = 10**9
"""ROS time minus sensor time."""


class Desk:
    """Speaks to a representation node: sends events, follows topics and reports."""

    def __init__(self, probe: Probe) -> None:
        self.probe = probe
        self._publisher = probe.node.create_publisher(EventArray, "events", QoSProfile(depth=100))
        self._reports = probe.collect(DiagnosticArray, "/diagnostics")
        self._receipts = probe.collect(EventReceipt, "events/receipts", receipts_quality())
        probe.wait_until(lambda: self._publisher.get_subscription_count() == 1)
        probe.wait_until(lambda: bool(self._receipts))

    def subscribe(self, message_type: type, *names: str) -> list[list]:
        """Collect topics, and wait until the node knows that they are wanted."""
        quality = QoSProfile(depth=100, reliability=ReliabilityPolicy.BEST_EFFORT)
        collected: list[list] = [[] for _ in names]
        for name, came in zip(names, collected, strict=True):
            topic = f"representation/{name}"
            self.probe.node.create_subscription(message_type, topic, came.append, quality)
        self.report_with("message", lambda text: all(name in text for name in names))
        return collected

    def send(self, window: EventWindow, seq: int) -> EventArray:
        message = to_message(window, seq, "camera", stamp_ns=OFFSET_NS + 1000 * window.start_us)
        self.send_message(message)
        return message

    def send_message(self, message: EventArray) -> None:
        before = len(self._receipts)
        self._publisher.publish(message)
        self.probe.wait_until(lambda: len(self._receipts) > before)

    def report_with(self, key: str, holds: Callable[[str], bool]) -> dict[str, str]:
        """Wait for a report in which a value is as wanted."""

        def value() -> str | None:
            return diagnostics_of(self._reports, NODE).get(key)

        self.probe.wait_until(lambda: value() is not None and holds(value()))
        return diagnostics_of(self._reports, NODE)


@pytest.fixture
def desk():
    with Probe() as probe, NodeProcess("representation") as node:
        yield Desk(probe)
        assert node.exit_code is None, node.output()


def recorded_windows(recording, length_us: int, start_us: int = 0) -> list[EventWindow]:
    with open_source(str(recording)) as source:
        return list(windows(source.batches(), source.size, length_us, start_us, DURATION_US))


def test_every_kind_is_what_the_library_makes_of_the_same_windows(desk, recording):
    collected = desk.subscribe(EventTensor, *KINDS)
    for seq, window in enumerate(recorded_windows(recording, MESSAGE_US)):
        desk.send(window, seq)
    expected = recorded_windows(recording, WINDOW_US)
    desk.probe.wait_until(lambda: all(len(came) == len(expected) for came in collected))
    for kind, came in zip(KINDS, collected, strict=True):
        representation = make(kind, SIZE)
        for message, window in zip(came, expected, strict=True):
            np.testing.assert_array_equal(tensor_of(message), represent(representation, window))
            assert (message.kind, message.window_start) == (kind, window.start_us)
            assert (message.window_length, message.event_count) == (WINDOW_US, len(window.events))
            assert message.bin_edges.tolist() == representation.bin_edges_us().tolist()
            assert message.header.stamp.nanosec == 1000 * window.start_us
            assert message.header.frame_id == "camera"
    report = desk.report_with("published_voxel_grid", lambda text: text == str(len(expected)))
    assert report["events_dropped_late"] == report["messages_lost"] == "0"
    assert report["published_image"] == "0"


def test_picture_shows_the_events_and_the_rotors(desk, recording):
    cv_bridge = pytest.importorskip("cv_bridge", reason="cv_bridge is not installed")
    (pictures,) = desk.subscribe(Image, "image")
    (first, second) = recorded_windows(recording, 40_000)[:2]
    desk.send(first, 0)
    desk.probe.wait_until(lambda: len(pictures) == 1)
    shown = cv_bridge.CvBridge().imgmsg_to_cv2(pictures[0], "rgb8")
    expected = np.empty((SIZE.height, SIZE.width, 3), np.uint8)
    draw_picture("event_frame", represent(make("event_frame", SIZE), first), expected)
    np.testing.assert_array_equal(shown, expected)
    assert pictures[0].header.stamp.nanosec == 1000 * first.end_us
    publisher = desk.probe.node.create_publisher(
        RotationStateArray, "rotation_states", QoSProfile(depth=10)
    )
    desk.probe.wait_until(lambda: publisher.get_subscription_count() == 1)
    rotor = RotationState(id=1, rpm=1150.0, center_x=160.0, center_y=120.0)
    rotor.axis_major = rotor.axis_minor = 60.0
    # The arrow outside the rim is above it.
    rotor.angle = 4.7
    publisher.publish(RotationStateArray(window_end=first.end_us, states=[rotor]))
    desk.probe.spin_for(0.5)
    desk.send(second, 1)
    desk.probe.wait_until(lambda: len(pictures) == 2)
    shown = cv_bridge.CvBridge().imgmsg_to_cv2(pictures[1], "rgb8")
    draw_picture("event_frame", represent(make("event_frame", SIZE), second), expected)
    changed = np.argwhere((shown != expected).any(axis=2))
    # The ellipse is where the rotor's rim is: rows 60 to 180 about column 160.
    assert (np.abs(changed[:, 1] - 160) <= 62).all()
    assert {60, 120, 180} <= set(changed[:, 0].tolist())


def test_picture_shows_boxes_and_tracks(desk, recording):
    cv_bridge = pytest.importorskip("cv_bridge", reason="cv_bridge is not installed")
    (pictures,) = desk.subscribe(Image, "image")
    (first, second) = recorded_windows(recording, 40_000)[:2]
    publisher = desk.probe.node.create_publisher(
        Detection2DArray, "rvt_detector/tracks", QoSProfile(depth=10)
    )
    desk.probe.wait_until(lambda: publisher.get_subscription_count() == 1)
    corners = (40.0, 100.0, 140.0, 160.0)
    track = TrackedObject(first.end_us, "1", corners, "drone", 0.9, first.end_us)
    publisher.publish(detection_array([track], first.end_us, OFFSET_NS, "camera"))
    desk.probe.spin_for(0.5)
    desk.send(first, 0)
    desk.send(second, 1)
    desk.probe.wait_until(lambda: len(pictures) == 2)
    shown = cv_bridge.CvBridge().imgmsg_to_cv2(pictures[1], "rgb8")
    expected = np.empty((SIZE.height, SIZE.width, 3), np.uint8)
    draw_picture("event_frame", represent(make("event_frame", SIZE), second), expected)
    is_changed = (shown != expected).any(axis=2)
    # The sides of the box, and nothing within it or below it.
    assert is_changed[160, 40:141].all()
    assert is_changed[100:161, [40, 140]].all()
    assert not is_changed[101:160, 41:140].any()
    assert not is_changed[161:].any()


def test_reliable_subscribers_get_pictures_compressed_ones_and_the_calibration(recording, tmp_path):
    pytest.importorskip("cv_bridge", reason="cv_bridge is not installed")
    import cv2

    calibration = tmp_path / "camera.yaml"
    identity = "{data: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]}"
    calibration.write_text(
        f"image_width: {SIZE.width}\nimage_height: {SIZE.height}\ncamera_matrix: {identity}\n"
        f"rectification_matrix: {identity}\ndistortion_coefficients: {{data: []}}\n"
        "projection_matrix: {data: [2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 1, 0]}\n"
    )
    parameters = {"image.camera_info_file": str(calibration), "image.jpeg_quality": 95}
    with Probe() as probe, NodeProcess("representation", parameters) as node:
        desk = Desk(probe)
        reliable = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
        base = "representation/image"
        compressed = probe.collect(CompressedImage, f"{base}/compressed", reliable)
        infos = probe.collect(CameraInfo, "representation/camera_info", reliable)
        desk.report_with("message", lambda text: "image" in text)
        pictures = probe.collect(Image, base, reliable)
        probe.wait_for_publisher(base)
        probe.spin_for(0.5)
        desk.send(recorded_windows(recording, 40_000)[0], 0)
        probe.wait_until(lambda: all(map(len, (pictures, compressed, infos))))
        assert node.exit_code is None
    assert pictures[0].header == compressed[0].header == infos[0].header
    assert compressed[0].format == "rgb8; jpeg compressed bgr8"
    assert (infos[0].width, infos[0].p[5]) == (SIZE.width, 2.0)
    shown = np.frombuffer(pictures[0].data, np.uint8).reshape(SIZE.height, SIZE.width, 3)
    decoded = cv2.imdecode(np.frombuffer(compressed[0].data, np.uint8), cv2.IMREAD_COLOR)
    # JPEG halves the resolution of colour; red and blue changed over would differ by far more.
    assert np.abs(decoded[..., ::-1].astype(float) - shown).mean() < 12


def test_bad_messages_late_events_and_new_sensors_are_survived_and_counted(desk):
    (frames,) = desk.subscribe(EventTensor, "event_frame")
    pixel = np.zeros(3, np.uint16)
    polarity = np.array([False, True, True])

    def window(start_us: int, size: SensorSize = SIZE, length_us: int = 30_000) -> EventWindow:
        events = EventBatch(size, start_us + np.array([0, 1, 2]), pixel, pixel, polarity)
        return EventWindow(start_us, length_us, events)

    desk.send(window(0), 0)
    odd = to_message(window(30_000), 1, "camera", 0)
    odd.polarity = array("B", [0, 1, 2])
    desk.send_message(odd)
    outside = to_message(window(30_000), 2, "camera", 0)
    outside.x = array("H", [0, 0, 320])
    desk.send_message(outside)
    backwards = to_message(window(30_000), 3, "camera", 0)
    backwards.t = array("I", [2, 1, 0])
    desk.send_message(backwards)
    empty = EventWindow(30_000, 30_000, EventBatch.empty(SIZE))
    desk.send(empty, 4)
    desk.probe.wait_until(lambda: len(frames) == 1)
    assert tensor_of(frames[0]).sum() == frames[0].event_count == 3
    # Time goes back: what was begun is dropped, and counted.
    desk.send(window(60_000), 5)
    desk.send(window(10_000, length_us=40_000), 6)
    desk.probe.wait_until(lambda: len(frames) == 2)
    assert (frames[1].window_start, frames[1].event_count) == (0, 3)
    small = SensorSize(5, 4)
    desk.send(window(50_000, small, 50_000), 9)
    desk.probe.wait_until(lambda: len(frames) == 3)
    assert frames[2].shape.tolist() == [2, 4, 5]
    report = desk.report_with("messages", lambda text: text == "8")
    assert (report["messages_refused"], report["messages_lost"]) == ("3", "2")
    assert report["events_dropped_late"] == "3"


def test_without_cv_bridge_tensors_still_come(tmp_path, recording):
    """A module that cannot be imported stands for one that is not installed."""
    import os

    for name in ("cv_bridge", "cv2"):
        (tmp_path / f"{name}.py").write_text(f"raise ImportError('gone', name={name!r})\n")
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    environment = {**os.environ, "PYTHONPATH": path}
    with Probe() as probe, NodeProcess("representation", environment=environment) as node:
        desk = Desk(probe)
        (frames,) = desk.subscribe(EventTensor, "event_frame")
        desk.send(recorded_windows(recording, WINDOW_US)[0], 0)
        probe.wait_until(lambda: len(frames) == 1)
        report = desk.report_with("message", lambda text: "cv2 is not installed" in text)
        assert "pip install cv-bridge" in report["message"]
        assert "cv2 is not installed" in node.output()


def test_wrong_parameters_end_the_node_with_one_line():
    for name, value, text in (
        ("voxel_grid.bins", 0, "voxel_grid.bins"),
        ("image.look", "pretty", "image.look: 'pretty' is not one of event_frame"),
        ("window_us.voxels", 50, "window_us.voxels: representation has no such parameter"),
    ):
        with NodeProcess("representation", {name: value}) as node:
            assert node.wait(30.0) == 2
            assert text.rpartition(".")[2].split(":")[0] in node.output()


def test_tensor_messages_that_do_not_fit_are_refused():
    message = TensorMessage("event_frame", (2, 3, 4), np.dtype(np.int32))
    message.tensor[1, 2, 3] = 7
    sent = message.complete(EventTensor().header, 0, 10, np.empty(0, np.int64), 1)
    assert tensor_of(sent)[1, 2, 3] == 7
    sent.shape = [2, 3, 5]
    with pytest.raises(EventError, match="data has 96 bytes"):
        tensor_of(sent)
    sent.dtype = "object"
    with pytest.raises(EventError, match="dtype 'object' is not one of"):
        tensor_of(sent)
