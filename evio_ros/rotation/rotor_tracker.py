"""Following one rotor from slice to slice: phase, disc and template together."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evio_ros.ellipse import Ellipse
from evio_ros.events import SensorSize
from evio_ros.parameters import Parameters, parameter
from evio_ros.rotation.blades import blade_angle, blade_count
from evio_ros.rotation.disc_following import DiscFilter
from evio_ros.rotation.disc_map import DiscMap, ring_radii
from evio_ros.rotation.estimate import RotorEstimate
from evio_ros.rotation.phase_filter import PhaseFilter
from evio_ros.rotation.slice_histogram import ANGLE_BINS, BIN_RAD
from evio_ros.rotation.slice_measurement import SliceInformation, in_turning_frame, measure_slice
from evio_ros.rotation.template import Template, turned_back

__all__ = ["Motion", "RotorTracker", "TrackerParameters"]

ORDERS = 24
MANOEUVRE_EVIDENCE = 15.0
"""Log likelihood by which another phase must be better than the one foretold to be believed."""
QUIET = 0.25
"""Share of the evidence expected of a slice below which the rotor is not seen turning."""
WANDER_PX = 1.0
WANDER_SHEAR = 0.01
"""How far a disc may wander by chance from one blade to the next."""
LEAST_SLICES = 6
LEAST_MATCH = 0.6
LARGEST_RELATIVE_STD = 0.01
"""What a candidate must reach in slices seen, in evidence over that expected, and in how well its
speed is known, to be taken for a rotor."""


@dataclass(frozen=True)
class TrackerParameters(Parameters):
    """How a rotor is measured and followed."""

    rings: int = parameter(
        4, minimum=1, maximum=16, doc="Rings of a disc, each with its own template."
    )
    maximum_blades: int = parameter(10, minimum=2, maximum=16, doc="Largest number of blades.")
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
    template_memory_us: int = parameter(
        1_000_000, unit="us", minimum=10_000, doc="How long a rotor's looks are remembered."
    )
    agility_px: float = parameter(
        60.0,
        unit="px/s",
        minimum=0.0,
        doc="By how much the velocity of a disc may change in a second.",
    )
    shear_agility: float = parameter(
        1.0, unit="1/s", minimum=0.0, doc="The same of the rate at which a disc changes its shape."
    )
    rest_us: int = parameter(
        5_000_000, unit="us", minimum=0, doc="A rotor that stands still is given up after this time."
    )


@dataclass(frozen=True, slots=True)
class Motion:
    """Phase in rad, speed in rad/s and acceleration in rad/s^2 at a time, and their deviations."""

    t_us: int
    state: tuple[float, float, float]
    deviations: tuple[float, float, float]


class RotorTracker:
    """Follows one rotor.

    Args:
        identity: number of the rotor.
        slot: its number in the pixel table.
        ellipse: first guess of the disc.
        template: first guess of its looks.
        motion: its motion at the start of the first slice.
        size: geometry of the sensor.
        slice_us: length of the slices in µs.
        slices: number of slices in the measured window.
        parameters: how to follow.
    """

    def __init__(
        self,
        identity: int,
        slot: int,
        ellipse: Ellipse,
        template: Template,
        motion: Motion,
        size: SensorSize,
        slice_us: int,
        slices: int,
        parameters: TrackerParameters,
    ) -> None:
        self.identity = identity
        self.slot = slot
        self.template = template
        self.t_us = motion.t_us
        self.stopped = False
        self.unseen_slices = 0
        self.match = 1.0
        self._size = size
        self._slice_us = slice_us
        self._slices = slices
        self._parameters = parameters
        self._phase = PhaseFilter(
            slice_us * 1e-6, slices, *motion.state, np.array(motion.deviations)
        )
        self._first_phase: float | None = None
        self._excess = 3.0
        self._sector_excess = 2.0
        self._pending: NDArray[np.float64] = np.zeros_like(template.looks.slope)
        self._pending_slices = 0
        self._slices_seen = 0
        self._radii = ring_radii(parameters.rings, parameters.hub_radius)
        self._events_per_slice = 0.0
        self._evidence_per_rad = 0.0
        self._resting_speed = abs(motion.state[1])
        self._window_events: list[int] = []
        self.blades = 0
        self._count_blades()
        self._disc = self._make_disc_filter(ellipse, abs(motion.state[1]))

    @property
    def ellipse(self) -> Ellipse:
        """The disc that pixels are mapped with."""
        return self._disc.ellipse

    @property
    def unseen_us(self) -> int:
        """For how long the rotor has not been seen."""
        return self.unseen_slices * self._slice_us

    def disc_map(self) -> DiscMap:
        """Table of the disc's pixels."""
        p = self._parameters
        return DiscMap.of(self.ellipse, self._size, p.rings, p.hub_radius, p.rim_radius)

    def expected(self) -> tuple[float, float]:
        """Phase and speed expected at the start of the next slice."""
        phase, speed, acceleration = self._phase.state
        # The best straight line through the slice.
        return float(phase), float(speed + 0.5 * acceleration * self._slice_us * 1e-6)

    def take(self, counts: NDArray[np.int32]) -> bool:
        """Add a slice counted with `expected`; True where the disc has moved on the table."""
        slice_s = self._slice_us * 1e-6
        phase, speed = self.expected()
        middle = phase + 0.5 * speed * slice_s
        backwards = speed < 0
        folded = in_turning_frame(counts)
        if backwards:
            folded = folded[:, ::-1]
        events = int(folded.sum())
        self._window_events = [*self._window_events[1 - self._slices :], events]
        likelihood = self.template.match(folded)
        offset_bins, manoeuvre = self._find_offset(likelihood)
        gained = float(likelihood[offset_bins])
        self.t_us += self._slice_us
        if self._is_quiet(gained, speed * slice_s):
            self._rest(events)
            return False
        about = (offset_bins + _vertex(likelihood, offset_bins)) * BIN_RAD
        if manoeuvre:
            self._phase.shake(
                0.1, abs(offset_bins) * BIN_RAD / slice_s + 0.1 * abs(speed), abs(speed) / slice_s * 0.1
            )
        looks = self.template.mirrored if backwards else self.template.looks
        seen = measure_slice(
            counts,
            looks,
            self._radii,
            1.0 / self.ellipse.axes[0],
            self.template.response,
            about,
            phase,
            speed * slice_s,
        )
        phase_variance = self._phase.predicted_phase_variance()[0]
        information = seen.information[0, 0]
        if information > 0.0:
            geometry = seen.information[0, 1:]
            offset = (seen.score[0] - geometry @ self._disc.error) / information
            variance = (
                self._excess / information
                + geometry @ self._disc.error_covariance @ geometry / information**2
            )
            if abs(offset) < 4 * BIN_RAD:
                measured = middle + about + offset
                normalised = self._phase.update(measured, variance)
                self._learn_excess(normalised, manoeuvre)
                self._learn_sector_excess(seen)
                if not manoeuvre:
                    self._disc.update(seen, -about, phase_variance + 1e-12, self._sector_excess)
            else:
                self._phase.update(0.0, math.inf)
        else:
            self._phase.update(0.0, math.inf)
        self._disc.predict(slice_s)
        self._judge(gained, events, speed * slice_s)
        now = float(self._phase.state[0])
        corrected = now - 0.5 * float(self._phase.state[1]) * slice_s - middle
        self._learn(folded, corrected)
        self._slices_seen += 1
        if self._disc.rim_error_px() > 0.05:
            self._disc.remap()
            return True
        return False

    def _make_disc_filter(self, ellipse: Ellipse, speed: float) -> DiscFilter:
        # While one blade follows another, the disc must not seem to go farther than can be seen.
        period_s = 2 * math.pi / (max(self.blades, 1) * max(speed, 1e-3))
        return DiscFilter(
            ellipse,
            min(self._parameters.agility_px, WANDER_PX / period_s**1.5),
            min(self._parameters.shear_agility, WANDER_SHEAR / period_s**1.5),
        )

    def is_credible(self) -> bool:
        """Whether what was seen so far is a rotor: its phase was foretold from slice to slice."""
        state, covariance = self._phase.state, self._phase.covariance
        relative_std = math.sqrt(float(covariance[1, 1])) / max(abs(float(state[1])), 1e-9)
        return (
            self.unseen_slices == 0
            and self._slices_seen >= LEAST_SLICES
            and self.match > LEAST_MATCH
            and relative_std < LARGEST_RELATIVE_STD
        )

    def estimate(self) -> RotorEstimate | None:
        """The rotor over the window that ends now; None where it is not seen."""
        if self.unseen_slices * self._slice_us > 20_000 or self.match < 0.3:
            return None
        slices = min(self._phase.slices_seen, self._slices)
        speed, variance = self._phase.mean_speed(slices)
        phase = float(self._phase.state[0])
        if self._first_phase is None:
            self._first_phase = phase
        blades = max(self.blades, 1)
        pattern = self.template.pattern(ORDERS).sum(axis=0)
        angle = phase + blade_angle(pattern, blades)
        ellipse = self._disc.best_ellipse
        std = math.sqrt(max(variance, 0.0))
        return RotorEstimate(
            id=self.identity,
            t_us=self.t_us,
            window_us=slices * self._slice_us,
            rpm=60 / (2 * math.pi) * speed,
            rpm_std=60 / (2 * math.pi) * std,
            blade_count=self.blades,
            angle_rad=angle % (2 * math.pi),
            angle_std_rad=math.sqrt(max(float(self._phase.covariance[0, 0]), 0.0)),
            turns=(phase - self._first_phase) / (2 * math.pi),
            center=ellipse.center,
            axes=ellipse.axes,
            tilt_rad=ellipse.tilt_rad,
            velocity=self._disc.velocity_px_s,
            confidence=self._confidence(speed, std),
            events=int(sum(self._window_events[-slices:])),
        )

    def _find_offset(self, likelihood: NDArray[np.float64]) -> tuple[int, bool]:
        """Bins by which the rotor is ahead, and whether it has left the expected motion."""
        reach = ANGLE_BINS // (2 * max(self.blades, 2))
        bins = np.arange(-reach, reach + 1)
        reachable = likelihood[bins]
        _, agile = self._phase.predicted_phase_variance()
        expected = reachable - (bins * BIN_RAD) ** 2 / (2 * (agile + BIN_RAD**2))
        locked, free = int(expected.argmax()), int(reachable.argmax())
        if reachable[free] - reachable[locked] > MANOEUVRE_EVIDENCE:
            return int(bins[free]), True
        return int(bins[locked]), False

    def _is_quiet(self, gained: float, turned: float) -> bool:
        expected = self._evidence_per_rad * abs(turned)
        if self.stopped:
            expected = self._evidence_per_rad * self._resting_speed * self._slice_us * 1e-6 * 0.3
        return expected > 12.0 and gained < QUIET * expected

    def _rest(self, events: int) -> None:
        slice_s = self._slice_us * 1e-6
        self.unseen_slices += 1
        phase, speed, _ = self._phase.state
        self._phase.update(0.0, math.inf)
        self._disc.predict(0.0)

    def _judge(self, gained: float, events: int, turned: float) -> None:
        expected = events * self.template.contrast
        if expected > 0.5:
            share = min(expected / 20.0, 1.0) * 0.1
            self.match += share * (gained / expected - self.match)
        self.unseen_slices = 0
        if abs(turned) > 1e-3:
            rate = gained / abs(turned)
            share = max(0.02, 1.0 / (1 + self._slices_seen))
            self._evidence_per_rad += share * (rate - self._evidence_per_rad)
        share = max(0.02, 1.0 / (1 + self._slices_seen))
        self._events_per_slice += share * (events - self._events_per_slice)

    def _learn_excess(self, normalised: float, manoeuvre: bool) -> None:
        if manoeuvre or self._slices_seen < 3:
            return
        share = max(0.02, 0.5 / (1 + self._slices_seen))
        self._excess *= 1 + share * (min(normalised, 9.0) - 1)
        self._excess = min(max(self._excess, 0.1), 1e3)

    def _learn_sector_excess(self, seen: SliceInformation) -> None:
        measured = seen.excess()
        if measured is not None:
            self._sector_excess += max(0.05, 1.0 / (1 + self._slices_seen)) * (min(max(measured, 1.0), 40.0) - self._sector_excess)

    def _learn(self, folded: NDArray[np.int32], offset: float) -> None:
        self._pending += turned_back(folded, offset / BIN_RAD)
        self._pending_slices += 1
        if self._pending_slices * self._slice_us < 20_000 and self._slices_seen > 10:
            return
        memory = self._parameters.template_memory_us / self._slice_us
        self.template.learn(self._pending, memory * max(self._events_per_slice, 1.0))
        self._pending[:] = 0.0
        self._pending_slices = 0
        self._count_blades()

    def _count_blades(self) -> None:
        self.blades = blade_count(self.template.pattern(ORDERS), self._parameters.maximum_blades)

    def _confidence(self, speed: float, std: float) -> float:
        allowed = 0.01 * max(abs(speed), 0.01 * self._resting_speed)
        is_close = math.erf(allowed / (math.sqrt(2.0) * max(std, 1e-12)))
        return float(np.clip(self.match, 0.0, 1.0) * is_close)


def _vertex(values: NDArray[np.float64], index: int) -> float:
    """Place of the vertex of the parabola through a periodic table's value and its neighbours."""
    before, here, after = values[index - 1], values[index], values[(index + 1) % len(values)]
    bend = before - 2 * here + after
    return float(np.clip(0.5 * (before - after) / bend, -0.5, 0.5)) if bend < 0 else 0.0
