"""The fusion node: from the detectors' rotors to /rotation_state and /rotation_states."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Mapping
from statistics import median
from typing import ClassVar

from evio_ros.fusion.selection import fault_of, most_confident
from evio_ros.msg import RotationState, RotationStateArray
from evio_ros.nodes.marker_topic import MarkerParameters, MarkerTopic
from evio_ros.parameters import Parameters
from evio_ros.ros.base_node import EvioNode
from evio_ros.ros.delay_statistics import DelayStatistics
from evio_ros.ros.diagnostics import Report
from evio_ros.ros.process import run_node
from evio_ros.ros.quality_of_service import results_quality
from evio_ros.ros.rotation_messages import covariance_fault, estimate_of, rotor_values
from evio_ros.ros.topic_graph import publishers_of

__all__ = ["Fusion", "main"]

_STATES_TOPIC = "rotation_detector/rotation_states"
_TICK_S = 0.02
_INTERVALS = 16


class Fusion(EvioNode):
    """Passes on all usable rotors of each window, and the most confident one by itself.

    While no windows come it sends an empty array at the rate at which they came, with the time of
    sending as stamp and the last window's end: nobody takes a rotor for turning that is not seen.
    """

    TASK = "fusion"
    INPUT = "rotation states"
    PARAMETERS: ClassVar[Mapping[str, type[Parameters]]] = {"markers": MarkerParameters}

    def __init__(self) -> None:
        super().__init__("fusion")
        self._windows = 0
        self._refused: Counter[str] = Counter()
        self._last: RotationStateArray | None = None
        self._last_input_s = 0.0
        self._last_sent_s = 0.0
        self._silent_windows = 0
        self._intervals: deque[float] = deque(maxlen=_INTERVALS)
        self._delay = DelayStatistics("window_end_to_state")

    def configure(self) -> None:
        """Make the topics."""
        self._best = self.create_publisher(RotationState, "rotation_state", results_quality())
        self._all = self.create_publisher(RotationStateArray, "rotation_states", results_quality())
        self._markers = MarkerTopic(self)

    def activate(self) -> None:
        """Listen to the detector."""
        self._last = None
        self._intervals.clear()
        self.create_subscription(RotationStateArray, _STATES_TOPIC, self._take, results_quality())
        self.every(_TICK_S, self._tell_silence)

    def last_input_s(self) -> float | None:
        """When a detector last spoke."""
        return self._last_input_s

    def stale_after_s(self) -> float:
        """As the parameter says, but never earlier than three of the detector's intervals."""
        return max(self.life.stale_after_s, 3.0 * self._interval_s())

    def report(self) -> Report:
        """Rotors in view, each with its state, and refused estimates by cause."""
        states = self._last.states if self._last is not None and not self.is_stale else []
        detectors = publishers_of(self, _STATES_TOPIC)
        message = f"{len(states)} rotors in view" if self._windows else "waiting for a detector"
        if len(detectors) > 1:
            message += f"; more than one detector: {', '.join(detectors)}"
        return Report(
            message,
            {
                "windows": self._windows,
                "windows_silent": self._silent_windows,
                "estimates_refused": self._refused.total(),
                **{f"refused_{cause}": number for cause, number in self._refused.items()},
                **self._delay.values(),
                **rotor_values(map(estimate_of, states)),
            },
            warning=bool(self._refused) or len(detectors) > 1,
            hardware_id=(self._last and self._last.header.frame_id) or "none",
            rates=("windows",),
        )

    def _take(self, message: RotationStateArray) -> None:
        now_s = time.monotonic()
        interval_s = now_s - self._last_input_s
        if self._last is not None and interval_s < self.stale_after_s():
            self._intervals.append(interval_s)
        self._last_input_s = now_s
        self._windows += 1
        usable = []
        for state in message.states:
            fault = covariance_fault(state) or fault_of(estimate_of(state))
            if fault:
                self._refused[fault] += 1
            else:
                usable.append(state)
        message.states = usable
        self._last = message
        self._send(message)
        self._delay.note_age(message.header.stamp, self.get_clock())

    def _send(self, message: RotationStateArray) -> None:
        self._last_sent_s = time.monotonic()
        self._all.publish(message)
        self._markers.show(message)
        best = most_confident([estimate_of(state) for state in message.states])
        if best is not None:
            self._best.publish(message.states[best])

    def _interval_s(self) -> float:
        return median(self._intervals) if self._intervals else 0.0

    def _tell_silence(self) -> None:
        """Send an empty array where the state is stale and one is due."""
        now_s = time.monotonic()
        if self._last is None or now_s - self._last_input_s < self.stale_after_s():
            return
        if now_s - self._last_sent_s < self._interval_s():
            return
        self._silent_windows += 1
        last = self._last
        empty = RotationStateArray(window_end=last.window_end, window_length=last.window_length)
        empty.header.frame_id = last.header.frame_id
        empty.header.stamp = self.get_clock().now().to_msg()
        self._send(empty)


def main() -> None:
    """Run the node."""
    run_node(Fusion)


if __name__ == "__main__":
    main()
