"""Following one of several publishers of events on a topic.

rclpy does not say who sent a message, so publishers are distinguished by what a driver keeps
constant: frame and geometry, consecutive numbers, and the offset of ROS time from sensor time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from rclpy.node import Node

from evio_ros.ros.topic_graph import publishers_of

__all__ = ["MessageMark", "follow_one"]

_SILENCE_S = 1.0
"""Time without a message of the chosen publisher after which another takes its place."""
_CLOSE = 100
"""How many messages may be lost at once if clocks do not distinguish publishers."""
_SAME_OFFSET_NS = 1_000_000
"""A clock that is followed slowly moves less between two messages."""


@dataclass(frozen=True, slots=True)
class MessageMark:
    """What identifies the publisher of a message.

    Attributes:
        camera: frame, width and height.
        seq: number of the message.
        offset_ns: ROS time minus sensor time; None if messages do not give it exactly.
    """

    camera: tuple[str, int, int]
    seq: int
    offset_ns: int | None

    def may_follow(self, other: MessageMark) -> bool:
        """Whether both are from one publisher, by their clocks, or else by close numbers."""
        if self.offset_ns is None or other.offset_ns is None:
            return self.seq - other.seq <= _CLOSE
        return abs(self.offset_ns - other.offset_ns) <= _SAME_OFFSET_NS


class PublisherChoice:
    """Decides for each message whether it is from the chosen publisher.

    Args:
        publishers: the names of all publishers on the topic; asked only where a message does not go
            on where the one before ended.

    Attributes:
        ignored: names of publishers that are ignored; "another publisher" if unknown.
    """

    def __init__(self, publishers: Callable[[], list[str]]) -> None:
        self.ignored: list[str] = []
        self._publishers = publishers
        self._followed = ""
        self._last: MessageMark | None = None
        self._last_s = 0.0
        self._other: MessageMark | None = None
        self._other_s = 0.0

    def follows(self, mark: MessageMark) -> bool:
        """Whether a message is to be taken."""
        now_s = time.monotonic()
        if self._last is None or not self._goes_on(mark, self._last):
            names = self._publishers()
            is_alone = len(names) < 2
            if not is_alone and self._last is not None and now_s - self._last_s < _SILENCE_S:
                self._other, self._other_s = mark, now_s
                self.ignored = [name for name in names if name != self._followed]
                return False
            self._followed = names[0] if len(names) == 1 else ""
            self._other = self._last
        self._last, self._last_s = mark, now_s
        if self.ignored and now_s - self._other_s > _SILENCE_S:
            self.ignored = []
        return True

    def _goes_on(self, mark: MessageMark, last: MessageMark) -> bool:
        if mark.camera != last.camera or mark.seq <= last.seq:
            return False
        if mark.may_follow(last):
            return True
        # A loop or a seek: numbers go on, time does not. The other publisher's may go on by chance.
        is_others = self._other is not None and mark.seq == self._other.seq + 1
        return mark.seq == last.seq + 1 and not is_others


def follow_one(node: Node, topic: str) -> PublisherChoice:
    """The choice among the publishers of a topic for a node."""
    return PublisherChoice(lambda: publishers_of(node, topic))
