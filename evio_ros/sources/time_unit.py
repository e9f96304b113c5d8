"""Guessing the unit of a time column that does not name it, from what cameras can have recorded.

Convention says that integers are µs and fractions seconds. A reading in each unit is judged by the
recording's duration, its mean event rate, and its steps of time; the judgement is a sum of
penalties, in powers of ten beyond what is plausible:

| evidence | plausible | penalty |
|---|---|---|
| duration | 26 ms to 1 h | decades outside |
| mean rate | 1e3 to 1e7 events/s | decades outside |
| smallest step | 0.5 µs and more: cameras tell no less than 1 µs | decades below |
| all steps are whole ms | no: cameras tell µs; by convention frames (below) may be | 0.9 |
| steps are not whole µs | no: cameras tell whole ones | 1.7 |
| convention | integers are µs, fractions s | see `_UNUSUAL` |

The least penalty wins, convention where two are equal. Times of the Unix epoch, 2010 to 2040,
decide by themselves where they have 15 digits or more.

Events that a simulator made from the frames of a video come at the frames' times alone: most share
theirs with another, and all steps are multiples of one that lasts more than a ms. In a unit a
thousandth as long, which whole ms speak for otherwise, that would be several µs, a tick of no
camera. Frames of 1 kHz are no different from a fast camera's every µs, so that only duration and
rate tell them.

In parts of µs a recording must outweigh a rate of 5 events/s, which is a quiet scene: whole µs read
as ns are such parts, too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["TIME_UNITS", "TimeUnit", "guess_time_unit", "to_microseconds"]

TimeUnit = Literal["s", "ms", "us", "ns"]

TIME_UNITS: dict[TimeUnit, float] = {"s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1e-3}
"""Microseconds in one of each unit."""

_DURATION_US = (2.6e4, 3.6e9)
"""So long the 2^18 events last that are looked at, at the highest rate."""
_RATE_HZ = (1e3, 1e7)
_SMALLEST_STEP_US = 0.5
_WHOLE_MS_PENALTY = 0.9
_PARTS_OF_US_PENALTY = 1.7
_FRAME_TICK_US = (1.5e3, 5e5)
"""Frames come at least twice a second; in a unit a thousandth as long, that is 2 µs or more."""
_MOST_STEPS = 1 << 13
_SPANS = (1e-100, 1e100)
"""Only damaged times are outside, whose logarithms may not exist."""
_FEWEST_EVENTS = 64
"""Fewer events say nothing about rates and steps: convention stands."""
_EPOCH_S = (1.26e9, 2.21e9)
"""Years 2010 to 2040 of the Unix epoch."""
_FEWEST_EPOCH_DIGITS = 1e14

_UNUSUAL: dict[str, dict[TimeUnit, float]] = {
    "integers": {"us": 0.0, "ns": 0.7, "ms": 1.0, "s": 3.0},
    "whole numbers": {"us": 0.0, "ns": 0.7, "ms": 1.0, "s": 3.0},
    "fractions": {"s": 0.0, "us": 0.3, "ms": 0.7, "ns": 1.3},
}
"""How unusual a unit is for integers, for floating point numbers that are whole, and others.

Fractions of µs and ns are parts of µs besides."""


@dataclass(frozen=True, slots=True)
class _Steps:
    """What a column says of its times, in its own unit.

    Attributes:
        kind: key of `_UNUSUAL`.
        span: duration without the outermost hundredths, scaled up to the whole.
        smallest: smallest step but for the rounding of a few.
        steps: (n,) some of the steps above 0, from all over the column.
        shared: share of events that have the time of the one before, in order of time.
        events: number of events in the span.
    """

    kind: str
    span: float
    smallest: float
    steps: NDArray[np.float64]
    shared: float
    events: int


def guess_time_unit(t: NDArray[Any]) -> tuple[TimeUnit, str]:
    """The unit of a column of times, and why.

    Outliers, and a few times out of order, change nothing: steps back and the outermost hundredths
    of the times are left out.

    Args:
        t: (n,) integers or floating point numbers, times of consecutive events; the beginning of a
            recording is enough if it is not shorter than some 30 ms.

    Returns:
        "s", "ms", "us" or "ns", and the reason as half a sentence to show the user: "times are
        taken for us: ..." where convention stands too.
    """
    measured = _steps_of(t)
    usual: TimeUnit = "s" if measured.kind == "fractions" else "us"
    epoch = _epoch_unit(t)
    if epoch is not None:
        return epoch, f"times are taken for {epoch}: so they are of the years 2010 to 2040"
    if measured.events < _FEWEST_EVENTS or not _SPANS[0] < measured.span < _SPANS[1]:
        return usual, f"times are taken for {usual}: {measured.kind} usually are"
    penalties = {unit: _penalty(measured, unit) for unit in TIME_UNITS}
    best = min(penalties, key=lambda unit: (penalties[unit], unit != usual))
    if best == usual:
        return usual, f"times are taken for {usual}: {_described(measured, usual)}"
    return best, (
        f"times are taken for {best}: {_described(measured, best)}; "
        f"in {usual}, as {measured.kind} usually are, it would be {_described(measured, usual)}"
    )


def to_microseconds(t: NDArray[Any], unit: TimeUnit) -> NDArray[np.int64]:
    """Times as whole µs; integers exactly (ns are cut), fractions to the nearest.

    Args:
        t: (n,) integers or floating point numbers in `unit`.
        unit: key of `TIME_UNITS`.

    Returns:
        int64 (n,); fractions that are no numbers, and times beyond int64, become the least int64.
    """
    if t.dtype.kind in "iub":
        whole = t.astype(np.int64)
        return whole // 1000 if unit == "ns" else whole * int(TIME_UNITS[unit])
    with np.errstate(invalid="ignore", over="ignore"):
        scaled = np.rint(t.astype(np.float64) * TIME_UNITS[unit])
        fits = np.abs(scaled) < 2.0**63
        return np.where(fits, scaled, -(2.0**63)).astype(np.int64)


def _steps_of(t: NDArray[Any]) -> _Steps:
    if t.dtype.kind == "f":
        t = t[np.isfinite(t)]
        kind = "whole numbers" if np.array_equal(t, np.rint(t)) else "fractions"
    else:
        kind = "integers"
    if len(t) < 2:
        return _Steps(kind, 0.0, 0.0, np.empty(0), 0.0, len(t))
    ordered = np.sort(t)
    edge = len(t) // 100
    inner = len(t) - 2 * edge
    # Differences of large integers are exact only before they become floating point.
    with np.errstate(over="ignore"):
        span = float(ordered[len(t) - 1 - edge] - ordered[edge]) * len(t) / inner
    every_step = np.diff(ordered[edge : len(t) - edge]).astype(np.float64)
    steps = every_step[every_step > 0]
    if t.dtype.kind == "f":
        # Below the numbers' own resolution a step is rounding.
        steps = steps[steps > 4 * float(np.spacing(np.abs(ordered[-1 - edge])))]
    shared = 1 - len(steps) / len(every_step)
    smallest = float(np.quantile(steps, 0.01)) if len(steps) else 0.0
    some = steps[:: max(len(steps) // _MOST_STEPS, 1)]
    return _Steps(kind, span, smallest, some, shared, len(t))


def _epoch_unit(t: NDArray[Any]) -> TimeUnit | None:
    middle = float(np.median(t)) if len(t) else 0.0
    if not abs(middle) >= _FEWEST_EPOCH_DIGITS:
        return None
    low, high = _EPOCH_S
    return next((u for u, us in TIME_UNITS.items() if low <= middle * us * 1e-6 <= high), None)


def _penalty(measured: _Steps, unit: TimeUnit) -> float:
    us = TIME_UNITS[unit]
    duration_us = measured.span * us
    total = _UNUSUAL[measured.kind][unit]
    total += _decades_outside(duration_us, _DURATION_US)
    total += _decades_outside(measured.events / duration_us * 1e6, _RATE_HZ)
    if measured.smallest:
        total += _decades_outside(measured.smallest * us, (_SMALLEST_STEP_US, math.inf))
    may_be_frames = _UNUSUAL[measured.kind][unit] == 0 and _are_frames(measured, us)
    if _are_whole(measured.steps * us, 1000.0) and not may_be_frames:
        total += _WHOLE_MS_PENALTY
    if not _are_whole(measured.steps * us, 1.0):
        total += _PARTS_OF_US_PENALTY
    return total


def _are_frames(measured: _Steps, us: float) -> bool:
    """Whether most events share their times, which are those of frames no camera's tick makes."""
    tick_us = measured.smallest * us
    shortest, longest = _FRAME_TICK_US
    may_be = measured.shared > 0.5 and shortest < tick_us < longest
    return may_be and _are_whole(measured.steps * us, tick_us)


def _decades_outside(value: float, limits: tuple[float, float]) -> float:
    low, high = limits
    return max(math.log10(low / value), math.log10(value / high) if high < math.inf else 0.0, 0.0)


def _are_whole(steps_us: NDArray[np.float64], of_us: float) -> bool:
    """Whether nearly all steps are whole multiples of a time, within a thousandth of it."""
    if not len(steps_us):
        return False
    rest = np.abs(steps_us - of_us * np.rint(steps_us / of_us))
    return bool(np.mean((rest < 1e-3 * of_us) & (steps_us > 0.5 * of_us)) > 0.99)


def _described(measured: _Steps, unit: TimeUnit) -> str:
    """Duration and rate as a user reads them."""
    seconds = measured.span * TIME_UNITS[unit] * 1e-6
    length = f"{seconds / 3600:.3g} h" if seconds >= 3600 else f"{seconds:.3g} s"
    return f"{measured.events} events in {length}, {measured.events / seconds:.3g} a second"
