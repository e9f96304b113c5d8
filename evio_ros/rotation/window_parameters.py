"""The window over which rotors are measured, and the step from one to the next."""

from __future__ import annotations

import math
from dataclasses import dataclass

from evio_ros.errors import ParameterError
from evio_ros.parameters import Parameters, parameter

__all__ = ["WindowParameters", "window_and_step"]

_LONGEST_DEFAULT_STEP_US = 50_000
"""Longest default time from one result to the next: twenty results per second."""


@dataclass(frozen=True)
class WindowParameters(Parameters):
    """Parameters that all rotor detectors share."""

    window_us: int = parameter(
        100_000,
        unit="us",
        minimum=5_000,
        maximum=2_000_000,
        doc="Length of the window over which rotors are measured.",
    )
    step_us: int = parameter(
        50_000,
        unit="us",
        minimum=1_000,
        maximum=2_000_000,
        doc="Time from one estimate to the next.",
    )

    def check_together(self) -> None:
        """Check that the window is a whole number of steps."""
        if self.window_us % self.step_us:
            raise ParameterError(
                f"window_us: {self.window_us} is not a multiple of step_us, {self.step_us}"
            )


def window_and_step(window_us: int) -> tuple[int, int]:
    """Window and step in µs for a requested window.

    The window is divided into as few equal steps of at most 50 ms as possible. If it is not
    divisible into whole microseconds, it is shortened, by less than a microsecond per step.

    Args:
        window_us: requested length of the window.
    """
    step_us = window_us // max(math.ceil(window_us / _LONGEST_DEFAULT_STEP_US), 1)
    return window_us - window_us % max(step_us, 1), step_us
