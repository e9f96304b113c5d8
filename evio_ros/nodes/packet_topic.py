"""Event packets: receiving those of other drivers, sending our own to other tools."""

from __future__ import annotations

from collections.abc import Callable

from event_camera_msgs.msg import EventPacket
from rclpy.node import Node
from rclpy.subscription import Subscription

from evio_ros.errors import EventError, ParameterError
from evio_ros.events import EventWindow
from evio_ros.playback.live import LivePlayer
from evio_ros.playback.replay import ReplayParameters
from evio_ros.ros.quality_of_service import packets_quality
from evio_ros.ros.stamps import stamp_of
from evio_ros.sources.base import SourceStatistics
from evio_ros.sources.codecs.event_packet import EventPacketEncoder
from evio_ros.sources.codecs.packet_stream import PacketStream
from evio_ros.sources.raw_columns import Triggers

__all__ = ["TOPIC_SCHEME", "PacketPublisher", "PacketRelay"]

_PACKETS_TOPIC = "event_packets"
TOPIC_SCHEME = "topic:"


class PacketPublisher:
    """Publishes windows as event_camera_msgs/EventPacket in encoding evt3, if anybody subscribes.

    Args:
        node: the node.
        frame_id: optical frame of the camera.
    """

    def __init__(self, node: Node, frame_id: str) -> None:
        self._publisher = node.create_publisher(EventPacket, _PACKETS_TOPIC, packets_quality())
        self._frame_id = frame_id
        self._encoder = EventPacketEncoder()
        self._messages = 0

    def publish(self, window: EventWindow, stamp_ns: int) -> None:
        """Send a window; its stamp is the ROS time of its start.

        Raises:
            EventError: if the sensor is too large for EVT3.
        """
        if not self._publisher.get_subscription_count():
            return
        message = EventPacket()
        message.header.stamp = stamp_of(stamp_ns)
        message.header.frame_id = self._frame_id
        message.seq = self._messages
        message.width = window.events.size.width
        message.height = window.events.size.height
        message.encoding = self._encoder.encoding
        message.events.frombytes(self._encoder.encode(window.events))
        message.time_base = self._encoder.time_base_ns
        self._publisher.publish(message)
        self._messages += 1


class PacketRelay(LivePlayer):
    """Takes the event packets of another driver and passes them on as windows.

    Both the player of `topic:NAME` and, for counters, its source.

    Args:
        node: the node that subscribes.
        topic: topic of event_camera_msgs/EventPacket messages.
        parameters, emit: as of `LivePlayer`.

    Raises:
        ParameterError: if no topic is named.
    """

    is_live = True

    def __init__(
        self,
        node: Node,
        topic: str,
        parameters: ReplayParameters,
        emit: Callable[[EventWindow, bool], None],
    ) -> None:
        if not topic:
            raise ParameterError(f"source: name a topic, e.g. {TOPIC_SCHEME}/event_camera/events")
        super().__init__(parameters, emit)
        self.path = TOPIC_SCHEME + topic
        self._node = node
        self._topic = topic
        self._stream = PacketStream(parameters.window_us)
        self._restarts = 0
        self._subscription: Subscription | None = None

    @property
    def statistics(self) -> SourceStatistics:
        """What was decoded, lost and dropped."""
        return self._stream.statistics

    def take_triggers(self) -> Triggers:
        """External triggers of the packets since the last call."""
        return self._stream.take_triggers()

    def start(self) -> None:
        """Subscribe."""
        self._subscription = self._node.create_subscription(
            EventPacket, self._topic, self._receive, packets_quality()
        )

    def close(self) -> None:
        """Unsubscribe."""
        self.closed = True
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None

    def _receive(self, packet: EventPacket) -> None:
        try:
            for window in self._stream.push(packet):
                if self._stream.restarts != self._restarts:
                    self._restarts = self._stream.restarts
                    self._start_afresh()
                self._pass_on(window)
        except EventError as error:
            self.statistics.invalid += 1
            self._node.get_logger().warning(f"{self._topic}: {error}", throttle_duration_sec=5.0)
