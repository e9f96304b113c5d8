"""The whole chain without ROS: a recording in, rotors out. What `evio analyze` runs."""

from __future__ import annotations

from collections.abc import Iterator

from evio_ros.estimate import Measurement
from evio_ros.events import EventWindow, RegionOfInterest, SensorSize
from evio_ros.rotation.classical.detector import ClassicalDetector, ClassicalDetectorParameters
from evio_ros.rotation.detector import RotationDetector, RotationDetectorParameters
from evio_ros.sources.base import SeekableSource
from evio_ros.windowing import windows

__all__ = ["measure"]


def measure(
    source: SeekableSource,
    parameters: RotationDetectorParameters | ClassicalDetectorParameters,
    start_us: int | None = None,
    end_us: int | None = None,
    region: RegionOfInterest | None = None,
) -> Iterator[Measurement]:
    """Measure every rotor in a recording, window after window.

    Args:
        source: the recording.
        parameters: window and step; their class says by which detector.
        start_us, end_us: sensor times between which to measure; None for the whole recording.
        region: only the events inside count; None for the whole sensor.
    """
    start_us = source.start_us if start_us is None else start_us
    end_us = source.end_us if end_us is None else end_us
    source.seek(start_us)
    detector = _detector(source.size, parameters)
    for step in windows(source.batches(), source.size, parameters.step_us, start_us, end_us):
        if any(gap.covers(step.start_us, step.end_us) for gap in source.statistics.restarts):
            # No data is no standstill: the detector starts afresh after it.
            continue
        if region is not None:
            step = EventWindow(step.start_us, step.length_us, step.events.inside(region))
        yield Measurement(step.end_us, parameters.window_us, step, detector.process(step))


def _detector(
    size: SensorSize, parameters: RotationDetectorParameters | ClassicalDetectorParameters
) -> RotationDetector | ClassicalDetector:
    if isinstance(parameters, ClassicalDetectorParameters):
        return ClassicalDetector(size, parameters)
    return RotationDetector(size, parameters)
