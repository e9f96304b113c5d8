"""How fast a simulated rotor turns, with its exact phase."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evio_ros.errors import ParameterError

__all__ = ["SpeedProfile"]

_EARLIEST_US = -1e10
"""Start of the time before the first knot; precise enough for phase, long before any recording."""


@dataclass(frozen=True, slots=True)
class SpeedProfile:
    """Speed that runs straight from knot to knot, so that the phase is known in closed form.

    Two knots at one time make a sudden step. Before the first and after the last knot the speed is
    constant.

    Attributes:
        time_us: times of the knots, never decreasing.
        rpm: signed speed at the knots, turns a minute.

    Raises:
        ParameterError: where there is no knot, lengths differ or time decreases.
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
        """The same speed for ever."""
        return cls((0.0,), (rpm,))

    @classmethod
    def through(cls, *knots: tuple[float, float]) -> SpeedProfile:
        """A profile through (seconds, rpm) pairs."""
        return cls(tuple(1e6 * time for time, _ in knots), tuple(rpm for _, rpm in knots))

    def scaled(self, factor: float) -> SpeedProfile:
        """The profile with all speeds multiplied."""
        return SpeedProfile(self.time_us, tuple(factor * rpm for rpm in self.rpm))

    def frequency_hz(self, t_us: ArrayLike) -> NDArray[np.float64]:
        """Turns a second at times t_us; at a sudden step the later speed."""
        _, frequency, rate, elapsed = self._segment(t_us)
        return frequency + rate * elapsed

    def turns(self, t_us: ArrayLike) -> NDArray[np.float64]:
        """Turns since time 0, signed and exact."""
        return self._turns_from_first_knot(t_us) - self._turns_from_first_knot(0.0)

    def mean_rpm(self, start_us: float, end_us: float) -> float:
        """Turns between two times, a minute."""
        turned = self.turns(end_us) - self.turns(start_us)
        return float(60e6 * turned / (end_us - start_us))

    def knots(self) -> NDArray[np.float64]:
        """(n, 4): time [s], turns since time 0, turns a second, their change a second after it."""
        time_s = 1e-6 * np.array((_EARLIEST_US, *self.time_us))
        base, frequency, rate = self._tables()
        zero = self._turns_from_first_knot(0.0)
        return np.stack((time_s, base - zero, frequency, rate), axis=1)

    def _turns_from_first_knot(self, t_us: ArrayLike) -> NDArray[np.float64]:
        base, frequency, rate, elapsed = self._segment(t_us)
        return np.asarray(base + frequency * elapsed + 0.5 * rate * elapsed**2, np.float64)

    def _tables(self) -> tuple[NDArray[np.float64], ...]:
        """Turns, frequency and rate at the start of each segment; the first is before all knots."""
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
