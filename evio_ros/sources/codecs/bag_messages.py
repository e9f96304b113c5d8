"""Types of messages with events in bags, for the rosbags library.

The definitions are written out here, so that bags can be read without ROS, and so that no code is
generated from definitions in a bag, which anybody may have written.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rosbags.typesys.store import Typestore

__all__ = [
    "DVS_ARRAYS",
    "EVENT_ARRAY",
    "EVENT_PACKET",
    "EVENT_TYPES",
    "message_types",
    "ros1_message_types",
]

EVENT_ARRAY = "evio_ros/msg/EventArray"
EVENT_PACKET = "event_camera_msgs/msg/EventPacket"
_EVENT_PACKETS = (EVENT_PACKET, "event_array_msgs/msg/EventArray")
"""EventPacket and its former name."""
_DVS_PACKAGES = ("dvs_msgs", "prophesee_event_msgs", "dv_ros_msgs", "dv_ros2_msgs")
DVS_ARRAYS = tuple(f"{package}/msg/EventArray" for package in _DVS_PACKAGES)
"""Arrays of single events, which all have the same definition."""
EVENT_TYPES = (EVENT_ARRAY, *_EVENT_PACKETS, *DVS_ARRAYS)

_PACKET_DEFINITION = """\
std_msgs/Header header
uint32 height
uint32 width
uint64 seq
uint64 time_base
string encoding
bool is_bigendian
uint8[] events
"""
_DVS_EVENT_DEFINITION = """\
uint16 x
uint16 y
builtin_interfaces/Time ts
bool polarity
"""
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
    **dict.fromkeys(_EVENT_PACKETS, _PACKET_DEFINITION),
    **{f"{package}/msg/Event": _DVS_EVENT_DEFINITION for package in _DVS_PACKAGES},
    **{
        f"{package}/msg/EventArray": (
            f"std_msgs/Header header\nuint32 height\nuint32 width\n{package}/Event[] events\n"
        )
        for package in _DVS_PACKAGES
    },
}


@cache
def message_types() -> Typestore:
    """The types above and the types they consist of, as in ROS 2."""
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    store = get_typestore(Stores.ROS2_JAZZY)
    for name, definition in DEFINITIONS.items():
        store.register(get_types_from_msg(definition, name))
    return store


@cache
def ros1_message_types() -> Typestore:
    """The same types as in ROS 1, whose headers have a sequence number."""
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    store = get_typestore(Stores.ROS1_NOETIC)
    for name, definition in DEFINITIONS.items():
        store.register(get_types_from_msg(definition, name))
    return store
