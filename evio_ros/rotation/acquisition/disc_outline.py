"""Rotors without visible blades: a disc-shaped region and the angle-time spectrum inside it.

A fine texture or a single mark has no spectral line that winds about a hub. But if a region has the
outline of a disc, its centre and shape follow from the region's moments (a filled ellipse with
semi-axis a has variance a^2 / 4 along it), and the angle-time spectrum shows whether its interior
turns: a pattern at f turns per second has its angular order k at the temporal frequency -k f, so
the spectrum's power is summed along lines through the origin, one for each f. A lamp, whose
spectrum has no sense of rotation, is recognised by the line of the opposite speed.
"""

from __future__ import annotations

import math

import numpy as np
import scipy.fft
from numba import njit
from numpy.typing import NDArray

from evio_ros.ellipse import Ellipse, wrapped_tilt
from evio_ros.events import EventBatch
from evio_ros.explanation import Reason, Rejection
from evio_ros.rotation.acquisition.regions import Region
from evio_ros.rotation.acquisition.winding import RotorCandidate
from evio_ros.rotation.acquisition.work_units import Work
from evio_ros.rotation.angle_time import BIN_US, FEWEST_BINS, harmonics_of_events
from evio_ros.rotation.tracking.disc_map import DiscMap
from evio_ros.rotation.tracking.tracker_parameters import TrackerParameters
from evio_ros.time_stamps import highest_frequency_hz

__all__ = ["LEAST_TURNS", "is_cut", "outline_ellipse", "turning_candidate"]

_TEXTURE_ORDERS = 32
"""Number of angular orders used: more than for blades, because textures and marks are finer."""
_ZERO_PADDING = 2
"""Oversampling of the spectrum over time by zero-padding, so that no line is missed between two
samples."""
_FASTEST_HZ = 100.0
"""Greatest speed searched, turns per second: `BIN_US` samples its order 10 twice per period."""
_LEAST_POWER = 4.0
"""Minimum power on the line of the spectrum relative to noise, which has a mean of 1 and a standard
deviation of 0.06: a line of 32 orders and 8 channels sums 256 powers."""
_LEAST_ASYMMETRY = 3.0
"""Minimum ratio of this power to that on the line of the opposite speed; for a lamp they are
equal."""
LEAST_TURNS = 1.0
"""Number of turns before which not all of a disc has been seen."""
_LEAST_FILLING = 0.8
"""Minimum share of the ellipse that the region's cells cover, and of the cells that the ellipse
covers."""
_RIM_RADIUS = 1.1
"""Cells within this many radii count as covered: the rim cuts its cells."""


def outline_ellipse(region: Region) -> Ellipse | None:
    """The ellipse with the region's second moments; None if the region is not an ellipse."""
    points = region.cell_centers()
    values, vectors = np.linalg.eigh(np.cov(points.T))
    if values[0] <= 0.0:
        return None
    minor, major = 2 * np.sqrt(values)
    tilt = math.atan2(vectors[1, 1], vectors[0, 1])
    x, y = points.mean(axis=0)
    ellipse = Ellipse((float(x), float(y)), (float(major), float(minor)), wrapped_tilt(tilt))
    radius, _ = ellipse.disc_coordinates(points[:, 0], points[:, 1])
    inside = float((radius < _RIM_RADIUS).mean())
    filling = len(points) * region.cell_px**2 / (math.pi * major * minor)
    return ellipse if min(inside, filling) >= _LEAST_FILLING else None


def is_cut(region: Region) -> bool:
    """Whether a side of a region is a straight cut, so that its outline does not determine the hub.

    At the depth d under its tangent, an ellipse with the extent 2 b is at most
    sqrt(1 - (1 - d / b)^2) of its width wide: this share of the width is in the outermost cells. A
    cut fills them all.
    """
    cells = region.cells
    low, high = cells.min(axis=0), cells.max(axis=0)
    extent = high - low + 1
    for axis in (0, 1):
        round_share = math.sqrt(1.0 - (1.0 - 2.0 / max(extent[axis], 2)) ** 2)
        most = 0.5 * (1.0 + round_share) * extent[1 - axis]
        if max((cells[:, axis] == side[axis]).sum() for side in (low, high)) > most:
            return True
    return False


def turning_candidate(
    events: EventBatch,
    start_us: int,
    span_us: int,
    ellipse: Ellipse,
    tracking: TrackerParameters,
    maximum_speed_hz: float = _FASTEST_HZ,
) -> Work[RotorCandidate | Rejection]:
    """Determine whether something turns in a disc, and how fast.

    Args:
        events: events of [start_us, start_us + span_us).
        start_us, span_us: time span in µs.
        ellipse: the disc.
        tracking: its rings, and the radius of the hub.
        maximum_speed_hz: greatest speed searched, turns per second; at most 100.

    Returns:
        The candidate, of order 1, with the share of power that is not noise as coherence; it is
        only reliable if it has made `LEAST_TURNS`. A rejection if there is none.
    """
    # Beyond the rim of an outline is no disc.
    disc = DiscMap.of(ellipse, events.size, tracking.rings, tracking.hub_radius, 1.0)
    bins = max(span_us // BIN_US, FEWEST_BINS)
    harmonics = yield from harmonics_of_events(
        events, disc, start_us, span_us, bins, _TEXTURE_ORDERS
    )
    frequencies, power = yield from _speed_spectrum(
        harmonics,
        span_us * 1e-6,
        min(maximum_speed_hz, _FASTEST_HZ),
        highest_frequency_hz(events.t),
    )
    best = int(power.argmax())
    opposite = float(power[len(power) - 1 - best])
    if power[best] < _LEAST_POWER:
        return Rejection(Reason.NOT_TURNING, float(power[best]), _LEAST_POWER)
    if power[best] < _LEAST_ASYMMETRY * opposite:
        return Rejection(Reason.NOT_TURNING, float(power[best]) / opposite, _LEAST_ASYMMETRY)
    return RotorCandidate(ellipse, float(frequencies[best]), 1, float(1 - 1 / power[best]))


def _speed_spectrum(
    harmonics: NDArray[np.complexfloating],
    length_s: float,
    fastest_hz: float,
    highest_hz: float,
) -> Work[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Power along every line of the angle-time spectrum.

    Args:
        harmonics: complex (channels, bins, orders + 1) of `angular_harmonics`.
        length_s: length of the window.
        fastest_hz: greatest speed searched.
        highest_hz: highest frequency that the events' time stamps resolve.

    Returns:
        frequency_hz (n,), equally spaced from -fastest_hz to fastest_hz, and power (n,) relative to
        that of Poisson noise.
    """
    _, bins, columns = harmonics.shape
    padded = scipy.fft.next_fast_len(_ZERO_PADDING * bins)
    power = np.zeros((padded, columns), np.float32)
    for channel in harmonics:
        spectrum = scipy.fft.fft((channel - channel.mean(axis=0)), padded, axis=0)
        power += spectrum.real**2 + spectrum.imag**2
        yield
    bins_per_hz = length_s * padded / bins
    half = math.ceil(fastest_hz * bins_per_hz * columns)
    frequency = np.linspace(-fastest_hz, fastest_hz, 2 * half + 1)
    highest = int(min(padded // 2, highest_hz * bins_per_hz))
    along = _power_along_lines(power, frequency * bins_per_hz, highest)
    noise = float(harmonics[:, :, 0].real.sum()) * (columns - 1)
    return frequency, along / max(noise, 1.0)


@njit(cache=True, nogil=True)
def _power_along_lines(power, slopes, highest):
    """Power of a pattern that turns by `slopes` bins of the spectrum for each angular order.

    Frequencies from the bin `highest` on do not count.
    """
    bins, columns = power.shape
    along = np.zeros(len(slopes))
    for i in range(len(slopes)):
        for order in range(1, columns):
            # A pattern that turns with f has its order k at the temporal frequency -k f.
            place = np.int64(np.rint(-slopes[i] * order))
            if abs(place) < highest:
                along[i] += power[place if place >= 0 else place + bins, order]
    return along
