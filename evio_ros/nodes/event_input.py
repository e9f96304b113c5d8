"""The events that a node works on: our own messages, or packets straight from other drivers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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
from evio_ros.ros.message_queue import MessageQueue
from evio_ros.ros.quality_of_service import EventsQualityParameters, packets_quality
from evio_ros.sources.codecs.packet_stream import PacketStream

__all__ = ["EventInputParameters", "subscribe_to_events"]


@dataclass(frozen=True)
class EventInputParameters(Parameters):
    """In which form a node takes its events."""

    packets: bool = parameter(
        False,
        read_only=True,
        doc="Take event_camera_msgs/EventPacket messages, as the drivers of cameras' makers send "
        "them, instead of EventArray; remap the topic events to theirs.",
    )
    packet_window_us: int = parameter(
        5000,
        unit="us",
        minimum=100,
        maximum=1_000_000,
        read_only=True,
        doc="Events of packets are worked on when so much time is complete.",
    )


class _PacketSubscription:
    """Subscribes a node to event packets; as `EventSubscription`, without telling the driver.

    Args:
        node: the node.
        window_us: length of the windows.
        take: called with every window and the clock that the first packet showed.
        choose: see `Choice`; None to take all events.

    Attributes:
        statistics: what has come so far.
        queue: the packets that wait.
    """

    def __init__(
        self,
        node: EvioNode,
        window_us: int,
        take: Callable[[EventWindow, SensorClock], None],
        choose: Choice | None,
    ) -> None:
        self.statistics = ReceptionStatistics()
        self._node = node
        self._take = take
        self._choose = choose
        self._stream = PacketStream(window_us)
        self._clock: SensorClock | None = None
        self.queue = MessageQueue(
            node, EventPacket, EVENTS_TOPIC, packets_quality(), self._receive, _size_of
        )

    def _receive(self, packet: EventPacket) -> None:
        self.statistics.messages += 1
        try:
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
        """The distance of sensor time and ROS time, as it was when the stream began."""
        if self._clock is None or self.statistics.restarts != self._stream.restarts:
            stamp_ns = 1_000_000_000 * packet.header.stamp.sec + packet.header.stamp.nanosec
            self._clock = SensorClock(stamp_ns - 1000 * window.end_us, packet.header.frame_id)
            self.statistics.restarts = self._stream.restarts
        return self._clock


def _size_of(packet: EventPacket) -> int:
    """Bytes of a packet's events."""
    return len(packet.events)


def subscribe_to_events(
    node: EvioNode,
    take: Callable[[EventWindow, SensorClock], None],
    choose: Choice | None = None,
) -> EventSubscription | _PacketSubscription:
    """Subscribe a node to events as its parameters `input` and `qos` say.

    Args:
        node: a node with these two groups of parameters.
        take: called with every window and the clock of its message.
        choose: see `Choice`; None to take all events.
    """
    form = node.parameters.get(EventInputParameters, "input")
    if form.packets:
        return _PacketSubscription(node, form.packet_window_us, take, choose)
    quality = node.parameters.get(EventsQualityParameters, "qos")
    return EventSubscription(node, quality, take, choose)
