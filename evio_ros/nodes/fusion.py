"""The fusion node: from the detectors' rotors to /rotation_state and /rotation_states."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from statistics import median
from typing import ClassVar

from std_msgs.msg import Header

from evio_ros.fusion.confidence_forest import ConfidenceParameters, confidence_of
from evio_ros.fusion.primary import PrimaryParameters
from evio_ros.fusion.rotor_bank import BankParameters, RotorBank
from evio_ros.fusion.rotor_model import FilterParameters
from evio_ros.fusion.sensor_now import PublishingParameters, SensorNow
from evio_ros.fusion.vehicles import VehicleParameters
from evio_ros.fusion.warm_up import warm_up
from evio_ros.motion.image_motion import MotionParameters
from evio_ros.msg import RotationStateArray
from evio_ros.nodes.event_input import EventInputParameters
from evio_ros.nodes.fusion_motion import MotionInput
from evio_ros.nodes.fusion_objects import ObjectInput
from evio_ros.nodes.fusion_outputs import FusionOutputs
from evio_ros.nodes.fusion_vehicles import VehicleInput
from evio_ros.nodes.marker_topic import MarkerParameters
from evio_ros.parameters import Parameters
from evio_ros.ros.base_node import EvioNode
from evio_ros.ros.delay_statistics import DelayStatistics
from evio_ros.ros.diagnostics import Report
from evio_ros.ros.kernel_log import compilation_logged
from evio_ros.ros.process import run_node
from evio_ros.ros.quality_of_service import EventsQualityParameters, results_quality
from evio_ros.ros.rotation_messages import rotor_values, sound_estimates
from evio_ros.ros.stamps import nanoseconds_of, stamp_of
from evio_ros.ros.steady_timer import restart_timer
from evio_ros.ros.topic_graph import publishers_of
from evio_ros.rotor_state import Source

__all__ = ["Fusion", "main"]

_STATES_TOPIC = "rotation_detector/rotation_states"
_LEAST_PAUSE_S = 0.02
_INTERVALS = 16


class Fusion(EvioNode):
    """Follows all rotors; while no windows come it sends empty arrays at their usual rate."""

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
        self._windows = self._silent_windows = 0
        self._last: RotationStateArray | None = None
        self._last_input_s = 0.0
        self._intervals: deque[float] = deque(maxlen=_INTERVALS)
        self._now = SensorNow()
        self._rate_hz = self.parameters.get(PublishingParameters).publish_rate_hz
        self._delay = DelayStatistics("window_end_to_state")
        self._work = DelayStatistics("fusing")
        self._confidence = confidence_of(self.parameters.get(ConfidenceParameters, "confidence"))
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
        self._intervals.clear()
        self._start_afresh()
        self.create_subscription(RotationStateArray, _STATES_TOPIC, self._take, results_quality())
        self._objects = ObjectInput(self, lambda: self._now.offset_ns, self._bank.note_objects)
        self._vehicles = VehicleInput(self, lambda: self._bank)
        self._motion.activate(self._vehicles.regions, self._vehicles.take_motion)
        self._silence = self.every(self.stale_after_s(), self._tell_silence)
        if self._rate_hz:
            self.every(1.0 / self._rate_hz, self._predict)

    def deactivate(self) -> None:
        """Take no more events."""
        self._motion.deactivate()

    def last_input_s(self) -> float | None:
        """When a detector last spoke."""
        return self._last_input_s

    def stale_after_s(self) -> float:
        """As the parameter says, but never earlier than three of the detector's intervals."""
        return max(self.life.stale_after_s, 3.0 * self._interval_s())

    def report(self) -> Report:
        """Rotors in view, each with its state, and what became of estimates."""
        states = self._outputs.states if self._last is not None and not self.is_stale else []
        predicted = sum(Source.PREDICTION in state.sources for state in states)
        detectors = publishers_of(self, _STATES_TOPIC)
        message = f"{len(states)} rotors in view" if self._windows else "waiting for a detector"
        message += f", {predicted} of them predicted" if predicted and not self._rate_hz else ""
        if len(detectors) > 1:
            message += f"; more than one detector: {', '.join(detectors)}"
        return Report(
            message,
            {
                "windows": self._windows,
                "windows_silent": self._silent_windows,
                **self._bank.values(),
                "stamps_of_another_clock": self._now.unusable,
                "motions": self._motion.windows,
                **self._delay.values(),
                **self._work.values(),
                **rotor_values(states),
            },
            warning=self._bank.refused.total() > 0 or len(detectors) > 1,
            hardware_id=(self._last and self._last.header.frame_id) or "none",
            rates=("windows",),
        )

    def _start_afresh(self) -> None:
        self._bank = RotorBank(*self._settings(), self._confidence)

    def _settings(self) -> tuple[FilterParameters, BankParameters]:
        get = self.parameters.get
        return get(FilterParameters, "filter"), get(BankParameters, "rotors")

    def _take(self, message: RotationStateArray) -> None:
        now_s = time.monotonic()
        interval_s = now_s - self._last_input_s
        if self._last is not None and interval_s < self.stale_after_s():
            self._intervals.append(interval_s)
        self._last_input_s = now_s
        self._windows += 1
        restart_timer(self._silence, self.stale_after_s())
        sound = sound_estimates(message.states)
        self._bank.refused["covariance"] += len(message.states) - len(sound)
        if self._bank.update(message.window_end, sound):
            self._last = message
            stamp_ns = nanoseconds_of(message.header.stamp)
            self._now.note(message.window_end, stamp_ns, self.get_clock().now().nanoseconds, now_s)
            if not message.header.frame_id and message.states:
                message.header.frame_id = message.states[0].header.frame_id
            end_us, length_us = message.window_end, message.window_length
            states = self._vehicles.noted(self._bank.states(end_us, length_us))
            if not self._rate_hz:
                self._outputs.send(states, message.header, end_us, length_us, message.event_count)
        self._delay.note_age(message.header.stamp, self.get_clock())
        self._work.note(time.monotonic() - now_s)

    def _predict(self) -> None:
        """Send the states predicted for now."""
        now_s = time.monotonic()
        if self._last is None or now_s - self._last_input_s >= self.stale_after_s():
            return
        t_us, stamp_ns = self._now.at(now_s)
        header = Header(stamp=stamp_of(stamp_ns), frame_id=self._last.header.frame_id)
        states = self._vehicles.completed(self._bank.states(t_us))
        self._outputs.send(states, header, t_us, 0, self._last.event_count)

    def _interval_s(self) -> float:
        return median(self._intervals) if self._intervals else 0.0

    def _tell_silence(self) -> None:
        """Send an empty array: the state is stale and one is due."""
        pace_s = 1.0 / self._rate_hz if self._rate_hz else self._interval_s()
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
