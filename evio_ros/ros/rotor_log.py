"""Telling in a node's log which rotors come and go."""

from __future__ import annotations

from collections.abc import Sequence

from rclpy.node import Node

from evio_ros.estimate import RotorEstimate

__all__ = ["RotorLog"]


class RotorLog:
    """Writes a line where a rotor is found or lost.

    Args:
        node: the node that logs.
    """

    def __init__(self, node: Node) -> None:
        self._logger = node.get_logger()
        self._seen: dict[int, RotorEstimate] = {}

    def note(self, rotors: Sequence[RotorEstimate]) -> None:
        """Take the rotors of the newest window."""
        now = {rotor.id: rotor for rotor in rotors}
        for number, rotor in now.items():
            if number not in self._seen:
                x, y = rotor.center
                self._logger.info(
                    f"rotor {number} found: {rotor.rpm:.1f} rpm, centre ({x:.0f}, {y:.0f}) px"
                )
        for number, rotor in self._seen.items():
            if number not in now:
                self._logger.info(f"rotor {number} lost, last at {rotor.rpm:.1f} rpm")
        self._seen = now
