"""The complete measurement without ROS, from events to rotors, as run by `evio analyze`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from evio_ros.crop import crop
from evio_ros.errors import ParameterError
from evio_ros.estimate import Measurement
from evio_ros.events import EventBatch, EventWindow, RegionOfInterest, SensorSize
from evio_ros.rotation.classical.detector import ClassicalDetector, ClassicalDetectorParameters
from evio_ros.rotation.detector import RotationDetector
from evio_ros.rotation.detector_parameters import DetectorSettings, RotationDetectorParameters
from evio_ros.rotation.looking_back.look_back import add_earlier_windows
from evio_ros.sources.base import (
    ClockRestart,
    EventSource,
    SeekableSource,
    refuse_impossible_size,
)
from evio_ros.windowing import windows, with_missing

__all__ = ["measure_batches", "measure_source"]

_LONGEST_SILENCE_US = 64_000_000
"""Time without any event after which the detector starts afresh: twice the longest time that it
searches for a slow rotor, whose blades may pass far apart."""


def measure_source(
    source: EventSource,
    parameters: RotationDetectorParameters | DetectorSettings | ClassicalDetectorParameters,
    start_us: int | None = None,
    end_us: int | None = None,
    region: RegionOfInterest | None = None,
    look_back: bool = False,
) -> Iterator[Measurement]:
    """Measure every rotor in a recording, or in the events of a live camera until it is closed.

    Args:
        source: the recording or camera; stays open.
        parameters: all parameters of the detector, which their class selects.
        start_us, end_us: sensor times in µs between which to measure, clipped to the recording;
            None for all of it.
        region: only the events inside are used; None for the whole sensor.
        look_back: whether later events are used too, see `measure_batches`.

    Returns:
        As for `measure_batches`.

    Raises:
        ParameterError: if the interval is shorter than a window, or times or `look_back` are given
            for a live source.
        SourceError: if the source claims more pixels than any sensor has.
    """
    refuse_impossible_size(source)
    if isinstance(source, SeekableSource):
        start_us = source.start_us if start_us is None else max(start_us, source.start_us)
        end_us = source.end_us if end_us is None else min(end_us, source.end_us)
        source.seek(start_us)
    elif start_us is not None or end_us is not None:
        raise ParameterError("start_us, end_us: not possible with a live source")
    elif look_back:
        raise ParameterError("look_back: only possible with a recording")
    restarts, gaps = source.statistics.restarts, source.statistics.gaps
    return measure_batches(
        source.batches(),
        source.size,
        parameters,
        start_us,
        end_us,
        region,
        restarts,
        look_back,
        gaps,
    )


def measure_batches(
    batches: Iterable[EventBatch],
    size: SensorSize,
    parameters: RotationDetectorParameters | DetectorSettings | ClassicalDetectorParameters,
    start_us: int | None,
    end_us: int | None,
    region: RegionOfInterest | None = None,
    restarts: Sequence[ClockRestart] = (),
    look_back: bool = False,
    gaps: Sequence[range] = (),
) -> Iterator[Measurement]:
    """Measure every rotor in consecutive batches.

    Args:
        batches: batches of one sensor in order of time.
        size: geometry of the sensor.
        parameters: all parameters of the detector, which their class selects.
        start_us, end_us: sensor times in µs of the first event and just after the last; None if
            unknown.
        region: only the events inside are used; None for the whole sensor.
        restarts: gaps at restarts of the sensor's clock; may grow while batches are read. Nothing
            is measured in them: missing data does not mean standstill.
        look_back: whether windows before a rotor was found, or before its speed was well known, are
            measured with later events, see `looking_back.look_back`; ignored by the classical
            methods. Results are then delayed by a second or more, up to 80 s of a short recording.
            Without, they are those of a live camera.
        gaps: spans of sensor time in µs whose events are known to be missing, in order and
            disjoint; may grow while batches are read. Rotors are assumed to keep turning in them.

    Returns:
        One measurement for each step, from the first whole window on. A window that extends beyond
        the end is not measured, nor is one more than 64 s after the last event and before the next.

    Raises:
        ParameterError: if the interval is shorter than a window.
    """
    if start_us is not None and end_us is not None and end_us - start_us < parameters.window_us:
        raise ParameterError(
            f"window_us: {parameters.window_us} us is longer than "
            f"the {max(end_us - start_us, 0)} us to measure"
        )
    steps = windows(batches, size, parameters.step_us, start_us, end_us, covered_only=True)
    detector = _detector(size, parameters)
    live = _without_gaps(with_missing(steps, gaps), restarts)
    measurements = _measure_steps(live, detector, parameters.window_us, region)
    if look_back and isinstance(detector, RotationDetector):
        measurements = add_earlier_windows(measurements, detector)
    return _whole_windows(measurements, parameters)


def _without_gaps(
    steps: Iterable[EventWindow], restarts: Sequence[ClockRestart]
) -> Iterator[EventWindow]:
    """The steps that are neither in a gap at a restart nor in a long time without any event.

    Of an hour without events, the detector would examine each step of 50 ms, for minutes.
    """
    last_us = None
    for step in steps:
        if len(step.events) or last_us is None:
            last_us = step.end_us
        elif step.end_us - last_us > _LONGEST_SILENCE_US:
            continue
        if not any(gap.covers(step.start_us, step.end_us) for gap in restarts):
            yield step


def _measure_steps(
    steps: Iterable[EventWindow],
    detector: RotationDetector | ClassicalDetector,
    window_us: int,
    region: RegionOfInterest | None,
) -> Iterator[Measurement]:
    for step in steps:
        if region is not None:
            step = replace(step, events=crop(step.events, region))
        rotors = detector.process(step)
        explanations = detector.explanations if isinstance(detector, RotationDetector) else ()
        yield Measurement(step.end_us, window_us, step, rotors, explanations)


def _whole_windows(
    measurements: Iterable[Measurement],
    parameters: RotationDetectorParameters | DetectorSettings | ClassicalDetectorParameters,
) -> Iterator[Measurement]:
    """Drop measurements whose windows begin before the first step or the end of a gap."""
    begin_us = end_us = None
    for measurement in measurements:
        start_us = measurement.t_us - parameters.step_us
        if begin_us is None or start_us != end_us:
            begin_us = start_us
        end_us = measurement.t_us
        if end_us >= begin_us + parameters.window_us:
            yield measurement


def _detector(
    size: SensorSize,
    parameters: RotationDetectorParameters | DetectorSettings | ClassicalDetectorParameters,
) -> RotationDetector | ClassicalDetector:
    if isinstance(parameters, ClassicalDetectorParameters):
        return ClassicalDetector(size, parameters)
    if isinstance(parameters, DetectorSettings):
        return RotationDetector(size, *parameters)
    return RotationDetector(size, parameters)
