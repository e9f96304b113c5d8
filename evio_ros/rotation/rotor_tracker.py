"""Following one rotor from step to step: the angle-time spectrum of a sliding window."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from evio_ros.ellipse import Ellipse
from evio_ros.events import EventWindow, SensorSize
from evio_ros.parameters import Parameters, parameter
from evio_ros.rotation.acquisition import RotorCandidate
from evio_ros.rotation.angle_time import angle_time_histogram, angular_harmonics
from evio_ros.rotation.blade_phase import blade_angle
from evio_ros.rotation.disc_following import deformed, measure_deformation
from evio_ros.rotation.disc_map import DiscMap
from evio_ros.rotation.estimate import RotorEstimate
from evio_ros.rotation.spectrum import SpectrumFit, blade_count, fit_line, line_power

__all__ = ["RotorTracker", "TrackerParameters"]


@dataclass(frozen=True)
class TrackerParameters(Parameters):
    """How a rotor is measured and followed."""

    angle_bins: int = parameter(
        256, minimum=64, maximum=4096, doc="Bins of a turn in the angle-time histogram."
    )
    orders: int = parameter(24, minimum=2, maximum=31, doc="Angular orders of the spectrum.")
    maximum_blades: int = parameter(10, minimum=2, maximum=16, doc="Largest number of blades.")
    bins_per_blade_pass: int = parameter(
        32, minimum=8, maximum=256, doc="Time bins while one blade follows another."
    )
    hub_radius: float = parameter(
        0.15,
        minimum=0.0,
        maximum=0.9,
        doc="Inner edge of the evaluated ring, as a share of the rim.",
    )
    rim_radius: float = parameter(
        1.1,
        minimum=1.0,
        maximum=2.0,
        doc="Outer edge of the evaluated ring, as a share of the rim.",
    )
    minimum_signal_to_noise: float = parameter(
        2.0, minimum=1.0, doc="Below this the rotor counts as not seen in the window."
    )
    position_gain: float = parameter(
        0.7,
        minimum=0.0,
        maximum=1.0,
        doc="Share of a measured shift of the disc taken over at once.",
    )
    velocity_gain: float = parameter(
        0.25,
        minimum=0.0,
        maximum=1.0,
        doc="Share of a measured shift taken for motion of the disc.",
    )
    shape_gain: float = parameter(
        0.3, minimum=0.0, maximum=1.0, doc="Share of a measured change of shape taken over at once."
    )


@dataclass(frozen=True, slots=True)
class _Step:
    counts: NDArray[np.int32]
    harmonics: NDArray[np.complex64]


class RotorTracker:
    """Measures one rotor over a sliding window that advances by equal steps.

    Args:
        identity: number of the rotor.
        candidate: what acquisition found.
        size: geometry of the sensor.
        step_us: length of every `EventWindow` that will be added, µs.
        steps: number of steps in the measured window.
        parameters: how to measure.
    """

    def __init__(
        self,
        identity: int,
        candidate: RotorCandidate,
        size: SensorSize,
        step_us: int,
        steps: int,
        parameters: TrackerParameters,
    ) -> None:
        self.identity = identity
        self.ellipse = candidate.ellipse
        self.missed_windows = 0
        self._size = size
        self._step_us = step_us
        self._parameters = parameters
        self._bins = _time_bins(candidate, step_us, parameters)
        self._steps: deque[_Step] = deque(maxlen=steps)
        self._disc = self._map_disc()
        self._frequency_hz = candidate.frequency_hz
        self._frequency_rate = 0.0
        self._searched = False
        self._angle_rad: float | None = None
        self._first_angle_rad = 0.0
        self._angle_at_us = 0
        self._velocity_px_s = np.zeros(2)

    def add(self, window: EventWindow) -> RotorEstimate | None:
        """Add the next step and measure the window that ends with it; None where it is not seen."""
        counts = angle_time_histogram(
            window.events, self._disc, window.start_us, window.length_us, self._bins
        )
        self._steps.append(_Step(counts, angular_harmonics(counts, self._parameters.orders)))
        length_us = len(self._steps) * self._step_us
        fit = self._fit(length_us * 1e-6)
        # The line must beat noise by far more than the spread of its K terms.
        if fit is None or fit.signal_to_noise < self._parameters.minimum_signal_to_noise:
            self.missed_windows += 1
            return None
        self.missed_windows = 0
        estimate = self._estimate(fit, window.end_us, length_us)
        self._follow(fit, length_us * 1e-6)
        return estimate

    def _map_disc(self) -> DiscMap:
        p = self._parameters
        return DiscMap.of(self.ellipse, self._size, p.angle_bins, p.hub_radius, p.rim_radius)

    def _fit(self, length_s: float) -> SpectrumFit | None:
        harmonics = np.concatenate([step.harmonics for step in self._steps], axis=1)
        if harmonics[:, :, 0].real.sum() < 20:
            return None
        start = self._frequency_hz
        if not self._searched or self.missed_windows:
            start = _strongest_line(harmonics, length_s, start)
            self._searched = True
        fit = fit_line(harmonics, length_s, start, self._frequency_rate)
        return fit if math.isfinite(fit.frequency_std_hz) else None

    def _estimate(self, fit: SpectrumFit, end_us: int, length_us: int) -> RotorEstimate:
        half_s = 0.5e-6 * length_us
        blades = blade_count(fit.pattern, self._parameters.maximum_blades)
        middle = blade_angle(fit.pattern, max(blades, 1))
        end = middle + 2 * math.pi * (
            fit.frequency_hz * half_s + 0.5 * fit.frequency_rate * half_s**2
        )
        end = self._continue_angle(end, max(blades, 1), end_us)
        # The next window's middle is one step on.
        self._frequency_hz = fit.frequency_hz + fit.frequency_rate * self._step_us * 1e-6
        self._frequency_rate = 0.5 * fit.frequency_rate
        angle_std = math.hypot(fit.phase_std_rad, 2 * math.pi * fit.frequency_std_hz * half_s)
        return RotorEstimate(
            id=self.identity,
            t_us=end_us,
            window_us=length_us,
            rpm=60.0 * fit.frequency_hz,
            rpm_std=60.0 * fit.frequency_std_hz,
            blade_count=blades,
            angle_rad=end % (2 * math.pi),
            angle_std_rad=angle_std,
            turns=(end - self._first_angle_rad) / (2 * math.pi),
            center=self.ellipse.center,
            axes=self.ellipse.axes,
            tilt_rad=self.ellipse.tilt_rad,
            velocity=(float(self._velocity_px_s[0]), float(self._velocity_px_s[1])),
            confidence=_confidence(fit, self._parameters.minimum_signal_to_noise),
            events=int(fit.pattern[:, 0].real.sum()),
        )

    def _continue_angle(self, angle: float, blades: int, end_us: int) -> float:
        """The same blade as before: the turn and blade nearest to where it must be by now."""
        if self._angle_rad is None:
            self._first_angle_rad = angle
        else:
            elapsed_s = (end_us - self._angle_at_us) * 1e-6
            expected = self._angle_rad + 2 * math.pi * self._frequency_hz * elapsed_s
            pitch = 2 * math.pi / blades
            angle += pitch * round((expected - angle) / pitch)
        self._angle_rad, self._angle_at_us = angle, end_us
        return angle

    def _follow(self, fit: SpectrumFit, length_s: float) -> None:
        """Move and stretch the disc to what the newest step's phase around it says.

        An alpha-beta filter: the disc is mapped where it will be in the middle of the next step.
        """
        p, step_s = self._parameters, self._step_us * 1e-6
        measured = measure_deformation(self._steps[-1].counts, fit, 0.5 * length_s - step_s, step_s)
        ellipse = self.ellipse
        if measured is not None:
            shift, shear = measured
            ellipse = deformed(ellipse, p.position_gain * shift, p.shape_gain * shear)
            moved = np.subtract(
                deformed(self.ellipse, shift, 0 * shear).center, self.ellipse.center
            )
            self._velocity_px_s += p.velocity_gain * moved / step_s
        x, y = np.asarray(ellipse.center) + self._velocity_px_s * step_s
        ellipse = replace(ellipse, center=(float(x), float(y)))
        if _differs(ellipse, self.ellipse):
            self.ellipse = ellipse
            self._disc = self._map_disc()


def _differs(one: Ellipse, other: Ellipse) -> bool:
    """Whether a change is worth a new table: more than a fiftieth of a pixel at the rim or hub."""
    shift = math.dist(one.center, other.center)
    stretch = math.dist(one.axes, other.axes)
    turn = abs(math.sin(one.tilt_rad - other.tilt_rad)) * (one.axes[0] - one.axes[1])
    return max(shift, stretch, turn) > 0.02


def _time_bins(candidate: RotorCandidate, step_us: int, parameters: TrackerParameters) -> int:
    """Time bins in a step: fine against the passing of a blade, but not finer than 20 µs."""
    passes = abs(candidate.frequency_hz) * candidate.order * step_us * 1e-6
    finest = max(step_us // 20, 1)
    return int(np.clip(math.ceil(passes * parameters.bins_per_blade_pass), min(16, finest), finest))


def _strongest_line(harmonics: NDArray[np.complex64], length_s: float, near_hz: float) -> float:
    """The frequency of greatest line power within two resolution cells of a start value."""
    offsets = np.linspace(-2.0, 2.0, 81) / length_s
    offsets = offsets[np.abs(offsets) < 0.5 * abs(near_hz)]
    frequencies = near_hz + offsets
    return float(frequencies[np.argmax(line_power(harmonics, length_s, frequencies))])


def _confidence(fit: SpectrumFit, minimum_signal_to_noise: float) -> float:
    """Probability that the frequency is right to 1 %: the line is real, its error is below 1 %."""
    is_rotor = 1.0 - math.exp(-(fit.signal_to_noise - 1.0) / minimum_signal_to_noise)
    allowed = 0.01 * abs(fit.frequency_hz)
    is_close = math.erf(allowed / (math.sqrt(2.0) * max(fit.frequency_std_hz, 1e-12)))
    return float(np.clip(is_rotor, 0.0, 1.0) * is_close)
