from __future__ import annotations

import itertools
import statistics
from array import array
from dataclasses import replace

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from evio_ros.msg import EventArray, EventReceipt, RotationStateArray
from node_recording import DURATION_US, ROTOR
from rclpy.qos import QoSProfile
from rclpy.serialization import serialize_message
from ros_probe import Probe, diagnostics_of, status_of
from rotor_events import SIZE, events_of
from std_srvs.srv import Trigger

from evio_ros.ellipse import Ellipse
from evio_ros.events import EventBatch, EventWindow, SensorSize
from evio_ros.ros.event_messages import to_message
from evio_ros.ros.node_process import NodeProcess
from evio_ros.ros.quality_of_service import receipts_quality
from evio_ros.rotation.known_discs import KnownDiscs

STATES = "rotation_detector/rotation_states"
NODE = "/rotation_detector"
STEP_US = 50_000


def replayed(
    recording, step_us: int = STEP_US, window_us: int = 100_000
) -> list[RotationStateArray]:
    """What the detector says of a recording that the driver plays."""
    parameters = {"step_us": step_us, "window_us": window_us}
    with Probe() as probe, NodeProcess("rotation_detector", parameters):
        results = probe.collect(RotationStateArray, STATES)
        probe.wait_for_publisher(STATES)
        with NodeProcess("driver", {"source": str(recording), "replay.rate": 0.0}) as driver:
            probe.wait_until(lambda: driver.exit_code is not None)
            assert driver.exit_code == 0, driver.output()
        probe.wait_until(lambda: len(results) == DURATION_US // step_us)
    return results


def test_a_rotor_is_measured_over_dds(recording):
    results = replayed(recording)
    ends = [result.window_end for result in results]
    assert [b - a for a, b in itertools.pairwise(ends)] == [STEP_US] * (len(ends) - 1)
    assert sum(result.event_count for result in results) > 0
    (state,) = results[-1].states
    truth = ROTOR.mean_rpm(state.window_end - state.window_length, state.window_end)
    assert state.rpm == pytest.approx(truth, rel=1e-3)
    assert state.blade_count == len(state.blades) == ROTOR.blades
    assert (state.center_x, state.center_y) == pytest.approx(ROTOR.ellipse.center, abs=1.0)
    assert results[-1].header.frame_id == "event_camera"
    assert state.header == results[-1].header


def test_a_step_that_slices_do_not_divide_is_measured_over_dds(recording):
    results = replayed(recording, step_us=33_331, window_us=99_993)
    ends = [result.window_end for result in results]
    assert [b - a for a, b in itertools.pairwise(ends)] == [33_331] * (len(ends) - 1)
    (state,) = results[-1].states
    truth = ROTOR.mean_rpm(results[-1].window_end - 99_993, results[-1].window_end)
    assert state.rpm == pytest.approx(truth, rel=1e-3)


def test_discs_are_saved_and_forgotten_when_asked(recording, tmp_path):
    file = tmp_path / "discs.json"
    with Probe() as probe, NodeProcess("rotation_detector", {"calibration.file": str(file)}):

        def call(name: str) -> tuple[bool, str]:
            done = probe.call(Trigger, f"rotation_detector/{name}", Trigger.Request())
            return done.success, done.message

        assert call("save_calibration") == (False, "no events have come yet")
        results = probe.collect(RotationStateArray, STATES)
        probe.wait_for_publisher(STATES)
        with NodeProcess("driver", {"source": str(recording), "replay.rate": 0.0}) as driver:
            probe.wait_until(lambda: driver.exit_code is not None)
        probe.wait_until(lambda: len(results) == DURATION_US // STEP_US)
        assert call("save_calibration") == (True, f"1 discs in {file}")
        (disc,) = KnownDiscs.read(file).discs
        assert disc.ellipse.center == pytest.approx(ROTOR.ellipse.center, abs=1.0)
        assert call("recalibrate") == (True, "all discs are forgotten")
        assert call("save_calibration") == (True, f"0 discs in {file}")


def test_a_broken_file_of_known_discs_is_one_line_and_exit_code_2(tmp_path):
    file = tmp_path / "discs.json"
    file.write_text("{}")
    with NodeProcess("rotation_detector", {"calibration.file": str(file)}) as detector:
        assert detector.wait(60.0) == 2
        assert f"{file}: is not a file of known discs" in detector.output()


def test_noise_gives_empty_arrays_at_the_same_rate(noise_recording):
    results = replayed(noise_recording, step_us=20_000)
    assert [len(result.states) for result in results] == [0] * len(results)


def window_message(seq: int, size: SensorSize = SIZE, events: EventBatch | None = None):
    start_us = 10_000 * seq
    window = EventWindow(start_us, 10_000, EventBatch.empty(size) if events is None else events)
    return to_message(window, seq, "camera", stamp_ns=10**9 + 1000 * start_us)


@pytest.fixture
def direct():
    """A probe that publishes events itself, with the detector's reports and receipts."""
    with Probe() as probe, NodeProcess("rotation_detector") as detector:
        publisher = probe.node.create_publisher(EventArray, "events", QoSProfile(depth=100))
        reports = probe.collect(DiagnosticArray, "/diagnostics")
        receipts = probe.collect(EventReceipt, "events/receipts", receipts_quality())
        probe.wait_until(lambda: publisher.get_subscription_count() == 1)
        probe.wait_until(lambda: bool(receipts))

        def send(message: EventArray) -> None:
            before = len(receipts)
            publisher.publish(message)
            probe.wait_until(lambda: message.seq in [it.seq for it in receipts[before:]])

        def report_with(key: str, value: str) -> dict[str, str]:
            probe.wait_until(
                lambda: diagnostics_of(reports, "/rotation_detector").get(key) == value
            )
            return diagnostics_of(reports, "/rotation_detector")

        yield probe, send, report_with
        assert detector.exit_code is None, detector.output()


def test_broken_messages_are_refused_counted_and_survived(direct):
    _, send, report_with = direct
    send(window_message(0))
    uneven = window_message(1)
    uneven.x = array("H", [1, 2])
    outside = window_message(2)
    outside.t, outside.x, outside.y = array("I", [5]), array("H", [999]), array("H", [1])
    outside.polarity = array("B", [1])
    no_sensor = window_message(3)
    no_sensor.width = 0
    for message in (uneven, outside, no_sensor):
        send(message)
    assert report_with("messages_refused", "3")["messages_lost"] == "0"
    send(window_message(4))
    report_with("messages", "5")


def test_lost_messages_another_driver_and_another_sensor_are_noticed(direct):
    probe, send, report_with = direct
    results = probe.collect(RotationStateArray, STATES)
    probe.wait_for_publisher(STATES)
    for seq in (0, 1, 2, 5, 6):
        send(window_message(seq))
    report_with("messages_lost", "2")
    # Sensor time and numbers begin anew, on another sensor.
    other = SensorSize(64, 48)
    for seq in range(6):
        send(window_message(seq, other))
    probe.wait_until(lambda: len(results) >= 2)
    assert [result.window_end for result in results] == [50_000, 50_000]
    assert all(len(result.states) == 0 for result in results)


def test_events_at_one_time_and_one_hot_pixel_are_no_rotor(direct):
    probe, send, _ = direct
    results = probe.collect(RotationStateArray, STATES)
    probe.wait_for_publisher(STATES)
    rotor = events_of([ROTOR], 10_000)
    for seq in range(30):
        start_us = 10_000 * seq
        frozen = EventBatch(SIZE, 0 * rotor.t + start_us, rotor.x, rotor.y, rotor.polarity)
        send(window_message(seq, events=frozen))
    probe.wait_until(lambda: len(results) == 6)
    assert [len(result.states) for result in results] == [0] * 6


def test_sensors_without_room_are_refused_before_memory_is_taken(direct):
    _, send, report_with = direct
    send(window_message(0))
    before = float(report_with("messages", "1")["process_memory_mb"])
    pixel = np.array([65_000], np.uint16)
    for seq in range(1, 21):
        for size in (SensorSize(65_535, 65_535), SensorSize(4001, 4000)):
            events = EventBatch(
                size, np.array([10_000 * seq]), pixel % 4000, pixel % 4000, np.array([True])
            )
            send(window_message(2 * seq - (size.width > 5000), size, events))
    values = report_with("messages_refused", "40")
    assert float(values["process_memory_mb"]) < before + 50.0
    assert values["messages_lost"] == "0"


def test_a_second_driver_is_named_ignored_and_takes_over_when_the_first_is_silent():
    with (
        Probe() as probe,
        Probe("second") as second,
        NodeProcess("rotation_detector", {"stale_after_s": 0.5}) as detector,
    ):
        reports = probe.collect(DiagnosticArray, "/diagnostics")
        first, other = (
            one.node.create_publisher(EventArray, "events", QoSProfile(depth=100))
            for one in (probe, second)
        )
        for one in (first, other):
            probe.wait_until(lambda one=one: one.get_subscription_count() == 1)
        probe.spin_for(0.5)

        def values() -> dict[str, str]:
            return diagnostics_of(reports, "/rotation_detector")

        for seq in range(20):
            first.publish(window_message(1000 + seq))
            other.publish(window_message(seq))
            probe.spin_for(0.05)
        probe.wait_until(lambda: int(values().get("messages", "0")) >= 20)
        probe.spin_for(1.1)
        assert values()["messages_ignored"] == "20", values()
        assert (values()["messages"], values()["messages_lost"]) == ("20", "0")
        assert status_of(reports, "/rotation_detector").level >= DiagnosticStatus.WARN
        assert "another publisher of events is ignored: " in values()["message"]
        assert "/second" in values()["message"]
        # The first is silent: its state is stale, then the second is followed.
        probe.wait_until(
            lambda: status_of(reports, "/rotation_detector").level == DiagnosticStatus.STALE
        )
        for seq in range(20, 40):
            other.publish(window_message(seq))
            probe.spin_for(0.1)
        probe.wait_until(lambda: values()["driver_restarts"] == "1")
        assert int(values()["messages"]) > 25
        assert values()["messages_lost"] == "0"
        assert "the state is stale" in detector.output()


def test_lost_messages_are_passed_over_and_turns_count_on(direct):
    """Every tenth message of 10 ms."""
    probe, send, report_with = direct
    results = probe.collect(RotationStateArray, STATES)
    probe.wait_for_publisher(STATES)
    events = events_of([ROTOR], 1_200_000)
    for seq in range(120):
        if seq % 10 != 7:
            part = events.between(10_000 * seq, 10_000 * (seq + 1))
            send(window_message(seq, events=part))
    report_with("messages_lost", "12")
    assert report_with("gaps", "0")["rotors_found"] == "1"
    probe.wait_until(lambda: len(results) == 24)
    late = [state for result in results[10:] for state in result.states]
    assert len(late) == 14
    for state in late:
        truth = ROTOR.mean_rpm(state.window_end - state.window_length, state.window_end)
        assert state.rpm == pytest.approx(truth, rel=2e-3)
        turned = ROTOR.turns(state.window_end) - ROTOR.turns(late[0].window_end)
        assert state.turns - late[0].turns == pytest.approx(turned, abs=0.02)


def test_a_gap_of_seconds_starts_afresh_and_is_counted(direct):
    _, send, report_with = direct
    for seq in (*range(10), *range(300, 310)):
        send(window_message(seq))
    assert report_with("messages_lost", "290")["gaps"] == "1"


def test_more_events_than_can_be_taken_are_thinned_and_the_rotors_are_kept():
    """Events of four rotors that, once these are found, come as fast as they can be sent.

    To follow four rotors takes many times longer than to send their messages.
    """
    hubs = [(x, y) for x in (80.3, 240.1) for y in (60.2, 179.7)]
    frequencies_hz = [20.0, 24.0, 29.0, 35.0]
    rotors = [
        replace(
            ROTOR, event_rate_hz=3e5, ellipse=Ellipse(hub, (50.0, 50.0), 0.0), frequency_hz=speed
        )
        for hub, speed in zip(hubs, frequencies_hz, strict=True)
    ]
    events = events_of(rotors, 3_000_000)
    window = {"step_us": 10_000, "window_us": 20_000}
    parameters = {**window, "overload.maximum_queue": 16, "qos.depth": 300}
    with (
        Probe() as probe,
        NodeProcess("rotation_detector", parameters) as detector,
    ):
        publisher = probe.node.create_publisher(EventArray, "events", QoSProfile(depth=300))
        reports = probe.collect(DiagnosticArray, "/diagnostics")
        results = probe.collect(RotationStateArray, STATES)
        probe.wait_until(lambda: publisher.get_subscription_count() == 1)
        probe.wait_for_publisher(STATES)
        messages = [
            serialize_message(window_message(seq, events=events.between(10_000 * seq, end_us)))
            for seq, end_us in enumerate(range(10_000, 3_000_001, 10_000))
        ]
        for seq, message in enumerate(messages):
            publisher.publish(message)
            if seq < 60:
                probe.wait_until(lambda: len(results) > seq)  # noqa: B023
        probe.wait_until(lambda: bool(results) and results[-1].window_end >= 2_990_000)
        told = len(reports)
        probe.wait_until(lambda: "share_taken" in diagnostics_of(reports[told:], NODE))
        shares = [
            float(value.value)
            for report in reports
            for status in report.status
            for value in status.values
            if value.key == "share_taken"
        ]
        assert detector.exit_code is None, detector.output()
    assert min(shares) < 1.0
    late = [result for result in results if result.window_end > 900_000]
    seen = [state for result in late for state in result.states if state.confidence > 0.5]
    assert len(seen) > 0.2 * len(rotors) * len(late)
    assert len({state.id for state in seen}) == 4
    # Confidence is the probability of being right to 1 %: a few of many may be wrong.
    errors = [
        min(abs(state.rpm / (60 * speed) - 1.0) for speed in frequencies_hz) for state in seen
    ]
    assert sum(error > 1e-2 for error in errors) <= len(errors) / 200
    assert statistics.median(errors) < 2e-4
