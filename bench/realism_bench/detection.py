"""What the detector makes of a recording with one rotor, at windows of 100 ms."""

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
"""Relative error up to which an estimate of exactly known truth counts as right."""
_PART_US = 10_000

MeanRpm = Callable[[float, float], float | None]
"""Mean speed between two times, signed; None where it is not known."""


@dataclass(frozen=True)
class Detection:
    """How a rotor was found.

    Attributes:
        windows: in which it turns faster than 60 rpm and the truth is known.
        found: of these, with an estimate about its hub.
        sure: of these, with confidence 0.5 or more.
        error: median relative error of the estimates about its hub; nan without.
        largest: largest error of the sure ones; nan without.
        confidence: median confidence; nan without.
        wrong: estimates of any rotor at confidence 0.5 or more that are off by more than 1 %.
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
    """Measure a recording and compare with its truth.

    Args:
        events: of the whole recording.
        hub: where the hub is at a time.
        radius_px: how far from it an estimate's centre may be to be of this rotor.
        mean_rpm: the truth.
        look_back: whether as for a recording, or as for a live camera.
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
