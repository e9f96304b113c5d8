"""A fake data source for the dashboard, a server and a simple HTTP client."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rotor_estimates import FAN

from evio_ros.errors import EvioError
from evio_ros.web.data_source import ControlError, NodeParameter, PlaybackState
from evio_ros.web.live_view import LiveView, ShownRotor, StateSample
from evio_ros.web.web_parameters import WebParameters

if TYPE_CHECKING:
    from evio_ros.web.web_server import WebServer

TIMEOUT_S = 20.0


def rotor(number: int = 1, rpm: float = 1200.0, **changed: Any) -> ShownRotor:
    """A rotor with two blades and semi-axes of 40 and 30 pixels."""
    disc = {"center": (100.0, 80.0), "axes": (40.0, 30.0), "tilt_rad": 0.0}
    seen = {"rpm": rpm, "rpm_std": 0.5, "angle_rad": 0.25, "turns": 7.5, "confidence": 0.9}
    first = replace(FAN, id=number, t_us=0, blade_count=2, **seen, **disc)
    return ShownRotor(replace(first, **changed))


def sample(t_us: int, *rotors: ShownRotor, stamp_s: float | None = None) -> StateSample:
    """A window of 10 ms with 1000 events."""
    return StateSample(t_us, 10_000, 1000, rotors, time.time() if stamp_s is None else stamp_s)


class Desk:
    """A data source that records the calls of its methods."""

    def __init__(self) -> None:
        self.view = LiveView()
        self.title = "a desk"
        self.done: list[tuple[Any, ...]] = []
        self.state: PlaybackState | None = PlaybackState("fan.dat", True, False, 0, 9_000_000, 1.0)
        self.problem: EvioError | None = None

    def playback(self) -> PlaybackState | None:
        return self.state

    def pause(self, is_paused: bool) -> str:
        return self._do("pause", is_paused)

    def seek(self, t_us: int) -> str:
        if t_us > 9_000_000:
            raise ControlError(f"t: {t_us} us is after the end")
        return self._do("seek", t_us)

    def restart(self) -> str:
        return self._do("restart")

    def set_rate(self, rate: float) -> str:
        return self._do("rate", rate)

    def parameters(self) -> list[NodeParameter]:
        return [NodeParameter("/driver", "replay.rate", 1.0, "Speed.", 0.0, 1000.0)]

    def set_parameter(self, node: str, name: str, value: bool | int | float | str) -> str:
        return self._do("parameter", node, name, value)

    def _do(self, *what: Any) -> str:
        if self.problem is not None:
            raise self.problem
        self.done.append(what)
        return "done"


@contextmanager
def served(app: Any, parameters: WebParameters | None = None) -> Iterator[WebServer]:
    """A server on a free port."""
    from evio_ros.web.web_server import WebServer

    server = WebServer(app, parameters or WebParameters(port=0))
    try:
        server.start()
        yield server
    finally:
        server.close()


def ask(
    port: int,
    path: str,
    method: str = "GET",
    body: Any = None,
    headers: dict[str, str] | None = None,
) -> tuple[int, Any, dict[str, str]]:
    """Status, body (decoded if it is JSON) and headers of a response."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        sent = dict(headers or {})
        data = body
        if body is not None and not isinstance(body, bytes):
            data = json.dumps(body).encode()
            sent.setdefault("content-type", "application/json")
        connection.request(method, path, data, sent)
        response = connection.getresponse()
        content = response.read()
        got = {name.lower(): value for name, value in response.getheaders()}
        if content and got.get("content-type", "").startswith("application/json"):
            return response.status, json.loads(content), got
        return response.status, content, got
    finally:
        connection.close()


def wait_until(condition: Any, timeout_s: float = TIMEOUT_S) -> None:
    """Wait until a condition holds; fails the test after the time-out."""
    end_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end_s, "the condition was not met in time"
        time.sleep(0.02)
