"""Measurement of rotors in one call: `evio_ros.measure`."""

from __future__ import annotations

from collections.abc import Iterator
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

from evio_ros.estimate import Measurement
from evio_ros.event_formats import events_from
from evio_ros.events import RegionOfInterest, SensorSize
from evio_ros.parameters import refuse_unknown
from evio_ros.pipeline import measure_batches, measure_source
from evio_ros.rotation.detector_parameters import DetectorSettings, RotationDetectorParameters
from evio_ros.rotation.window_parameters import window_and_step
from evio_ros.sources.base import EventSource
from evio_ros.sources.registry import open_source

if TYPE_CHECKING:
    from evio_ros.event_formats import EventForm
    from evio_ros.rotation.classical.detector import ClassicalDetectorParameters

    AnyParameters = RotationDetectorParameters | DetectorSettings | ClassicalDetectorParameters

__all__ = ["measure"]

_OWN_KEYWORDS = ("end_us", "look_back", "parameters", "region", "size", "start_us")
"""Keywords of `measure` other than parameters, for the hint in the error for an unknown keyword."""


def measure(
    events: str | PathLike[str] | EventSource | EventForm,
    parameters: AnyParameters | None = None,
    *,
    size: SensorSize | None = None,
    start_us: int | None = None,
    end_us: int | None = None,
    region: RegionOfInterest | None = None,
    look_back: bool = False,
    **changes: Any,
) -> Iterator[Measurement]:
    """Measure every rotor, window by window.

        for m in evio_ros.measure("fan.raw", window_us=20_000):
            print(m.t_us, [(rotor.id, rotor.rpm, rotor.rpm_std) for rotor in m.rotors])

    Args:
        events: the path or URI of a recording or camera, see `open_source`, which is opened with
            the first measurement and closed with the last or with the iterator; or an open source,
            which stays open; or events in a form of `evio_ros.event_formats.events_from`.
        parameters: all parameters; their class selects the detector. None for the defaults.
        size: geometry of the sensor, needed for events without one; None to use the source's.
        start_us, end_us: sensor times in µs between which to measure; None for all events.
        region: only the events inside are used; None for the whole sensor.
        look_back: whether the windows of a recording before a rotor was found, or before its speed
            was well known, are measured with later events, as by `evio analyze`. Without, the
            results are those of a live camera.
        changes: single parameters: any of `DetectorSettings.describe` or any field of `parameters`;
            those of a group as `**{"acquisition.minimum_hz": 1.0}`. If window_us is given without
            step_us, `window_and_step` gives the step.

    Returns:
        An iterator of one `Measurement` for each step, from the first whole window on. A window
        that extends beyond the end is not measured.

    Raises:
        ParameterError: at once for an unknown parameter, with the nearest name, or a value out of
            range; also if the events are shorter than a window, or with `look_back` for a live
            camera.
        EventError: if the form of the events is not supported, or they are not in order.
        SourceError: if a source cannot be opened or read.
    """
    chosen = _parameters(parameters, changes)
    if isinstance(events, str | PathLike):
        return _measure_path(fspath(events), chosen, size, start_us, end_us, region, look_back)
    if isinstance(events, EventSource):
        return measure_source(events, chosen, start_us, end_us, region, look_back)
    batch = events_from(events, size)
    first_us, after_us = (int(batch.t[0]), int(batch.t[-1]) + 1) if len(batch) else (0, 0)
    start_us = first_us if start_us is None else max(start_us, first_us)
    end_us = after_us if end_us is None else min(end_us, after_us)
    return measure_batches(
        [batch.between(start_us, end_us)],
        batch.size,
        chosen,
        start_us,
        end_us,
        region,
        look_back=look_back,
    )


def _measure_path(
    path: str,
    parameters: AnyParameters,
    size: SensorSize | None,
    start_us: int | None,
    end_us: int | None,
    region: RegionOfInterest | None,
    look_back: bool,
) -> Iterator[Measurement]:
    """A generator, so that the source is closed even if iteration is abandoned."""
    with open_source(path, size=size) as source:
        yield from measure_source(source, parameters, start_us, end_us, region, look_back)


def _parameters(parameters: AnyParameters | None, changes: dict[str, Any]) -> AnyParameters:
    chosen = DetectorSettings() if parameters is None else parameters
    if isinstance(chosen, DetectorSettings):
        names = set(chosen.describe())
    else:
        names = {description.name for description in chosen.describe()}
    for name in changes:
        refuse_unknown(name, {*_OWN_KEYWORDS, *names})
    window_us = changes.get("window_us")
    # The parameters refuse a value of another type.
    if parameters is None and type(window_us) is int and "step_us" not in changes:
        changes["window_us"], changes["step_us"] = window_and_step(window_us)
    return chosen.replaced(changes)
