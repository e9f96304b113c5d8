"""The fusion node: from the detectors' rotors to /rotation_state and /rotation_states."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from evio_ros.fusion.selection import is_usable, most_confident
from evio_ros.msg import RotationState, RotationStateArray
from evio_ros.parameters import Parameters
from evio_ros.ros.base_node import EvioNode
from evio_ros.ros.diagnostics import Report
from evio_ros.ros.process import run_node
from evio_ros.ros.quality_of_service import results_quality
from evio_ros.ros.rotation_messages import estimate_of

__all__ = ["Fusion", "main"]


class Fusion(EvioNode):
    """Passes on all usable rotors of each window, and the most confident one by itself."""

    TASK = "fusion"
    PARAMETERS: ClassVar[Mapping[str, type[Parameters]]] = {}

    def __init__(self) -> None:
        super().__init__("fusion")
        self._windows = 0
        self._refused = 0
        self._rotors = 0
        self._best = self.create_publisher(RotationState, "rotation_state", results_quality())
        self._all = self.create_publisher(RotationStateArray, "rotation_states", results_quality())
        self.create_subscription(
            RotationStateArray,
            "rotation_detector/rotation_states",
            self._take,
            results_quality(),
        )

    def report(self) -> Report:
        """Rotors in view and refused estimates."""
        return Report(
            f"{self._rotors} rotors in view" if self._windows else "waiting for a detector",
            {"windows": self._windows, "estimates_refused": self._refused},
            warning=self._refused > 0,
        )

    def _take(self, message: RotationStateArray) -> None:
        usable = [state for state in message.states if is_usable(estimate_of(state))]
        self._windows += 1
        self._refused += len(message.states) - len(usable)
        self._rotors = len(usable)
        message.states = usable
        self._all.publish(message)
        best = most_confident([estimate_of(state) for state in usable])
        if best is not None:
            self._best.publish(usable[best])


def main() -> None:
    """Run the node."""
    run_node(Fusion)


if __name__ == "__main__":
    main()
