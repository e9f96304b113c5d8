"""The windows of a rotation detector, as input of fusion."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

from evio_ros.errors import EventError
from evio_ros.msg import RotationStateArray
from evio_ros.ros.base_node import EvioNode
from evio_ros.ros.lost_messages import LostMessages
from evio_ros.ros.quality_of_service import results_quality
from evio_ros.ros.raw_rotation_states import RawRotationStates, read_rotation_states
from evio_ros.ros.topic_graph import publishers_of

__all__ = ["WindowInput"]

_STATES_TOPIC = "rotation_detector/rotation_states"
_INTERVALS = 16


class WindowInput:
    """Subscribes to a detector's rotors.

    Args:
        node: fusion.
        take: called with each window, and when it came by `time.monotonic`.

    Attributes:
        windows: number of windows received.
        lost: windows that were published but never came.
        unreadable: messages that cannot be read.
        last_s: when the newest came, by `time.monotonic`; 0.0 for none since the activation.
    """

    def __init__(self, node: EvioNode, take: Callable[[RawRotationStates, float], None]) -> None:
        self.windows = self.unreadable = 0
        self.last_s = 0.0
        self.lost = LostMessages(lambda: len(self.detectors()))
        self._node, self._note = node, take
        self._intervals_s: deque[float] = deque(maxlen=_INTERVALS)

    def activate(self) -> None:
        """Subscribe."""
        self.last_s = 0.0
        self._intervals_s.clear()
        self._node.create_subscription(
            RotationStateArray, _STATES_TOPIC, self._take, results_quality(), raw=True
        )

    @property
    def interval_s(self) -> float:
        """The usual time between windows; 0 if it is not known yet."""
        return median(self._intervals_s) if self._intervals_s else 0.0

    def detectors(self) -> list[str]:
        """Names of the nodes that publish rotors."""
        return publishers_of(self._node, _STATES_TOPIC)

    def _take(self, data: bytes, info: Mapping[str, Any]) -> None:
        now_s = time.monotonic()
        self.lost.note(info)
        try:
            window = read_rotation_states(data)
        except EventError:
            self.unreadable += 1
            return
        if now_s - self.last_s < self._node.stale_after_s():
            self._intervals_s.append(now_s - self.last_s)
        self.last_s = now_s
        self.windows += 1
        self._note(window, now_s)
