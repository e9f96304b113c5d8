"""The rotation detector node: from events to all rotors of every window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import ClassVar

from evio_ros.estimate import RotorEstimate
from evio_ros.events import EventWindow, SensorSize
from evio_ros.explanation import recent, rotors_in_view
from evio_ros.msg import RotationStateArray
from evio_ros.nodes.cue_input import CueInput, CueParameters
from evio_ros.nodes.event_input import EventInputParameters, subscribe_to_events
from evio_ros.nodes.known_discs_file import CalibrationParameters, KnownDiscsFile
from evio_ros.parameters import Parameters
from evio_ros.playback.load_control import LoadControl, OverloadParameters
from evio_ros.ros.base_node import EvioNode
from evio_ros.ros.delay_statistics import DelayStatistics
from evio_ros.ros.diagnostics import Report
from evio_ros.ros.event_subscription import ReceptionStatistics, SensorClock
from evio_ros.ros.kernel_log import compilation_logged
from evio_ros.ros.process import run_node
from evio_ros.ros.quality_of_service import EventsQualityParameters, results_quality
from evio_ros.ros.raw_rotation_states import serialised_estimates
from evio_ros.ros.rotation_messages import rotor_values
from evio_ros.ros.rotor_log import RotorLog
from evio_ros.rotation.acquisition.regions import RegionParameters
from evio_ros.rotation.acquisition.winding import AcquisitionParameters
from evio_ros.rotation.detector import RotationDetector
from evio_ros.rotation.detector_parameters import RotationDetectorParameters
from evio_ros.rotation.tracking.tracker_parameters import TrackerParameters
from evio_ros.rotation.warm_up import warm_up
from evio_ros.windowing import WindowAssembler

__all__ = ["RotationDetectorNode", "main"]

_BYTES_PER_PIXEL = 24
"""Measured: 14 at most while regions are searched, and some for the pixels of tracked rotors."""


class RotationDetectorNode(EvioNode):
    """Finds and tracks rotors, and publishes those of every window.

    An array is sent for every window, an empty one if no rotor is seen.
    """

    TASK = "detection"
    INPUT = "events"
    PARAMETERS: ClassVar[Mapping[str, type[Parameters]]] = {
        "": RotationDetectorParameters,
        "regions": RegionParameters,
        "acquisition": AcquisitionParameters,
        "tracking": TrackerParameters,
        "calibration": CalibrationParameters,
        "cues": CueParameters,
        "input": EventInputParameters,
        "overload": OverloadParameters,
        "qos": EventsQualityParameters,
    }

    def __init__(self) -> None:
        super().__init__("rotation_detector")
        self._detector: RotationDetector | None = None
        self._slices: WindowAssembler | None = None
        self._events_of_step = 0
        self._rotors: list[RotorEstimate] = []
        self._log = RotorLog(self)
        self._load = LoadControl(self.parameters.get(OverloadParameters, "overload"))
        self._windows = 0
        self._delay = DelayStatistics("window_end_to_state")
        self.parameters.on_change(self._start_afresh)

    def configure(self) -> None:
        """Read the known discs and have everything compiled before events are asked for."""
        self._known_discs = KnownDiscsFile(self, lambda: self._detector)
        # The others find the publisher first.
        self._publisher = self.create_publisher(
            RotationStateArray, "~/rotation_states", results_quality()
        )
        with compilation_logged(self):
            warm_up(self._make_detector(SensorSize(1, 1)))
        self._received = ReceptionStatistics()

    def activate(self) -> None:
        """Subscribe to events; what was before is forgotten."""
        self._start_afresh()
        self._cues = CueInput(self)
        self._events = subscribe_to_events(
            self, _BYTES_PER_PIXEL, self._take, lambda n: self._load.choose(n)
        )
        self._events.queue.limits_s = self._load.wait_limits_s
        self._received = self._events.statistics

    def deactivate(self) -> None:
        """Stop taking events."""
        self._events.close()

    def cleanup(self) -> None:
        """Forget the rotors, and free the detector's memory."""
        self._start_afresh()
        self._rotors = []

    def last_input_s(self) -> float | None:
        """When events last came."""
        return self._received.last_s

    def report(self) -> Report:
        """Rotors in view, counters, and what was lost on the way."""
        received = self._received
        late = self._slices.late_events if self._slices is not None else 0
        rotors = [] if self.is_stale else self._rotors
        explanations = recent(self._detector.explanations) if self._detector is not None else []
        is_heard = received.messages > 0
        view = rotors_in_view(len(rotors), explanations) if is_heard else "waiting for events"
        return Report(
            "; ".join(filter(None, (view, received.problem))),
            {
                **received.values(),
                "events_dropped_late": late,
                "windows": self._windows,
                **(self._events.queue.values() if self.is_active else {}),
                **({"cues": self._cues.boxes} if self.is_active else {}),
                **self._load.values(),
                **self._delay.values(),
                **(asdict(self._detector.statistics) if self._detector is not None else {}),
                **rotor_values(rotors),
                **{f"no_rotor_{number}": str(why) for number, why in enumerate(explanations)},
            },
            warning=received.is_troubled or bool(late) or self._load.is_thinning,
            hardware_id=received.camera,
            rates=("messages", "events", "windows"),
        )

    def _start_afresh(self) -> None:
        """Make the next message create a detector with the present parameters."""
        self._detector = self._slices = None
        self._load = LoadControl(self.parameters.get(OverloadParameters, "overload"))

    def _take(self, window: EventWindow, clock: SensorClock) -> None:
        size = window.events.size
        if self._detector is None or self._slices is None or self._detector.size != size:
            self.get_logger().info(f"events of {size} pixels")
            self._detector = self._make_detector(size)
            self._slices = WindowAssembler(size, self._detector.parameters.slice_lengths_us)
            self._detector.may_search = self._may_search
            self._events_of_step = 0
        self._cues.hand_on(self._detector, clock)
        self._load.note_arrival(window.end_us, self._events.queue.came_s)
        for part in self._slices.push_window(window):
            self._follow(part, self._detector, clock)

    def _make_detector(self, size: SensorSize) -> RotationDetector:
        return RotationDetector(
            size,
            self.parameters.get(RotationDetectorParameters),
            self.parameters.get(RegionParameters, "regions"),
            self.parameters.get(AcquisitionParameters, "acquisition"),
            self.parameters.get(TrackerParameters, "tracking"),
            self._known_discs.of(size),
        )

    def _follow(self, part: EventWindow, detector: RotationDetector, clock: SensorClock) -> None:
        """Give the detector a slice of a step; with the last one its rotors are known."""
        rotors = detector.take(part)
        self._load.end_search()
        self._events_of_step += len(part.events)
        if rotors is None:
            return
        self._rotors = rotors
        self._windows += 1
        self._log.note(part.end_us, rotors)
        header = clock.header(part.end_us)
        window_us = detector.parameters.window_us
        data = serialised_estimates(rotors, header, part.end_us, window_us, self._events_of_step)
        self._publisher.publish(data)
        self._events_of_step = 0
        self._delay.note_age(header.stamp, self.get_clock())
        detector.search()
        self._load.end_search()
        queue = self._events.queue
        self._load.end_step(detector.parameters.step_us, queue.busy_s, queue.waiting_s, len(queue))
        queue.limits_s = self._load.wait_limits_s

    def _may_search(self) -> bool:
        """Whether a work unit of the search may be done now, see `LoadControl.may_search`."""
        queue, detector = self._events.queue, self._detector
        queue.fetch()
        is_idle = detector is None or not len(detector.trackers)
        return self._load.may_search(is_idle, len(queue), queue.waiting_s)


def main() -> None:
    """Run the node."""
    run_node(RotationDetectorNode)


if __name__ == "__main__":
    main()
