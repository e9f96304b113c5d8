"""The driver node's own parameters."""

from __future__ import annotations

from dataclasses import dataclass

from evio_ros.errors import ParameterError
from evio_ros.events import SensorSize
from evio_ros.parameters import Parameters, parameter

__all__ = ["DriverParameters"]


@dataclass(frozen=True)
class DriverParameters(Parameters):
    """What is played, and for whom."""

    source: str = parameter(
        "",
        read_only=True,
        doc="A recording; camera:MODEL for a live camera; topic:NAME for the EventPacket messages "
        "of another driver; scene:fan or scene:NAME, with a name of `evio simulate`, for a "
        "simulation.",
    )
    width: int = parameter(
        0,
        unit="px",
        minimum=0,
        maximum=65536,
        read_only=True,
        doc="Columns of the sensor; 0 uses what the recording says.",
    )
    height: int = parameter(
        0,
        unit="px",
        minimum=0,
        maximum=65536,
        read_only=True,
        doc="Rows of the sensor; 0 uses what the recording says.",
    )
    frame_id: str = parameter(
        "event_camera", read_only=True, doc="Optical frame of the camera, for message headers."
    )
    wait_for_subscribers: int = parameter(
        1,
        minimum=0,
        maximum=100,
        read_only=True,
        doc="The replay begins when this many subscribers are connected.",
    )
    wait_for: str = parameter(
        "",
        read_only=True,
        doc="Nodes that must be ready to take events before the replay begins, separated by "
        "commas; names relative to the driver's namespace, or full names.",
    )
    exit_at_end: bool = parameter(
        True,
        doc="End the node at the end of the recording; False waits there for a seek or restart.",
    )
    confirm_within_s: float = parameter(
        3.0,
        unit="s",
        minimum=0.0,
        maximum=600.0,
        doc="At the end, wait for reliable subscribers to confirm the last messages, but no "
        "longer than this.",
    )
    packets: bool = parameter(
        False,
        read_only=True,
        doc="Also publish the events as event_camera_msgs/EventPacket on event_packets.",
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
    def takers(self) -> list[str]:
        """The names in `wait_for`."""
        return [name.strip() for name in self.wait_for.split(",") if name.strip()]

    @property
    def size(self) -> SensorSize | None:
        """Geometry of the sensor; None for the recording's own."""
        return SensorSize(self.width, self.height) if self.width else None
