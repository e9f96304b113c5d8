"""Estimates of the rotation detector labelled with the true speed, and their files."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from evio_ros.atomic_file import atomic_file
from evio_ros.errors import content_error
from evio_ros.estimate import RIGHT_ERROR, RotorEstimate
from evio_ros.evaluation.scores import ScoringParameters
from evio_ros.events import EventBatch
from evio_ros.rotation.detector import RotationDetector
from evio_ros.rotation.detector_parameters import RotationDetectorParameters
from evio_ros.rotation.window_parameters import window_and_step
from evio_ros.simulation.truth import Truth
from evio_ros.windowing import windows

__all__ = ["LabelledEstimates", "measure_labelled", "read_labelled", "write_labelled"]

_MATCH_RADIUS = ScoringParameters().match_radius
"""Largest distance of an estimate from the hub of its rotor, relative to semi-axis a."""
_SLOWEST_RPM = 60.0
"""Below this speed, the relative error is not meaningful."""


@dataclass(frozen=True)
class LabelledEstimates:
    """All estimates of one recording with their true speeds.

    Attributes:
        recording: its name.
        group: the scene or disc; a group is trained on as a whole or not at all.
        windows: estimates of each window, in order of time.
        truth_rpm: for each estimate, the mean true speed of its rotor over its window in turns per
            minute; NaN if it belongs to no rotor.
    """

    recording: str
    group: str
    windows: list[list[RotorEstimate]]
    truth_rpm: list[list[float]]

    def verdicts(self) -> list[list[bool | None]]:
        """Whether each estimate is correct to `RIGHT_ERROR`; None if the rotor hardly turned."""
        return [
            [_verdict(estimate.rpm, right) for estimate, right in zip(*pair, strict=True)]
            for pair in zip(self.windows, self.truth_rpm, strict=True)
        ]


def measure_labelled(
    events: EventBatch, truth: Truth, window_us: int, recording: str
) -> LabelledEstimates:
    """Run the detector over a recording, without prior knowledge.

    Args:
        events: all events of the recording, with times from 0.
        truth: its ground truth; the name of the scene becomes the group.
        window_us: length of the windows in µs; `window_and_step` gives the step.
        recording: its name.
    """
    window_us, step_us = window_and_step(window_us)
    detector = RotationDetector(
        events.size, RotationDetectorParameters(window_us=window_us, step_us=step_us)
    )
    end_us = truth.duration_us - truth.duration_us % step_us
    found = [detector.process(step) for step in windows([events], events.size, step_us, 0, end_us)]
    rpm = [[_truth_rpm(truth, estimate) for estimate in estimates] for estimates in found]
    return LabelledEstimates(recording, truth.scene, found, rpm)


def write_labelled(path: str | os.PathLike[str], recordings: Iterable[LabelledEstimates]) -> None:
    """Write labelled estimates as JSON lines, one for each recording.

    Raises:
        SourceError: if the file cannot be written.
    """
    with atomic_file(path) as file:
        for recording in recordings:
            file.write(json.dumps(asdict(recording)) + "\n")


def read_labelled(path: str | os.PathLike[str]) -> list[LabelledEstimates]:
    """Read a file written by `write_labelled`.

    Raises:
        SourceError: if the file cannot be read or has another format.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
        return [_recording(json.loads(line)) for line in lines]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise content_error(path, "holds no labelled estimates", error) from None


def _recording(content: dict) -> LabelledEstimates:
    found = [[_estimate(values) for values in window] for window in content["windows"]]
    return LabelledEstimates(content["recording"], content["group"], found, content["truth_rpm"])


def _estimate(values: dict) -> RotorEstimate:
    pairs = {name: tuple(values[name]) for name in ("center", "axes", "velocity", "center_std")}
    return RotorEstimate(**{**values, **pairs})


def _truth_rpm(truth: Truth, estimate: RotorEstimate) -> float:
    rotor = truth.nearest(*estimate.center, estimate.t_us)
    if rotor is None:
        return math.nan
    disc = rotor.ellipse(estimate.t_us)
    if math.dist(disc.center, estimate.center) > _MATCH_RADIUS * disc.axes[0]:
        return math.nan
    return rotor.mean_rpm(estimate.t_us - estimate.window_us, estimate.t_us)


def _verdict(rpm: float, right: float) -> bool | None:
    if math.isnan(right):
        return False
    if abs(right) < _SLOWEST_RPM:
        return None
    return abs(rpm - right) <= RIGHT_ERROR * abs(right)
