"""The events on one rotor's disc: counts over angle and time, and their spectrum.

Both are computed from the thinned events of the last second, and only on request. Thinning keeps
the shape of the counts and adds noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evio_ros.estimate import RotorEstimate
from evio_ros.web.live_view import LiveView

__all__ = ["angle_time_of", "spectrum_of"]

_ANGLE_BINS, _TIME_BINS = 90, 60
_TURNS_SHOWN = 4.0
_LONGEST_US = 1_000_000
_SHORTEST_US = 10_000
_SPECTRUM_BINS = 4096
_HUB_RADIUS, _RIM_RADIUS = 0.3, 1.05


@dataclass(frozen=True, slots=True, eq=False)
class AngleTime:
    """Counts over time and angle on a rotor's disc.

    Attributes:
        counts: int64 (time bins, angle bins); angle bins divide [0, 2 pi) evenly.
        start_us, end_us: the time that the time bins divide evenly, sensor time.
    """

    counts: NDArray[np.int64]
    start_us: int
    end_us: int


@dataclass(frozen=True, slots=True, eq=False)
class Spectrum:
    """Power of the event rate on a rotor's disc over frequency.

    Attributes:
        frequency_hz: float64 (n,), from the lowest that the time span tells.
        power: float64 (n,), 1 for counts without any pattern (Poisson).
        blade_pass_hz: the rotor's speed times its blades; None if blades are unknown.
    """

    frequency_hz: NDArray[np.float64]
    power: NDArray[np.float64]
    blade_pass_hz: float | None


def angle_time_of(view: LiveView, rotor: RotorEstimate) -> AngleTime:
    """Counts of the last turns, four of them or what the last second holds."""
    turn_us = 6e7 / max(abs(rotor.rpm), 1e-9)
    span_us = int(min(max(_TURNS_SHOWN * turn_us, _SHORTEST_US), _LONGEST_US))
    t, angle, end_us = _disc_events(view, rotor, span_us, _HUB_RADIUS)
    start_us = end_us - span_us
    counts, _, _ = np.histogram2d(
        t,
        np.mod(angle, 2 * np.pi),
        bins=(_TIME_BINS, _ANGLE_BINS),
        range=((start_us, end_us), (0, 2 * np.pi)),
    )
    return AngleTime(counts.astype(np.int64), start_us, end_us)


def spectrum_of(view: LiveView, rotor: RotorEstimate) -> Spectrum:
    """Periodogram of the events on one half of the disc over the last second.

    All blades pass one half alike; over the whole disc, what one blade adds the next takes away.
    Method: Welch's normalisation of one Hann window, over the mean count.
    """
    t, angle, end_us = _disc_events(view, rotor, _LONGEST_US, _HUB_RADIUS)
    passing = np.mod(angle, 2 * np.pi) < np.pi / max(rotor.blade_count, 1)
    counts, _ = np.histogram(t[passing], bins=_SPECTRUM_BINS, range=(end_us - _LONGEST_US, end_us))
    window = np.hanning(_SPECTRUM_BINS)
    mean = counts.mean()
    transformed = np.fft.rfft((counts - mean) * window)
    scale = max(float(mean), 1e-12) * float(np.sum(window**2))
    frequency_hz = np.fft.rfftfreq(_SPECTRUM_BINS, _LONGEST_US * 1e-6 / _SPECTRUM_BINS)
    known = rotor.blade_count > 0
    return Spectrum(
        frequency_hz[1:],
        (np.abs(transformed) ** 2 / scale)[1:],
        abs(rotor.rpm) / 60.0 * rotor.blade_count if known else None,
    )


def _disc_events(
    view: LiveView, rotor: RotorEstimate, span_us: int, from_radius: float
) -> tuple[NDArray[np.int64], NDArray[np.float64], int]:
    """Times and angles of the newest events on a disc, and the time up to which they reach."""
    view.ask("events")
    end_us = view.newest_events_us() or 0
    # A sample that begins before the span may reach into it.
    kept = view.samples_after(end_us - _LONGEST_US)
    parts = [sample.events for sample in kept if sample.end_us > end_us - span_us]
    if not parts or not all(axis > 0 for axis in rotor.axes):
        return np.empty(0, np.int64), np.empty(0), end_us
    x = np.concatenate([part.x for part in parts])
    y = np.concatenate([part.y for part in parts])
    radius, angle = rotor.ellipse.disc_coordinates(x, y)
    inside = (radius >= from_radius) & (radius <= _RIM_RADIUS)
    return np.concatenate([part.t for part in parts])[inside], angle[inside], end_us
