"""Following one of several publishers of events on a topic.

rclpy does not say who sent a message, so messages are told apart by what a driver keeps: frame and
geometry, numbers that count on, and the distance of ROS time from sensor time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from evio_ros.msg import EventArray

__all__ = ["PublisherChoice"]

_SILENCE_S = 1.0
"""After so long without a message of the publisher that is followed, another takes its place."""
_SAME_OFFSET_NS = 1_000_000
"""A clock that is followed slowly moves less between two messages."""


@dataclass(frozen=True, slots=True)
class _Mark:
    """What tells a message's publisher."""

    camera: tuple[str, int, int]
    seq: int
    offset_ns: int

    @classmethod
    def of(cls, message: EventArray) -> _Mark:
        """The mark of a message."""
        header = message.header
        stamp_ns = 1_000_000_000 * header.stamp.sec + header.stamp.nanosec
        camera = (header.frame_id, message.width, message.height)
        return cls(camera, message.seq, stamp_ns - 1000 * message.time_base)

    def has_clock_of(self, other: _Mark) -> bool:
        """Whether both have one distance of ROS time from sensor time."""
        return abs(self.offset_ns - other.offset_ns) <= _SAME_OFFSET_NS


class PublisherChoice:
    """Says of each message whether it is of the publisher that is followed.

    Args:
        publishers: the names of all publishers on the topic; asked only where a message does not go
            on where the one before ended.

    Attributes:
        ignored: names of publishers that are not followed; "another publisher" where none is known.
    """

    def __init__(self, publishers: Callable[[], list[str]]) -> None:
        self.ignored: list[str] = []
        self._publishers = publishers
        self._followed = ""
        self._last: _Mark | None = None
        self._last_s = 0.0
        self._other: _Mark | None = None
        self._other_s = 0.0

    def follows(self, message: EventArray) -> bool:
        """Whether a message is to be taken."""
        mark, now_s = _Mark.of(message), time.monotonic()
        if self._last is None or not self._goes_on(mark, self._last):
            names = self._publishers()
            is_alone = len(names) < 2
            if not is_alone and self._last is not None and now_s - self._last_s < _SILENCE_S:
                self._other, self._other_s = mark, now_s
                self.ignored = [name for name in names if name != self._followed]
                return False
            self._followed = names[0] if len(names) == 1 else ""
        self._last, self._last_s = mark, now_s
        if self.ignored and now_s - self._other_s > _SILENCE_S:
            self.ignored = []
        return True

    def _goes_on(self, mark: _Mark, last: _Mark) -> bool:
        if mark.camera != last.camera or mark.seq <= last.seq:
            return False
        if mark.has_clock_of(last):
            return True
        # A loop or a seek: numbers go on, time does not. The other publisher's may go on by chance.
        is_others = self._other is not None and mark.seq == self._other.seq + 1
        return mark.seq == last.seq + 1 and not is_others
