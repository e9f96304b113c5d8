"""Serving an application over HTTP in its own thread."""

from __future__ import annotations

import logging
import socket
import threading
import time

import uvicorn
from starlette.types import ASGIApp

from evio_ros.errors import EvioError, ParameterError, reason_of
from evio_ros.web.web_parameters import WebParameters

__all__ = ["WebServer"]

_START_S = 10.0
_STOP_S = 2.0
_POLL_S = 0.01
_LARGEST_MESSAGE = 4096
_CONNECTIONS = 400
_NO_NEWS = "ASGI callable returned without completing handshake."
"""uvicorn 0.54 logs so much of every WebSocket that is refused with a status of its own."""
_NONSENSE = ("Invalid HTTP request received.", "Invalid UTF-8 sequence received from client.")
_NONSENSE_S = 60.0
"""Least time between log lines about invalid requests, which must not fill the log."""


class WebServer:
    """Listens from its creation, answers from `start` on; `close` ends it.

    Args:
        app: what answers.
        parameters: where to listen.

    Attributes:
        port: on which it listens.

    Raises:
        ParameterError: if it cannot listen there.
    """

    def __init__(self, app: ASGIApp, parameters: WebParameters) -> None:
        self._socket = _listening(parameters.host, parameters.port)
        self.port: int = self._socket.getsockname()[1]
        self._host = parameters.host
        logging.getLogger("uvicorn.error").addFilter(_NEWS)
        config = uvicorn.Config(
            app,
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            ws="websockets-sansio",
            ws_per_message_deflate=False,
            ws_max_size=_LARGEST_MESSAGE,
            ws_ping_interval=20.0,
            ws_ping_timeout=20.0,
            limit_concurrency=_CONNECTIONS,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)

    @property
    def address(self) -> str:
        """Its address, for a browser."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}/"

    def start(self) -> None:
        """Begin to answer.

        Raises:
            EvioError: if it does not start.
        """
        self._thread.start()
        end_s = time.monotonic() + _START_S
        while not self._server.started:
            if time.monotonic() > end_s or not self._thread.is_alive():
                raise EvioError(f"the server at {self.address} did not start")
            time.sleep(_POLL_S)

    def close(self) -> None:
        """Stop answering, and give back the port; may be called twice."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(_STOP_S)
            if self._thread.is_alive():
                self._server.force_exit = True
                self._thread.join(_STOP_S)
        self._socket.close()

    def _run(self) -> None:
        # Off the main thread uvicorn leaves signals alone.
        self._server.run(sockets=[self._socket])


def _listening(host: str, port: int) -> socket.socket:
    """A socket that listens, so that what comes before the server's start waits."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        listening = socket.socket(family, kind, protocol)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(128)
        except OSError:
            listening.close()
            raise
    except OSError as error:
        raise ParameterError(
            f"web.port: cannot listen on {host}, port {port}: {reason_of(error)}; choose another, "
            "or 0 for any free one"
        ) from None
    return listening


class _News(logging.Filter):
    """A log filter that passes what is worth a line."""

    def __init__(self) -> None:
        super().__init__()
        self._due_s = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it is."""
        text = record.getMessage()
        if text not in _NONSENSE:
            return text != _NO_NEWS
        record.exc_info = None  # where it was noticed tells nothing
        is_due = time.monotonic() >= self._due_s
        if is_due:
            self._due_s = time.monotonic() + _NONSENSE_S
        return is_due


_NEWS = _News()
"""One for all servers of a process, as they share a log."""
