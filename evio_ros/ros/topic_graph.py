"""Who is on a topic, by name."""

from __future__ import annotations

import time
from typing import Any

from rclpy.node import Node
from rclpy.qos import ReliabilityPolicy
from rclpy.topic_endpoint_info import TopicEndpointInfo

__all__ = ["is_heard", "publishers_of", "unfit_publishers"]

_PATIENCE_S = 5.0
"""A subscription that cannot be connected, e.g. for its quality of service, is given up then."""


def publishers_of(node: Node, topic: str) -> list[str]:
    """Full names of the nodes that publish `topic`, remapped as the node's own topics are; sorted.

    A node that publishes it twice is named twice.
    """
    found = node.get_publishers_info_by_topic(node.resolve_topic_name(topic))
    return sorted(map(_full_name, found))


def is_heard(node: Node, since_s: float) -> bool:
    """Whether all subscribers of the node's topics are connected, or are unlikely to connect.

    Args:
        node: the node.
        since_s: when it began to publish, by `time.monotonic`.
    """
    return time.monotonic() - since_s > _PATIENCE_S or all(
        each.get_subscription_count() >= node.count_subscribers(each.topic_name)
        for each in node.publishers
    )


def unfit_publishers(node: Node) -> list[str]:
    """Publishers whose messages the node cannot receive, with the reasons."""
    found = []
    for subscription in node.subscriptions:
        topic = subscription.topic_name
        kind: Any = subscription.msg_type
        expected = f"{kind.__module__.partition('.')[0]}/msg/{kind.__name__}"
        asks_reliable = subscription.qos_profile.reliability == ReliabilityPolicy.RELIABLE
        for one in node.get_publishers_info_by_topic(topic):
            who = _full_name(one)
            if one.topic_type != expected:
                found.append(f"{topic}: {who} publishes {one.topic_type}, not {expected}")
            elif asks_reliable and one.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT:
                found.append(f"{topic}: {who} publishes best effort, but reliable is required")
    return found


def _full_name(endpoint: TopicEndpointInfo) -> str:
    return f"{endpoint.node_namespace.rstrip('/')}/{endpoint.node_name}"
