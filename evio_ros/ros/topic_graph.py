"""Who is on a topic, by name."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node
from rclpy.qos import ReliabilityPolicy

__all__ = ["is_heard", "publishers_of", "unfit_publishers"]


def publishers_of(node: Node, topic: str) -> list[str]:
    """Full names of the nodes that publish `topic`, remapped as the node's own topics are; sorted.

    A node that publishes it twice is named twice.
    """
    found = node.get_publishers_info_by_topic(node.resolve_topic_name(topic))
    return sorted(f"{one.node_namespace.rstrip('/')}/{one.node_name}" for one in found)


def is_heard(node: Node) -> bool:
    """Whether all who are known to listen to the node's own topics are connected."""
    return all(
        each.get_subscription_count() >= node.count_subscribers(each.topic_name)
        for each in node.publishers
    )


def unfit_publishers(node: Node) -> list[str]:
    """Publishers whose messages the node cannot take, and why, in words."""
    found = []
    for subscription in node.subscriptions:
        topic = subscription.topic_name
        kind: Any = subscription.msg_type
        expected = f"{kind.__module__.partition('.')[0]}/msg/{kind.__name__}"
        asks_reliable = subscription.qos_profile.reliability == ReliabilityPolicy.RELIABLE
        for one in node.get_publishers_info_by_topic(topic):
            who = f"{one.node_namespace.rstrip('/')}/{one.node_name}"
            if one.topic_type != expected:
                found.append(f"{topic}: {who} publishes {one.topic_type}, not {expected}")
            elif asks_reliable and one.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT:
                found.append(f"{topic}: {who} publishes best effort, and reliable is asked for")
    return found
