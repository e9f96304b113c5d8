"""Speed of a simulated rotor over time, with its exact phase."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evio_ros.errors import ParameterError

__all__ = ["SpeedProfile"]

_EARLIEST_US = -1e10
"""Start of the segment before the first knot, 2.8 h before time 0: earlier than any recording, and
late enough for the phase to keep its precision."""


@dataclass(frozen=True, slots=True)
class SpeedProfile:
    """Piecewise linear speed, so that the phase is known in closed form.

    Two knots at the same time make a step. The speed is constant before the first and after the
    last knot.

    Attributes:
        time_us: (n,) times of the knots in µs, not decreasing.
        rpm: (n,) signed speed at the knots in turns per minute.

    Raises:
        ParameterError: if there is no knot, lengths differ or time decreases.
    """

    time_us: tuple[float, ...]
    rpm: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.time_us or len(self.time_us) != len(self.rpm):
            raise ParameterError("a speed profile needs as many speeds as times, at least one")
        if any(b < a for a, b in zip(self.time_us, self.time_us[1:], strict=False)):
            raise ParameterError("the times of a speed profile must not decrease")

    @classmethod
    def constant(cls, rpm: float) -> SpeedProfile:
        """A constant speed."""
        return cls((0.0,), (rpm,))

    @classmethod
    def through(cls, *knots: tuple[float, float]) -> SpeedProfile:
        """A profile through (seconds, rpm) pairs."""
        return cls(tuple(1e6 * time for time, _ in knots), tuple(rpm for _, rpm in knots))

    def scaled(self, factor: float) -> SpeedProfile:
        """The profile with all speeds multiplied by `factor`."""
        return SpeedProfile(self.time_us, tuple(factor * rpm for rpm in self.rpm))

    def frequency_hz(self, t_us: ArrayLike) -> NDArray[np.float64]:
        """Turns/s at times t_us, float64 of the same shape; at a step the later speed."""
        _, frequency, rate, elapsed = self._segment(t_us)
        return frequency + rate * elapsed

    def turns(self, t_us: ArrayLike) -> NDArray[np.float64]:
        """Turns since time 0 at times t_us, signed and exact, float64 of the same shape."""
        return self._turns_from_first_knot(t_us) - self._turns_from_first_knot(0.0)

    def mean_rpm(self, start_us: float, end_us: float) -> float:
        """Mean speed between two times in turns per minute."""
        turned = self.turns(end_us) - self.turns(start_us)
        return float(60e6 * turned / (end_us - start_us))

    def knots(self) -> NDArray[np.float64]:
        """Start of each segment, float64 (n, 4): time [s], turns, turns/s, acceleration [1/s^2]."""
        time_s = 1e-6 * np.array((_EARLIEST_US, *self.time_us))
        base, frequency, rate = self._tables()
        zero = self._turns_from_first_knot(0.0)
        return np.stack((time_s, base - zero, frequency, rate), axis=1)

    def _turns_from_first_knot(self, t_us: ArrayLike) -> NDArray[np.float64]:
        base, frequency, rate, elapsed = self._segment(t_us)
        return np.asarray(base + frequency * elapsed + 0.5 * rate * elapsed**2, np.float64)

    def _tables(self) -> tuple[NDArray[np.float64], ...]:
        """Turns since the first knot, turns/s and acceleration at the start of each segment."""
        time_s = 1e-6 * np.array((_EARLIEST_US, *self.time_us))
        frequency = np.array((self.rpm[0], *self.rpm)) / 60
        span = np.diff(time_s)
        change = np.diff(frequency)
        rate = np.append(np.divide(change, span, out=np.zeros_like(span), where=span > 0), 0.0)
        advance = span * (frequency[:-1] + frequency[1:]) / 2
        base = np.concatenate(((0.0,), np.cumsum(advance)))
        return base - base[1], frequency, rate

    def _segment(self, t_us: ArrayLike) -> tuple[NDArray[np.float64], ...]:
        base, frequency, rate = self._tables()
        starts = np.array((_EARLIEST_US, *self.time_us))
        t_us = np.asarray(t_us, np.float64)
        index = np.clip(np.searchsorted(starts, t_us, side="right") - 1, 0, len(starts) - 1)
        return base[index], frequency[index], rate[index], 1e-6 * (t_us - starts[index])
