"""Telling in a node's log which rotors come and go."""

from __future__ import annotations

from collections.abc import Sequence

from rclpy.node import Node

from evio_ros.estimate import RotorEstimate

__all__ = ["RotorLog"]

_LOST_AFTER_US = 500_000
"""A rotor that gives no estimate for a shorter time is not called lost."""


class RotorLog:
    """Writes a line where a rotor is found or lost.

    Args:
        node: the node that logs.
    """

    def __init__(self, node: Node) -> None:
        self._logger = node.get_logger()
        self._seen: dict[int, RotorEstimate] = {}
        self._end_us = 0

    def note(self, end_us: int, rotors: Sequence[RotorEstimate]) -> None:
        """Take the rotors of the newest window, which ends at `end_us`."""
        if end_us < self._end_us:
            self._drop(list(self._seen))
        self._end_us = end_us
        for rotor in rotors:
            if rotor.id not in self._seen:
                x, y = rotor.center
                self._logger.info(
                    f"rotor {rotor.id} found: {rotor.rpm:.1f} rpm, centre ({x:.0f}, {y:.0f}) px"
                )
            self._seen[rotor.id] = rotor
        last_us = end_us - _LOST_AFTER_US
        self._drop([number for number, rotor in self._seen.items() if rotor.t_us < last_us])

    def _drop(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            rotor = self._seen.pop(number)
            self._logger.info(f"rotor {number} lost, last at {rotor.rpm:.1f} rpm")
