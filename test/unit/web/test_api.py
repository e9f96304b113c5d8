from __future__ import annotations

import math
import re
import time

import numpy as np
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance
from web_desk import Desk, ask, rotor, sample, served
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from evio_ros.events import EventBatch, SensorSize
from evio_ros.web.api import create_app
from evio_ros.web.data_source import ControlError
from evio_ros.web.history import History
from evio_ros.web.live_view import EventSample, NodeReport
from evio_ros.web.web_parameters import WebParameters

SIZE = SensorSize(320, 240)


@pytest.fixture
def desk():
    return Desk()


@pytest.fixture
def port(desk):
    parameters = WebParameters(port=0, stale_after_s=0.5)
    with served(create_app(desk, parameters), parameters) as server:
        yield server.port


def test_status_says_what_is_the_case(desk, port):
    desk.view.put_size(SIZE)
    desk.view.put_report(NodeReport("/fusion: fusion", "ok", "1 rotor in view"))
    desk.view.put_state(sample(5000, rotor(3, -950.0), stamp_s=12.5))
    status, body, headers = ask(port, "/api/status")
    assert (status, body["problem"], body["is_stale"]) == (200, "", False)
    assert (body["t_us"], body["stamp_s"], body["width"], body["height"]) == (5000, 12.5, 320, 240)
    (seen,) = body["rotors"]
    assert (seen["id"], seen["rpm"], seen["turns"], seen["blade_count"]) == (3, -950.0, 7.5, 2)
    assert (seen["center_x"], seen["axis_minor"], seen["angle"]) == (100.0, 30.0, 0.25)
    assert body["health"][0]["message"] == "1 rotor in view"
    assert body["playback"]["duration_us"] == 9_000_000
    assert headers["x-content-type-options"] == "nosniff"
    assert ask(port, "/api/rotors")[1] == body["rotors"]
    assert ask(port, "/api/rotors/3")[1] == seen


def test_what_is_unknown_or_infinite_is_null(desk, port):
    desk.view.put_state(sample(5000, rotor(1, rpm_std=math.inf)))
    assert ask(port, "/api/rotors/1")[1]["rpm_std"] is None


@pytest.mark.parametrize("what", ["angle_time", "spectrum"])
def test_a_rotor_that_has_just_gone_is_still_looked_at(desk, port, what):
    desk.view.put_state(sample(5000, rotor(3)))
    desk.view.put_state(sample(0, rotor(4)))
    assert ask(port, f"/api/rotors/3/{what}")[0] == 200
    assert ask(port, "/api/rotors/3")[0] == 404


def test_the_documentation_needs_nothing_from_elsewhere(desk, port):
    status, page, headers = ask(port, "/api/docs")
    assert status == 200
    assert headers["content-type"].startswith("text/html")
    page = page.decode()
    assert "<script" not in page
    assert not re.search(r"(src|href)=\"(https?:)?//", page)
    for path in ask(port, "/api/openapi.json")[1]["paths"]:
        assert path in page
    assert set(re.findall(r'href="#(\w+)"', page)) <= set(re.findall(r'id="(\w+)"', page))


def test_without_a_graph_status_says_so(desk, port):
    desk.state = None
    body = ask(port, "/api/status")[1]
    assert "is the graph running?" in body["problem"]
    assert (body["rotors"], body["is_stale"], body["playback"]) == ([], True, None)


def test_rotors_are_not_shown_once_no_windows_come_but_in_a_pause_they_are(desk, port):
    desk.view.put_state(sample(5000, rotor()))
    time.sleep(0.6)
    body = ask(port, "/api/status")[1]
    assert (body["rotors"], body["is_stale"]) == ([], True)
    assert "No rotation states" in body["problem"]
    desk.state = type(desk.state)("fan.dat", True, True, 0, None, 1.0)
    assert len(ask(port, "/api/status")[1]["rotors"]) == 1


def test_in_slow_motion_windows_come_seldom_and_rotors_stay(desk, port):
    """50 ms of sensor time take 2.5 s at a fiftieth of the speed."""
    desk.state = type(desk.state)("fan.dat", True, False, 0, None, 0.02)
    for number in range(2):
        desk.view.put_state(sample(50_000 * number, rotor()))
    time.sleep(0.8)
    body = ask(port, "/api/status")[1]
    assert (len(body["rotors"]), body["is_stale"], body["problem"]) == (1, False, "")
    desk.state = type(desk.state)("fan.dat", True, False, 0, None, 1.0)
    assert ask(port, "/api/status")[1]["is_stale"]


def test_a_recording_at_its_end_is_no_problem_but_what_ended_it_is(desk, port):
    desk.view.put_state(sample(5000, rotor()))
    desk.state = type(desk.state)("fan.dat", True, False, 9_000_000, 9_000_000, 1.0)
    time.sleep(0.6)
    body = ask(port, "/api/status")[1]
    assert (body["problem"], body["is_stale"]) == ("", True)
    desk.view.put_report(NodeReport("/driver: playback", "error", "fan.dat, byte 9: is broken"))
    assert "byte 9: is broken" in ask(port, "/api/status")[1]["problem"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/rotors/7", 404),
        ("/api/rotors/-1", 422),
        ("/api/rotors/one", 422),
        ("/api/rotors/99999999999999999999", 422),
        ("/api/rotors/7/angle_time", 404),
        ("/api/nothing", 404),
        ("/docs", 404),
        ("/api/../../etc/passwd", 404),
        ("/%2e%2e/%2e%2e/etc/passwd", 404),
    ],
)
def test_unknown_rotors_and_addresses_have_a_clear_status(port, path, status):
    assert ask(port, path)[0] == status


def test_commands_reach_the_source(desk, port):
    assert ask(port, "/api/pause", "POST", {"is_paused": True})[:2] == (200, {"message": "done"})
    assert ask(port, "/api/seek", "POST", {"t_us": 1_500_000})[0] == 200
    assert ask(port, "/api/restart", "POST")[0] == 200
    assert ask(port, "/api/speed", "POST", {"rate": 0.25})[0] == 200
    change = {"node": "/driver", "name": "replay.loop", "value": True}
    assert ask(port, "/api/parameters", "POST", change)[0] == 200
    assert desk.done == [
        ("pause", True),
        ("seek", 1_500_000),
        ("restart",),
        ("rate", 0.25),
        ("parameter", "/driver", "replay.loop", True),
    ]
    assert ask(port, "/api/parameters")[1][0]["name"] == "replay.rate"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/seek", {"t_us": -1}),
        ("/api/seek", {"t_us": 1e300}),
        ("/api/seek", {}),
        ("/api/seek", b"{"),
        ("/api/speed", {"rate": -0.5}),
        ("/api/speed", b'{"rate": NaN}'),
        ("/api/pause", {"is_paused": "perhaps"}),
        ("/api/parameters", {"node": "/driver", "name": "", "value": 1}),
        ("/api/parameters", {"node": "/driver", "name": "x", "value": [1]}),
    ],
)
def test_commands_that_make_no_sense_are_refused_and_reach_nobody(desk, port, path, body):
    assert ask(port, path, "POST", body, {"content-type": "application/json"})[0] == 422
    assert desk.done == []


def test_what_cannot_be_done_is_a_conflict_and_nobody_there_is_unavailable(desk, port):
    status, body, _ = ask(port, "/api/seek", "POST", {"t_us": 10_000_000})
    assert (status, body["detail"]) == (409, "t: 10000000 us is after the end")
    desk.problem = ControlError("/driver is not running", is_absent=True)
    status, body, _ = ask(port, "/api/restart", "POST")
    assert (status, body["detail"]) == (503, "/driver is not running")


def test_events_of_a_disc_are_told_over_angle(desk, port):
    # All events on the ray at 45 degrees, half way out, within the last 100 ms.
    n = 400
    t = np.linspace(0, 99_999, n).astype(np.int64)
    x = np.full(n, 100 + round(20 * math.cos(math.pi / 4)), np.uint16)
    y = np.full(n, 80 + round(20 * math.sin(math.pi / 4)), np.uint16)
    events = EventBatch(SIZE, t, x, y, np.ones(n, bool))
    desk.view.put_state(sample(100_000, rotor(1, axes=(40.0, 40.0))))
    desk.view.put_events(EventSample(events, 0, 100_000, 1.0))
    counts = np.array(ask(port, "/api/rotors/1/angle_time")[1]["counts"])
    by_angle = counts.sum(axis=0)
    (place,) = np.nonzero(by_angle)
    assert place.tolist() == [len(by_angle) // 8]
    assert by_angle.sum() == n
    assert desk.view.is_wanted("events")


def test_a_page_is_mounted_beside_the_api_and_hides_no_unknown_address(desk):
    async def page(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"page"})

    with served(create_app(desk, WebParameters(port=0), page=page)) as server:
        assert ask(server.port, "/")[:2] == (200, b"page")
        assert ask(server.port, "/api/status")[0] == 200
        status, body, _ = ask(server.port, "/api/nothing")
        assert (status, body["detail"]) == (404, "Not Found")
        for method, path, allowed in (
            ("PUT", "status", "GET, HEAD"),
            ("GET", "pause", "POST"),
            ("HEAD", "pause", "POST"),
        ):
            status, body, headers = ask(server.port, f"/api/{path}", method)
            assert status == 405
            assert method == "HEAD" or body["detail"] == "Method Not Allowed"
            assert headers["allow"] == allowed
        with pytest.raises(InvalidStatus) as refused:
            connect(f"ws://127.0.0.1:{server.port}/ws/nothing")
        assert refused.value.response.status_code == 404


def test_head_is_answered_as_get_without_a_body(port):
    _, body, headers = ask(port, "/api/openapi.json")
    status, nothing, same = ask(port, "/api/openapi.json", "HEAD")
    assert (status, nothing) == (200, b"")
    assert body
    assert same["content-length"] == headers["content-length"]


def test_metrics_are_in_prometheus_format(desk, port):
    desk.view.put_report(NodeReport('/a "b"\n: c', "stale", "gone"))
    desk.view.put_state(sample(5000, rotor(4, 600.5), rotor(5, -20.0, rpm_std=math.inf)))
    status, body, headers = ask(port, "/metrics")
    assert (status, headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    lines = body.decode().splitlines()
    assert 'evio_rotor_rpm{rotor="4"} 600.5' in lines
    assert 'evio_rotor_rpm{rotor="5"} -20.0' in lines
    assert 'evio_rotor_rpm_std{rotor="5"} NaN' in lines
    assert 'evio_node_level{node="/a \\"b\\"\\n: c"} 3' in lines
    assert "# TYPE evio_dashboard_windows_total counter" in lines
    assert "evio_dashboard_windows_total 1" in lines


def test_the_api_keeps_to_its_own_description(desk, tmp_path):
    """Every operation, tried with values that its description allows and others."""
    desk.view.put_state(sample(5000, rotor()))
    parameters = WebParameters(port=0, requests_a_second=10_000.0, host_names="testserver")
    with History(tmp_path / "history.sqlite", 10) as history:
        app = create_app(desk, parameters, history)
        schema = schemathesis.openapi.from_asgi("/api/openapi.json", app)
        tried = set()
        for operation in schema.get_all_operations():
            _try(operation.ok(), tried)
    assert "POST /api/parameters" in tried
    assert "GET /api/history" in tried


def _try(operation, tried):
    @given(case=operation.as_strategy())
    @settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
    def attempt(case):
        tried.add(operation.label)
        # That `since` lies before `until` cannot be described.
        case.call_and_validate(excluded_checks=[positive_data_acceptance])

    attempt()
