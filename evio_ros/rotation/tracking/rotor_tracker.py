"""Following one rotor from slice to slice: phase, disc and template together."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from evio_ros.ellipse import Ellipse
from evio_ros.estimate import RotorEstimate
from evio_ros.events import SensorSize
from evio_ros.rotation.known_discs import KnownDisc
from evio_ros.rotation.tracking.coherent_integration import HeldSlices
from evio_ros.rotation.tracking.disc_filter import DiscFilter
from evio_ros.rotation.tracking.disc_map import DiscMap, ring_radii
from evio_ros.rotation.tracking.error_budget import ErrorMemory
from evio_ros.rotation.tracking.lock_detector import DOUBTFUL_EXCESS, LEAST_MATCH, Evidence
from evio_ros.rotation.tracking.matched_filter import MatchedOffset, find_offset
from evio_ros.rotation.tracking.over_dispersion import NoiseScale
from evio_ros.rotation.tracking.phase_filter import PhaseFilter
from evio_ros.rotation.tracking.rotor_motion import Motion
from evio_ros.rotation.tracking.score import SliceInformation, fold_sectors, measure_slice
from evio_ros.rotation.tracking.slice_histogram import BIN_RAD
from evio_ros.rotation.tracking.speed_uncertainty import within_probability
from evio_ros.rotation.tracking.template import Template
from evio_ros.rotation.tracking.template_update import TemplateLearning
from evio_ros.rotation.tracking.tracker_parameters import TrackerParameters

__all__ = ["RotorTracker", "TrackerParameters"]

Counts = NDArray[np.int32]

LARGEST_SURPRISE = 36.0
"""Squared innovation over its variance beyond which even the most agile filter does not follow."""
FURTHEST_RAD = 4 * BIN_RAD
"""Offsets beyond the likelihood's maximum that are larger than this are not believed."""
SWEPT_RAD = 0.35
"""A rotor that turns by less in a slice is measured over several slices."""
LEAST_CONTRAST = 0.1
LARGEST_RELATIVE_STD = 0.01
"""What a candidate must reach to be taken for a rotor."""


class RotorTracker:
    """Follows one rotor.

    Args:
        identity: number of the rotor.
        ellipse: first guess of the disc.
        template: first guess of its looks.
        motion: its motion at the start of the first slice.
        size: geometry of the sensor.
        slice_us: length of the slices in µs.
        slices: number of slices in the measured window.
        parameters: how to follow.

    Attributes:
        t_us: end of the last slice.
        stopped: whether the rotor stands still.
        unseen_us: for how long it has been lost, 0 while it is seen turning or standing.
        resting_us: for how long it has been standing still.
        doubtful_us: for how long its disc has failed to explain the events.
    """

    def __init__(
        self,
        identity: int,
        ellipse: Ellipse,
        template: Template,
        motion: Motion,
        size: SensorSize,
        slice_us: int,
        slices: int,
        parameters: TrackerParameters,
    ) -> None:
        self.identity = identity
        self.t_us = motion.t_us
        self.stopped = False
        self.unseen_us = self.resting_us = self.doubtful_us = 0
        self._size = size
        self._slice_us = slice_us
        self._slice_s = slice_us * 1e-6
        self._slices = slices
        self._parameters = parameters
        self._evidence = Evidence()
        self._noise = NoiseScale()
        self._held: HeldSlices | None = None
        self._folded: Counts = np.zeros(template.looks.slope.shape, np.int32)
        self._learning = TemplateLearning(template, parameters, motion.t_us)
        self._errors = ErrorMemory(self._learning.drift)
        self._radii = ring_radii(parameters.rings, parameters.hub_radius)
        self._usual_speed = abs(motion.state[1])
        self._window_events: deque[int] = deque(maxlen=slices)
        self._first_phase: float | None = None
        self._seen_phase, self._seen_us = motion.state[0], motion.t_us
        period_s = 2 * math.pi / (max(self.blades, 1) * max(self._usual_speed, 1e-3))
        self._phase = PhaseFilter(
            self._slice_s, slices, *motion.state, np.array(motion.deviations), period_s
        )
        self._disc = DiscFilter(
            ellipse, parameters.agility_px_s, parameters.shear_agility, period_s
        )

    @property
    def template(self) -> Template:
        """Its looks as far as they are known."""
        return self._learning.template

    @property
    def blades(self) -> int:
        """Number of blades; see `blade_count`."""
        return self._learning.blades

    @property
    def ellipse(self) -> Ellipse:
        """The disc that pixels are mapped with."""
        return self._disc.ellipse

    @property
    def usual_speed(self) -> float:
        """Size of the speed at which it turned last, rad/s."""
        return self._usual_speed

    def disc_map(self) -> DiscMap:
        """Table of the disc's pixels."""
        p = self._parameters
        return DiscMap.of(self.ellipse, self._size, p.rings, p.hub_radius, p.rim_radius)

    def expected(self) -> tuple[float, float]:
        """Phase and speed with which the next slice is to be counted."""
        if self._held is not None:
            held = self._held
            return held.phase + held.speed * held.slices * self._slice_s, held.speed
        if self.stopped:
            return float(self._phase.state[0]), 0.0
        phase, speed, acceleration = self._phase.state.tolist()
        # The best straight line through the slice.
        return phase, speed + 0.5 * acceleration * self._slice_s

    def take(self, counts: Counts, is_last: bool) -> bool:
        """Add a slice counted with `expected`.

        Args:
            counts: int32 (rings, SECTORS, 2, ANGLE_BINS); not kept.
            is_last: whether an estimate will be asked for before the next slice.

        Returns:
            True where the disc has moved on the table.
        """
        phase, speed = self.expected()
        self.t_us += self._slice_us
        events = fold_sectors(counts, phase, speed * self._slice_s, self._folded)
        self._window_events.append(events)
        if self.stopped:
            self._rest(events)
            return False
        held = HeldSlices(counts, self._folded, events, 1, phase, speed)
        if self._held is not None:
            held = self._held.joined(held)
        if not is_last and abs(held.speed) * held.slices * self._slice_s < SWEPT_RAD:
            self._held = held.kept()
            return False
        self._held = None
        return self._measure(held)

    def is_seen(self) -> bool:
        """Whether something turns as was foretold from slice to slice."""
        return (
            not self.stopped
            and self.unseen_us == 0
            and self._evidence.is_enough()
            and self.template.contrast > LEAST_CONTRAST
        )

    def is_credible(self) -> bool:
        """Whether it is a rotor as well: its speed is known, and its disc explains the events."""
        state, covariance = self._phase.state, self._phase.covariance
        relative_std = math.sqrt(float(covariance[1, 1])) / max(abs(float(state[1])), 1e-9)
        return (
            self.is_seen()
            and relative_std < LARGEST_RELATIVE_STD
            and self._excess() < DOUBTFUL_EXCESS
        )

    def known_disc(self) -> KnownDisc:
        """The disc as it is believed to be now."""
        return KnownDisc(self._disc.best_ellipse, self._disc.center_std_px, self.blades)

    def retraced(self, t_us: int) -> tuple[Ellipse, Template, Motion]:
        """Disc, looks and motion at an earlier time, as they are known by now.

        Looks are those seen since it began: the first guess had a disc that was not yet well known.
        """
        ago = (self.t_us - t_us) * 1e-6
        motion = Motion.before(t_us, ago, self._phase.state, self._phase.covariance)
        ellipse = self._disc.best_ellipse
        x, y = np.subtract(ellipse.center, np.multiply(self._disc.velocity_px_s, ago))
        moved = replace(ellipse, center=(float(x), float(y)))
        return moved, self.template.relearned(), motion

    def estimate(self) -> RotorEstimate | None:
        """The rotor over the window that ends now; None where it is not seen."""
        if self.unseen_us > 0 or self._evidence.match < 0.5 * LEAST_MATCH:
            return None
        slices = self._phase.slices_seen
        speed, filtered = self._phase.mean_speed(slices)
        phase = float(self._phase.state[0])
        if self._first_phase is None:
            self._first_phase = phase
        angle = phase + self._learning.blade_angle()
        ellipse = self._disc.best_ellipse
        variance = self._errors.speed_variance(
            self.t_us, slices, self._phase, max(filtered, 0.0), self._noise.sectors
        )
        std = math.sqrt(variance)
        return RotorEstimate(
            id=self.identity,
            t_us=self.t_us,
            window_us=slices * self._slice_us,
            rpm=60 / (2 * math.pi) * speed,
            rpm_std=60 / (2 * math.pi) * std,
            blade_count=self.blades,
            angle_rad=angle % (2 * math.pi),
            angle_std_rad=math.sqrt(self._phase.phase_variance),
            turns=(phase - self._first_phase) / (2 * math.pi),
            center=ellipse.center,
            axes=ellipse.axes,
            tilt_rad=ellipse.tilt_rad,
            velocity=self._disc.velocity_px_s,
            confidence=self._confidence(speed, std),
            events=int(sum(list(self._window_events)[-slices:])),
            center_std=self._disc.center_std_px,
        )

    def resume(self, phase: float, speed: float, deviations: tuple[float, float, float]) -> None:
        """Go on from a motion found anew, at the end of the last slice.

        Of all blades that phase may belong to, it is taken for the one that keeps the count of
        turns: it must have started from where the rotor was seen last.

        Args:
            phase: angle up to a blade's pitch.
            speed: rad/s.
            deviations: of phase, speed and acceleration.
        """
        pitch = 2 * math.pi / max(self.blades, 1)
        was = self._seen_phase + speed * (self.t_us - self._seen_us) * 1e-6
        phase += pitch * round((was - phase) / pitch)
        lost = (self.t_us - self._seen_us) // self._slice_us
        self._phase.restart(phase, speed, 0.0, np.array(deviations), lost)
        self.stopped = False
        self.unseen_us = 0
        self.resting_us = 0
        self._held = None
        self._evidence.forget_absence()

    def _measure(self, held: HeldSlices) -> bool:
        """Measure phase and disc; True where the disc has moved on the table."""
        turned = held.speed * held.slices * self._slice_s
        looks = self.template.looks
        variances = self._phase.predicted_phase_variance()
        matched = find_offset(held.folded, looks.log_density, self.blades, variances[1])
        if self._evidence.is_absent(matched.gained, turned):
            self._miss(held, turned)
            return False
        self._seen_phase, self._seen_us = held.phase + turned, self.t_us
        self.unseen_us = 0
        seen = measure_slice(
            held.counts,
            looks,
            self._radii,
            1.0 / self.ellipse.axes[0],
            self.template.response,
            matched.offset_rad,
            held.phase,
            turned,
        )
        self._take_in(held, seen, matched, variances)
        length_us = held.slices * self._slice_us
        is_doubtful = self._excess() > DOUBTFUL_EXCESS
        self.doubtful_us = self.doubtful_us + length_us if is_doubtful else 0
        self._disc.predict(held.slices * self._slice_s)
        self._errors.see_disc(self.t_us, self._disc)
        self._evidence.learn(matched.gained, held.events, turned, self.template.contrast)
        phase, speed, _ = self._phase.state.tolist()
        self._usual_speed = max(abs(speed), 0.99 * self._usual_speed)
        middle_s = 0.5 * held.slices * self._slice_s
        ahead = phase - speed * middle_s - (held.phase + 0.5 * turned)
        self._learning.add(self.t_us, held.folded, ahead, length_us, self._evidence.slices)
        if self._disc.is_off():
            self._disc.remap()
            return True
        return False

    def _take_in(
        self,
        held: HeldSlices,
        seen: SliceInformation,
        matched: MatchedOffset,
        variances: tuple[float, float],
    ) -> None:
        """Correct the phase and the disc by what slices have shown."""
        expected_variance, agile_variance = variances
        about, is_manoeuvre = matched.offset_rad, matched.is_manoeuvre
        offset, uncertain = self._disc.phase_offset(seen)
        variance = math.inf
        if uncertain < math.inf:
            variance = self._noise.phase / seen.information[0, 0]
            self._errors.see_slice(variance, uncertain)
            variance += uncertain
        if abs(offset) > FURTHEST_RAD:
            self._pass(held.slices)
            return
        surprise = (about + offset) ** 2 / (agile_variance + variance)
        if is_manoeuvre or surprise > LARGEST_SURPRISE:
            is_manoeuvre = True
            self._shake(about + offset, held)
        # Several slices together are one measurement, in the one in their middle.
        middle = held.slices // 2
        self._pass(middle)
        line = held.phase + held.speed * (middle + 0.5) * self._slice_s
        normalised = self._phase.update(line + about + offset, variance)
        self._errors.scale.learn(math.copysign(math.sqrt(normalised), about + offset))
        if not is_manoeuvre:
            self._noise.learn_phase(normalised, self._evidence.slices)
        self._pass(held.slices - middle - 1)
        self._noise.learn_sectors(seen, self._evidence.slices)
        if not is_manoeuvre:
            self._disc.update(seen, -about, expected_variance + 1e-12, self._noise.sectors)

    def _pass(self, slices: int) -> None:
        """Let slices pass of which nothing is measured."""
        for _ in range(slices):
            self._phase.update(0.0, math.inf)

    def _shake(self, offset: float, held: HeldSlices) -> None:
        """Widen the filter for a sudden change of speed that has led to an offset."""
        length_s = held.slices * self._slice_s
        change = 2 * abs(offset) / length_s + 0.02 * abs(held.speed)
        self._phase.shake(0.0, change, 0.1 * abs(held.speed) / length_s)

    def _miss(self, held: HeldSlices, turned: float) -> None:
        """The rotor was not seen turning: it stands still, or is lost."""
        if self._evidence.are_events_missing(held.events, turned):
            self.stopped = True
            phase = held.phase
            spread = (0.3 * abs(turned), 0.01 * self._usual_speed, 0.0)
            self._phase.restart(phase, 0.0, 0.0, np.array(spread), 0)
            for _ in range(held.slices):
                self._rest(held.events)
            return
        self.unseen_us += held.slices * self._slice_us
        self._pass(held.slices)

    def _rest(self, events: int) -> None:
        """Take in a slice in which the rotor stands still; notice when it starts again."""
        phase = float(self._phase.state[0])
        restless = 0.1 * self._evidence.events_per_rad * self._usual_speed * self._slice_s + 10
        if events > restless and self.resting_us > 0:
            self.unseen_us += self._slice_us
            self._pass(1)
            return
        self.unseen_us = 0
        self.resting_us += self._slice_us
        self._seen_phase, self._seen_us = phase, self.t_us
        # It may creep, but no faster than the events that are left allow.
        creep = 0.5 * events / max(self._evidence.events_per_rad * self._slice_s, 1e-9)
        calm = (1e-4 * self._usual_speed + creep) ** 2
        self._phase.update(phase, (0.1 * self._usual_speed * self._slice_s) ** 2, 0.0, calm)

    def _confidence(self, speed: float, std: float) -> float:
        allowed = 0.01 * max(abs(speed), 0.01 * self._usual_speed)
        return self._evidence.is_rotor(self._excess()) * within_probability(allowed, std)

    def _excess(self) -> float:
        """See `Evidence.is_rotor`."""
        return self._noise.phase * self._noise.sectors / max(self.template.contrast, 1e-3)
