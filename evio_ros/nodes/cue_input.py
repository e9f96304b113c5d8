"""Cues for the rotation detector: where another detector sees rotors."""

from __future__ import annotations

from dataclasses import dataclass

from vision_msgs.msg import Detection2DArray

from evio_ros.parameters import Parameters, parameter
from evio_ros.ros.base_node import EvioNode
from evio_ros.ros.detection_messages import TRACKS_TOPIC, objects_of
from evio_ros.ros.event_subscription import SensorClock
from evio_ros.ros.quality_of_service import results_quality
from evio_ros.rotation.detector import RotationDetector

__all__ = ["CueInput", "CueParameters"]


@dataclass(frozen=True)
class CueParameters(Parameters):
    """Which objects of rvt_detector/tracks are cues to search there first."""

    classes: str = parameter(
        "",
        doc="Classes of objects, e.g. rotor,drone, in whose boxes rotors are searched for first, "
        "with lower thresholds for active cells. Separated by commas, empty for none. Finds "
        "more rotors, but speeds of rotors of a few pixels may be wrong.",
    )
    minimum_score: float = parameter(
        0.3, minimum=0.0, maximum=1.0, doc="Least probability of an object that is used as a cue."
    )
    hold_us: int = parameter(
        300_000,
        unit="us",
        minimum=1_000,
        maximum=10_000_000,
        doc="How long a cue is used after the end of its window.",
    )


class CueInput:
    """Subscribes a node to cues, and hands the newest ones to its detector.

    Args:
        node: a node with the parameters `cues`.

    Attributes:
        boxes: number of cues that were handed on.
    """

    def __init__(self, node: EvioNode) -> None:
        self.boxes = 0
        self._node = node
        self._newest: Detection2DArray | None = None
        node.create_subscription(Detection2DArray, TRACKS_TOPIC, self._note, results_quality())

    def hand_on(self, detector: RotationDetector, clock: SensorClock) -> None:
        """Pass the cues since the last call to the detector."""
        message, self._newest = self._newest, None
        if message is None:
            return
        p = self._node.parameters.get(CueParameters, "cues")
        wanted = [name.strip() for name in p.classes.split(",") if name.strip()]
        if not wanted:
            return
        objects, _ = objects_of(message, clock.offset_ns)
        cues = [one for one in objects if one.class_name in wanted and one.score >= p.minimum_score]
        if cues:
            self.boxes += len(cues)
            detector.cue([one.corners for one in cues], cues[0].t_us + p.hold_us)

    def _note(self, message: Detection2DArray) -> None:
        self._newest = message
