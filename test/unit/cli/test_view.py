"""`evio view`: the dashboard for a recording, until Ctrl-C."""

from __future__ import annotations

import http.client
import json
import re
import signal
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

for module in ("dash", "uvicorn"):
    pytest.importorskip(module, reason="the page: pip install 'evio_ros[web]'")

TIMEOUT_S = 60.0


@pytest.fixture
def shown(start_evio, fan_recording) -> Callable[..., tuple[Any, str]]:
    """Starts the command for the fan; returns the process and the printed address."""

    def show(*options: object) -> tuple[Any, str]:
        process = start_evio("view", fan_recording, "--no-browser", "--port", 0, *options)
        told = process.stderr.readline()
        (address,) = re.findall(r"is shown at (\S+); Ctrl-C ends it$", told.strip())
        return process, address

    return show


def get(address: str, path: str, **headers: str) -> tuple[int, bytes]:
    url = urlsplit(address)
    connection = http.client.HTTPConnection("127.0.0.1", url.port, timeout=TIMEOUT_S)
    connection.request("GET", path, headers=headers)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response.status, content


@pytest.mark.parametrize(("fastest_hz", "found"), [(30, 1), (5, 0)])
def test_parameters_of_the_detector_can_be_set(shown, fastest_hz, found):
    process, address = shown("--rate", 0, "--set", f"acquisition.maximum_speed_hz={fastest_hz}")
    deadline_s = time.monotonic() + TIMEOUT_S
    while not (told := json.loads(get(address, "/api/status")[1]))["playback"]["is_at_end"]:
        assert time.monotonic() < deadline_s, told
        time.sleep(0.05)
    assert len(told["rotors"]) == found
    process.send_signal(signal.SIGINT)
    process.wait(TIMEOUT_S)


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
def test_it_shows_a_recording_until_it_is_ended(shown, number, code, said):
    process, address = shown("--paused")
    status, content = get(address, "/api/status")
    assert status == 200
    told = json.loads(content)
    assert told["title"] == "fan.dat"
    assert told["playback"]["is_paused"]
    assert told["playback"]["duration_us"] == pytest.approx(600_000, rel=0.01)
    status, page = get(address, "/")
    assert status == 200
    assert b"dash_renderer" in page
    assert b"http://" not in page.replace(b"http://www.w3.org", b"")
    process.send_signal(number)
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert (process.returncode, out, err) == (code, "", f"evio: {said}\n")


def test_a_geometry_can_be_given(shown):
    _, address = shown("--paused", "--size", "320x200")
    status = json.loads(get(address, "/api/status")[1])
    assert (status["width"], status["height"]) == (320, 200)


def test_others_need_the_token_that_is_printed(shown):
    _, address = shown("--host", "0.0.0.0")
    (token,) = re.findall(r"\?token=(\w{32})$", address)
    assert get(address, "/api/status")[0] == 401
    assert get(address, "/api/status", authorization=f"Bearer {token}")[0] == 200


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("no_such.raw",), "no_such.raw: "),
        (("scene:nothing",), "'nothing' is not one of"),
        (("fan.dat", "--start", 1000), "past the recording's end"),
        (("fan.dat", "--time-unit", "ns"), "has no option ?time_unit="),
        (("fan.dat", "--window-ms", "nan"), "--window-ms: nan ms is not a finite time"),
        (("fan.dat", "--size", "640"), "--size: '640' is not WIDTHxHEIGHT"),
        (("fan.dat", "--start", -1), "start_us: -1000000 is below the minimum 0"),
        (("fan.dat", "--set", "maximum_speed"), "--set: 'maximum_speed' is not NAME=VALUE"),
        (("fan.dat", "--set", "contrast=1"), "contrast: no such parameter; did you mean "),
        (("fan.dat", "--host", "no.such.host.invalid"), "cannot listen on no.such.host.invalid"),
        (("fan.dat", "--token-file", "missing"), "missing"),
    ],
)
def test_what_cannot_be_shown_is_said_in_one_line(
    evio, fan_recording, monkeypatch, options, message
):
    monkeypatch.chdir(fan_recording.parent)
    code, out, err = evio("view", "--no-browser", "--port", 0, *options)
    assert (code, out) == (2, "")
    assert err.startswith("evio: ")
    assert err.count("\n") == 1
    assert message in err
