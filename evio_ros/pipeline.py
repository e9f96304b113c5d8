"""The whole chain without ROS: a recording in, rotors out. What `evio analyze` runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from evio_ros.estimate import Measurement
from evio_ros.events import EventWindow, RegionOfInterest, SensorSize
from evio_ros.rotation.classical.detector import ClassicalDetector, ClassicalDetectorParameters
from evio_ros.rotation.detector import RotationDetector, RotationDetectorParameters
from evio_ros.rotation.looking_back.hindsight import with_hindsight
from evio_ros.sources.base import SeekableSource
from evio_ros.windowing import windows

__all__ = ["measure"]


def measure(
    source: SeekableSource,
    parameters: RotationDetectorParameters | ClassicalDetectorParameters,
    start_us: int | None = None,
    end_us: int | None = None,
    region: RegionOfInterest | None = None,
    look_back: bool = False,
) -> Iterator[Measurement]:
    """Measure every rotor in a recording, window after window.

    Args:
        source: the recording.
        parameters: window and step; their class says by which detector.
        start_us, end_us: sensor times between which to measure; None for the whole recording.
        region: only the events inside count; None for the whole sensor.
        look_back: whether to measure the windows before a rotor was found as well, see
            `looking_back.hindsight`. Without, the results are those of a live camera. Measurements
            come a second or more later then.
    """
    start_us = source.start_us if start_us is None else start_us
    end_us = source.end_us if end_us is None else end_us
    source.seek(start_us)
    detector = _detector(source.size, parameters)
    steps = windows(source.batches(), source.size, parameters.step_us, start_us, end_us)
    measurements = _measure_steps(detector, steps, region)
    if look_back and isinstance(detector, RotationDetector):
        measurements = with_hindsight(measurements, detector)
    yield from measurements


def _measure_steps(
    detector: RotationDetector | ClassicalDetector,
    steps: Iterable[EventWindow],
    region: RegionOfInterest | None,
) -> Iterator[Measurement]:
    for step in steps:
        if region is not None:
            step = EventWindow(step.start_us, step.length_us, step.events.inside(region))
        rotors = detector.process(step)
        yield Measurement(step.end_us, detector.parameters.window_us, step, rotors)


def _detector(
    size: SensorSize, parameters: RotationDetectorParameters | ClassicalDetectorParameters
) -> RotationDetector | ClassicalDetector:
    if isinstance(parameters, ClassicalDetectorParameters):
        return ClassicalDetector(size, parameters)
    return RotationDetector(size, parameters)
