from __future__ import annotations

import contextlib
import re
import signal
import time

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from evio_ros.msg import RotationState, RotationStateArray
from node_recording import DURATION_US, ROTOR
from ros_probe import Probe, diagnostics_of
from rotor_events import SIZE
from web_desk import ask, wait_until

from evio_ros.ros.event_messages import to_message
from evio_ros.ros.event_publisher import EVENTS_TOPIC
from evio_ros.ros.node_process import NodeProcess
from evio_ros.ros.quality_of_service import (
    EventsQualityParameters,
    events_quality,
    results_quality,
)
from evio_ros.sources.registry import open_recording
from evio_ros.web.column_frame import decode_column_frame
from evio_ros.windowing import windows

pytest.importorskip("uvicorn", reason="the dashboard's server: pip install 'evio_ros[web]'")
connect = pytest.importorskip("websockets.sync.client").connect

EXIT_ERROR = 2


def dashboard(tmp_path, **values) -> NodeProcess:
    """A dashboard on a free port, with its history in a folder of the test."""
    parameters = {"web.port": 0, "history.file": str(tmp_path / "history.sqlite")}
    return NodeProcess("dashboard", {**parameters, **values})


def port_of(node: NodeProcess) -> int:
    """The port that the node says it listens on."""
    found: list[str] = []

    def is_told() -> bool:
        assert node.exit_code is None, node.output()
        found[:] = re.findall(r"the dashboard is at http://127\.0\.0\.1:(\d+)/", node.output())
        return bool(found)

    wait_until(is_told, timeout_s=30.0)
    return int(found[0])


@pytest.fixture
def desk(tmp_path):
    """A probe, the dashboard's port and its process."""
    with Probe() as probe, dashboard(tmp_path) as node:
        yield probe, port_of(node), node
        assert node.exit_code is None, node.output()


def test_what_is_published_is_told_and_kept(desk):
    probe, port, _ = desk
    publisher = probe.node.create_publisher(
        RotationStateArray, "rotation_states", results_quality()
    )
    reports = probe.collect(DiagnosticArray, "/diagnostics")
    assert "is the graph running?" in ask(port, "/api/status")[1]["problem"]
    probe.wait_until(lambda: publisher.get_subscription_count() == 1)
    rotor = RotationState(id=5, rpm=-731.25, rpm_std=0.5, turns=12.5, blade_count=3)
    rotor.confidence, rotor.group, rotor.class_id, rotor.track_id = 0.75, 2, "drone", "t1"
    rotor.sources = RotationState.SOURCE_ROTATION_DETECTOR
    with connect(f"ws://127.0.0.1:{port}/ws/states") as client:
        time.sleep(0.3)
        for number in range(5):
            message = RotationStateArray(window_end=1000 * number, window_length=50)
            message.states, message.event_count = [rotor], 77
            message.header.stamp = probe.node.get_clock().now().to_msg()
            publisher.publish(message)
            probe.spin_for(0.02)
        header, columns = decode_column_frame(client.recv(timeout=10))
    assert (header["window_us"], columns["rpm"][0]) == (50, -731.25)
    body = ask(port, "/api/status")[1]
    (seen,) = body["rotors"]
    told = ("id", "rpm", "rpm_std", "turns", "blade_count", "confidence", "group", "class_id")
    assert [seen[name] for name in told] == [5, -731.25, 0.5, 12.5, 3, 0.75, 2, "drone"]
    assert (body["t_us"], body["problem"]) == (4000, "")

    def history():
        rotors = ask(port, "/api/history")[1]["rotors"]
        return rotors and sum(rotors[0]["windows"]) == 5

    wait_until(history)
    assert ask(port, "/api/history")[1]["rotors"][0]["rpm"] == [-731.25] * len(
        ask(port, "/api/history")[1]["rotors"][0]["t_s"]
    )
    probe.wait_until(lambda: diagnostics_of(reports, "/dashboard").get("history_rows") == "5")
    names = {one["name"] for one in ask(port, "/api/status")[1]["health"]}
    assert "/dashboard: dashboard" in names
    probe.spin_for(2.2)
    assert ask(port, "/api/status")[1]["rotors"] == []


def test_the_error_of_a_node_that_has_ended_does_not_stay(desk):
    probe, port, _ = desk
    publisher = probe.node.create_publisher(DiagnosticArray, "/diagnostics", 10)
    probe.wait_until(lambda: publisher.get_subscription_count() >= 1)
    status = DiagnosticStatus(name="/driver: playback", level=b"\2", message="no such file")
    publisher.publish(DiagnosticArray(status=[status]))

    def told() -> dict[str, str]:
        return {one["name"]: one["level"] for one in ask(port, "/api/status")[1]["health"]}

    wait_until(lambda: told().get("/driver: playback") == "error")
    assert "no such file" in ask(port, "/api/status")[1]["problem"]
    wait_until(lambda: told()["/driver: playback"] == "stale")
    assert "no such file" not in ask(port, "/api/status")[1]["problem"]


def test_events_are_taken_only_while_somebody_looks(desk, recording):
    probe, port, _ = desk
    quality = events_quality(EventsQualityParameters())
    publisher = probe.node.create_publisher(type(to_message_of(recording)), EVENTS_TOPIC, quality)
    probe.spin_for(1.0)
    assert publisher.get_subscription_count() == 0
    with connect(f"ws://127.0.0.1:{port}/ws/events") as client:
        probe.wait_until(lambda: publisher.get_subscription_count() == 1)
        frames: list[bytes] = []

        def is_shown() -> bool:
            # Best effort: what is sent before both sides know each other is lost.
            publisher.publish(to_message_of(recording))
            with contextlib.suppress(TimeoutError):
                frames.append(client.recv(timeout=0.5))
            return bool(frames)

        probe.wait_until(is_shown)
        header, columns = decode_column_frame(frames[0])
    assert (header["width"], header["height"]) == (SIZE.width, SIZE.height)
    message = to_message_of(recording)
    x = np.frombuffer(message.x, np.uint16)
    assert set(columns["x"].tolist()) <= set(x.tolist())
    assert header["share"] == pytest.approx(header["rows"] / len(x), rel=0.02)
    probe.wait_until(lambda: publisher.get_subscription_count() == 0)


def to_message_of(recording):
    """The message of a recording's first 10 ms."""
    with open_recording(str(recording)) as source:
        window = next(iter(windows(source.batches(), source.size, 10_000)))
    return to_message(window, 0, "camera", 0)


def test_the_replay_is_commanded_and_parameters_are_changed(desk, recording):
    _, port, _ = desk
    parameters = {"source": str(recording), "replay.loop": True, "wait_for_subscribers": 0}
    status, body, _ = ask(port, "/api/restart", "POST")
    assert (status, body["detail"]) == (503, "/driver is not running")
    with NodeProcess("driver", parameters) as driver:
        wait_until(lambda: ask(port, "/api/status")[1]["playback"] is not None, timeout_s=30.0)
        playback = ask(port, "/api/status")[1]["playback"]
        assert playback["duration_us"] == pytest.approx(DURATION_US, rel=0.01)
        assert (playback["rate"], playback["is_paused"]) == (1.0, False)

        assert ask(port, "/api/speed", "POST", {"rate": 0.01})[0] == 200
        assert ask(port, "/api/seek", "POST", {"t_us": 123_456})[0] == 200

        def is_there() -> bool:
            now = ask(port, "/api/status")[1]["playback"]
            return now["rate"] == 0.01 and 123_000 <= now["position_us"] <= 250_000

        wait_until(is_there)
        assert ask(port, "/api/pause", "POST", {"is_paused": True})[0] == 200
        wait_until(lambda: ask(port, "/api/status")[1]["playback"]["is_paused"])

        status, body, _ = ask(port, "/api/seek", "POST", {"t_us": 1 << 50})
        assert (status, str(1 << 50) in body["detail"]) == (409, True)
        listed = {(one["node"], one["name"]): one for one in ask(port, "/api/parameters")[1]}
        assert listed["/driver", "replay.rate"]["value"] == 0.01
        assert listed["/driver", "source"]["is_read_only"]
        assert not any(node == "/dashboard" for node, _ in listed)

        for name, value in (("replay.rate", -1.0), ("no.such", 1), ("source", "/etc/passwd")):
            change = {"node": "/driver", "name": name, "value": value}
            status, body, _ = ask(port, "/api/parameters", "POST", change)
            assert (status, name in body["detail"]) == (409, True)
        path = {"node": "/driver", "name": "filter.mask", "value": "/etc/passwd"}
        status, body, _ = ask(port, "/api/parameters", "POST", path)
        assert (status, "cannot be changed here" in body["detail"]) == (409, True)
        own = {"node": "/dashboard", "name": "web.token", "value": "x"}
        assert ask(port, "/api/parameters", "POST", own)[0] == 409
        assert driver.exit_code is None


def test_it_follows_a_whole_graph(desk, recording):
    _, port, _ = desk
    played = {"source": str(recording), "replay.loop": True, "wait_for": "rotation_detector"}
    with (
        NodeProcess("rotation_detector"),
        NodeProcess("fusion"),
        NodeProcess("driver", played),
    ):
        wait_until(lambda: ask(port, "/api/rotors")[1], timeout_s=120.0)
        (seen, *_) = ask(port, "/api/rotors")[1]
        assert seen["rpm"] == pytest.approx(60 * ROTOR.frequency_hz, rel=1e-3)
        assert seen["blade_count"] == ROTOR.blades
        ask(port, f"/api/rotors/{seen['id']}/spectrum")
        time.sleep(1.5)
        wait_until(lambda: ask(port, "/api/rotors")[1])
        now = ask(port, "/api/rotors")[1][0]
        spectrum = ask(port, f"/api/rotors/{now['id']}/spectrum")[1]
        peak_hz = spectrum["frequency_hz"][int(np.argmax(spectrum["power"]))]
        assert spectrum["blade_pass_hz"] == pytest.approx(ROTOR.blades * ROTOR.frequency_hz, 1e-3)
        assert peak_hz % spectrum["blade_pass_hz"] == pytest.approx(0.0, abs=3.0)


def test_signals_end_it_at_once_even_with_clients(tmp_path):
    for number in (signal.SIGINT, signal.SIGTERM):
        with dashboard(tmp_path) as node:
            port = port_of(node)
            with connect(f"ws://127.0.0.1:{port}/ws/states"):
                node.send_signal(number)
                time.sleep(0.05)
                node.send_signal(number)
                assert node.wait(8.0) == 0, node.output()


def test_two_on_one_port_and_two_on_one_history_are_told_so(tmp_path):
    with dashboard(tmp_path) as first:
        port = port_of(first)
        with dashboard(tmp_path, **{"web.port": port, "history.file": "none"}) as second:
            assert second.wait(30.0) == EXIT_ERROR
            assert f"port {port}: Address already in use" in second.output()
        with dashboard(tmp_path) as third:
            assert third.wait(30.0) == EXIT_ERROR
            assert "in use by another dashboard" in third.output()
        assert ask(port, "/api/status")[0] == 200


def test_other_machines_need_a_token(tmp_path):
    with dashboard(tmp_path, **{"web.host": "0.0.0.0"}) as node:
        assert node.wait(30.0) == EXIT_ERROR
        assert "token" in node.output()


def test_history_outlives_the_node(tmp_path):
    with Probe() as probe:
        publisher = probe.node.create_publisher(
            RotationStateArray, "rotation_states", results_quality()
        )
        for life in (1, 2):
            with dashboard(tmp_path) as node:
                port = port_of(node)
                end_us = 0

                def is_kept(port=port, life=life) -> bool:
                    # Again and again: for a while a node that was killed counts as a subscriber.
                    nonlocal end_us
                    end_us += 1
                    message = RotationStateArray(window_end=end_us)
                    message.states = [RotationState(id=life)]
                    message.header.stamp = probe.node.get_clock().now().to_msg()
                    publisher.publish(message)
                    probe.spin_for(0.1)
                    return len(ask(port, "/api/history")[1]["rotors"]) == life

                wait_until(is_kept)
                node.send_signal(signal.SIGKILL)
                node.wait(5.0)
