"""What one sees of a sensor in the events of a turning half disc: samples to compare."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from realism_bench.takes import Take

FAST_RAD_S = 20.0
"""Speed above which the disc counts as fast, about 200 rpm."""
_RINGS_PX = ((12.0, 25.0), (25.0, 45.0))
_INNER_PX, _OUTER_PX = 12.0, 55.0
_NEAR_RAD = 1.5
"""Events so near to an edge, in angle, belong to its passing."""
_REST_MARGIN_US = 80_000
_SETTLING_US = 150_000
"""How long after the motion the dark pixels still settle, and after the start of a recording."""
_DEEPEST = 5
"""Intervals of a passing are told apart up to this one."""
_BINS_US = {"0.1 ms": 100, "1 ms": 1000}
_WINDOW_US = 20_000


Samples = dict[str, NDArray[np.float64]]


def statistics(take: Take) -> Samples:
    """Samples by name, of a real or simulated take."""
    return {**_of_edges(take), **_of_pixels(take), **_of_time(take), **_of_rest(take)}


def _of_edges(take: Take) -> Samples:
    """Events of a pixel while an edge passes: how many, how far apart, how late."""
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
    place = np.arange(len(index)) - start[group]
    count = np.bincount(group)
    end = start + count - 1
    interval = np.diff(t[index], prepend=0.0) / 1e3
    samples = {}
    for sign, name in ((True, "ON"), (False, "OFF")):
        of = events.polarity[index] == sign
        passing = events.polarity[index[start]] == sign
        samples[f"{name} events of an edge and pixel"] = count[passing].astype(np.float64)
        samples[f"{name} span of a passing [ms]"] = (t[index[end]] - t[index[start]])[passing] / 1e3
        for deep in range(1, _DEEPEST):
            samples[f"{name} interval {deep} of a passing [ms]"] = interval[of & (place == deep)]
        odd = events.x[index] % 2 == 1
        for column, side in (("even", ~odd), ("odd", odd)):
            interval_name = f"{name} interval 2 in {column} columns [ms]"
            samples[interval_name] = interval[of & (place == 2) & side]
        fast = of & (speed[index] > FAST_RAD_S)
        slow = of & (speed[index] <= FAST_RAD_S)
        degrees = np.degrees(late[index])
        for low, high in _RINGS_PX:
            ring = (radius[index] > low) & (radius[index] < high)
            where = f"at {low:.0f} to {high:.0f} px [deg]"
            samples[f"{name} angle behind the edge, fast, {where}"] = degrees[fast & ring]
            samples[f"{name} angle behind the edge, slow, {where}"] = degrees[slow & ring]
        first_fast = fast & (place == 0)
        samples[f"{name} lag of the first event, fast [ms]"] = (
            late[index][first_fast] / speed[index][first_fast] * 1e3
        )
    return samples


def _of_pixels(take: Take) -> Samples:
    """Intervals of a pixel and events of each pixel while the disc turns."""
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
    """Noise while the disc stands, of its dark and its bright half."""
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
