"""Statistics of a sensor's events of a turning half disc: samples to compare."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from realism_bench.takes import Take

FAST_RAD_S = 20.0
"""Speed above which the disc counts as fast, about 200 rpm."""
_RINGS_PX = ((12.0, 25.0), (25.0, 45.0))
_INNER_PX, _OUTER_PX = 12.0, 55.0
_NEAR_RAD = 1.5
"""Largest angle between an edge and the events of its passing."""
_REST_MARGIN_US = 80_000
_SETTLING_US = 150_000
"""Time for which dark pixels settle after the motion and after the start of a recording."""
_DEEPEST = 5
"""Number of the first interval of a passing that has no sample of its own."""
_BINS_US = {"0.1 ms": 100, "1 ms": 1000}
_WINDOW_US = 20_000


Samples = dict[str, NDArray[np.float64]]


def statistics(take: Take) -> Samples:
    """Samples of a real or simulated take, by name."""
    return {**_of_edges(take), **_of_pixels(take), **_of_time(take), **_of_rest(take)}


@dataclass(frozen=True)
class _Passings:
    """Events near an edge, sorted by pixel, polarity and passing; (n,) unless noted.

    Attributes:
        is_on: polarity.
        t: time [us].
        x: column [px].
        radius: distance from the hub [px].
        speed: of the edge [rad/s].
        late: angle behind the edge [rad].
        place: index of the event within its passing, from 0.
        start: (passings,) index of the first event of each.
        count: (passings,) number of events of each.
    """

    is_on: NDArray[np.bool_]
    t: NDArray[np.float64]
    x: NDArray[np.uint16]
    radius: NDArray[np.float64]
    speed: NDArray[np.float64]
    late: NDArray[np.float64]
    place: NDArray[np.int64]
    start: NDArray[np.int64]
    count: NDArray[np.int64]


def _passings(take: Take) -> _Passings:
    """The events of each pixel and polarity during the passing of an edge."""
    events = take.events
    when, angle = take.angles()
    sense = np.sign(angle[-1] - angle[0])
    t = events.t.astype(np.float64)
    dx, dy = events.x - take.hub[0], events.y - take.hub[1]
    radius = np.hypot(dx, dy)
    speed = np.interp(t, when, np.abs(np.gradient(angle, when))) * 1e6
    passed = sense * (np.interp(t, when, angle) - np.arctan2(dy, dx))
    passed += np.where(events.polarity, 0.0, np.pi)
    number = np.round(passed / (2 * np.pi)).astype(np.int64)
    late = passed - 2 * np.pi * number
    kept = (t >= when[0]) & (t <= when[-1]) & (np.abs(late) < _NEAR_RAD)
    kept &= (radius > _INNER_PX) & (radius < _OUTER_PX)
    index = np.flatnonzero(kept)
    pixel = events.y.astype(np.int64) * events.size.width + events.x
    keys = np.stack((pixel, events.polarity, number))[:, index]
    order = np.lexsort((t[index], *keys))
    index, keys = index[order], keys[:, order]
    first = np.r_[True, (keys[:, 1:] != keys[:, :-1]).any(axis=0)]
    group = np.cumsum(first) - 1
    start = np.flatnonzero(first)
    return _Passings(
        is_on=events.polarity[index],
        t=t[index],
        x=events.x[index],
        radius=radius[index],
        speed=speed[index],
        late=late[index],
        place=np.arange(len(index)) - start[group],
        start=start,
        count=np.bincount(group),
    )


def _of_edges(take: Take) -> Samples:
    """Events of a pixel during the passing of an edge: number, intervals and lag."""
    passings = _passings(take)
    return {**_of_polarity(passings, True, "ON"), **_of_polarity(passings, False, "OFF")}


def _of_polarity(p: _Passings, sign: bool, name: str) -> Samples:
    """The same for the events of one polarity."""
    of, passing = p.is_on == sign, p.is_on[p.start] == sign
    interval = np.diff(p.t, prepend=0.0) / 1e3
    span_ms = (p.t[p.start + p.count - 1] - p.t[p.start]) / 1e3
    samples = {
        f"{name} events of an edge and pixel": p.count[passing].astype(np.float64),
        f"{name} span of a passing [ms]": span_ms[passing],
    }
    for deep in range(1, _DEEPEST):
        samples[f"{name} interval {deep} of a passing [ms]"] = interval[of & (p.place == deep)]
    odd = p.x % 2 == 1
    for column, side in (("even", ~odd), ("odd", odd)):
        interval_name = f"{name} interval 2 in {column} columns [ms]"
        samples[interval_name] = interval[of & (p.place == 2) & side]
    fast, slow = of & (p.speed > FAST_RAD_S), of & (p.speed <= FAST_RAD_S)
    degrees = np.degrees(p.late)
    for low, high in _RINGS_PX:
        ring = (p.radius > low) & (p.radius < high)
        where = f"at {low:.0f} to {high:.0f} px [deg]"
        samples[f"{name} angle behind the edge, fast, {where}"] = degrees[fast & ring]
        samples[f"{name} angle behind the edge, slow, {where}"] = degrees[slow & ring]
    first_fast = fast & (p.place == 0)
    lag_ms = p.late[first_fast] / p.speed[first_fast] * 1e3
    samples[f"{name} lag of the first event, fast [ms]"] = lag_ms
    return samples


def _of_pixels(take: Take) -> Samples:
    """Intervals and numbers of events of each pixel while the disc turns."""
    events = take.events.between(*map(int, take.motion_us))
    pixel = events.y.astype(np.int64) * events.size.width + events.x
    order = np.lexsort((events.t, pixel))
    same = np.diff(pixel[order]) == 0
    interval = np.diff(events.t[order])[same] / 1e3
    sign = events.polarity[order].astype(np.int64)
    pair = (2 * sign[:-1] + sign[1:])[same]
    y, x = np.divmod(np.arange(events.size.pixels), events.size.width)
    on_disc = np.hypot(x - take.hub[0], y - take.hub[1])
    inside = (on_disc > _INNER_PX) & (on_disc < _OUTER_PX)
    total = np.bincount(pixel, minlength=events.size.pixels)[inside].astype(np.float64)
    return {
        "interval of a pixel, ON to ON [ms]": interval[pair == 3],
        "interval of a pixel, OFF to OFF [ms]": interval[pair == 0],
        "interval of a pixel, changing sign [ms]": interval[(pair == 1) | (pair == 2)],
        "events of a pixel, relative to the mean": total / total.mean(),
    }


def _of_time(take: Take) -> Samples:
    """Counts over time while the disc turns fast: Fano factors, bursts, shared time stamps."""
    when, angle = take.angles()
    fast = np.abs(np.gradient(angle, when)) * 1e6 > FAST_RAD_S
    start, end = int(when[fast][0]), int(when[fast][-1])
    events = take.events.between(start, end)
    samples = {}
    for name, bin_us in _BINS_US.items():
        counts = np.bincount((events.t - start) // bin_us)
        whole = len(counts) // (_WINDOW_US // bin_us) * (_WINDOW_US // bin_us)
        counts = counts[:whole].reshape(-1, _WINDOW_US // bin_us)
        samples[f"Fano factor of counts in {name}"] = counts.var(axis=1) / counts.mean(axis=1)
    stamps, place = np.unique(events.t, return_inverse=True)
    samples["events with one time stamp"] = np.bincount(place).astype(np.float64)
    samples["time to the next time stamp [us]"] = np.diff(stamps).astype(np.float64)
    share = events.polarity[: len(events) // 400 * 400].reshape(-1, 400).mean(axis=1)
    samples["ON share of 400 events"] = share
    return samples


def _of_rest(take: Take) -> Samples:
    """Noise while the disc is at rest, of its dark and its bright half."""
    _, angle = take.angles()
    parts = (
        (_SETTLING_US, int(take.motion_us[0]) - _REST_MARGIN_US, angle[0]),
        (int(take.motion_us[1]) + _SETTLING_US, int(take.events.t[-1]), angle[-1]),
    )
    sense = np.sign(angle[-1] - angle[0])
    size = take.events.size
    y, x = np.divmod(np.arange(size.pixels), size.width)
    dx, dy = x - take.hub[0], y - take.hub[1]
    radius = np.hypot(dx, dy)
    rates: dict[str, list[NDArray[np.float64]]] = {"dark": [], "bright": []}
    gaps = []
    for start, end, edge in parts:
        if end - start < 50_000:
            continue
        events = take.events.between(start, end)
        pixel = events.y.astype(np.int64) * size.width + events.x
        count = np.bincount(pixel, minlength=size.pixels)
        ahead = np.sin(np.arctan2(dy, dx) - edge) * sense
        for half, side in (("dark", ahead > 0.2), ("bright", ahead < -0.2)):
            inside = side & (radius > _INNER_PX) & (radius < _OUTER_PX)
            rates[half].append(count[inside] / ((end - start) * 1e-6))
        order = np.lexsort((events.t, pixel))
        gaps.append(np.diff(events.t[order])[np.diff(pixel[order]) == 0] / 1e3)
    samples = {
        f"rate of a {half} pixel at rest [Hz]": np.concatenate(values)
        for half, values in rates.items()
        if values
    }
    return {**samples, "interval of a pixel at rest [ms]": np.concatenate(gaps or [np.empty(0)])}
