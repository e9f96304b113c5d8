"""Guessing the unit of a time column from what cameras can record.

By convention, integers are µs and fractions are seconds. Each unit is judged by the resulting
duration of the recording, its mean event rate and its time steps. The score is a sum of penalties,
in powers of ten beyond what is plausible:

| evidence | plausible | penalty |
|---|---|---|
| duration | 26 ms to 1 h | decades outside |
| mean rate | 1e3 to 1e7 events/s | decades outside |
| smallest step | 0.5 µs or more: cameras resolve 1 µs at best | decades below |
| all steps are whole ms | no: cameras resolve µs; frames (below) by convention | 0.9 |
| steps are not whole µs | no: cameras give whole ones | 1.7 |
| convention | integers are µs, fractions s | see `_UNUSUAL` |

The unit with the smallest penalty is chosen, and in a tie the conventional one. Times of the Unix
epoch, 2010 to 2040, decide by themselves if they have 15 digits or more before the point, or 13 and
fractions: µs, which could also count 13 digits since a camera was switched on, have none.

Events that a simulator made from the frames of a video have only the frames' times: most share
their time with another event, and all steps are multiples of one longer than a ms. In a unit a
thousandth as long, which whole ms would otherwise suggest, that would be several µs, which is no
camera's resolution. Frames at 1 kHz look the same as a fast camera with a resolution of 1 µs, so
that only duration and rate decide.

Because of the penalty for steps that are not whole µs, a recording with a rate of 5 events/s, a
quiet scene, is still read in whole µs, which would be such fractions if read as ns.
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
"""The lower bound is the duration of the 2^18 events examined, at the highest rate."""
_RATE_HZ = (1e3, 1e7)
_SMALLEST_STEP_US = 0.5
_WHOLE_MS_PENALTY = 0.9
_PARTS_OF_US_PENALTY = 1.7
_FRAME_TICK_US = (1.5e3, 5e5)
"""Step of frames: at least two per second; in a unit a thousandth as long, it is at least 2 µs."""
_MOST_STEPS = 1 << 13
_SPANS = (1e-100, 1e100)
"""Range of time spans; only corrupt times are outside, whose logarithms may not exist."""
_FEWEST_EVENTS = 64
"""With fewer events, rates and steps are not conclusive: convention decides."""
_EPOCH_S = (1.26e9, 2.21e9)
"""Years 2010 to 2040 of the Unix epoch."""
_FEWEST_EPOCH_DIGITS = {"integers": 1e14, "whole numbers": 1e14, "fractions": 1e12}

_UNUSUAL: dict[str, dict[TimeUnit, float]] = {
    "integers": {"us": 0.0, "ns": 0.7, "ms": 1.0, "s": 3.0},
    "whole numbers": {"us": 0.0, "ns": 0.7, "ms": 1.0, "s": 3.0},
    "fractions": {"s": 0.0, "us": 0.3, "ms": 0.7, "ns": 1.3},
}
"""Penalty of a unit for integers, for floating-point numbers that are whole, and for others.

Steps that are fractions of µs have a further penalty.
"""


@dataclass(frozen=True, slots=True)
class _Steps:
    """Properties of a column of times, in its own unit.

    Attributes:
        kind: key of `_UNUSUAL`.
        span: duration without the outermost hundredths, scaled to the whole.
        smallest: smallest step, apart from the rounding of a few.
        steps: float64 (n,), some of the positive steps, from the whole column.
        shared: share of events with the same time as the previous one, in order of time.
        events: number of events in the span.
    """

    kind: str
    span: float
    smallest: float
    steps: NDArray[np.float64]
    shared: float
    events: int


def guess_time_unit(t: NDArray[Any]) -> tuple[TimeUnit, str]:
    """Guess the unit of a column of times, and give the reason.

    Outliers and a few unsorted times do not change the result: negative steps and the outermost
    hundredths of the times are ignored.

    Args:
        t: (n,) integers or floating-point numbers, times of consecutive events; the beginning of a
            recording is enough if it is at least about 30 ms long.

    Returns:
        "s", "ms", "us" or "ns", and the reason to show to the user, "times are read as us: ...",
        also if convention decides.
    """
    measured = _steps_of(t)
    usual: TimeUnit = "s" if measured.kind == "fractions" else "us"
    epoch = _epoch_unit(t, measured.kind)
    if epoch is not None:
        return epoch, f"times are read as {epoch}, which puts them in the years 2010 to 2040"
    if measured.events < _FEWEST_EVENTS or not _SPANS[0] < measured.span < _SPANS[1]:
        return usual, f"times are read as {usual}, as is usual for {measured.kind}"
    penalties = {unit: _penalty(measured, unit) for unit in TIME_UNITS}
    best = min(penalties, key=lambda unit: (penalties[unit], unit != usual))
    if best == usual:
        return usual, f"times are read as {usual}: {_described(measured, usual)}"
    return best, (
        f"times are read as {best}: {_described(measured, best)}; "
        f"in {usual}, as is usual for {measured.kind}, it would be {_described(measured, usual)}"
    )


def to_microseconds(t: NDArray[Any], unit: TimeUnit) -> NDArray[np.int64]:
    """Convert times to whole µs; integers exactly (ns are truncated), fractions to the nearest.

    Args:
        t: (n,) integers or floating-point numbers in `unit`.
        unit: key of `TIME_UNITS`.

    Returns:
        int64 (n,); NaN, and times beyond int64, become the smallest int64.
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
    # Differences of large integers are exact only before conversion to floating point.
    with np.errstate(over="ignore"):
        span = float(ordered[len(t) - 1 - edge] - ordered[edge]) * len(t) / inner
    every_step = np.diff(ordered[edge : len(t) - edge]).astype(np.float64)
    steps = every_step[every_step > 0]
    if t.dtype.kind == "f":
        # Steps below the numbers' own resolution are rounding.
        steps = steps[steps > 4 * float(np.spacing(np.abs(ordered[-1 - edge])))]
    shared = 1 - len(steps) / len(every_step)
    smallest = float(np.quantile(steps, 0.01)) if len(steps) else 0.0
    some = steps[:: max(len(steps) // _MOST_STEPS, 1)]
    return _Steps(kind, span, smallest, some, shared, len(t))


def _epoch_unit(t: NDArray[Any], kind: str) -> TimeUnit | None:
    middle = float(np.median(t)) if len(t) else 0.0
    if not abs(middle) >= _FEWEST_EPOCH_DIGITS[kind]:
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
    """Whether most events share their times, in steps of frames and no camera's resolution."""
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
    """Duration and rate, as text for the user."""
    seconds = measured.span * TIME_UNITS[unit] * 1e-6
    length = f"{seconds / 3600:.3g} h" if seconds >= 3600 else f"{seconds:.3g} s"
    return f"{measured.events} events in {length}, {measured.events / seconds:.3g} a second"
