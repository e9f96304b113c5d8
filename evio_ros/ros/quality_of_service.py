"""Quality of service of the topics."""

from __future__ import annotations

from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy

__all__ = ["RELIABILITIES", "events_quality", "results_quality"]

RELIABILITIES = ("reliable", "best_effort")


def events_quality(reliability: str, depth: int) -> QoSProfile:
    """For events: reliable or best effort, as the parameter says."""
    policy = ReliabilityPolicy.RELIABLE
    if reliability == "best_effort":
        policy = ReliabilityPolicy.BEST_EFFORT
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=depth, reliability=policy)


def results_quality() -> QoSProfile:
    """For rotation states: small and reliable."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST, depth=100, reliability=ReliabilityPolicy.RELIABLE
    )
