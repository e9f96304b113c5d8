"""Stamps of messages as nanoseconds of ROS time, and back."""

from __future__ import annotations

from builtin_interfaces.msg import Time

__all__ = ["nanoseconds_of", "stamp_of"]


def stamp_of(time_ns: int) -> Time:
    """A message's stamp from nanoseconds of ROS time."""
    seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
    return Time(sec=seconds, nanosec=nanoseconds)


def nanoseconds_of(stamp: Time) -> int:
    """Nanoseconds of ROS time from a message's stamp."""
    return int(1_000_000_000 * stamp.sec + stamp.nanosec)
