"""The driver node: recordings, live cameras and other drivers' packets as EventArray messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from rclpy.timer import Timer
from std_srvs.srv import SetBool, Trigger

from evio_ros.errors import EvioError, ParameterError
from evio_ros.events import EventWindow
from evio_ros.nodes.driver_parameters import DriverParameters
from evio_ros.nodes.packet_topic import TOPIC_SCHEME, PacketPublisher, PacketRelay
from evio_ros.parameters import Parameters
from evio_ros.playback.live import Player, player_of
from evio_ros.playback.replay import ReplayParameters
from evio_ros.ros.base_node import EvioNode
from evio_ros.ros.diagnostics import Report
from evio_ros.ros.event_publisher import EventPublisher
from evio_ros.ros.process import run_node
from evio_ros.ros.quality_of_service import EventsQualityParameters
from evio_ros.sources.base import SourceStatistics
from evio_ros.sources.cameras.camera import Camera
from evio_ros.sources.cameras.camera_device import CameraParameters
from evio_ros.sources.readers.recording import Recording
from evio_ros.sources.registry import open_source
from evio_ros.srv import Seek

__all__ = ["Driver", "main"]

_SUBSCRIBER_POLL_S = 0.05
_LATE_S = 0.5


class Driver(EvioNode):
    """Plays a source; services pause, seek and restart."""

    TASK = "playback"
    PARAMETERS: ClassVar[Mapping[str, type[Parameters]]] = {
        "": DriverParameters,
        "replay": ReplayParameters,
        "camera": CameraParameters,
        "qos": EventsQualityParameters,
    }

    def __init__(self) -> None:
        super().__init__("driver")
        chosen = self.parameters.get(DriverParameters)
        self._source, self._player = self._open(chosen)
        quality = self.parameters.get(EventsQualityParameters, "qos")
        packets = PacketPublisher(self, chosen.frame_id).publish if chosen.packets else None
        self._publisher = EventPublisher(self, chosen.frame_id, quality, packets)
        self.parameters.on_change(self._take_over_parameters)
        self.create_service(SetBool, "~/pause", self._pause)
        self.create_service(Seek, "~/seek", self._seek)
        self.create_service(Trigger, "~/restart", self._restart)
        self._start_timer: Timer = self.create_timer(_SUBSCRIBER_POLL_S, self._start)

    def report(self) -> Report:
        """Position, counters, and what the recording's reader had to drop."""
        counted = self._source.statistics
        lost = counted.dropped + counted.lost_packets + counted.overflows + counted.device_errors
        late = self._player.behind_s > _LATE_S
        forsaken = sorted(self._publisher.forsaken)
        message = f"{self._source.path} at {self._player.position_us * 1e-6:.3f} s"
        if forsaken:
            message += f"; not answering: {', '.join(forsaken)}"
        elif late:
            message += f"; {self._player.behind_s:.1f} s behind the clock"
        return Report(
            message,
            {
                "messages": self._publisher.messages,
                "messages_skipped": self._publisher.skipped,
                "events": self._publisher.events,
                "paused": self._player.paused,
                "behind_s": round(self._player.behind_s, 3),
                **_source_values(counted),
            },
            warning=late or bool(forsaken) or bool(lost),
            hardware_id=self._source.path,
        )

    def close(self) -> None:
        """End the player and close the source."""
        self._player.close()
        self._source.close()

    def _open(self, chosen: DriverParameters) -> tuple[Recording | Camera | PacketRelay, Player]:
        """The source, for its counters, and what passes its windows on."""
        replay = self.parameters.get(ReplayParameters, "replay")
        if chosen.source.startswith(TOPIC_SCHEME):
            topic = chosen.source.removeprefix(TOPIC_SCHEME)
            relay = PacketRelay(self, topic, replay, self._emit)
            return relay, relay
        camera = self.parameters.get(CameraParameters, "camera")
        source = open_source(chosen.source, size=chosen.size, camera=camera)
        return source, player_of(source, replay, self._emit, self._ended)

    def _start(self) -> None:
        wanted = self.parameters.get(DriverParameters).wait_for_subscribers
        if self._publisher.is_awaited(wanted):
            self._start_timer.cancel()
            self._player.start()

    def _emit(self, window: EventWindow, fresh: bool) -> None:
        """Send one window; called from the player's thread."""
        if fresh:
            self._publisher.start_clock(window.end_us)
        if not (self._source.is_live or self.parameters.get(ReplayParameters, "replay").rate):
            self._publisher.wait_for_receivers(lambda: self._player.closed)
        self._publisher.publish(window)

    def _ended(self, error: EvioError | None) -> None:
        if error is not None:
            self.finish(error)
        elif self.parameters.get(DriverParameters).exit_at_end:
            self._publisher.drain(lambda: self._player.closed)
            self.finish()

    def _take_over_parameters(self) -> None:
        self._player.change(self.parameters.get(ReplayParameters, "replay"))
        if isinstance(self._source, Camera):
            try:
                self._source.change(self.parameters.get(CameraParameters, "camera"))
            except ParameterError as error:
                self.get_logger().error(f"camera.{error}; the camera goes on as it was")

    def _pause(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._player.pause(request.data)
        response.success = True
        response.message = "paused" if request.data else "playing"
        return response

    def _seek(self, request: Seek.Request, response: Seek.Response) -> Seek.Response:
        return _try(lambda: self._player.seek(request.t), f"at {request.t} us", response)

    def _restart(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        return _try(self._player.restart, "at the beginning", response)


def _source_values(counted: SourceStatistics) -> dict[str, object]:
    """What a source had to put right or leave out, as values of a report."""
    return {
        "events_out_of_order": counted.reordered,
        "events_dropped_late": counted.late,
        "events_dropped_outliers": counted.outliers,
        "events_dropped_outside": counted.outside,
        "words_invalid": counted.invalid,
        "bytes_truncated": counted.truncated_bytes,
        "packets_lost": counted.lost_packets,
        "overflows": counted.overflows,
        "device_errors": counted.device_errors,
        "clock_restarts": counted.clock_restarts,
        "triggers": counted.triggers,
    }


def _try(action: Callable[[], None], done: str, response: Any) -> Any:
    """Do it, and say in a service's response how it went."""
    try:
        action()
    except ParameterError as error:
        response.success, response.message = False, str(error)
    else:
        response.success, response.message = True, done
    return response


def main() -> None:
    """Run the node."""
    run_node(Driver)


if __name__ == "__main__":
    main()
