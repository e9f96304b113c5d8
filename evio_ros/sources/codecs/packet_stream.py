"""Event packets of another driver as windows of events."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from evio_ros.errors import EventError
from evio_ros.events import EventWindow
from evio_ros.sources.base import SourceStatistics
from evio_ros.sources.codecs.event_packet import EventPacket, EventPacketDecoder
from evio_ros.sources.raw_columns import Triggers
from evio_ros.sources.readers.recording import REORDER_WINDOW_US
from evio_ros.sources.time_order import TimeOrder
from evio_ros.windowing import LONGEST_GAP_US, WindowAssembler

__all__ = ["PacketStream"]


class PacketStream:
    """Decodes and sorts the packets of one publisher, and cuts them into windows.

    If time steps back, or forward by more than `LONGEST_GAP_US`, or the geometry changes, the
    camera has been restarted, and the stream starts anew.

    Args:
        window_us: length of the windows in µs; a window is complete when an event after its end has
            arrived.

    Attributes:
        statistics: lost packets, invalid words and dropped events, over all restarts.
        restarts: number of restarts of the stream.
    """

    def __init__(self, window_us: int) -> None:
        self.statistics = SourceStatistics()
        self.restarts = 0
        self._window_us = window_us
        self._decoder = EventPacketDecoder(self.statistics)
        self._order: TimeOrder | None = None
        self._newest_us = 0
        self._triggers: list[Triggers] = []
        # Time of the last event, and the number of packets lost before it.
        self._last_us = self._lost = 0

    def take_triggers(self) -> Triggers:
        """External triggers of packets since the last call; may be ahead of the windows."""
        taken, self._triggers = self._triggers, []
        return Triggers.concatenate(taken)

    def push(self, packet: EventPacket) -> Iterator[EventWindow]:
        """Add the next packet and yield the windows that it completes.

        The time between the packets before and after lost ones is marked as a gap.

        Raises:
            EventError: if the packet cannot be decoded, or neither it nor an earlier one gives the
                geometry; the next one may still be pushed.
        """
        try:
            columns = self._decoder.decode(packet)
        except EventError:
            # The next packets may have another geometry or encoding.
            self._decoder, self._order = EventPacketDecoder(self.statistics), None
            raise
        if len(self._decoder.triggers):
            self.statistics.triggers += len(self._decoder.triggers)
            self._triggers.append(self._decoder.triggers)
        if not len(columns):
            return
        if self._decoder.size is None:
            raise EventError(
                f"packet {packet.seq}: no packet has given the geometry yet; 0x0 is none"
            )
        # The median of a packet's times, so that no single event moves the clock.
        time_us = int(np.median(columns.t))
        if self._order is None or abs(time_us - self._newest_us) > LONGEST_GAP_US:
            self._begin()
        elif self.statistics.lost_packets > self._lost and columns.t[0] > self._last_us + 1:
            self._windows.mark_missing(self._last_us + 1, int(columns.t[0]))
        self._lost = self.statistics.lost_packets
        self._last_us = int(columns.t[-1])
        self._newest_us = time_us
        assert self._order is not None
        for batch in self._order.push(columns):
            yield from self._windows.push(batch)

    def _begin(self) -> None:
        size = self._decoder.size
        assert size is not None
        self.restarts += self._newest_us != 0
        self._order = TimeOrder(size, REORDER_WINDOW_US, self.statistics, live=True)
        self._windows = WindowAssembler(size, self._window_us)
