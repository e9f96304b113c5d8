"""Calling services from threads other than the one that spins the node."""

from __future__ import annotations

import threading
import time
from typing import Any

from rclpy.node import Node

from evio_ros.errors import EvioError

__all__ = ["ServiceCaller", "ServiceError"]

_READY_S = 1.0
_ANSWER_S = 3.0
_POLL_S = 0.01


class ServiceError(EvioError):
    """Nobody offers a service, or it does not answer."""


class ServiceCaller:
    """Calls services of other nodes, and waits for their answers.

    Args:
        node: a node that another thread spins.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    def call(self, service_type: type, name: str, request: Any) -> Any:
        """Call a service by its full name; not from the thread that spins the node.

        Raises:
            ServiceError: if nobody offers it, or it does not answer in time.
        """
        client = self._client(service_type, name)
        end_s = time.monotonic() + _READY_S
        while not client.service_is_ready():
            if time.monotonic() > end_s:
                raise ServiceError(f"{name.rpartition('/')[0]} is not running")
            time.sleep(_POLL_S)
        future = client.call_async(request)
        if not _finished(future):
            client.remove_pending_request(future)
            raise ServiceError(f"{name} did not answer within {_ANSWER_S:g} s")
        return future.result()

    def _client(self, service_type: type, name: str) -> Any:
        """The client of a service; made by the executor, which waits for it from then on."""
        with self._lock:
            if name not in self._clients:
                executor = self._node.executor
                if executor is None:
                    raise ServiceError("the node is not spun")
                task = executor.create_task(self._node.create_client, service_type, name)
                if not _finished(task):
                    raise ServiceError("the node is too busy")
                self._clients[name] = task.result()
            return self._clients[name]


def _finished(future: Any) -> bool:
    """Wait for a future that another thread completes; False if that takes too long."""
    done = threading.Event()
    future.add_done_callback(lambda _: done.set())
    return done.wait(_ANSWER_S)
