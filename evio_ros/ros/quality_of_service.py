"""Quality of service of the topics."""

from __future__ import annotations

from dataclasses import dataclass

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

from evio_ros.parameters import Parameters, parameter

__all__ = [
    "EventsQualityParameters",
    "events_quality",
    "kept_quality",
    "packets_quality",
    "pictures_quality",
    "receipts_quality",
    "results_quality",
]

RELIABLE, BEST_EFFORT = "reliable", "best_effort"


@dataclass(frozen=True)
class EventsQualityParameters(Parameters):
    """Quality of service of a node's events."""

    reliability: str = parameter(
        RELIABLE,
        choices=(RELIABLE, BEST_EFFORT),
        read_only=True,
        doc="Whether lost messages are sent again. A reliable subscriber gets nothing from a "
        "best-effort publisher.",
    )
    depth: int = parameter(
        100,
        unit="messages",
        minimum=1,
        maximum=10_000,
        read_only=True,
        doc="Messages kept for a slow subscriber before the oldest is dropped. Their memory is "
        "kept for later ones.",
    )


def events_quality(parameters: EventsQualityParameters) -> QoSProfile:
    """For events, as the parameters say."""
    return _keep_last(parameters.depth, reliable=parameters.reliability == RELIABLE)


def packets_quality() -> QoSProfile:
    """For event packets of other drivers, some of which offer only best effort."""
    return _keep_last(1000, reliable=False)


def receipts_quality() -> QoSProfile:
    """For receipts: the last one is kept for a driver that is connected later."""
    return kept_quality()


def kept_quality() -> QoSProfile:
    """For what is sent once: it is kept for subscribers that are connected later."""
    quality = _keep_last(1, reliable=True)
    quality.durability = DurabilityPolicy.TRANSIENT_LOCAL
    return quality


def pictures_quality() -> QoSProfile:
    """For tensors and pictures: reliable, as rviz and `ros2 topic echo` may need; few are kept."""
    return _keep_last(5, reliable=True)


def results_quality() -> QoSProfile:
    """For results of windows, which are small: reliable, and a second of windows of 1 ms is kept.

    A detector that catches up after a stall publishes hundreds of windows at once.
    """
    return _keep_last(1000, reliable=True)


def _keep_last(depth: int, reliable: bool) -> QoSProfile:
    policy = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=depth, reliability=policy)
