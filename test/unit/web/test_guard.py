from __future__ import annotations

import http.client
import socket

import pytest
from web_desk import TIMEOUT_S, Desk, ask, rotor, sample, served
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from evio_ros.web.api import create_app
from evio_ros.web.web_parameters import WebParameters

TOKEN = "0123456789abcdef"


def guarded(**values):
    """A server with these parameters; its port."""
    parameters = WebParameters(port=0, **values)
    return served(create_app(Desk(), parameters), parameters)


@pytest.fixture(scope="module")
def port():
    with guarded(requests_a_second=10_000.0, host_names="dash.example, other") as server:
        yield server.port


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:9", 200),
        ("127.0.0.1", 200),
        ("192.168.7.7:8088", 200),
        ("[::1]:8088", 200),
        ("dash.example", 200),
        ("other:80", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("dash.example.", 421),
        ("localhost/evil", 421),
        ("a@localhost", 421),
        ("", 421),
    ],
)
def test_only_known_hosts_are_served(port, host, status):
    assert ask(port, "/api/status", headers={"host": host})[0] == status


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:5000", 200),
        ("https://localhost:5000", 200),
        ("http://localhost:5001", 403),
        ("http://localhost", 403),
        ("http://evil.example", 403),
        ("null", 403),
        ("", 403),
    ],
)
def test_pages_of_others_neither_read_nor_command(port, origin, status):
    headers = {"host": "localhost:5000", "origin": origin}
    assert ask(port, "/api/status", headers=headers)[0] == status
    assert ask(port, "/api/restart", "POST", headers=headers)[0] == status


def test_a_browser_that_tells_of_another_site_does_not_command(port):
    cross = {"sec-fetch-site": "cross-site"}
    assert ask(port, "/api/restart", "POST", headers=cross)[0] == 403
    assert ask(port, "/api/restart", "POST", headers={"sec-fetch-site": "same-origin"})[0] == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"origin": "http://evil.example"}, 403), ({"host": "evil.example"}, 421)],
)
def test_streams_are_guarded_alike(port, headers, status):
    if "host" in headers:
        assert handshake_status(port, "/ws/states", host=headers["host"]) == status
        return
    with pytest.raises(InvalidStatus) as refused:
        connect(f"ws://127.0.0.1:{port}/ws/states", additional_headers=headers)
    assert refused.value.response.status_code == status


def handshake_status(port: int, path: str, host: str) -> int:
    """The status that a WebSocket's handshake with another Host is answered with."""
    request = (
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as link:
        link.sendall(request.encode())
        return int(link.recv(100).split()[1])


def test_large_bodies_and_queries_are_refused(port):
    assert ask(port, "/api/pause", "POST", b" " * 70_000)[0] == 413
    assert ask(port, "/api/status?" + "a" * 5000)[0] == 414
    assert ask(port, "/api/pause", "POST", b"", {"content-length": "-1"})[0] in (400, 413)


def test_a_body_without_a_length_that_does_not_end_is_cut_off(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    chunks = (b" " * 10_000 for _ in range(20))
    try:
        connection.request("POST", "/api/pause", chunks, encode_chunked=True)
        status = connection.getresponse().status
    except (ConnectionError, http.client.HTTPException):
        status = 0  # cut off while it was sent
    connection.close()
    assert status != 200
    assert ask(port, "/api/status")[0] == 200


def test_what_is_not_http_hurts_nobody(port):
    for rubbish in (b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"A" * 100_000):
        with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as link:
            try:
                link.sendall(rubbish)
                link.recv(1000)
            except ConnectionError:
                pass
    assert ask(port, "/api/status")[0] == 200


def test_too_many_requests_are_refused_for_a_while():
    with guarded(requests_a_second=2.0) as server:
        statuses = [ask(server.port, "/api/rotors")[0] for _ in range(12)]
        assert statuses[:8] == [200] * 8
        assert statuses[-1] == 429
        assert ask(server.port, "/api/rotors")[2]["retry-after"] == "1"


@pytest.fixture(scope="module")
def locked():
    with guarded(token=TOKEN) as server:
        yield server.port


@pytest.mark.parametrize("path", ["/api/status", "/metrics", "/api/openapi.json", "/", "/nope"])
def test_nothing_is_told_without_the_token(locked, path):
    status, body, headers = ask(locked, path)
    assert (status, headers["www-authenticate"]) == (401, "Bearer")
    assert "token" in body["detail"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"authorization": f"Bearer {TOKEN}"}, 200),
        ({"authorization": f"bearer {TOKEN}"}, 200),
        ({"cookie": f"a=b; evio_token={TOKEN}"}, 200),
        ({"authorization": f"Bearer {TOKEN}0"}, 401),
        ({"authorization": f"Bearer {TOKEN[:-1]}"}, 401),
        ({"authorization": f"Basic {TOKEN}"}, 401),
        ({"authorization": "Bearer"}, 401),
        ({"authorization": "Bearer \xe9\xff"}, 401),
        ({"cookie": "evio_token=wrong"}, 401),
        ({"cookie": "evio_token"}, 401),
        ({"cookie": "=;;\x01"}, 401),
    ],
)
def test_the_token_is_a_header_or_a_cookie(locked, headers, status):
    assert ask(locked, "/api/status", headers=headers)[0] == status


def test_a_browser_gets_the_token_as_a_cookie_and_an_address_without_it(locked):
    status, _, headers = ask(locked, f"/api/status?a=1&token={TOKEN}")
    assert (status, headers["location"]) == (303, "/api/status?a=1")
    cookie = headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert ask(locked, "/api/status?token=wrong")[0] == 401
    assert ask(locked, f"//evil.example/?token={TOKEN}")[2]["location"] == "/evil.example/"


def test_streams_need_the_token_too(locked):
    address = f"ws://127.0.0.1:{locked}/ws/states"
    with pytest.raises(InvalidStatus) as refused:
        connect(address)
    assert refused.value.response.status_code == 401
    with connect(address, additional_headers={"authorization": f"Bearer {TOKEN}"}):
        pass


def test_refused_requests_are_counted():
    desk = Desk()
    desk.view.put_state(sample(1, rotor()))
    with served(create_app(desk, WebParameters(port=0))) as server:
        for _ in range(3):
            ask(server.port, "/api/status", headers={"host": "evil.example"})
        text = ask(server.port, "/metrics")[1].decode()
    assert "evio_dashboard_refused_requests_total 3" in text.splitlines()
