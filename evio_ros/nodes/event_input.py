"""The events that a node takes: our own messages, or packets of other drivers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from event_camera_msgs.msg import EventPacket

from evio_ros.errors import EventError
from evio_ros.events import EventWindow
from evio_ros.parameters import Parameters, parameter
from evio_ros.ros.base_node import EvioNode
from evio_ros.ros.event_publisher import EVENTS_TOPIC
from evio_ros.ros.event_subscription import (
    Choice,
    EventSubscription,
    ReceptionStatistics,
    SensorClock,
)
from evio_ros.ros.geometry_limit import GeometryLimit
from evio_ros.ros.message_queue import MessageQueue
from evio_ros.ros.publisher_choice import MessageMark, follow_one
from evio_ros.ros.quality_of_service import EventsQualityParameters, packets_quality
from evio_ros.ros.stamps import nanoseconds_of
from evio_ros.sources.codecs.packet_stream import PacketStream

__all__ = ["EventInputParameters", "EventSubscriber", "subscribe_to_events"]


@dataclass(frozen=True)
class EventInputParameters(Parameters):
    """The form in which a node takes its events."""

    packets: bool = parameter(
        False,
        read_only=True,
        doc="Take event_camera_msgs/EventPacket messages, as sent by other camera drivers, "
        "instead of EventArray; remap the topic events to theirs.",
    )
    packet_window_us: int = parameter(
        5000,
        unit="us",
        minimum=100,
        maximum=1_000_000,
        read_only=True,
        doc="Events of packets are processed in pieces of this length.",
    )
    maximum_pixels: int = parameter(
        16_000_000,
        unit="px",
        minimum=1,
        maximum=1 << 32,
        read_only=True,
        doc="Largest sensor; messages of larger ones are refused, as are those for which there is "
        "not enough memory.",
    )


class _PacketSubscription:
    """Subscribes a node to event packets; like `EventSubscription`, but without receipts.

    Args:
        node: the node.
        window_us: length of the windows.
        limit: the largest sensor; packets of larger ones are refused.
        take: called with every window and the clock that the first packet showed.
        choose: see `Choice`; None to take all events.

    Attributes:
        statistics: what has been received so far.
        queue: the packets that wait.
    """

    def __init__(
        self,
        node: EvioNode,
        window_us: int,
        limit: GeometryLimit,
        take: Callable[[EventWindow, SensorClock], None],
        choose: Choice | None,
    ) -> None:
        self.statistics = ReceptionStatistics()
        self._limit = limit
        self._choice = follow_one(node, EVENTS_TOPIC)
        self._node = node
        self._take = take
        self._choose = choose
        self._stream = PacketStream(window_us)
        self._clock: SensorClock | None = None
        self.queue = MessageQueue(
            node, EventPacket, EVENTS_TOPIC, packets_quality(), self._receive, _size_of
        )

    def close(self) -> None:
        """Does nothing: the node destroys the topic."""

    def _receive(self, packet: EventPacket, info: Mapping[str, Any]) -> None:
        self.statistics.note_arrival(packet.header.frame_id, info["received_timestamp"])
        camera = (packet.header.frame_id, packet.width, packet.height)
        if not self._choice.follows(MessageMark(camera, packet.seq, None)):
            self.statistics.ignore(self._node, self._choice.ignored)
            return
        self.statistics.problem = self.statistics.problem if self._choice.ignored else ""
        self.statistics.messages += 1
        try:
            self._limit.check(packet.width, packet.height)
            for window in self._stream.push(packet):
                self.statistics.events += len(window.events)
                if self._choose is not None:
                    window = window.thinned(*self._choose(len(window.events)))
                self._take(window, self._clock_of(window, packet))
        except EventError as error:
            self.statistics.refused += 1
            self._node.get_logger().warning(
                f"packet {packet.seq} refused: {error}", throttle_duration_sec=5.0
            )
        self.statistics.lost = self._stream.statistics.lost_packets

    def _clock_of(self, window: EventWindow, packet: EventPacket) -> SensorClock:
        """The offset between sensor time and ROS time at the start of the stream."""
        if self._clock is None or self.statistics.restarts != self._stream.restarts:
            stamp_ns = nanoseconds_of(packet.header.stamp)
            self._clock = SensorClock(stamp_ns - 1000 * window.end_us, packet.header.frame_id)
            self.statistics.restarts = self._stream.restarts
        return self._clock


def _size_of(packet: EventPacket) -> int:
    """Bytes of a packet's events."""
    return len(packet.events)


EventSubscriber = EventSubscription | _PacketSubscription
"""What subscribes a node to events, in either form."""


def subscribe_to_events(
    node: EvioNode,
    bytes_per_pixel: int,
    take: Callable[[EventWindow, SensorClock], None],
    choose: Choice | None = None,
) -> EventSubscriber:
    """Subscribe a node to events as its parameters `input` and `qos` say.

    Args:
        node: a node with these two groups of parameters.
        bytes_per_pixel: memory that the node takes for a sensor.
        take: called with every window and the clock of its message.
        choose: see `Choice`; None to take all events.
    """
    form = node.parameters.get(EventInputParameters, "input")
    limit = GeometryLimit(form.maximum_pixels, bytes_per_pixel)
    if form.packets:
        return _PacketSubscription(node, form.packet_window_us, limit, take, choose)
    quality = node.parameters.get(EventsQualityParameters, "qos")
    return EventSubscription(node, quality, take, choose, limit)
