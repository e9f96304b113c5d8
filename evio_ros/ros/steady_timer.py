"""Timers that go on under `use_sim_time`, whether or not anybody publishes /clock."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.timer import Timer

__all__ = ["restart_timer", "steady_timer"]

_STEADY = Clock(clock_type=ClockType.STEADY_TIME)


def steady_timer(node: Node, period_s: float, callback: Callable[[], None]) -> Timer:
    """Have `callback` called every `period_s` of the machine's own time."""
    timer: Timer = node.create_timer(period_s, callback, clock=_STEADY)
    return timer


def restart_timer(timer: Timer, period_s: float) -> None:
    """Have a timer fire `period_s` from now, and so often."""
    timer.timer_period_ns = round(1e9 * period_s)
    timer.reset()
