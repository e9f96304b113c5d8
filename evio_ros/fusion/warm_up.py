"""Preparing fusion before the first window arrives."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from evio_ros.estimate import RotorEstimate
from evio_ros.fusion.confidence import RotorFeatures, fading_confidence
from evio_ros.fusion.rotor_bank import BankParameters, RotorBank
from evio_ros.fusion.rotor_filter import HubVelocity
from evio_ros.fusion.rotor_model import FilterParameters
from evio_ros.fusion.vehicles import RotorVelocity, Vehicles

__all__ = ["warm_up"]


def warm_up(confidence: Callable[[RotorFeatures], float] = fading_confidence) -> None:
    """Compile and import all that fusion needs, before the first window arrives."""
    bank = RotorBank(FilterParameters(), BankParameters(), confidence)
    first = RotorEstimate(
        id=0,
        t_us=0,
        window_us=100_000,
        rpm=60.0,
        rpm_std=0.1,
        blade_count=2,
        angle_rad=0.0,
        angle_std_rad=0.01,
        turns=0.0,
        center=(50.0, 50.0),
        axes=(20.0, 10.0),
        tilt_rad=0.0,
        velocity=(0.0, 0.0),
        confidence=1.0,
        events=1,
    )
    for window in range(3):
        t_us = 100_000 * window
        bank.update(t_us, [replace(first, t_us=t_us, angle_rad=0.2 * math.pi * window)])
        bank.note_velocity(0, HubVelocity(t_us, (0.0, 0.0), np.eye(2)))
        bank.states(t_us + 50_000)
    still = [RotorVelocity(number, (0.0, 0.0), np.eye(2)) for number in range(2)]
    Vehicles().update(0, still)
