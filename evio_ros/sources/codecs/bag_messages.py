"""The messages that bags of events hold, as the rosbags library reads and writes them.

The definitions are written out here, so that bags are read where no ROS is, and so that nothing is
generated from the definitions in a bag, which anybody may have written.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rosbags.typesys.store import Typestore

__all__ = ["DEFINITIONS", "EVENT_ARRAY", "EVENT_PACKET", "message_types"]

EVENT_ARRAY = "evio_ros/msg/EventArray"
EVENT_PACKET = "event_camera_msgs/msg/EventPacket"

DEFINITIONS = {
    EVENT_ARRAY: """\
std_msgs/Header header
uint64 seq
uint32 width
uint32 height
int64 time_base
uint32 duration
uint32[] t
uint16[] x
uint16[] y
uint8[] polarity
""",
    EVENT_PACKET: """\
std_msgs/Header header
uint32 height
uint32 width
uint64 seq
uint64 time_base
string encoding
bool is_bigendian
uint8[] events
""",
}


@cache
def message_types() -> Typestore:
    """The types above and those they are made of."""
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    store = get_typestore(Stores.ROS2_JAZZY)
    for name, definition in DEFINITIONS.items():
        store.register(get_types_from_msg(definition, name))
    return store
