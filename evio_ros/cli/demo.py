"""`evio demo`: the whole system at work, as ROS 2 nodes over DDS."""

from __future__ import annotations

__all__ = ["demo"]


def demo() -> None:
    """Measure a simulated fan, or your own RECORDING, with ROS 2 nodes."""
