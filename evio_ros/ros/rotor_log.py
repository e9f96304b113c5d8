"""Logging which rotors appear and disappear."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rclpy.node import Node

from evio_ros.estimate import RotorEstimate

__all__ = ["RotorLog"]

_LOST_AFTER_US = 500_000
"""A rotor that gives no estimate for a shorter time is not called lost."""
_FOUND_AGAIN_WITHIN_US = 1_500_000
"""How long a rotor from before time went back is not reported as lost, while it is searched for
again."""
_SAME_PLACE, _SAME_SPEED = 0.25, 0.05
"""Of its semi-axis and speed, by which it may differ then."""


class RotorLog:
    """Logs a line when a rotor is found or lost.

    If time goes back, as when a recording restarts, that is logged once, and rotors are not logged
    again that are found as they were.

    Args:
        node: the node that logs.
    """

    def __init__(self, node: Node) -> None:
        self._logger = node.get_logger()
        self._seen: dict[int, RotorEstimate] = {}
        # Those from before time went back, and until when they may be found again.
        self._before: list[RotorEstimate] = []
        self._before_until_us = 0
        self._end_us = 0
        self._has_told_restart = False

    def note(self, end_us: int, rotors: Sequence[RotorEstimate]) -> None:
        """Take the rotors of the newest window, which ends at `end_us`."""
        if end_us < self._end_us:
            self._start_again(end_us)
        self._end_us = end_us
        for rotor in rotors:
            if rotor.id not in self._seen and not self._was_before(rotor):
                x, y = rotor.center
                self._logger.info(
                    f"rotor {rotor.id} found: {rotor.rpm:.1f} rpm, centre ({x:.0f}, {y:.0f}) px"
                )
            self._seen[rotor.id] = rotor
        last_us = end_us - _LOST_AFTER_US
        for number in [number for number, rotor in self._seen.items() if rotor.t_us < last_us]:
            self._tell_lost(self._seen.pop(number))
        if end_us > self._before_until_us:
            for rotor in self._before:
                self._tell_lost(rotor)
            self._before = []

    def _start_again(self, end_us: int) -> None:
        if not self._has_told_restart:
            self._logger.info("time went back: searching for rotors again")
        self._has_told_restart = True
        self._before = [*self._before, *self._seen.values()]
        self._before_until_us = end_us + _FOUND_AGAIN_WITHIN_US
        self._seen = {}

    def _was_before(self, rotor: RotorEstimate) -> bool:
        """Whether a rotor is one from before time went back, which is found again now."""
        for other in self._before:
            if _is_alike(rotor, other):
                self._before.remove(other)
                return True
        return False

    def _tell_lost(self, rotor: RotorEstimate) -> None:
        self._logger.info(f"rotor {rotor.id} lost, last at {rotor.rpm:.1f} rpm")


def _is_alike(rotor: RotorEstimate, other: RotorEstimate) -> bool:
    """Whether two estimates can be of one rotor at different times."""
    is_near = math.dist(rotor.center, other.center) < _SAME_PLACE * other.axes[0]
    return is_near and abs(rotor.rpm - other.rpm) < _SAME_SPEED * abs(other.rpm)
