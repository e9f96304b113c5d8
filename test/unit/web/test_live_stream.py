from __future__ import annotations

import contextlib
import socket
import threading
import time

import numpy as np
import pytest
from web_desk import TIMEOUT_S, Desk, ask, rotor, sample, served, wait_until
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from evio_ros.events import EventBatch, SensorSize
from evio_ros.web.api import create_app
from evio_ros.web.column_frame import decode_column_frame
from evio_ros.web.live_view import EventSample
from evio_ros.web.web_parameters import WebParameters

SIZE = SensorSize(64, 48)


@pytest.fixture
def desk():
    return Desk()


def stream(desk, **values):
    parameters = WebParameters(port=0, **values)
    return served(create_app(desk, parameters), parameters)


def events(start_us: int, count: int) -> EventSample:
    """Events of 10 ms, one pixel after the other."""
    places = np.arange(count)
    batch = EventBatch(
        SIZE,
        start_us + places * 10_000 // count,
        (places % SIZE.width).astype(np.uint16),
        (places // SIZE.width % SIZE.height).astype(np.uint16),
        places % 2 == 0,
    )
    return EventSample(batch, start_us, start_us + 10_000, 0.5)


def test_every_window_since_the_last_message_comes_with_all_its_rotors(desk):
    with stream(desk) as server, connect(f"ws://127.0.0.1:{server.port}/ws/states") as client:
        time.sleep(0.3)  # the first message tells what comes from now on
        for number in range(3):
            desk.view.put_state(sample(1000 * number, rotor(1, 100.0 + number), rotor(2, -50.0)))
        seen = []
        while len(seen) < 6:
            header, columns = decode_column_frame(client.recv(timeout=TIMEOUT_S))
            assert header["kind"] == "states"
            seen += zip(columns["t_us"], columns["id"], columns["rpm"], strict=True)
    assert seen == [
        (1000 * number, who, rpm)
        for number in range(3)
        for who, rpm in ((1, 100.0 + number), (2, -50.0))
    ]


def test_who_comes_late_is_told_what_was_before_although_nothing_goes_on(desk):
    for t_us in (900_000, *range(0, 250_000, 10_000)):  # a replay that has gone back
        desk.view.put_state(sample(t_us, rotor(1, t_us / 1000)))
    desk.view.put_events(events(50_000, 10))
    with stream(desk) as server:
        address = f"ws://127.0.0.1:{server.port}/ws"
        for _ in range(2):
            with connect(f"{address}/states") as first, connect(f"{address}/states") as second:
                for client in (first, second):
                    header, columns = decode_column_frame(client.recv(timeout=TIMEOUT_S))
                    # Ten windows a second, the newest among them.
                    assert columns["rpm"].tolist() == [40.0, 140.0, 240.0]
                    assert header["t_us"] == 240_000
        with connect(f"{address}/events") as first, connect(f"{address}/events") as second:
            for client in (first, second):
                header, _ = decode_column_frame(client.recv(timeout=TIMEOUT_S))
                assert (header["end_us"], header["rows"]) == (60_000, 10)


def test_events_come_decimated_to_the_budget_and_tell_their_share(desk):
    with stream(desk, events_a_message=100) as server:
        address = f"ws://127.0.0.1:{server.port}/ws/events"
        with connect(address) as client:
            wait_until(lambda: desk.view.is_wanted("events"))
            sent = events(50_000, 1000)
            desk.view.put_events(sent)
            header, columns = decode_column_frame(client.recv(timeout=TIMEOUT_S))
        wait_until(lambda: not desk.view.is_wanted("events"))
    # Of 2000 that came the sample holds every second, the message every tenth of these.
    assert (header["rows"], header["share"]) == (100, 0.05)
    assert (header["start_us"], header["end_us"]) == (50_000, 60_000)
    assert (header["width"], header["height"]) == (64, 48)
    assert columns["x"].tolist() == sent.events.x[::10].tolist()
    assert (columns["t"] + 50_000).tolist() == sent.events.t[::10].tolist()


def test_events_go_on_after_the_replay_has_gone_back(desk):
    with stream(desk) as server, connect(f"ws://127.0.0.1:{server.port}/ws/events") as client:
        for start_us in (900_000, 100_000):
            desk.view.put_events(events(start_us, 10))
            header, _ = decode_column_frame(client.recv(timeout=TIMEOUT_S))
            assert header["start_us"] == start_us


def test_a_client_that_speaks_is_dismissed(desk):
    with stream(desk) as server, connect(f"ws://127.0.0.1:{server.port}/ws/states") as client:
        client.send("hello")
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(timeout=TIMEOUT_S)
        assert closed.value.rcvd.code == 1008


def test_a_client_that_says_too_much_is_dismissed(desk):
    with stream(desk) as server, connect(f"ws://127.0.0.1:{server.port}/ws/states") as client:
        with contextlib.suppress(ConnectionClosed):
            client.send(b"x" * 1_000_000)
        with pytest.raises(ConnectionClosed):
            client.recv(timeout=TIMEOUT_S)
        assert ask(server.port, "/api/status")[0] == 200


def test_more_clients_than_allowed_are_refused(desk):
    with stream(desk, clients=2) as server:
        address = f"ws://127.0.0.1:{server.port}/ws/states"
        with connect(address), connect(address), connect(address) as third:
            with pytest.raises(ConnectionClosed) as closed:
                third.recv(timeout=TIMEOUT_S)
            assert closed.value.rcvd.code == 1013


def test_a_client_that_never_reads_is_dropped_and_holds_up_nobody(desk):
    parameters = {"rate_hz": 60.0, "events_a_message": 100_000}
    with stream(desk, **parameters) as server:
        deaf = socket.create_connection(("127.0.0.1", server.port), TIMEOUT_S)
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.sendall(
            f"GET /ws/events HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        is_over = threading.Event()

        def feed():
            start_us = 0
            while not is_over.wait(0.02):
                desk.view.put_events(events(start_us, 100_000))
                start_us += 10_000

        feeding = threading.Thread(target=feed)
        feeding.start()
        try:
            with connect(f"ws://127.0.0.1:{server.port}/ws/events", max_size=None) as client:
                gaps_s = []
                end_s = time.monotonic() + TIMEOUT_S
                while "events_dropped_clients_total 1" not in metrics(server.port):
                    assert time.monotonic() < end_s
                    began_s = time.monotonic()
                    client.recv(timeout=TIMEOUT_S)
                    gaps_s.append(time.monotonic() - began_s)
            assert max(gaps_s) < 3.0
        finally:
            is_over.set()
            feeding.join()
            deaf.close()


def metrics(port: int) -> str:
    return ask(port, "/metrics")[1].decode()
