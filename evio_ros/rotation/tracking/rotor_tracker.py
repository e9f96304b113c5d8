"""Tracking one rotor from slice to slice: phase, disc and template together.

Method: a phase-locked loop. Each slice is counted with the motion that the phase filter predicts. A
matched filter with the template is the phase discriminator; the score refines its offset and
separates it from errors of the disc's position and shape. `RotorTracker._measure` is the loop.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evio_ros.ellipse import Ellipse
from evio_ros.estimate import RIGHT_ERROR, RotorEstimate
from evio_ros.explanation import Reason, Rejection
from evio_ros.rotation.known_discs import KnownDisc
from evio_ros.rotation.tracking.cyclic_error import CyclicError
from evio_ros.rotation.tracking.disc_filter import DiscFilter
from evio_ros.rotation.tracking.likelihood import (
    LARGEST_STEP_RAD,
    Match,
    Score,
    match_template,
    score_of,
)
from evio_ros.rotation.tracking.lock_detector import LockDetector, why_wrong_disc
from evio_ros.rotation.tracking.over_dispersion import OverDispersion
from evio_ros.rotation.tracking.phase_filter import Motion, PhaseFilter
from evio_ros.rotation.tracking.slice_counts import CoherentSlices
from evio_ros.rotation.tracking.speed_uncertainty import (
    ErrorBudget,
    VarianceParts,
    within_probability,
)
from evio_ros.rotation.tracking.template import Template, TemplateUpdater
from evio_ros.units import RPM_PER_RAD_S

__all__ = ["LearnedErrors", "RotorTracker"]

_Counts = NDArray[np.int32]

_COHERENT_RAD = 0.35
"""A rotor that turns by less than this in a slice is measured over several slices together, by
coherent integration: a sector spans 0.39 rad, and an error of the disc does not show until an edge
has passed it. Fitted to simulated recordings."""
_STOPPED_PHASE, _STOPPED_SPEED = 0.3, 0.01
"""Standard deviations when a rotor has just stopped: of the phase as a share of the angle that it
should have turned, of the speed as a share of the usual one. Fitted to simulated recordings."""
_RESTING_PHASE, _RESTING_SPEED = 0.1, 1e-4
"""Standard deviations of the measurement that a rotor stands still: of the phase as a share of the
usual turn in a slice, of the speed as a share of the usual one. Fitted to simulated recordings."""
_USUAL_KEPT = 0.99
"""Decay per slice of the usual speed while a rotor turns more slowly: 100 slices, or half a second
of 5 ms slices."""
_LEAST_LIVE = 0.8
"""Minimum live share of a slice that is measured: with less, it is not known which angles passed
each sector of the disc. Set by hand."""
_LEAST_CONTRAST = 0.1
"""Minimum contrast of a rotor's template, see `Template`. Fitted to simulated recordings."""
_SLOW_SHARE = 0.01
"""Minimum speed, as a share of the usual one, to which errors are relative: otherwise no speed of a
rotor at rest could be right to `RIGHT_ERROR`."""
_UNKNOWN = -1
"""Identity of a tracker that has not been accepted as a rotor yet."""


@dataclass(frozen=True, slots=True)
class LearnedErrors:
    """What a tracker has learned about the errors of a rotor's phase.

    Attributes:
        dispersion: ratio of their variances to those of Poisson statistics.
        cyclic: the part that repeats in every turn.
    """

    dispersion: OverDispersion
    cyclic: CyclicError


class RotorTracker:
    """Tracks one rotor.

    Args:
        start_us: sensor time of the start of the first slice.
        phase: filter of its motion.
        disc: filter of its disc.
        template: its template with the updater.
        fastest_rad_s: a rotor that seems to turn faster than this counts as lost, rad/s.

    Attributes:
        identity: number of the rotor, set by the detector; -1 until then.
        t_us: sensor time of the end of the last slice.
        stopped: whether the rotor stands still.
        unseen_us: time for which it has been lost; 0 while it is seen turning or standing still.
        resting_us: time for which it has been standing still.
        doubtful_us: time for which its disc has failed to explain the events.
        usual_speed: magnitude of its usual speed, rad/s; decays slowly when the rotor slows down.
    """

    def __init__(
        self,
        start_us: int,
        phase: PhaseFilter,
        disc: DiscFilter,
        template: TemplateUpdater,
        fastest_rad_s: float,
    ) -> None:
        self.identity = _UNKNOWN
        self.t_us = start_us
        self.stopped = False
        self.unseen_us = self.resting_us = self.doubtful_us = 0
        self.usual_speed = abs(float(phase.state[1]))
        self._phase, self._disc, self._template = phase, disc, template
        self._fastest_rad_s = fastest_rad_s
        self._lock = LockDetector()
        self._dispersion = OverDispersion()
        self._cyclic = CyclicError()
        self._errors = ErrorBudget(start_us, template.template.first_share)
        # Slices of a slow rotor that are not measured yet.
        self._held: CoherentSlices | None = None
        # Ends and numbers of events of the window's slices.
        self._events: deque[tuple[int, int]] = deque()
        self._first_phase: float | None = None
        # Phase, sensor time and speed when it was last seen.
        self._seen_phase, self._seen_us = float(phase.state[0]), start_us
        self._seen_speed = float(phase.state[1])
        # Time without data since it was last seen.
        self._dead_us = 0

    @property
    def template(self) -> Template:
        """The learned template of the rotor."""
        return self._template.template

    @property
    def ellipse(self) -> Ellipse:
        """The disc with which pixels are mapped."""
        return self._disc.ellipse

    @property
    def variance_parts(self) -> VarianceParts | None:
        """Parts of the variance of the latest estimate; None before the first one."""
        return self._errors.parts

    def expected_motion(self, length_us: int) -> tuple[float, float]:
        """Phase in rad and speed in rad/s with which the next slice is counted.

        Args:
            length_us: length of that slice.
        """
        if self._held is not None:
            return self._held.end, self._held.speed
        phase, speed, acceleration = self._phase.state.tolist()
        if self.stopped:
            return phase, 0.0
        # The line from the predicted phase at the start of the slice to that at its end.
        return phase, speed + 0.5 * acceleration * (1e-6 * length_us)

    def take(
        self,
        counts: _Counts,
        length_us: int,
        is_last: bool,
        live: float = 1.0,
        share: float = 1.0,
    ) -> bool:
        """Process a slice that was counted with `expected_motion`.

        Args:
            counts: int32 (rings, SECTORS, 2, ANGLE_BINS); they may be overwritten afterwards.
            length_us: length of the slice.
            is_last: whether `estimate` will be called before the next slice.
            live: share of the slice for which there is data.
            share: share of the slice's events that was taken.

        Returns:
            True if the disc must be drawn anew in the pixel table.
        """
        slices = CoherentSlices.of(counts, *self.expected_motion(length_us), length_us, live, share)
        self.t_us += length_us
        self._note_events(slices.events)
        if self.stopped:
            self._rest(slices.events, length_us, live, share)
            return False
        if self._held is not None:
            slices = self._held.joined(slices)
        if not is_last and abs(slices.turned_rad) < _COHERENT_RAD:
            self._held = slices.kept()
            return False
        self._held = None
        return self._measure(slices)

    def _measure(self, slices: CoherentSlices) -> bool:
        """The loop: measure phase and disc; returns whether the disc must be drawn anew."""
        if slices.live < 1.0:
            self._lock.skip(is_whole=not slices.live)
        if not slices.live:
            self._pass_dead(slices.lengths_us)
            return False
        predicted, widest = self._phase.predicted_phase_variance(slices.lengths_us[0])
        template = self.template
        match = match_template(slices.folded, template.tables, self._template.blades, widest)
        if self._lock.is_lost(match.gain, slices.exposed_rad):
            self._coast(slices)
            return False
        self._note_seen(slices.end)
        if slices.live < _LEAST_LIVE:
            self._phase.coast(slices.lengths_us)
            return False
        score = score_of(slices, template, match.offset_rad, 1.0 / self.ellipse.axes[0])
        self._correct(slices, match, score, predicted, widest)
        if abs(float(self._phase.state[1])) > self._fastest_rad_s:
            self._lose(slices)
            return False
        self._disc.predict(slices.length_s)
        self._lock.update(match.gain, slices.events, slices.exposed_rad, template.contrast)
        is_doubtful = why_wrong_disc(self._over_dispersion()) is not None
        self.doubtful_us = self.doubtful_us + slices.length_us if is_doubtful else 0
        self._update_template(slices)
        return self._disc.remap()

    def _correct(
        self,
        slices: CoherentSlices,
        match: Match,
        score: Score,
        predicted_variance: float,
        widest_variance: float,
    ) -> None:
        """Update the phase filter and the disc filter, and learn the errors of the phase.

        Args:
            slices: the slices.
            match, score: their offset, and their score at this offset.
            predicted_variance, widest_variance: see `PhaseFilter.predicted_phase_variance`.
        """
        beyond, disc_variance = self._disc.phase_given(score)
        if abs(beyond) > LARGEST_STEP_RAD:
            self._phase.coast(slices.lengths_us)
            return
        dispersion, information = self._dispersion, float(score.information[0, 0])
        dispersion.begin(information, self._phase.wobble_rad, self._phase.wobble_noise_share)
        own_variance = dispersion.phase_variance(information)
        self._errors.add_slice(own_variance, disc_variance)
        variance = own_variance + disc_variance
        middle, line, after_us = slices.middle()
        uncorrected = line + match.offset_rad + beyond
        cyclic = self._cyclic.at(uncorrected)
        offset = match.offset_rad + beyond - cyclic
        normalised = offset**2 / (predicted_variance + variance)
        if dispersion.is_manoeuvre(offset**2 / (widest_variance + variance)):
            self._errors.observed.interrupt()
            self._phase.inflate(offset, slices.speed, slices.length_s)
        measured = line + offset
        self._phase.update_coherent(slices.lengths_us, middle, measured, variance)
        self._errors.add_innovation(math.copysign(math.sqrt(normalised), offset))
        dispersion.update_phase(normalised, self._lock.slices)
        time_s = 1e-6 * (self.t_us - after_us)
        self._errors.observed.add_phase(
            time_s, measured, variance, slices.speed, self._phase.jerk_power
        )
        dispersion.update_white(time_s, measured, information)
        dispersion.update_sectors(score, slices.events, self._lock.slices)
        expected_offset = cyclic - match.offset_rad
        self._disc.update(score, expected_offset, predicted_variance, dispersion.sectors)
        self._learn_cyclic(time_s, uncorrected)

    def _learn_cyclic(self, time_s: float, uncorrected: float) -> None:
        """Learn the cyclic error, and subtract its change from all measured phases.

        Args:
            time_s: time of a measured phase in s.
            uncorrected: that phase in rad, without correction.
        """
        was_known = self._cyclic.is_known
        # A model with little process noise averages over the turns by itself.
        is_wanted = was_known or self._phase.is_agile
        change = self._cyclic.add(time_s, uncorrected, is_wanted)
        if change is None:
            return
        self._phase.correct_phases(change.at)
        self._errors.observed.correct_phases(change.at)
        if not was_known:
            self._errors.observed.forget()
            # A part of what was taken for motion and for noise was the cyclic error.
            self._phase.inflate_speed(change.size_rad * abs(float(self._phase.state[1])))
            self._dispersion.phase = self._dispersion.white

    def _update_template(self, slices: CoherentSlices) -> None:
        """Update the template with slices, at their measured phase."""
        phase, speed, _ = self._phase.state.tolist()
        self.usual_speed = max(abs(speed), _USUAL_KEPT * self.usual_speed)
        middle_s = 0.5 * slices.length_s
        at_middle = phase - speed * middle_s
        ahead = at_middle + self._cyclic.at(at_middle) - (slices.phase + 0.5 * slices.turned_rad)
        drift = self._template.add(
            self.t_us,
            slices.folded,
            ahead,
            slices.length_us,
            self._lock.slices,
            slices.live * slices.share,
        )
        if drift is not None:
            self._errors.add_drift(self.t_us, drift)

    def _coast(self, slices: CoherentSlices) -> None:
        """Process slices in which the rotor was not seen turning: it stands still or is lost."""
        self._dispersion.interrupt()
        if not self._lock.is_standing(slices.events, slices.exposed_rad):
            self._cyclic.interrupt()
            self.unseen_us += slices.length_us
            self._phase.coast(slices.lengths_us)
            return
        # A rotor that was braking when last seen, and would be turning back by now, is at rest.
        is_at_rest = slices.speed * self._seen_speed < 0.0
        if self._lock.is_usually_unseen(slices.turned_rad * slices.live) and not is_at_rest:
            self._phase.coast(slices.lengths_us)
            return
        self.stopped = True
        self._cyclic.interrupt()
        spread = _STOPPED_PHASE * abs(slices.turned_rad), _STOPPED_SPEED * self.usual_speed, 0.0
        # If it stands still after dead time, it may have stopped before or during that time.
        phase = self._seen_phase if self._dead_us or is_at_rest else slices.phase
        unseen_us = self.t_us - slices.length_us - self._seen_us if is_at_rest else 0
        self._restart_motion(phase, 0.0, spread, unseen_us)
        for length_us in slices.lengths_us:
            self._rest(slices.events, length_us, slices.live, slices.share)

    def _lose(self, slices: CoherentSlices) -> None:
        """Declare the rotor lost, because its speed is implausible; it must be reacquired."""
        speed = math.copysign(self.usual_speed, slices.speed)
        spread = math.pi, self.usual_speed, self.usual_speed / slices.length_s
        self._restart_motion(slices.end, speed, spread, 0)
        self._cyclic.interrupt()
        self.unseen_us += slices.length_us

    def _restart_motion(
        self, phase: float, speed: float, deviations: tuple[float, float, float], lost_us: int
    ) -> None:
        """Reset the motion, see `PhaseFilter.restart`; earlier phases are not used any more."""
        self._phase.restart(phase, speed, deviations, lost_us)
        self._errors.observed.interrupt()
        self._dispersion.interrupt()

    def _pass_dead(self, lengths_us: tuple[int, ...]) -> None:
        """Predict through slices without data."""
        self._dead_us += sum(lengths_us)
        self._phase.coast(lengths_us)

    def _rest(self, events: int, length_us: int, live: float, share: float) -> None:
        """Process a slice of a rotor that stands still, and detect whether it turns again."""
        if not live:
            self._pass_dead((length_us,))
            return
        length_s, exposure = 1e-6 * length_us, live * share
        usual_rad = self.usual_speed * length_s
        if self.resting_us > 0 and self._lock.is_restarting(events, usual_rad * exposure):
            self.unseen_us += length_us
            self._phase.coast((length_us,))
            return
        phase = float(self._phase.state[0])
        self._note_seen(phase)
        self.resting_us += length_us
        # It may creep, but no faster than its remaining events allow.
        creep = _RESTING_SPEED * self.usual_speed + self._lock.creep_rad_s(
            events, length_s * exposure
        )
        self._phase.update(length_us, phase, (_RESTING_PHASE * usual_rad) ** 2, 0.0, creep**2)

    def resume(self, phase: float, speed: float, deviations: tuple[float, float, float]) -> None:
        """Continue with a reacquired motion, from the end of the last slice.

        The phase is ambiguous by multiples of a blade's pitch. The phase closest to that of a
        rotor that has turned with this speed since it was last seen is taken, so that turns are
        counted on.

        Args:
            phase: angle in rad, up to a multiple of a blade's pitch.
            speed: rad/s.
            deviations: standard deviations of phase, speed and acceleration.
        """
        if self._held is not None:
            self._phase.coast(self._held.lengths_us)
        pitch = 2 * math.pi / max(self._template.blades, 1)
        lost_us = self.t_us - self._seen_us
        likely = self._seen_phase + speed * 1e-6 * lost_us
        phase += pitch * round((likely - phase) / pitch)
        self._restart_motion(phase, speed, deviations, lost_us)
        self.stopped = False
        self.unseen_us = self.resting_us = 0
        self._held = None
        self._lock.restart()
        # With several blades, the phase may be off by a blade's pitch from now on.
        self._cyclic = self._cyclic.continued() if self._template.blades <= 1 else CyclicError()

    def why_not_seen(self) -> Rejection | None:
        """Why the rotor is not seen turning as expected; None if it is."""
        unlocked, contrast = self._lock.why_not_locked(), self.template.contrast
        if unlocked is not None:
            return unlocked
        if not contrast > _LEAST_CONTRAST:
            return Rejection(Reason.LOW_CONTRAST, contrast, _LEAST_CONTRAST)
        if self.stopped:
            return Rejection(Reason.STOOD_STILL, 1e-6 * self.resting_us)
        if self.unseen_us:
            return Rejection(Reason.NOT_FOLLOWED, 1e-6 * self.unseen_us)
        return None

    def why_not_credible(self) -> Rejection | None:
        """Why it is not accepted as a rotor; None if it is."""
        unseen = self.why_not_seen()
        if unseen is not None:
            return unseen
        speed, variance = float(self._phase.state[1]), float(self._phase.covariance[1, 1])
        relative_std = math.sqrt(variance) / max(abs(speed), 1e-9)
        if not relative_std < RIGHT_ERROR:
            return Rejection(Reason.UNSURE_SPEED, relative_std, RIGHT_ERROR)
        return why_wrong_disc(self._over_dispersion())

    def is_credible(self) -> bool:
        """Whether it is accepted as a rotor: it is seen, and speed and disc are known well."""
        return self.why_not_credible() is None

    @property
    def probability(self) -> float:
        """Probability that it is a rotor, whether or not its speed is known well."""
        return self._lock.probability(self._over_dispersion())

    @property
    def gain(self) -> float:
        """Log likelihood of all slices under the template, relative to no pattern."""
        return self._lock.gain

    def known_disc(self) -> KnownDisc:
        """The current best estimate of the disc."""
        return KnownDisc(self._disc.best_ellipse, self._disc.center_std_px, self._template.blades)

    def extrapolated_to(self, t_us: int) -> tuple[Ellipse, Template, Motion]:
        """Disc, template and motion at an earlier sensor time in µs, as far as they are known now.

        The template contains only the updates, because the first guess was made with a disc that
        was not yet well known.
        """
        ago_s = (self.t_us - t_us) * 1e-6
        motion = self._phase.motion_before(t_us, ago_s)
        return self._disc.ellipse_before(ago_s), self.template.without_first_guess(), motion

    def learned_errors(self) -> LearnedErrors:
        """The learned errors of the rotor's phase, for another tracker."""
        return LearnedErrors(self._dispersion.continued(), self._cyclic.continued())

    def start_with(self, errors: LearnedErrors) -> None:
        """Start with the errors that another tracker of the same disc has learned."""
        self._dispersion = errors.dispersion.continued()
        self._cyclic = errors.cyclic.continued()

    def estimate(self) -> RotorEstimate | None:
        """Estimate over the window that ends now; None if the rotor is not seen at its end."""
        if self.unseen_us > 0 or not self._lock.is_match():
            return None
        window = self._phase.window()
        if self._dead_us >= window.length_us:
            return None
        phase = window.end_phase
        if self._first_phase is None:
            self._first_phase = phase
        ellipse = self._disc.best_ellipse
        variance = self._errors.take_window(
            self.t_us, window, self._dispersion.sectors, self._cyclic.variance
        )
        if 0 < self.resting_us < window.length_us:
            # It may have turned farther while no edge was in view.
            variance += (self._lock.longest_unseen_rad / (1e-6 * window.length_us)) ** 2
        std = math.sqrt(variance)
        start_us = self.t_us - window.length_us
        return RotorEstimate(
            id=self.identity,
            t_us=self.t_us,
            window_us=window.length_us,
            rpm=RPM_PER_RAD_S * window.speed,
            rpm_std=RPM_PER_RAD_S * std,
            blade_count=self._template.blades,
            angle_rad=(phase + self._template.blade_angle()) % (2 * math.pi),
            angle_std_rad=math.sqrt(window.end_variance),
            turns=(phase - self._first_phase) / (2 * math.pi),
            center=ellipse.center,
            axes=ellipse.axes,
            tilt_rad=ellipse.tilt_rad,
            velocity=self._disc.velocity_px_s,
            confidence=self._confidence(window.speed, std),
            events=sum(events for t_us, events in self._events if t_us > start_us),
            center_std=self._disc.center_std_px,
        )

    def _confidence(self, speed: float, std: float) -> float:
        """Probability that it is a rotor and that its speed is right to `RIGHT_ERROR`."""
        allowed = RIGHT_ERROR * max(abs(speed), _SLOW_SHARE * self.usual_speed)
        return self.probability * within_probability(allowed, std)

    def _over_dispersion(self) -> float:
        """Over-dispersion over contrast, see `LockDetector.probability`."""
        return self._dispersion.over_contrast(self.template.contrast)

    def _note_seen(self, phase: float) -> None:
        """Record that the rotor was seen, and its phase in rad at the end of the slice."""
        self.unseen_us = self._dead_us = 0
        self._seen_phase, self._seen_us = phase, self.t_us
        self._seen_speed = float(self._phase.state[1])

    def _note_events(self, events: int) -> None:
        """Add the number of events of a slice, and drop those of slices before the window."""
        self._events.append((self.t_us, events))
        while self._events[0][0] <= self.t_us - self._phase.window_us:
            self._events.popleft()
