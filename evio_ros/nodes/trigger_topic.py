"""Edges of external triggers on the wire, in the sensor time of the events."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from rclpy.node import Node

from evio_ros.events import EventWindow
from evio_ros.msg import ExternalTrigger, ExternalTriggerArray
from evio_ros.ros.quality_of_service import results_quality
from evio_ros.ros.stamps import stamp_of
from evio_ros.sources.base import EventSource, TriggerSource
from evio_ros.sources.raw_columns import FARTHEST_TRIGGER_US, Triggers

__all__ = ["TriggerPublisher"]

_TOPIC = "triggers"


class TriggerPublisher:
    """Publishes the external triggers of a source, each when the window of its time is sent.

    Args:
        node: the node.
        frame_id: optical frame of the camera.
        source: the recording or camera; one without triggers has none.
        stamp_ns: ROS time of a sensor time in µs.

    Attributes:
        published: edges sent.
    """

    def __init__(
        self,
        node: Node,
        frame_id: str,
        source: EventSource | TriggerSource,
        stamp_ns: Callable[[int], int],
    ) -> None:
        self.published = 0
        self._publisher = node.create_publisher(ExternalTriggerArray, _TOPIC, results_quality())
        self._frame_id = frame_id
        self._source = source if isinstance(source, TriggerSource) else None
        self._stamp_ns = stamp_ns
        self._messages = 0
        self._waiting = Triggers.empty()
        self._reached_us = 0
        self._take()

    def publish(self, window: EventWindow, fresh: bool) -> None:
        """Send the edges up to a window's end; what has been read ahead waits.

        Args:
            window: sent before.
            fresh: whether sensor time starts afresh with it; edges shortly before belong to it.
        """
        if fresh:
            self._waiting = Triggers.empty()
        self._take()
        from_us = window.start_us - FARTHEST_TRIGGER_US if fresh else None
        self._send_until(window.end_us, from_us)
        self._reached_us = window.end_us

    def publish_rest(self) -> None:
        """Send the edges shortly after the last event, at a recording's end."""
        self._take()
        self._send_until(self._reached_us + FARTHEST_TRIGGER_US, None)

    def _take(self) -> None:
        if self._source is not None:
            found = self._source.take_triggers()
            self._waiting = Triggers.concatenate([self._waiting, found])

    def _send_until(self, until_us: int, from_us: int | None) -> None:
        if from_us is not None:
            self._waiting = self._waiting.select(self._waiting.t >= from_us)
        is_due = self._waiting.t < until_us
        due = self._waiting.select(is_due)
        self._waiting = self._waiting.select(~is_due)
        if len(due):
            self._send(due.select(np.argsort(due.t, kind="stable")))

    def _send(self, triggers: Triggers) -> None:
        message = ExternalTriggerArray()
        message.time_base = int(triggers.t[0])
        message.header.stamp = stamp_of(self._stamp_ns(message.time_base))
        message.header.frame_id = self._frame_id
        message.seq = self._messages
        rows = zip(
            triggers.t.tolist(), triggers.edge.tolist(), triggers.channel.tolist(), strict=True
        )
        message.triggers = [
            ExternalTrigger(t=t, edge=edge, channel=channel) for t, edge, channel in rows
        ]
        self._publisher.publish(message)
        self._messages += 1
        self.published += len(triggers)
