"""Following one rotor from slice to slice: phase, disc and template together.

Method: a phase-locked loop. Each slice is counted with the motion that the phase filter expects; a
matched filter with the template is the phase discriminator, and the score refines its offset and
tells the disc's place and shape from it. `RotorTracker._measure` is the loop.
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
from evio_ros.rotation.tracking.speed_uncertainty import ErrorBudget, Parts, within_probability
from evio_ros.rotation.tracking.template import Template, TemplateUpdater
from evio_ros.units import RPM_PER_RAD_S

__all__ = ["LearnedErrors", "RotorTracker"]

_Counts = NDArray[np.int32]

_COHERENT_RAD = 0.35
"""A rotor that turns by less in a slice is measured over several, by coherent integration: a sector
has 0.39 rad, and until an edge has passed it an error of the disc can't be told. Fitted to
simulated recordings."""
STOPPED_PHASE, STOPPED_SPEED = 0.3, 0.01
"""What is uncertain of a rotor that was just seen to stand still: its phase as a share of the angle
that it was to turn, its speed as a share of the usual one. Fitted to simulated recordings."""
RESTING_PHASE, RESTING_SPEED = 0.1, 1e-4
"""Standard deviations of the measurement that a rotor stands still: of the phase as a share of the
usual turn in a slice, of the speed as a share of the usual one. Fitted to simulated recordings."""
_USUAL_KEPT = 0.99
"""Share of the usual speed that is kept from slice to slice while a rotor turns more slowly: 100
slices, half a second of 5 ms each."""
_LEAST_LIVE = 0.8
"""Slices of which a smaller share is live are not measured: how far each sector of the disc was
swept meanwhile is not known. Set by hand."""
_LEAST_CONTRAST = 0.1
"""Contrast that a rotor's template must have: log likelihood that an event gains. Fitted to
simulated recordings."""
_SLOW_SHARE = 0.01
"""Speeds below this share of the usual one are right where they are to `RIGHT_ERROR` of it: of a
rotor at rest no speed would be right otherwise."""
_UNKNOWN = -1
"""Identity of a tracker that is not yet known to be one of a rotor."""


@dataclass(frozen=True, slots=True)
class LearnedErrors:
    """What a tracker has learned of the errors of a rotor's phase.

    Attributes:
        dispersion: how much larger they are than events explain.
        cyclic: what comes again in every turn.
    """

    dispersion: OverDispersion
    cyclic: CyclicError


class RotorTracker:
    """Follows one rotor.

    Args:
        start_us: start of the first slice.
        phase: filter of its motion.
        disc: filter of its disc.
        template: its template and the updates of it.
        fastest_rad_s: a rotor that seems to turn faster is lost.

    Attributes:
        identity: number of the rotor, set by the detector; -1 until then.
        t_us: end of the last slice.
        stopped: whether the rotor stands still.
        unseen_us: for how long it has been lost, 0 while it is seen turning or standing.
        resting_us: for how long it has been standing still.
        doubtful_us: for how long its disc has failed to explain the events.
        usual_speed: size of the speed at which it turned last, rad/s.
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
        self._held: CoherentSlices | None = None
        # Ends and numbers of events of the window's slices.
        self._events: deque[tuple[int, int]] = deque()
        self._first_phase: float | None = None
        self._seen_phase, self._seen_us = float(phase.state[0]), start_us
        self._seen_speed = float(phase.state[1])
        # For how long there has been no data since it was seen.
        self._dead_us = 0

    @property
    def template(self) -> Template:
        """The rotor's template as learned so far."""
        return self._template.template

    @property
    def ellipse(self) -> Ellipse:
        """The disc that pixels are mapped with."""
        return self._disc.ellipse

    @property
    def variance_parts(self) -> Parts | None:
        """Parts of the variance of the latest estimate; None before the first one."""
        return self._errors.parts

    def expected(self, length_us: int) -> tuple[float, float]:
        """Phase [rad] and speed [rad/s] with which the next slice, `length_us` long, is counted."""
        if self._held is not None:
            return self._held.end, self._held.speed
        phase, speed, acceleration = self._phase.state.tolist()
        if self.stopped:
            return phase, 0.0
        # The best straight line through the slice.
        return phase, speed + 0.5 * acceleration * (1e-6 * length_us)

    def take(
        self,
        counts: _Counts,
        length_us: int,
        is_last: bool,
        live: float = 1.0,
        share: float = 1.0,
    ) -> bool:
        """Add a slice counted with `expected`.

        Args:
            counts: int32 (rings, SECTORS, 2, ANGLE_BINS); not kept.
            length_us: length of the slice.
            is_last: whether an estimate will be asked for before the next slice.
            live: share of the slice for which there is data.
            share: share of the slice's events that was taken.

        Returns:
            True where the disc has moved on the table.
        """
        slices = CoherentSlices.of(counts, *self.expected(length_us), length_us, live, share)
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
        """The loop: measure phase and disc; True where the disc has moved on the table."""
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
        """Correct the phase and the disc by what slices have shown."""
        beyond, disc_variance = self._disc.phase_given(score)
        if abs(beyond) > LARGEST_STEP_RAD:
            self._phase.coast(slices.lengths_us)
            return
        dispersion, known = self._dispersion, float(score.information[0, 0])
        dispersion.begin(known, self._phase.wobble_rad, self._phase.quick_share)
        own_variance = dispersion.phase_variance(known)
        self._errors.add_slice(own_variance, disc_variance)
        variance = own_variance + disc_variance
        middle, line = slices.middle()
        seen = line + match.offset_rad + beyond
        cyclic = self._cyclic.at(seen)
        offset = match.offset_rad + beyond - cyclic
        expected = offset**2 / (predicted_variance + variance)
        if dispersion.is_manoeuvre(offset**2 / (widest_variance + variance)):
            self._errors.observed.interrupt()
            self._phase.inflate(offset, slices.speed, slices.length_s)
        measured = line + offset
        self._phase.update_coherent(slices.lengths_us, middle, measured, variance)
        self._errors.add_innovation(math.copysign(math.sqrt(expected), offset))
        dispersion.update_phase(expected, self._lock.slices)
        after_us = sum(slices.lengths_us[middle + 1 :]) + 0.5 * slices.lengths_us[middle]
        time_s = 1e-6 * (self.t_us - after_us)
        self._errors.observed.add_phase(
            time_s, measured, variance, slices.speed, self._phase.jerk_power
        )
        dispersion.update_white(time_s, measured, known)
        dispersion.update_sectors(score, slices.events, self._lock.slices)
        ahead = cyclic - match.offset_rad
        self._disc.update(score, ahead, predicted_variance, dispersion.sectors)
        self._learn_cyclic(time_s, seen)

    def _learn_cyclic(self, time_s: float, seen: float) -> None:
        """Learn the cyclic error, and correct the measured phases by it."""
        was_known = self._cyclic.is_known
        # A calm model averages over the turns by itself.
        is_wanted = was_known or self._phase.is_agile
        change = self._cyclic.add(time_s, seen, is_wanted)
        if change is None:
            return
        self._phase.correct_phases(change.at)
        self._errors.observed.correct_phases(change.at)
        if not was_known:
            self._errors.observed.forget()
            # What was taken for motion, and for noise, is neither.
            self._phase.inflate_speed(change.size_rad * abs(float(self._phase.state[1])))
            self._dispersion.phase = self._dispersion.white

    def _update_template(self, slices: CoherentSlices) -> None:
        """Let the template learn from slices, at the phase that they were found to have."""
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
        """The rotor was not seen turning: it stands still, or is lost."""
        self._dispersion.interrupt()
        if not self._lock.is_standing(slices.events, slices.exposed_rad):
            self._cyclic.interrupt()
            self.unseen_us += slices.length_us
            self._phase.coast(slices.lengths_us)
            return
        # What braked when it was seen last, and would turn back by now, has come to rest.
        is_at_rest = slices.speed * self._seen_speed < 0.0
        if self._lock.is_lull(slices.turned_rad * slices.live) and not is_at_rest:
            self._phase.coast(slices.lengths_us)
            return
        self.stopped = True
        self._cyclic.interrupt()
        spread = STOPPED_PHASE * abs(slices.turned_rad), STOPPED_SPEED * self.usual_speed, 0.0
        # Where it is still after dead time, that may have been its standstill already.
        phase = self._seen_phase if self._dead_us or is_at_rest else slices.phase
        unseen_us = self.t_us - slices.length_us - self._seen_us if is_at_rest else 0
        self._phase.restart(phase, 0.0, spread, unseen_us)
        self._errors.observed.interrupt()
        for length_us in slices.lengths_us:
            self._rest(slices.events, length_us, slices.live, slices.share)

    def _lose(self, slices: CoherentSlices) -> None:
        """The speed is beyond that of any rotor: the motion must be found anew."""
        speed = math.copysign(self.usual_speed, slices.speed)
        spread = math.pi, self.usual_speed, self.usual_speed / slices.length_s
        self._phase.restart(slices.end, speed, spread, 0)
        self._errors.observed.interrupt()
        self._dispersion.interrupt()
        self._cyclic.interrupt()
        self.unseen_us += slices.length_us

    def _pass_dead(self, lengths_us: tuple[int, ...]) -> None:
        """Let slices pass for which there is no data: the rotor goes on as it did."""
        self._dead_us += sum(lengths_us)
        self._phase.coast(lengths_us)

    def _rest(self, events: int, length_us: int, live: float, share: float) -> None:
        """Take in a slice in which the rotor stands still; notice when it starts again."""
        if not live:
            self._pass_dead((length_us,))
            return
        length_s, exposure = 1e-6 * length_us, live * share
        usual_rad = self.usual_speed * length_s
        if self.resting_us > 0 and self._lock.is_stirring(events, usual_rad * exposure):
            self.unseen_us += length_us
            self._phase.coast((length_us,))
            return
        phase = float(self._phase.state[0])
        self._note_seen(phase)
        self.resting_us += length_us
        # It may creep, but no faster than the events that are left allow.
        creep = RESTING_SPEED * self.usual_speed + self._lock.creep_rad_s(
            events, length_s * exposure
        )
        self._phase.update(length_us, phase, (RESTING_PHASE * usual_rad) ** 2, 0.0, creep**2)

    def resume(self, phase: float, speed: float, deviations: tuple[float, float, float]) -> None:
        """Go on from a motion found anew, at the end of the last slice.

        Of all blades that phase may belong to, it is taken for the one that keeps the count of
        turns: it must have started from where the rotor was seen last.

        Args:
            phase: angle up to a blade's pitch.
            speed: rad/s.
            deviations: of phase, speed and acceleration.
        """
        if self._held is not None:
            self._phase.coast(self._held.lengths_us)
        pitch = 2 * math.pi / max(self._template.blades, 1)
        lost_us = self.t_us - self._seen_us
        was = self._seen_phase + speed * 1e-6 * lost_us
        phase += pitch * round((was - phase) / pitch)
        self._phase.restart(phase, speed, deviations, lost_us)
        self._errors.observed.interrupt()
        self.stopped = False
        self.unseen_us = self.resting_us = 0
        self._held = None
        self._lock.restart()
        self._dispersion.interrupt()
        # Of several blades, it may be off by one from now on.
        self._cyclic = self._cyclic.continued() if self._template.blades <= 1 else CyclicError()

    def why_not_seen(self) -> Rejection | None:
        """Why nothing turns as expected from slice to slice; None where it does."""
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
        """Why it is no rotor, even if it is seen; None where its speed and disc are known."""
        unseen = self.why_not_seen()
        if unseen is not None:
            return unseen
        speed, variance = float(self._phase.state[1]), float(self._phase.covariance[1, 1])
        relative_std = math.sqrt(variance) / max(abs(speed), 1e-9)
        if not relative_std < RIGHT_ERROR:
            return Rejection(Reason.UNSURE_SPEED, relative_std, RIGHT_ERROR)
        return why_wrong_disc(self._over_dispersion())

    def is_credible(self) -> bool:
        """Whether it is a rotor: it is seen, its speed is known, its disc explains the events."""
        return self.why_not_credible() is None

    @property
    def probability(self) -> float:
        """Probability that it is a rotor, whether or not its speed is known well."""
        return self._lock.probability(self._over_dispersion())

    @property
    def gain(self) -> float:
        """Log likelihood that its template has gained over no pattern, in all slices."""
        return self._lock.gain

    def known_disc(self) -> KnownDisc:
        """The best estimate of the disc now."""
        return KnownDisc(self._disc.best_ellipse, self._disc.center_std_px, self._template.blades)

    def retraced(self, t_us: int) -> tuple[Ellipse, Template, Motion]:
        """Disc, template and motion at an earlier time, as they are known by now.

        The template is what was learned since it began: the first guess had a disc that was not yet
        well known.
        """
        ago_s = (self.t_us - t_us) * 1e-6
        motion = self._phase.motion_before(t_us, ago_s)
        return self._disc.ellipse_before(ago_s), self.template.without_first_guess(), motion

    def learned_errors(self) -> LearnedErrors:
        """What has been learned of the errors of the rotor's phase."""
        return LearnedErrors(self._dispersion.continued(), self._cyclic.continued())

    def begin_with(self, errors: LearnedErrors) -> None:
        """Start from the errors that another tracker of the same disc has learned."""
        self._dispersion = errors.dispersion.continued()
        self._cyclic = errors.cyclic.continued()

    def estimate(self) -> RotorEstimate | None:
        """The rotor over the window that ends now; None where it is not seen in it."""
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
            # It may have turned on where nothing was seen of it.
            variance += (self._lock.longest_lull_rad / (1e-6 * window.length_us)) ** 2
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
        allowed = RIGHT_ERROR * max(abs(speed), _SLOW_SHARE * self.usual_speed)
        return self.probability * within_probability(allowed, std)

    def _over_dispersion(self) -> float:
        """See `LockDetector.probability`."""
        return self._dispersion.over_contrast(self.template.contrast)

    def _note_seen(self, phase: float) -> None:
        """The rotor was seen, and will be at a phase at the end of the slice."""
        self.unseen_us = self._dead_us = 0
        self._seen_phase, self._seen_us = phase, self.t_us
        self._seen_speed = float(self._phase.state[1])

    def _note_events(self, events: int) -> None:
        """Add a slice's events to those of the window."""
        self._events.append((self.t_us, events))
        while self._events[0][0] <= self.t_us - self._phase.window_us:
            self._events.popleft()
