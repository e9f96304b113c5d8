"""The driver node: recordings, live cameras and other drivers' packets as EventArray messages."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import ClassVar

from evio_ros.errors import ParameterError
from evio_ros.event_filter import FilterParameters, WindowFilter
from evio_ros.events import EventWindow
from evio_ros.nodes.driver_outputs import DriverOutputs, OutputParameters
from evio_ros.nodes.driver_parameters import DriverParameters
from evio_ros.nodes.driver_source import open_driver_source
from evio_ros.nodes.playback_services import playback_values, serve_playback
from evio_ros.nodes.trigger_topic import TriggerPublisher
from evio_ros.parameters import Parameters
from evio_ros.playback.live import Player, source_description
from evio_ros.playback.replay import ReplayParameters
from evio_ros.ros.base_node import EvioNode
from evio_ros.ros.diagnostics import Report
from evio_ros.ros.event_publisher import EventPublisher
from evio_ros.ros.process import run_node
from evio_ros.ros.quality_of_service import EventsQualityParameters
from evio_ros.sources.cameras.camera import Camera
from evio_ros.sources.cameras.camera_device import CameraParameters

__all__ = ["Driver", "main"]

_SUBSCRIBER_POLL_S = 0.05
_LATE_S = 0.5


class Driver(EvioNode):
    """Plays a recording, a camera or another driver's packets, and publishes the events."""

    TASK = "playback"
    INPUT = "events of the source"
    PARAMETERS: ClassVar[Mapping[str, type[Parameters]]] = {
        "": DriverParameters,
        "replay": ReplayParameters,
        "camera": CameraParameters,
        "filter": FilterParameters,
        "qos": EventsQualityParameters,
        "outputs": OutputParameters,
    }

    def __init__(self) -> None:
        super().__init__("driver")
        self._player: Player | None = None
        self._is_started = self._is_ended = False
        self.parameters.on_change(self._take_over_parameters)

    def configure(self) -> None:
        """Open the source and make the topics and services."""
        chosen = self.parameters.get(DriverParameters)
        replay = self.parameters.get(ReplayParameters, "replay")
        camera = self.parameters.get(CameraParameters, "camera")
        self._source, self._player = open_driver_source(
            self, chosen, replay, camera, self._emit, self._ended
        )
        self.get_logger().info(f"source: {source_description(self._source, replay.rate)}")
        filters = self.parameters.get(FilterParameters, "filter")
        self._filter = WindowFilter(filters, getattr(self._source, "size", None))
        quality = self.parameters.get(EventsQualityParameters, "qos")
        outputs = DriverOutputs(self, chosen.frame_id, chosen.packets)
        self._publisher = EventPublisher(
            self, chosen.frame_id, quality, outputs.publish, outputs.gives_time
        )
        stamp_ns = self._publisher.stamp_ns
        self._triggers = TriggerPublisher(self, chosen.frame_id, self._source, stamp_ns)
        serve_playback(self, self._player)

    def activate(self) -> None:
        """Begin to play, or continue after `deactivate`."""
        if self._is_started:
            self._playing.pause(self._is_paused)
        else:
            self._start_timer = self.every(_SUBSCRIBER_POLL_S, self._start)

    def deactivate(self) -> None:
        """Pause."""
        if self._is_started:
            self._is_paused = self._playing.paused
            self._playing.pause(True)

    def cleanup(self) -> None:
        """End the player and close the source."""
        if self._player is not None:
            self._player.close()
            self._source.close()
        self._player, self._is_started, self._is_ended = None, False, False

    def last_input_s(self) -> float | None:
        """When the newest window was sent; None if none is due."""
        is_due = self._is_started and not self._is_ended and not self._playing.paused
        return self._sent_s if is_due else None

    def report(self) -> Report:
        """Position, counters, and what the recording's reader had to drop."""
        counted = self._source.statistics
        lost = counted.dropped + counted.lost_packets + counted.overflows + counted.device_errors
        late = self._playing.behind_s > _LATE_S
        forsaken = sorted(self._publisher.forsaken)
        message = f"{self._source.path} at {self._playing.position_us * 1e-6:.3f} s"
        if forsaken:
            message += f"; not answering: {', '.join(forsaken)}"
        elif late:
            message += f"; {self._playing.behind_s:.1f} s behind the clock"
        return Report(
            message,
            {
                "messages": self._publisher.messages,
                "messages_skipped": self._publisher.skipped,
                "events": self._publisher.events,
                **playback_values(self._playing, self._source, self._pace),
                **counted.faults(),
                "triggers": counted.triggers,
                **{f"events_filtered_{name}": n for name, n in self._filter.dropped.items()},
            },
            warning=late or bool(forsaken) or bool(lost),
            hardware_id=self._source.path,
            rates=("messages", "events"),
        )

    @property
    def _pace(self) -> float:
        return self.parameters.get(ReplayParameters, "replay").rate

    @property
    def _playing(self) -> Player:
        assert self._player is not None, "the node is configured"
        return self._player

    def _start(self) -> None:
        chosen = self.parameters.get(DriverParameters)
        missing = self.waiting_companions | set(self._publisher.not_ready(chosen.takers))
        if missing:
            names = ", ".join(sorted(missing))
            self.get_logger().info(f"waiting for {names}", throttle_duration_sec=10.0)
        elif self._publisher.is_awaited(chosen.wait_for_subscribers):
            self._start_timer.cancel()
            self.get_logger().info("the first events are sent")
            self._is_started, self._is_paused, self._sent_s = True, False, time.monotonic()
            self._playing.start()

    def _emit(self, window: EventWindow, fresh: bool) -> None:
        """Send one window; called from the player's thread."""
        if fresh:
            self._publisher.start_clock(window.end_us)
        elif self._source.is_live:
            self._publisher.follow_clock(window.end_us)
        try:
            window = self._filter.apply(window, fresh)
        except ParameterError as error:
            self.finish(error)
            return
        if not (self._source.is_live or self._pace):
            self._publisher.wait_for_receivers(lambda: self._playing.closed)
        self._publisher.publish(window)
        self._triggers.publish(window, fresh)
        self._is_ended, self._sent_s = False, time.monotonic()

    def _ended(self, error: Exception | None) -> None:
        if not self.context.ok():
            return  # nothing can be published any more, and the node is about to be closed
        self._is_ended = True
        self._triggers.publish_rest()
        chosen = self.parameters.get(DriverParameters)
        self.confirm_until_s = time.monotonic() + chosen.confirm_within_s
        is_end = self._publisher.drain(self.confirm_until_s, lambda: self._playing.has_request)
        if error is not None:
            self.finish(error)
        elif is_end:
            self._publisher.log_end()
            if chosen.exit_at_end:
                self.finish()

    def _take_over_parameters(self) -> None:
        if self._player is None:
            return
        self._player.change(self.parameters.get(ReplayParameters, "replay"))
        try:
            group = "filter"
            self._filter.change(self.parameters.get(FilterParameters, group))
            if isinstance(self._source, Camera):
                group = "camera"
                self._source.change(self.parameters.get(CameraParameters, group))
        except ParameterError as error:
            self.get_logger().error(f"{group}.{error}; nothing is changed")


def main() -> None:
    """Run the node."""
    run_node(Driver)


if __name__ == "__main__":
    main()
