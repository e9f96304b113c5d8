"""The rotation detector node: events in, all rotors of every window out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

from std_srvs.srv import Trigger

from evio_ros.errors import EvioError
from evio_ros.events import EventWindow, SensorSize
from evio_ros.msg import RotationStateArray
from evio_ros.nodes.event_input import EventInputParameters, subscribe_to_events
from evio_ros.parameters import Parameters, parameter
from evio_ros.playback.load_control import LoadControl, OverloadParameters
from evio_ros.ros.base_node import EvioNode
from evio_ros.ros.diagnostics import Report
from evio_ros.ros.event_subscription import SensorClock
from evio_ros.ros.process import run_node
from evio_ros.ros.quality_of_service import EventsQualityParameters, results_quality
from evio_ros.ros.rotation_messages import state_array
from evio_ros.rotation.acquisition.regions import RegionParameters
from evio_ros.rotation.acquisition.winding import AcquisitionParameters
from evio_ros.rotation.detector import RotationDetector
from evio_ros.rotation.detector_parameters import RotationDetectorParameters
from evio_ros.rotation.known_discs import KnownDiscs
from evio_ros.rotation.tracking.tracker_parameters import TrackerParameters
from evio_ros.rotation.warm_up import warm_up
from evio_ros.windowing import WindowAssembler

__all__ = ["RotationDetectorNode", "main"]


@dataclass(frozen=True)
class _CalibrationParameters(Parameters):
    """Where the known discs of a fixed camera are kept."""

    file: str = parameter(
        "",
        read_only=True,
        doc="File of known discs, read at start where it exists; ~/save_calibration writes it.",
    )


class RotationDetectorNode(EvioNode):
    """Publishes the rotors of every window, an empty array where none is seen.

    Services: `~/save_calibration` keeps the discs in the file that the parameter names,
    `~/recalibrate` forgets them and finds them anew.
    """

    TASK = "detection"
    PARAMETERS: ClassVar[Mapping[str, type[Parameters]]] = {
        "": RotationDetectorParameters,
        "regions": RegionParameters,
        "acquisition": AcquisitionParameters,
        "tracking": TrackerParameters,
        "calibration": _CalibrationParameters,
        "input": EventInputParameters,
        "overload": OverloadParameters,
        "qos": EventsQualityParameters,
    }

    def __init__(self) -> None:
        super().__init__("rotation_detector")
        self._detector: RotationDetector | None = None
        self._slices: WindowAssembler | None = None
        self._events_of_step = 0
        self._known_discs = self._read_known_discs()
        self._rotors = 0
        self._load = LoadControl(self.parameters.get(OverloadParameters, "overload"))
        self.parameters.on_change(self._start_afresh)
        self._publisher = self.create_publisher(
            RotationStateArray, "~/rotation_states", results_quality()
        )
        # Events are asked for only when they can be worked on; the others find the publisher first.
        warm_up(self._make_detector(SensorSize(1, 1)))
        self.create_service(Trigger, "~/recalibrate", self._recalibrate)
        self.create_service(Trigger, "~/save_calibration", self._save_calibration)
        self._events = subscribe_to_events(self, self._take, lambda n: self._load.choose(n))

    def report(self) -> Report:
        """Rotors in view, counters, and what was lost on the way."""
        received = self._events.statistics
        late = self._slices.late_events if self._slices is not None else 0
        return Report(
            f"{self._rotors} rotors in view" if received.messages else "waiting for events",
            {
                **received.values(),
                "events_dropped_late": late,
                **self._events.queue.values(),
                **self._load.values(),
                **self._counters(),
            },
            warning=bool(received.lost or received.refused or late or self._load.is_thinning),
        )

    def _counters(self) -> dict[str, int]:
        """What happened to the detector at work."""
        return asdict(self._detector.statistics) if self._detector is not None else {}

    def _start_afresh(self) -> None:
        """Have the next message make a detector with the parameters as they are now."""
        self._detector = self._slices = None
        self._load = LoadControl(self.parameters.get(OverloadParameters, "overload"))

    def _take(self, window: EventWindow, clock: SensorClock) -> None:
        size = window.events.size
        if self._detector is None or self._slices is None or self._detector.size != size:
            self._detector = self._make_detector(size)
            self._slices = WindowAssembler(size, self._detector.parameters.slice_lengths_us)
            self._detector.may_search = self._may_search
            self._events_of_step = 0
        self._load.note_arrival(window.end_us, self._events.queue.came_s)
        for part in self._slices.push_window(window):
            self._follow(part, self._detector, clock)

    def _make_detector(self, size: SensorSize) -> RotationDetector:
        known = self._known_discs
        if known is not None and known.size != size:
            known = None
        return RotationDetector(
            size,
            self.parameters.get(RotationDetectorParameters),
            self.parameters.get(RegionParameters, "regions"),
            self.parameters.get(AcquisitionParameters, "acquisition"),
            self.parameters.get(TrackerParameters, "tracking"),
            known,
        )

    def _read_known_discs(self) -> KnownDiscs | None:
        """The discs of the file that the parameter names, where there is one."""
        file = self.parameters.get(_CalibrationParameters, "calibration").file
        return KnownDiscs.read(file) if file and Path(file).exists() else None

    def _recalibrate(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._known_discs = None
        if self._detector is not None:
            self._detector.forget_discs()
        response.success, response.message = True, "all discs are forgotten"
        return response

    def _save_calibration(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        file = self.parameters.get(_CalibrationParameters, "calibration").file
        if not file:
            response.message = "the parameter calibration.file names no file"
        elif self._detector is None:
            response.message = "no events have come yet"
        else:
            response.success, response.message = _write(self._detector.known_discs(), file)
        return response

    def _follow(self, part: EventWindow, detector: RotationDetector, clock: SensorClock) -> None:
        """Give the detector a slice of a step; with the last one its rotors are known."""
        rotors = detector.take(part)
        self._load.end_search()
        self._events_of_step += len(part.events)
        if rotors is None:
            return
        self._rotors = len(rotors)
        header = clock.header(part.end_us)
        window_us = detector.parameters.window_us
        self._publisher.publish(
            state_array(rotors, header, part.end_us, window_us, self._events_of_step)
        )
        self._events_of_step = 0
        detector.search()
        self._load.end_search()
        queue = self._events.queue
        self._load.end_step(detector.parameters.step_us, queue.busy_s, queue.waiting_s, len(queue))
        queue.longest_wait_s = self._load.longest_wait_s

    def _may_search(self) -> bool:
        """Whether a work unit of the search may be done now, see `LoadControl.may_search`."""
        queue, detector = self._events.queue, self._detector
        queue.fetch()
        is_idle = detector is None or not len(detector.trackers)
        return self._load.may_search(is_idle, len(queue), queue.waiting_s)


def _write(known: KnownDiscs, file: str) -> tuple[bool, str]:
    """Whether it was written, and what to say."""
    try:
        known.write(file)
    except EvioError as error:
        return False, str(error)
    return True, f"{len(known.discs)} discs in {file}"


def main() -> None:
    """Run the node."""
    run_node(RotationDetectorNode)


if __name__ == "__main__":
    main()
