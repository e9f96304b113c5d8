"""Event packets and live cameras on the wire: from other drivers, to other tools, nothing lost."""

from __future__ import annotations

import gc
import threading

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from encoded_events import digest_of, random_events, real_recording
from event_camera_msgs.msg import EventPacket
from evio_ros.msg import EventArray, RotationStateArray
from node_recording import ROTOR
from rclpy.executors import SingleThreadedExecutor
from rclpy.serialization import deserialize_message
from ros_probe import Probe, diagnostics_of
from rosbags.rosbag2 import Reader
from whole_recordings import all_events

from evio_ros.events import EventBatch
from evio_ros.nodes.driver import Driver
from evio_ros.ros.event_messages import from_message
from evio_ros.ros.node_process import NodeProcess
from evio_ros.ros.quality_of_service import packets_quality
from evio_ros.sources.base import SourceStatistics
from evio_ros.sources.cameras import camera_device
from evio_ros.sources.codecs.event_packet import EventPacketDecoder, EventPacketEncoder
from evio_ros.sources.conversion import convert
from evio_ros.sources.registry import open_recording, open_source
from evio_ros.sources.writers.registry import open_writer
from evio_ros.windowing import windows

TOPIC = "/camera/events"


def batch_from(messages) -> EventBatch:
    parts = [from_message(message).events for message in messages]
    return EventBatch.concatenate(parts[0].size, parts)


def assert_begins_with(whole: EventBatch, part: EventBatch, at_least: int) -> None:
    assert at_least <= len(part) <= len(whole)
    for column in ("t", "x", "y", "polarity"):
        np.testing.assert_array_equal(getattr(part, column), getattr(whole, column)[: len(part)])


def packets_of(path, window_us=5000) -> list[EventPacket]:
    """The messages of a camera's own driver, in real time from sensor time 0 on."""
    packets = []
    encoder = EventPacketEncoder()
    with open_source(str(path)) as source:
        for seq, window in enumerate(windows(source.batches(), source.size, window_us)):
            packet = EventPacket(seq=seq, encoding="evt3")
            packet.width, packet.height = source.size.width, source.size.height
            packet.header.frame_id = "their_camera"
            packet.header.stamp.sec = 1000
            packet.events.frombytes(encoder.encode(window.events))
            packets.append(packet)
    return packets


def test_packets_of_another_driver_become_event_arrays(recording):
    packets = packets_of(recording)
    with Probe() as probe:
        messages = probe.collect(EventArray, "events")
        reports = probe.collect(DiagnosticArray, "/diagnostics")
        publisher = probe.node.create_publisher(EventPacket, TOPIC, packets_quality())
        with NodeProcess("driver", {"source": f"topic:{TOPIC}"}) as driver:
            probe.wait_until(lambda: publisher.get_subscription_count() > 0)
            for packet in packets:
                if packet.seq != 50:
                    publisher.publish(packet)
                probe.spin_for(0.002)
            probe.wait_until(lambda: bool(messages) and messages[-1].time_base > 550_000)
            probe.wait_until(lambda: diagnostics_of(reports, "/driver").get("packets_lost") == "1")
        assert driver.exit_code == 0, driver.output()
    found, expected = batch_from(messages), all_events(recording)
    missing = expected.between(int(expected.t[0]) + 250_000, int(expected.t[0]) + 255_000)
    before = expected.between(0, int(missing.t[0]))
    after = expected.between(int(missing.t[-1]) + 1, int(expected.t[-1]) + 1)
    assert_begins_with(
        EventBatch.concatenate(expected.size, [before, after]), found, len(expected) * 9 // 10
    )


def test_a_detector_takes_packets_by_itself(recording):
    packets = packets_of(recording)
    with Probe() as probe:
        states = probe.collect(RotationStateArray, "rotation_detector/rotation_states")
        publisher = probe.node.create_publisher(EventPacket, TOPIC, packets_quality())
        arguments = ("-r", f"events:={TOPIC}")
        with NodeProcess("rotation_detector", {"input.packets": True}, arguments) as detector:
            probe.wait_until(lambda: publisher.get_subscription_count() > 0, timeout_s=60.0)
            for packet in packets:
                publisher.publish(packet)
                probe.spin_for(0.005)
            probe.wait_until(lambda: any(array.states for array in states))
        assert detector.exit_code == 0, detector.output()
    rotors = [state for array in states for state in array.states]
    assert rotors[-1].rpm == pytest.approx(60 * ROTOR.frequency_hz, rel=2e-3)
    assert states[-1].header.frame_id == "their_camera"
    assert 1000 <= states[-1].header.stamp.sec <= 1001


def test_events_are_given_to_other_tools_as_packets(recording):
    with Probe() as probe:
        packets: list[EventPacket] = []
        probe.node.create_subscription(
            EventPacket, "event_packets", packets.append, packets_quality()
        )
        arrays = probe.collect(EventArray, "events")
        parameters = {"source": str(recording), "packets": True}
        with NodeProcess("driver", parameters) as driver:
            probe.wait_until(lambda: driver.exit_code is not None)
            probe.spin_for(0.2)
        assert driver.exit_code == 0, driver.output()
    statistics = SourceStatistics()
    decoder = EventPacketDecoder(statistics)
    columns = [decoder.decode(packet) for packet in packets]
    found = EventBatch.concatenate(
        decoder.size,
        [EventBatch(decoder.size, c.t, c.x, c.y, c.polarity) for c in columns],
    )
    assert statistics == SourceStatistics()
    # The first messages may pass before the two ends have found each other.
    expected = batch_from(arrays)
    tail = expected.between(int(found.t[0]), int(expected.t[-1]) + 1)
    assert_begins_with(tail, found, len(tail))
    assert len(found) > len(all_events(recording)) // 2


@pytest.mark.parametrize(
    ("name", "through"),
    [("event_packet_db3", None), ("gen41_evt3.raw", "bag"), ("sparklers_evt2.raw", "bag_packets")],
)
def test_a_real_recording_keeps_its_digest_from_file_to_topic(name, through, tmp_path):
    path, known = real_recording(name)
    played = path
    if through is not None:
        played = tmp_path / "converted"
        with (
            open_recording(str(path)) as source,
            open_writer(str(played), source.size, through) as writer,
        ):
            convert(source, writer, source.start_us, source.end_us)
    with Probe() as probe:
        messages = probe.collect(EventArray, "events")
        with NodeProcess("driver", {"source": str(played), "replay.rate": 1.0}) as driver:
            probe.wait_until(lambda: driver.exit_code is not None)
            probe.spin_for(0.2)
        assert driver.exit_code == 0, driver.output()
    assert [message.seq for message in messages] == list(range(len(messages)))
    found = batch_from(messages)
    assert digest_of([found]) == digest_of([all_events(path)])
    if name.startswith("sparklers"):
        # This camera sent its events in order, so the topic gives the manifest's digest itself.
        assert digest_of([found]) == known["sha256_t_i8_x_u2_y_u2_p_u1"]


@pytest.mark.parametrize(("kind", "type_"), [("bag", EventArray), ("bag_packets", EventPacket)])
def test_ros_itself_reads_the_messages_of_our_bags(kind, type_, recording, tmp_path):
    expected = all_events(recording)
    with open_writer(str(tmp_path / "bag"), expected.size, kind) as writer:
        writer.append(expected)
    with Reader(tmp_path / "bag") as reader:
        messages = [deserialize_message(raw, type_) for _, _, raw in reader.messages()]
    if type_ is EventArray:
        found = batch_from(messages)
    else:
        decoder = EventPacketDecoder(SourceStatistics())
        columns = [decoder.decode(message) for message in messages]
        parts = [EventBatch(expected.size, c.t, c.x, c.y, c.polarity) for c in columns]
        found = EventBatch.concatenate(expected.size, parts)
    assert_begins_with(expected, found, len(expected))


def test_a_live_camera_in_the_driver_with_a_cable_pulled(monkeypatch):
    pytest.importorskip("neuromorphic_drivers")
    from recorded_camera import TIMEOUT, RecordedDevice, packet_of

    events = random_events(6_000, mean_step_us=20.0)
    parts = [packet_of(events[i : i + 500], [3]) for i in range(0, 6_000, 500)]
    devices = [
        RecordedDevice([*parts, RuntimeError("Input/Output Error")]),
        RecordedDevice([TIMEOUT, *parts, TIMEOUT]),
    ]
    monkeypatch.setattr(camera_device, "open_device", lambda *_: devices.pop(0))
    arguments = ["-p", "source:=camera:evk4", "-p", "camera.biases:=diff_on=5"]
    rclpy.init(args=["--ros-args", *arguments])
    driver = Driver()
    executor = SingleThreadedExecutor()
    executor.add_node(driver)
    thread = threading.Thread(target=executor.spin, daemon=True)
    try:
        with Probe() as probe:
            messages = probe.collect(EventArray, "events")
            thread.start()
            probe.wait_until(lambda: sum(len(message.t) for message in messages) > 10_000)
            report = driver.report()
    finally:
        executor.shutdown()
        thread.join()
        driver.close()
        driver.destroy_node()
        rclpy.try_shutdown()
        # Its callbacks refer to it: until the cycle is gone, others still see the node.
        del driver
        gc.collect()
    assert report.warning
    assert report.values["device_errors"] == 1
    assert report.values["overflows"] >= 12
    found = batch_from(messages)
    assert list(zip(found.t.tolist(), found.x.tolist(), strict=True))[:5_000] == [
        (event[0], event[1]) for event in events[:5_000]
    ]
    assert not devices
