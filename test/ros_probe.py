"""A test node that collects messages and calls services while it waits."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable
from typing import Any

from lifecycle_msgs.srv import GetState
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription

from evio_ros.nodes.descriptions import VALUES
from evio_ros.ros.rotation_listener import LocalNode

TIMEOUT_S = 30.0
_UNKNOWN = "_NODE_NAME_UNKNOWN_"
"""Name of a publisher's node that has not been announced yet (rmw_dds_common)."""


class Probe(LocalNode):
    """Collects the messages of topics; spins only while a test waits."""

    def __init__(self, name: str = "probe") -> None:
        super().__init__(name)
        self._subscriptions: dict[str, Subscription] = {}

    def collect(
        self, message_type: type, topic: str, quality: QoSProfile | None = None
    ) -> list[Any]:
        """A list that grows with every message of a topic."""
        messages: list[Any] = []
        self._subscriptions[topic] = self.node.create_subscription(
            message_type, topic, messages.append, quality or QoSProfile(depth=1000)
        )
        return messages

    def wait_for_publisher(self, topic: str) -> None:
        """Spin until the publishers of a collected topic know this subscription.

        A publisher that is known here may not have discovered the subscription yet, and until then
        its messages are lost. A node that answers a service call has discovered the reader of the
        answer, and so all readers created earlier: the announcements of a process arrive in order
        (DDSI-RTPS 2.5, section 8.5).
        """
        answered = {self.node.get_fully_qualified_name()}

        def have_all_answered() -> bool:
            for name in self._publishers(topic) - answered:
                if not name.endswith(_UNKNOWN) and self._is_answered_by(name):
                    answered.add(name)
            return self._publishers(topic) <= answered

        self.wait_until(lambda: self._subscriptions[topic].get_publisher_count() > 0)
        self.wait_until(have_all_answered)

    def _publishers(self, topic: str) -> set[str]:
        """Full names of the nodes that publish a topic."""
        found = self.node.get_publishers_info_by_topic(self.node.resolve_topic_name(topic))
        return {f"{one.node_namespace.rstrip('/')}/{one.node_name}" for one in found}

    def _is_answered_by(self, name: str) -> bool:
        """Whether a lifecycle node answers within two seconds; an answer may itself be lost."""
        client = self.node.create_client(GetState, f"{name}/get_state")
        self.spin_while(lambda: not client.service_is_ready(), 2.0)
        future = client.call_async(GetState.Request())
        self.spin_while(lambda: not future.done(), 2.0)
        self.node.destroy_client(client)
        return future.done()

    def wait_until(self, condition: Callable[[], bool], timeout_s: float = TIMEOUT_S) -> None:
        """Spin until a condition holds; fails the test after the time-out."""
        end_s = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < end_s, "the condition was not met in time"
            self.spin_once(0.05)

    def spin_for(self, seconds: float) -> None:
        """Spin for some time."""
        self.spin_while(lambda: True, seconds)

    def spin_while(self, condition: Callable[[], bool], seconds: float) -> None:
        """Spin while a condition holds, but no longer than some time."""
        end_s = time.monotonic() + seconds
        while condition() and time.monotonic() < end_s:
            self.spin_once(0.02)

    def call(
        self, service_type: type, name: str, request: Any, timeout_s: float = TIMEOUT_S
    ) -> Any:
        """Call a service and return its response."""
        client = self.node.create_client(service_type, name)
        self.wait_until(client.service_is_ready)
        # As in `wait_for_publisher`: the answer is lost until the node knows of the client.
        self.wait_until(lambda: self._is_answered_by(name.rpartition("/")[0]))
        future = client.call_async(request)
        self.wait_until(future.done, timeout_s)
        self.node.destroy_client(client)
        return future.result()


def diagnostics_of(messages: list[Any], node: str) -> dict[str, str]:
    """The newest diagnostic values of a node, with its message as "message"."""
    status = status_of(messages, node)
    if status is None:
        return {}
    return {**{value.key: value.value for value in status.values}, "message": status.message}


def undescribed(messages: list[Any]) -> set[str]:
    """Keys of the diagnostics that the table of all values, VALUES, does not describe."""
    patterns = []
    for entry in VALUES:
        first, *suffixes = re.sub("<[^>]+>", ".+", entry).split(", ")
        stems = itertools.accumulate(first.split("_"), "{}_{}".format)
        patterns += [first, *(stem + suffix for stem in stems for suffix in suffixes)]
    keys = {value.key for message in messages for one in message.status for value in one.values}
    return {key for key in keys if not any(re.fullmatch(each, key) for each in patterns)}


def status_of(messages: list[Any], node: str) -> Any | None:
    """The newest DiagnosticStatus of a node; None if there is none."""
    for message in reversed(messages):
        for status in message.status:
            if status.name.partition(": ")[0] == node:
                return status
    return None
