from __future__ import annotations

import socket

import pytest
from web_desk import TIMEOUT_S, Desk, ask, served
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from evio_ros.errors import ParameterError
from evio_ros.web.api import create_app
from evio_ros.web.web_parameters import WebParameters
from evio_ros.web.web_server import WebServer


def test_a_port_in_use_is_said_in_one_line():
    app = create_app(Desk(), WebParameters(port=0))
    with served(app) as server:
        taken = WebParameters(port=server.port)
        with pytest.raises(ParameterError, match=rf"port {server.port}: Address already in use"):
            WebServer(app, taken)
        assert ask(server.port, "/api/status")[0] == 200


def test_an_address_of_another_machine_is_refused():
    parameters = WebParameters(host="203.0.113.7", token="x" * 16, port=0)
    with pytest.raises(ParameterError, match=r"cannot listen on 203\.0\.113\.7"):
        WebServer(create_app(Desk(), parameters), parameters)


def test_nonsense_does_not_fill_the_log(caplog):
    with served(create_app(Desk(), WebParameters(port=0))) as server:
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", server.port)) as held:
                held.sendall(b"\0\1\2\r\n\r\n")
                assert held.recv(100).startswith(b"HTTP/1.1 400")
    assert len([one for one in caplog.messages if "Invalid HTTP request" in one]) <= 1


def test_texts_that_are_none_do_not_fill_the_log(caplog):
    with served(create_app(Desk(), WebParameters(port=0))) as server:
        for _ in range(3):
            with connect(f"ws://127.0.0.1:{server.port}/ws/states") as client:
                client.send(b"\xff\xff", text=True)
                with pytest.raises(ConnectionClosed) as closed:
                    client.recv(TIMEOUT_S)
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 1007
        assert ask(server.port, "/api/status")[0] == 200
    told = [one for one in caplog.records if "UTF-8" in one.getMessage()]
    assert len(told) <= 1
    assert not any(one.exc_info for one in told)


def test_the_port_is_free_again_after_the_end():
    with served(create_app(Desk(), WebParameters(port=0))) as server:
        port = server.port
        held = socket.create_connection(("127.0.0.1", port))
    held.close()
    with served(create_app(Desk(), WebParameters(port=0)), WebParameters(port=port)) as server:
        assert ask(port, "/api/status")[0] == 200
