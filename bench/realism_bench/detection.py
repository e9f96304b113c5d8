"""Results of the detector for a recording with one rotor, with windows of 100 ms."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from evio_ros.events import EventBatch
from evio_ros.pipeline import measure_batches
from evio_ros.rotation.detector_parameters import RotationDetectorParameters

WINDOW_US, STEP_US = 100_000, 50_000
_SLOWEST_RPM = 60.0
_SURE = 0.5
_RIGHT = 0.01
"""Relative error up to which an estimate counts as correct."""
_PART_US = 10_000

MeanRpm = Callable[[float, float], float | None]
"""Signed mean speed in turns per minute between two times in µs; None if unknown."""


@dataclass(frozen=True)
class Detection:
    """Figures of a rotor's detection.

    Attributes:
        windows: number of windows in which it turns faster than 60 rpm and the truth is known.
        found: number of these with an estimate at its hub.
        sure: number of these with a confidence of 0.5 or more.
        error: median relative error of the estimates at its hub; NaN without any.
        largest: largest error of the sure ones; NaN without any.
        confidence: median confidence; NaN without any estimate.
        wrong: number of estimates anywhere with a confidence of 0.5 or more that have an error
            above 1 % or are not at its hub.
    """

    windows: int
    found: int
    sure: int
    error: float
    largest: float
    confidence: float
    wrong: int


def detect(
    events: EventBatch,
    hub: Callable[[float], tuple[float, float]],
    radius_px: float,
    mean_rpm: MeanRpm,
    look_back: bool,
) -> Detection:
    """Measure a recording and compare the estimates with the truth.

    Args:
        events: all events of the recording.
        hub: true position of the hub at a time in µs.
        radius_px: largest distance of an estimate's centre from the hub.
        mean_rpm: true speed.
        look_back: whether later events are used too; False as for a live camera.
    """
    parameters = RotationDetectorParameters(window_us=WINDOW_US, step_us=STEP_US)
    end_us = int(events.t[-1]) + 1
    parts = [
        events.between(start, min(start + _PART_US, end_us)) for start in range(0, end_us, _PART_US)
    ]
    measured = measure_batches(parts, events.size, parameters, 0, end_us, look_back=look_back)
    windows = wrong = 0
    errors: list[tuple[float, float]] = []
    for one in measured:
        truth = mean_rpm(one.t_us - one.window_us, one.t_us)
        if truth is None:
            continue
        turns = abs(truth) >= _SLOWEST_RPM
        windows += turns
        own = None
        for rotor in one.rotors:
            off = abs(rotor.rpm - truth) / max(abs(truth), _SLOWEST_RPM)
            is_own = math.dist(rotor.center, hub(one.t_us)) <= radius_px
            wrong += rotor.confidence >= _SURE and (off > _RIGHT or not is_own)
            if is_own and turns and own is None:
                own = (off, rotor.confidence)
        if own is not None:
            errors.append(own)
    off, confidence = np.array(errors).reshape(-1, 2).T
    sure = confidence >= _SURE
    return Detection(
        windows,
        len(errors),
        int(sure.sum()),
        float(np.median(off)) if len(off) else math.nan,
        float(off[sure].max()) if sure.any() else math.nan,
        float(np.median(confidence)) if len(off) else math.nan,
        wrong,
    )
