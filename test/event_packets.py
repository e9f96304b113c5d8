"""A message of event_camera_msgs/EventPacket without ROS."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Packet:
    events: bytes
    seq: int = 0
    encoding: str = "evt3"
    time_base: int = 0
    width: int = 640
    height: int = 480
    is_bigendian: bool = False
