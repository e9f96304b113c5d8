from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import h5py
import numpy as np
import pytest
from builders import SMALL, batch_at
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from encoded_events import real_recording
from evio_ros.msg import EventArray, ExternalTriggerArray
from evio_ros.srv import Seek
from node_recording import DURATION_US
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from ros_probe import TIMEOUT_S, Probe, diagnostics_of, status_of
from std_srvs.srv import SetBool, Trigger
from whole_recordings import all_events

from evio_ros.events import EventBatch, EventWindow
from evio_ros.ros.event_messages import from_message
from evio_ros.ros.event_publisher import EventPublisher
from evio_ros.ros.event_subscription import EventSubscription
from evio_ros.ros.node_process import NodeProcess
from evio_ros.ros.quality_of_service import EventsQualityParameters
from evio_ros.sources.registry import open_source


def assert_same(events: EventBatch, expected: EventBatch) -> None:
    for column in ("t", "x", "y", "polarity"):
        np.testing.assert_array_equal(getattr(events, column), getattr(expected, column))


def joined(messages: list[EventArray]) -> EventBatch:
    windows = [from_message(message) for message in messages]
    return EventBatch.concatenate(windows[0].events.size, [window.events for window in windows])


def stamp_ns(message: EventArray) -> int:
    return 1_000_000_000 * message.header.stamp.sec + message.header.stamp.nanosec


def test_every_event_arrives_at_the_pace_of_the_recording(recording):
    with Probe() as probe:
        messages = probe.collect(EventArray, "events")
        with NodeProcess("driver", {"source": str(recording)}) as driver:
            probe.wait_until(lambda: bool(messages))
            started_s = time.monotonic()
            probe.wait_until(lambda: driver.exit_code is not None)
            elapsed_s = time.monotonic() - started_s
            probe.spin_for(0.2)
        assert driver.exit_code == 0, driver.output()
    assert_same(joined(messages), all_events(recording))
    assert [message.seq for message in messages] == list(range(len(messages)))
    assert elapsed_s > 0.9e-6 * (DURATION_US - 10_000)
    # One offset between the clocks: stamps follow sensor time to the nanosecond.
    assert len({stamp_ns(message) - 1000 * message.time_base for message in messages}) == 1
    ends = [message.time_base + message.duration for message in messages]
    assert ends[:-1] == [message.time_base for message in messages[1:]]


def test_a_slow_subscriber_loses_nothing_at_rate_zero(recording):
    with Probe("slow") as probe:
        windows = []

        def take(window, _):
            time.sleep(0.01)
            windows.append(window)

        quality = EventsQualityParameters(depth=5)
        subscription = EventSubscription(probe.node, quality, take)
        parameters = {"source": str(recording), "replay.rate": 0.0, "replay.window_us": 2000}
        with NodeProcess("driver", parameters) as driver:
            probe.wait_until(lambda: driver.exit_code is not None)
            assert driver.exit_code == 0, driver.output()
    events = EventBatch.concatenate(windows[0].events.size, [window.events for window in windows])
    assert_same(events, all_events(recording))
    assert subscription.statistics.lost == 0
    assert subscription.statistics.messages == len(windows)


def test_a_section_is_played_in_parts_that_fit(recording):
    with Probe() as probe:
        messages = probe.collect(EventArray, "events")
        parameters = {
            "source": str(recording),
            "replay.rate": 0.0,
            "replay.start_us": 100_000,
            "replay.duration_us": 50_000,
            "replay.window_us": 25_000,
            "replay.maximum_events": 1000,
        }
        with NodeProcess("driver", parameters) as driver:
            probe.wait_until(lambda: driver.exit_code is not None)
            probe.spin_for(0.2)
    everything = all_events(recording)
    begin_us = int(everything.t[0]) + 100_000
    assert_same(joined(messages), everything.between(begin_us, begin_us + 50_000))
    assert max(len(message.t) for message in messages) <= 1000


def test_pause_seek_and_restart(recording):
    with Probe() as probe:
        messages = probe.collect(EventArray, "events")
        parameters = {"source": str(recording), "exit_at_end": False, "replay.rate": 0.5}
        with NodeProcess("driver", parameters):
            probe.wait_until(lambda: len(messages) > 3)
            paused = probe.call(SetBool, "driver/pause", SetBool.Request(data=True))
            assert (paused.success, paused.message) == (True, "paused")
            probe.spin_for(0.2)
            standing = len(messages)
            probe.spin_for(0.4)
            assert len(messages) == standing
            assert messages[-1].time_base < 300_000

            assert probe.call(Seek, "driver/seek", Seek.Request(t=400_000)).success
            assert probe.call(SetBool, "driver/pause", SetBool.Request(data=False)).success
            probe.wait_until(lambda: len(messages) > standing)
            assert messages[standing].time_base == messages[0].time_base + 400_000

            refused = probe.call(Seek, "driver/seek", Seek.Request(t=10**9))
            assert not refused.success
            assert "1000000000 us is not in 0 to" in refused.message

            # At the end the replay waits, and can begin again.
            probe.wait_until(lambda: messages[-1].time_base >= 590_000)
            probe.spin_for(0.1)
            at_end = len(messages)
            assert probe.call(Trigger, "driver/restart", Trigger.Request()).success
            probe.wait_until(lambda: len(messages) > at_end)
            assert messages[at_end].time_base == messages[0].time_base
    stamps = [stamp_ns(message) for message in messages]
    assert stamps == sorted(stamps)


def test_a_loop_goes_back_in_sensor_time_but_not_in_ros_time(recording):
    with Probe() as probe:
        messages = probe.collect(EventArray, "events")
        parameters = {"source": str(recording), "replay.loop": True, "replay.rate": 4.0}
        with NodeProcess("driver", parameters) as driver:
            probe.wait_until(lambda: len(messages) > 80)
            assert driver.exit_code is None
    bases = np.array([message.time_base for message in messages])
    assert np.count_nonzero(np.diff(bases) < 0) == 1
    assert [message.seq for message in messages] == list(range(len(messages)))


def test_a_parameter_change_is_checked_and_taken_over(recording):
    def setting(rate: float) -> SetParameters.Request:
        value = ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=rate)
        return SetParameters.Request(parameters=[Parameter(name="replay.rate", value=value)])

    with Probe() as probe:
        messages = probe.collect(EventArray, "events")
        with NodeProcess("driver", {"source": str(recording), "replay.rate": 0.05}) as driver:
            probe.wait_until(lambda: bool(messages))
            refused = probe.call(SetParameters, "driver/set_parameters", setting(-1.0))
            assert not refused.results[0].successful
            assert "replay.rate" in refused.results[0].reason
            # So slow that no clock can wait for the next window, and then faster.
            for rate in (1e-300, 5.0):
                taken = probe.call(SetParameters, "driver/set_parameters", setting(rate))
                assert taken.results[0].successful
                probe.spin_for(0.2)
            # At the old rate the rest would take 12 seconds.
            probe.wait_until(lambda: driver.exit_code is not None, timeout_s=8.0)
            probe.spin_for(0.2)
    assert_same(joined(messages), all_events(recording))


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({}, "source: name a recording"),
        ({"source": "missing.dat"}, "missing.dat: cannot be opened: No such file"),
        ({"source": "x", "replay.rate": -1.0}, "replay.rate"),
        ({"source": "x", "replay.rte": 1.0}, "did you mean replay.rate?"),
        ({"source": "x", "width": 640}, "width, height: 640 and 0; give both or neither"),
    ],
)
def test_a_wrong_start_is_one_line_and_exit_code_2(parameters, text):
    with NodeProcess("driver", parameters) as driver:
        assert driver.wait(30.0) == 2
        assert text in driver.output()
        assert "Traceback" not in driver.output()


def test_a_start_beyond_the_end_is_refused(recording):
    parameters = {"source": str(recording), "replay.start_us": 10**9}
    with NodeProcess("driver", parameters) as driver:
        assert driver.wait(30.0) == 2
        assert "start_us: 1000000000 us is past the recording's end" in driver.output()


def test_ctrl_c_ends_the_driver_cleanly(recording):
    with Probe() as probe:
        messages = probe.collect(EventArray, "events")
        with NodeProcess("driver", {"source": str(recording), "replay.loop": True}) as driver:
            probe.wait_until(lambda: bool(messages))
            driver.send_signal(signal.SIGINT)
            driver.send_signal(signal.SIGINT)
            assert driver.wait(10.0) == 0
            assert "Traceback" not in driver.output()


def test_a_subscriber_that_dies_does_not_stop_the_replay(recording):
    with Probe() as probe:
        messages = probe.collect(EventArray, "events")
        parameters = {
            "source": str(recording),
            "replay.rate": 0.0,
            "replay.loop": True,
            "wait_for_subscribers": 2,
        }
        with NodeProcess("rotation_detector") as detector, NodeProcess("driver", parameters):
            probe.wait_until(lambda: len(messages) > 20)
            detector.send_signal(signal.SIGKILL)
            detector.wait(5.0)
            probe.spin_for(0.3)
            before = len(messages)
            probe.wait_until(lambda: len(messages) > before + 20)


def test_what_a_file_has_wrong_is_in_the_diagnostics(recording, tmp_path):
    broken = tmp_path / "broken.dat"
    outside = (99_000).to_bytes(4, "little") + (5000).to_bytes(4, "little")
    broken.write_bytes(recording.read_bytes() + outside + b"\x01\x02\x03")
    with Probe() as probe:
        reports = probe.collect(DiagnosticArray, "/diagnostics")
        probe.collect(EventArray, "events")
        parameters = {"source": str(broken), "replay.rate": 0.0, "exit_at_end": False}
        with NodeProcess("driver", parameters):
            probe.wait_until(
                lambda: diagnostics_of(reports, "/driver").get("events_dropped_outside") == "1"
            )
        assert diagnostics_of(reports, "/driver")["bytes_truncated"] == "3"
        status = status_of(reports, "/driver")
        assert (status.name, status.hardware_id) == ("/driver: playback", str(broken))
        assert status.level == DiagnosticStatus.WARN


def test_why_a_driver_ends_is_in_the_diagnostics(tmp_path):
    broken = tmp_path / "events.h5"
    rows, chunk_rows = 2_600_000, 10_000
    # Behind the first two million events, and between the places that are sampled at opening.
    corrupt_row = 2_380_000
    with h5py.File(broken, "w") as file:
        for name, values in (("t", np.arange(rows)), ("x", 3), ("y", 4), ("p", 1)):
            column = np.broadcast_to(np.asarray(values), rows)
            column = column.astype(np.int64 if name == "t" else np.uint16)
            options = {"chunks": (chunk_rows,), "compression": "gzip"} if name == "t" else {}
            file.create_dataset(f"events/{name}", data=column, **options)
        chunk = file["events/t"].id.get_chunk_info(corrupt_row // chunk_rows)
    with broken.open("r+b") as file:
        file.seek(chunk.byte_offset)
        file.write(bytes(chunk.size))
    with open_source(str(broken)) as source:
        assert source.end_us == rows
    with Probe() as probe:
        reports = probe.collect(DiagnosticArray, "/diagnostics")
        with NodeProcess("driver", {"source": str(broken), "replay.rate": 0.0}) as driver:
            probe.wait_until(lambda: status_of(reports, "/driver") is not None)
            probe.collect(EventArray, "events")
            probe.wait_until(lambda: driver.exit_code is not None)
            assert driver.exit_code == 2, driver.output()
            probe.wait_until(lambda: status_of(reports, "/driver").level == DiagnosticStatus.ERROR)
            assert f"driver: {status_of(reports, '/driver').message}" in driver.output()


def test_how_a_recording_was_taken_is_logged(tmp_path):
    text = tmp_path / "events.txt"
    text.write_text("".join(f"{1000 + 20 * i} {i % 64} {i % 48} {i % 2}\n" for i in range(500)))
    with Probe() as probe, NodeProcess("driver", {"source": str(text)}) as driver:
        probe.collect(EventArray, "events")
        probe.wait_until(lambda: driver.exit_code is not None)
        assert driver.exit_code == 0, driver.output()
        assert "128x128 is guessed from the events" in driver.output()


def test_external_triggers_are_published_with_the_events_of_their_time():
    path, _ = real_recording("event_packet_db3")
    with open_source(str(path)) as source:
        expected = source.read_triggers()
    assert len(expected) == 4157  # published of this bag
    with Probe() as probe:
        arrays = probe.collect(ExternalTriggerArray, "triggers")
        events = probe.collect(EventArray, "events")
        parameters = {"source": str(path), "frame_id": "camera"}
        with NodeProcess("driver", parameters) as driver:
            probe.wait_until(lambda: driver.exit_code is not None)
            probe.spin_for(0.2)
        assert driver.exit_code == 0, driver.output()
    found = [(each.t, each.edge, each.channel) for array in arrays for each in array.triggers]
    columns = (expected.t.tolist(), expected.edge.tolist(), expected.channel.tolist())
    assert found == list(zip(*columns, strict=True))
    assert [array.seq for array in arrays] == list(range(len(arrays)))
    # Stamps follow the sensor's time as those of the events do.
    offsets = {stamp_ns(message) - 1000 * message.time_base for message in [*events, *arrays]}
    assert len(offsets) == 1
    assert {array.header.frame_id for array in arrays} == {"camera"}


def test_filters_are_off_at_first_and_can_be_changed(recording):
    expected = all_events(recording)
    inside = expected.x < 20
    with Probe() as probe:
        messages = probe.collect(EventArray, "events")
        reports = probe.collect(DiagnosticArray, "/diagnostics")
        parameters = {"source": str(recording), "replay.loop": True}
        with NodeProcess("driver", parameters):
            probe.wait_until(lambda: len(messages) > 5)
            size = f"0,0,20,{expected.size.height}"
            set_string(probe, "filter.region", size)
            loop = len(messages) + 2 * (DURATION_US // messages[0].duration)
            probe.wait_until(lambda: len(messages) > loop)
            # What does not go with the sensor is refused, and all goes on.
            set_string(probe, "filter.region", "0,0,20000,1")
            probe.wait_until(lambda: len(messages) > loop + 20)
            probe.wait_until(
                lambda: int(diagnostics_of(reports, "/driver").get("events_filtered_region", 0)) > 0
            )
    assert any(max(message.x, default=0) >= 20 for message in messages[:4])
    assert all(max(message.x, default=0) < 20 for message in messages[loop - 40 :])
    whole_loop = messages[loop - DURATION_US // messages[0].duration - 20 : loop]
    first = next(k for k, m in enumerate(whole_loop) if m.time_base == expected.t[0])
    last = first + 20
    found = joined(whole_loop[first:last])
    end_us = whole_loop[last].time_base
    assert len(found) == np.count_nonzero(inside & (expected.t < end_us))


def set_string(probe: Probe, name: str, value: str) -> None:
    """Set a parameter of the driver while it runs."""
    wanted = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=value)
    request = SetParameters.Request(parameters=[Parameter(name=name, value=wanted)])
    response = probe.call(SetParameters, "driver/set_parameters", request)
    assert all(result.successful for result in response.results), response.results


def test_a_number_is_left_out_where_events_are_missing():
    with Probe() as probe:
        messages = probe.collect(EventArray, "events")
        publisher = EventPublisher(probe.node, "camera", EventsQualityParameters())
        probe.wait_for_publisher("events")
        publisher.publish(EventWindow(0, 10, batch_at([1, 9])))
        publisher.publish(EventWindow(10, 20, batch_at([11, 29]), missing=(range(15, 28),)))
        publisher.publish(EventWindow.of_missing(SMALL, 30, 40))
        publisher.publish(EventWindow(40, 10, batch_at([])))
        probe.wait_until(lambda: len(messages) == 4)
    assert [message.seq for message in messages] == [0, 1, 3, 5]
    spans = [(message.time_base, message.duration) for message in messages]
    assert spans == [(0, 10), (10, 5), (28, 2), (40, 10)]
    assert [list(message.t) for message in messages] == [[1, 9], [1], [1], []]
    assert (publisher.messages, publisher.skipped) == (4, 2)


LISTENER = """
import rclpy
from evio_ros.msg import EventArray
rclpy.init()
node = rclpy.create_node("listener")
node.create_subscription(EventArray, "events", lambda _: print("heard", flush=True), 1000)
rclpy.spin(node)
"""


@pytest.mark.parametrize("sends_receipts", [False, True], ids=["a plain node", "the detector"])
def test_a_stopped_listener_costs_the_end_no_more_than_the_bound(recording, sends_receipts):
    parameters = {"source": str(recording), "confirm_within_s": 1.5}
    with stoppable_listener(sends_receipts) as stop, NodeProcess("driver", parameters) as driver:
        wait_for(lambda: "the first events are sent" in driver.output())
        stop()
        assert driver.wait(30.0) == 0
        output = driver.output()
    played_s = logged_s(output, "end of the recording") - logged_s(output, "the first events")
    assert 1.4 < played_s - 1e-6 * DURATION_US < 2.0
    (line,) = [line for line in output.splitlines() if "not confirmed" in line]
    assert "/events by a subscriber" in line
    assert ("messages by /rotation_detector" in line) == sends_receipts


def logged_s(output: str, text: str) -> float:
    """When a line was logged, by its own stamp."""
    (line,) = [line for line in output.splitlines() if text in line]
    return float(line.split("] [")[1])


def test_ctrl_c_ends_the_wait_for_a_stopped_listener(recording):
    parameters = {"source": str(recording), "confirm_within_s": 60.0}
    with stoppable_listener(False) as stop, NodeProcess("driver", parameters) as driver:
        wait_for(lambda: "the first events are sent" in driver.output())
        stop()
        time.sleep(1e-6 * DURATION_US + 0.5)
        started_s = time.monotonic()
        driver.send_signal(signal.SIGINT)
        assert driver.wait(30.0) == 0
        assert time.monotonic() - started_s < 2.0
        assert "end of the recording" not in driver.output()


def test_a_wait_for_a_stopped_listener_ends_with_a_restart(recording):
    parameters = {"source": str(recording), "confirm_within_s": 60.0, "exit_at_end": False}
    with (
        Probe() as probe,
        stoppable_listener(False) as stop,
        NodeProcess("driver", {**parameters, "wait_for_subscribers": 2}) as driver,
    ):
        messages = probe.collect(EventArray, "events")
        probe.wait_until(lambda: bool(messages))
        stop()
        probe.wait_until(lambda: messages[-1].time_base >= DURATION_US - 20_000)
        probe.spin_for(0.3)
        at_end = len(messages)
        assert probe.call(Trigger, "driver/restart", Trigger.Request()).success
        probe.wait_until(lambda: len(messages) > at_end)
        assert messages[at_end].time_base == messages[0].time_base
        assert "end of the recording" not in driver.output()


@contextmanager
def stoppable_listener(sends_receipts: bool) -> Iterator[Callable[[], None]]:
    """A process that has subscribed to events; gives what stops it once it has heard some."""
    if sends_receipts:
        with NodeProcess("rotation_detector") as detector:
            yield lambda: (
                wait_for(lambda: "events of" in detector.output()),
                detector.send_signal(signal.SIGSTOP),
            )
            detector.send_signal(signal.SIGCONT)
        return
    command = [sys.executable, "-c", LISTENER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as listener:
        assert listener.stdout is not None
        yield lambda: (listener.stdout.readline(), listener.send_signal(signal.SIGSTOP))
        listener.kill()


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    end_s = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < end_s, "the condition was not met in time"
        time.sleep(0.02)
