"""The fusion node: from the detectors' rotors to /rotation_state and /rotation_states."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import ClassVar

from std_msgs.msg import Header

from evio_ros.explanation import rotors_in_view
from evio_ros.fusion.confidence_forest import ConfidenceParameters, confidence_of
from evio_ros.fusion.primary import PrimaryParameters
from evio_ros.fusion.rotor_bank import BankParameters, RotorBank
from evio_ros.fusion.rotor_model import FilterParameters
from evio_ros.fusion.sensor_now import PublishingParameters, SensorNow
from evio_ros.fusion.vehicles import VehicleParameters
from evio_ros.fusion.warm_up import warm_up
from evio_ros.motion.image_motion import MotionParameters
from evio_ros.nodes.event_input import EventInputParameters
from evio_ros.nodes.fusion_motion import MotionInput
from evio_ros.nodes.fusion_objects import ObjectInput
from evio_ros.nodes.fusion_outputs import FusionOutputs
from evio_ros.nodes.fusion_vehicles import VehicleInput
from evio_ros.nodes.fusion_windows import WindowInput
from evio_ros.nodes.marker_topic import MarkerParameters
from evio_ros.parameters import Parameters
from evio_ros.ros.base_node import EvioNode
from evio_ros.ros.delay_statistics import DelayStatistics
from evio_ros.ros.diagnostics import Report
from evio_ros.ros.kernel_log import compilation_logged
from evio_ros.ros.process import run_node
from evio_ros.ros.quality_of_service import EventsQualityParameters
from evio_ros.ros.raw_rotation_states import RawRotationStates
from evio_ros.ros.rotation_messages import rotor_values
from evio_ros.ros.stamps import nanoseconds_of, stamp_of
from evio_ros.ros.steady_timer import restart_timer
from evio_ros.rotor_state import Source

__all__ = ["Fusion", "main"]

_LEAST_PAUSE_S = 0.02


class Fusion(EvioNode):
    """Filters the states of all rotors; while no windows come, it sends empty arrays instead."""

    TASK = "fusion"
    INPUT = "rotation states"
    PARAMETERS: ClassVar[Mapping[str, type[Parameters]]] = {
        "": PublishingParameters,
        "filter": FilterParameters,
        "rotors": BankParameters,
        "primary": PrimaryParameters,
        "confidence": ConfidenceParameters,
        "vehicles": VehicleParameters,
        "motion": MotionParameters,
        "input": EventInputParameters,
        "qos": EventsQualityParameters,
        "markers": MarkerParameters,
    }

    def __init__(self) -> None:
        super().__init__("fusion")
        self._silent_windows = 0
        self._last: RawRotationStates | None = None
        self._windows = WindowInput(self, self._take)
        self._now = SensorNow()
        self._rate_hz = self.parameters.get(PublishingParameters).publish_rate_hz
        self._delay = DelayStatistics("window_end_to_state")
        self._work = DelayStatistics("fusing")
        self._confidence = confidence_of(self.parameters.get(ConfidenceParameters, "confidence"))
        self._objects = ObjectInput(
            self, lambda: self._now.offset_ns, lambda objects: self._bank.note_objects(objects)
        )
        self._start_afresh()
        self.parameters.on_change(lambda: self._bank.adapt(*self._settings()))

    def configure(self) -> None:
        """Make the topics, and have everything compiled before windows come."""
        self._outputs = FusionOutputs(self)
        with compilation_logged(self):
            warm_up(self._confidence)
            self._motion = MotionInput(self)

    def activate(self) -> None:
        """Listen to the detectors."""
        self._last = None
        self._start_afresh()
        self._windows.activate()
        self._objects.activate()
        self._vehicles = VehicleInput(self, lambda: self._bank)
        self._motion.activate(self._vehicles.regions, self._vehicles.take_motion)
        self._silence = self.every(self.stale_after_s(), self._tell_silence)
        if self._rate_hz:
            self.every(1.0 / self._rate_hz, self._predict)

    def deactivate(self) -> None:
        """Stop taking events."""
        self._motion.deactivate()

    def last_input_s(self) -> float | None:
        """When a detector last spoke."""
        return self._windows.last_s

    def stale_after_s(self) -> float:
        """As the parameter says, but at least three of the detector's intervals."""
        return max(self.life.stale_after_s, 3.0 * self._windows.interval_s)

    def report(self) -> Report:
        """Rotors in view, each with its state, and what became of estimates."""
        states = self._outputs.states if self._last is not None and not self.is_stale else []
        predicted = sum(Source.PREDICTION in state.sources for state in states)
        detectors = self._windows.detectors()
        is_heard = self._windows.windows > 0
        message = rotors_in_view(len(states)) if is_heard else "waiting for a detector"
        message += f", {predicted} of them predicted" if predicted and not self._rate_hz else ""
        refused = self._refused()
        if refused:
            message += f"; refused: {', '.join(f'{n} for {one}' for one, n in refused.items())}"
        if len(detectors) > 1:
            message += f"; more than one detector: {', '.join(detectors)}"
        lost = self._windows.lost.unreported()
        message += f"; {lost} windows lost, as too many waited" if lost else ""
        return Report(
            message,
            {
                "windows": self._windows.windows,
                "windows_lost": self._windows.lost.count,
                "messages_refused": self._windows.unreadable,
                "windows_silent": self._silent_windows,
                **self._bank.values(),
                "stamps_of_another_clock": self._now.unusable,
                "motions": self._motion.windows,
                "objects_refused": self._objects.refused,
                **self._delay.values(),
                **self._work.values(),
                **rotor_values(states),
            },
            warning=bool(refused) or len(detectors) > 1 or bool(lost),
            hardware_id=(self._last and self._last.header.frame_id) or "none",
            rates=("windows",),
        )

    def _refused(self) -> dict[str, int]:
        """Number of refused rotors for each cause."""
        others = {"their boxes": self._objects.refused, "their bytes": self._windows.unreadable}
        every = {**self._bank.refused, **others}
        return {cause: count for cause, count in every.items() if count}

    def _start_afresh(self) -> None:
        self._bank = RotorBank(*self._settings(), self._confidence)

    def _settings(self) -> tuple[FilterParameters, BankParameters]:
        get = self.parameters.get
        return get(FilterParameters, "filter"), get(BankParameters, "rotors")

    def _take(self, window: RawRotationStates, now_s: float) -> None:
        restart_timer(self._silence, self.stale_after_s())
        self._bank.refused["covariance"] += window.unsound
        end_us, length_us, header = window.window_end, window.window_length, window.header
        if self._bank.update(end_us, window.estimates):
            self._last = window
            now_ns, stamp_ns = self.get_clock().now().nanoseconds, nanoseconds_of(header.stamp)
            if self._now.note(end_us, stamp_ns, now_ns, now_s):
                self._delay.note(1e-9 * (now_ns - stamp_ns))
            states = self._vehicles.noted(self._bank.states(end_us, length_us))
            if not self._rate_hz:
                self._outputs.send(states, header, end_us, length_us, window.event_count)
        self._work.note(time.monotonic() - now_s)

    def _predict(self) -> None:
        """Send the states predicted for now."""
        now_s = time.monotonic()
        if self._last is None or now_s - self._windows.last_s >= self.stale_after_s():
            return
        t_us, stamp_ns = self._now.at(now_s)
        header = Header(stamp=stamp_of(stamp_ns), frame_id=self._last.header.frame_id)
        states = self._vehicles.completed(self._bank.states(t_us))
        self._outputs.send(states, header, t_us, 0, self._last.event_count)

    def _tell_silence(self) -> None:
        """Send an empty array: the state is stale and one is due."""
        pace_s = 1.0 / self._rate_hz if self._rate_hz else self._windows.interval_s
        restart_timer(self._silence, max(pace_s, _LEAST_PAUSE_S))
        if self._last is None:
            return
        self._silent_windows += 1
        header = Header(stamp=self.get_clock().now().to_msg(), frame_id=self._last.header.frame_id)
        self._outputs.send([], header, self._last.window_end, self._last.window_length, 0)


def main() -> None:
    """Run the node."""
    run_node(Fusion)


if __name__ == "__main__":
    main()
