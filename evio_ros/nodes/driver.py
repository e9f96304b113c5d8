"""The driver node: plays a recording as EventArray messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from rclpy.timer import Timer
from std_srvs.srv import SetBool, Trigger

from evio_ros.errors import EvioError, ParameterError
from evio_ros.events import EventWindow, SensorSize
from evio_ros.parameters import Parameters, parameter
from evio_ros.replay import Replay, ReplayParameters
from evio_ros.ros.base_node import EvioNode
from evio_ros.ros.diagnostics import Report
from evio_ros.ros.event_publisher import IN_FLIGHT, EventPublisher
from evio_ros.ros.process import run_node
from evio_ros.ros.quality_of_service import EventsQualityParameters
from evio_ros.sources.registry import open_source
from evio_ros.srv import Seek

__all__ = ["Driver", "DriverParameters", "main"]

SUBSCRIBER_POLL_S = 0.05
LATE_S = 0.5


@dataclass(frozen=True)
class DriverParameters(Parameters):
    """What is played, and for whom."""

    source: str = parameter("", read_only=True, doc="The recording to play.")
    width: int = parameter(
        0,
        unit="px",
        minimum=0,
        maximum=65536,
        read_only=True,
        doc="Columns of the sensor; 0 for what the recording says.",
    )
    height: int = parameter(
        0,
        unit="px",
        minimum=0,
        maximum=65536,
        read_only=True,
        doc="Rows of the sensor; 0 for what the recording says.",
    )
    frame_id: str = parameter(
        "event_camera", read_only=True, doc="Optical frame of the camera, for message headers."
    )
    wait_for_subscribers: int = parameter(
        1,
        minimum=0,
        maximum=100,
        read_only=True,
        doc="The replay begins when so many subscribers are connected.",
    )
    exit_at_end: bool = parameter(
        True, doc="End the node at the end; False waits there for a seek or restart."
    )

    def check_together(self) -> None:
        """Check that there is a source, and that width and height go together."""
        if not self.source:
            raise ParameterError("source: name a recording, e.g. -p source:=fan.dat")
        if bool(self.width) != bool(self.height):
            raise ParameterError(
                f"width, height: {self.width} and {self.height}; give both or neither"
            )

    @property
    def size(self) -> SensorSize | None:
        """Geometry of the sensor; None for the recording's own."""
        return SensorSize(self.width, self.height) if self.width else None


class Driver(EvioNode):
    """Plays a recording; services pause, seek and restart."""

    PARAMETERS: ClassVar[Mapping[str, type[Parameters]]] = {
        "": DriverParameters,
        "replay": ReplayParameters,
        "qos": EventsQualityParameters,
    }

    def __init__(self) -> None:
        super().__init__("driver")
        chosen = self.parameters.get(DriverParameters)
        self._source = open_source(chosen.source, size=chosen.size)
        self._publisher = EventPublisher(
            self, chosen.frame_id, self.parameters.get(EventsQualityParameters, "qos")
        )
        self._replay = Replay(
            self._source, self.parameters.get(ReplayParameters, "replay"), self._emit, self._ended
        )
        self.parameters.on_change(self._take_over_parameters)
        self.create_service(SetBool, "~/pause", self._pause)
        self.create_service(Seek, "~/seek", self._seek)
        self.create_service(Trigger, "~/restart", self._restart)
        self._start_timer: Timer = self.create_timer(SUBSCRIBER_POLL_S, self._start)

    def report(self) -> Report:
        """Position, counters, and what the recording's reader had to drop."""
        counted = self._source.statistics
        late = self._replay.behind_s > LATE_S
        forsaken = sorted(self._publisher.forsaken)
        message = f"{self._source.path} at {self._replay.position_us * 1e-6:.3f} s"
        if forsaken:
            message += f"; not answering: {', '.join(forsaken)}"
        elif late:
            message += f"; {self._replay.behind_s:.1f} s behind the clock"
        return Report(
            message,
            {
                "messages": self._publisher.messages,
                "events": self._publisher.events,
                "paused": self._replay.paused,
                "behind_s": round(self._replay.behind_s, 3),
                "events_out_of_order": counted.reordered,
                "events_dropped_late": counted.late,
                "events_dropped_outside": counted.outside,
                "words_invalid": counted.invalid,
                "bytes_truncated": counted.truncated_bytes,
            },
            warning=late or bool(forsaken) or bool(counted.dropped),
        )

    def close(self) -> None:
        """End the replay and close the recording."""
        self._replay.close()
        self._source.close()

    def _start(self) -> None:
        wanted = self.parameters.get(DriverParameters).wait_for_subscribers
        if self._publisher.subscribers >= wanted:
            self._start_timer.cancel()
            self._replay.start()

    def _emit(self, window: EventWindow, fresh: bool) -> None:
        """Send one window; called from the replay's thread."""
        if fresh:
            self._publisher.start_clock(window.end_us)
        if self.parameters.get(ReplayParameters, "replay").rate == 0.0:
            self._publisher.wait_for_receivers(IN_FLIGHT - 1, lambda: self._replay.closed)
        self._publisher.publish(window)

    def _ended(self, error: EvioError | None) -> None:
        if error is not None:
            self.finish(error)
        elif self.parameters.get(DriverParameters).exit_at_end:
            self._publisher.drain(lambda: self._replay.closed)
            self.finish()

    def _take_over_parameters(self) -> None:
        self._replay.change(self.parameters.get(ReplayParameters, "replay"))

    def _pause(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._replay.pause(request.data)
        response.success = True
        response.message = "paused" if request.data else "playing"
        return response

    def _seek(self, request: Seek.Request, response: Seek.Response) -> Seek.Response:
        try:
            self._replay.seek(request.t)
        except ParameterError as error:
            response.success, response.message = False, str(error)
        else:
            response.success, response.message = True, f"at {request.t} us"
        return response

    def _restart(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._replay.restart()
        response.success, response.message = True, "at the beginning"
        return response


def main() -> None:
    """Run the node."""
    run_node(Driver)


if __name__ == "__main__":
    main()
