"""Estimates of windows from the path of a rotor's phase.

The speed over a window is the change of the phase divided by the window's length. Its variance is
that of the smoothed path, from the scatter of the phases about it, plus the greater of two that are
due to the disc:

- at both ends, the variance by the disagreement of rings and polarities;
- that of a wobble w(phi) = sum over orders k = 1, 2 of c_k cos k phi + s_k sin k phi, which a disc
  that is not exactly round or centred adds to the phase, with coefficients of standard deviation w:
  w^2 sum_k (2 - 2 cos k d) for a window in which it turns by d.

If a disc makes two turns or more, its cyclic error is known, see `tracking.cyclic_error`: it is
subtracted, and the differences between turns replace the wobble.

If the shape of the disc is estimated, see `view_shear`, the remaining shear s adds a wobble of
order 2, with amplitude s at a random phase: s^2 (1 - cos 2 d).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from evio_ros.estimate import RIGHT_ERROR, RotorEstimate
from evio_ros.rotation.phase_path.phase_path import PhasePath
from evio_ros.rotation.phase_path.view_shear import WOBBLE_ORDERS, WOBBLE_RAD
from evio_ros.rotation.tracking.blades import blade_angle, blade_count
from evio_ros.rotation.tracking.cyclic_error import CyclicError
from evio_ros.rotation.tracking.speed_uncertainty import within_probability
from evio_ros.units import RPM_PER_RAD_S

__all__ = ["PathEstimates"]

_Real = NDArray[np.float64]

_BLADE_ORDERS = 32
_MAXIMUM_BLADES = 10
"""Number of angular orders that determine the blades, and maximum number of blades."""


class PathEstimates:
    """Gives estimates of any window within a path.

    Args:
        path: path of the rotor's phase.
        identity: number of the rotor, -1 if it is not known yet.

    Attributes:
        path, identity: as given.
        turns: number of turns that the rotor has made when the path begins.
        start_us, end_us: sensor times of the path in µs.
    """

    def __init__(self, path: PhasePath, identity: int = -1) -> None:
        self.path = path
        self.identity = identity
        self.turns = 0.0
        cyclic = _cyclic_error(path)
        self._cyclic_variance = cyclic.variance if cyclic.is_known else None
        self._phase = path.phase - np.array([cyclic.at(phase) for phase in path.phase.tolist()])
        pattern = _pattern(path)
        self._blades = blade_count(pattern, _MAXIMUM_BLADES)
        self._blade_angle = blade_angle(pattern.sum(axis=0), max(self._blades, 1))
        times_us = path.counted.t_us
        self.start_us, self.end_us = int(times_us[0]), int(times_us[-1]) + 1

    def phase(self, t_us: int) -> float:
        """Phase in rad at a sensor time within the path; constant before and after."""
        return float(self._weights(t_us) @ self._phase)

    def estimate(self, end_us: int, window_us: int) -> RotorEstimate | None:
        """The rotor over a window; None if the path does not cover it or does not determine it."""
        start_us = end_us - window_us
        if start_us < self.start_us or end_us > self.end_us:
            return None
        early, late = self._weights(start_us), self._weights(end_us)
        path = self.path
        turned = float((late - early) @ self._phase)
        variance = path.smooth.difference_variance(late, early)
        variance += self._disc_variance(late, early, turned)
        std = math.sqrt(variance)
        if std >= abs(turned):
            return None
        rpm_per_rad = RPM_PER_RAD_S * 1e6 / window_us
        phase = float(late @ self._phase)
        first, last = np.searchsorted(path.counted.t_us, (start_us, end_us))
        return RotorEstimate(
            id=self.identity,
            t_us=end_us,
            window_us=window_us,
            rpm=rpm_per_rad * turned,
            rpm_std=rpm_per_rad * std,
            blade_count=self._blades,
            angle_rad=(phase + self._blade_angle) % (2 * math.pi),
            angle_std_rad=math.hypot(float(late @ path.disagreement), WOBBLE_RAD),
            turns=self.turns + (phase - self._phase[0]) / (2 * math.pi),
            center=path.ellipse.center,
            axes=path.ellipse.axes,
            tilt_rad=path.ellipse.tilt_rad,
            velocity=(0.0, 0.0),
            confidence=within_probability(RIGHT_ERROR * abs(turned), std),
            events=int(last - first) * path.counted.stride,
            center_std=path.center_std,
            looked_back=True,
        )

    def _disc_variance(self, late: _Real, early: _Real, turned: float) -> float:
        """Variance in rad^2 that the disc adds to the angle between two times, see the module."""
        path = self.path
        disagreement = float(late @ path.disagreement**2 + early @ path.disagreement**2)
        if self._cyclic_variance is not None:
            return disagreement + 2 * self._cyclic_variance
        wobble = sum(2 * (1 - math.cos(order * turned)) for order in WOBBLE_ORDERS)
        shear = path.shear_doubt**2 * (1 - math.cos(2 * turned))
        return max(disagreement, WOBBLE_RAD**2 * wobble) + shear

    def _weights(self, t_us: int) -> _Real:
        """Weights of the bins' phases, (bins,), that give the phase at a time."""
        bins = len(self._phase)
        place = float(self.path.counted.at(np.array([t_us], np.float64))[0]) * bins - 0.5
        # The outer halves of the first and last bin are extrapolated linearly.
        low = min(max(math.floor(place), 0), bins - 2)
        weights = np.zeros(bins)
        weights[low], weights[low + 1] = 1 - (place - low), place - low
        return weights


def _cyclic_error(path: PhasePath) -> CyclicError:
    """The cyclic error; unknown if the path has less than two turns."""
    times_s = 1e-6 * path.counted.times_us(path.count_times)
    cyclic = CyclicError()
    for time_s, phase in zip(times_s.tolist(), path.phase.tolist(), strict=True):
        cyclic.add(time_s, phase, is_wanted=True)
    return cyclic


def _pattern(path: PhasePath) -> NDArray[np.complex128]:
    """Harmonics of the events in the co-rotating frame, (rings, 2, orders + 1), OFF first."""
    events = path.density * (len(path.counted) / path.density.sum())
    harmonics = np.fft.rfft(events, axis=1)[:, : _BLADE_ORDERS + 1]
    return harmonics.reshape(2, -1, _BLADE_ORDERS + 1).transpose(1, 0, 2)
