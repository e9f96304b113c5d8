"""Timers that run under `use_sim_time` even if nobody publishes /clock."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.timer import Timer

__all__ = ["restart_timer", "steady_timer"]

_STEADY = Clock(clock_type=ClockType.STEADY_TIME)


def steady_timer(node: Node, period_s: float, callback: Callable[[], None]) -> Timer:
    """Call `callback` every `period_s` of the machine's own time."""
    timer: Timer = node.create_timer(period_s, callback, clock=_STEADY)
    return timer


def restart_timer(timer: Timer, period_s: float) -> None:
    """Make a timer fire `period_s` from now, and then with this period."""
    timer.timer_period_ns = round(1e9 * period_s)
    timer.reset()
