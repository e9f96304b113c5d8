"""All rotors in view: estimates in, rotor states at any time out.

Method: global nearest neighbours with track management (Bar-Shalom, Willett and Tian, Tracking and
Data Fusion, 2011, sections 3 and 7). Estimates are assigned to the rotors expected in their window.
Those left over start tentative rotors, which are reported once they are confirmed by enough
evidence. Rotors that are not seen are predicted for a while, remembered for longer, and then
dropped.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from evio_ros.estimate import RotorEstimate
from evio_ros.fusion.association import Expected, assign, object_at
from evio_ros.fusion.blade_filter import BladeFilters
from evio_ros.fusion.confidence import RotorFeatures, fading_confidence
from evio_ros.fusion.faults import fault_of, is_velocity
from evio_ros.fusion.rotor_filter import HubVelocity, Outcome, RotorFilter
from evio_ros.fusion.rotor_model import FilterParameters, RotorMotion, least_rpm_std
from evio_ros.parameters import Parameters, parameter
from evio_ros.rotor_state import RotorState, Source
from evio_ros.tracked_object import TrackedObject

__all__ = ["BankParameters", "RotorBank"]

_LEAST_EVIDENCE = 0.02
"""Minimum evidence of an estimate, whatever its confidence: something was seen."""
_TENTATIVE_S = 0.3
"""How long an unseen tentative rotor is remembered."""
_ROTATION_DETECTOR, _RVT_DETECTOR, _MOTION, _PREDICTION = (int(one) for one in Source)
_NUMBERS = 2**32
"""Ids of rotors are unsigned 32-bit integers in messages."""
_LATEST_US = 1 << 53
"""Latest sensor time, 285 years: beyond, float64 does not resolve microseconds."""
_NUMBERS_KEPT = 1 << 16
"""How many ids of rotors are remembered as used."""
_LEAST_REACH_PX = 5.0
_REACH_STDS = 3.0
_GATED_MEMORY = 0.9
"""Forgetting factor of the share of gated estimates: ten estimates count."""
_MOTION_COUNTS_US = 200_000
"""How long a measured velocity of the hub is named as a source; it refers to some time ago."""
_CHANGE_MEMORY = 0.75
"""Forgetting factor of the changes from estimate to estimate: four changes count."""


@dataclass(frozen=True)
class BankParameters(Parameters):
    """Track management: when rotors are confirmed, predicted and dropped."""

    birth_evidence: float = parameter(
        0.5,
        minimum=0.0,
        maximum=100.0,
        doc="A rotor is reported once the confidences of its estimates add up to this.",
    )
    coast_s: float = parameter(
        1.0,
        unit="s",
        minimum=0.0,
        maximum=60.0,
        doc="An unseen rotor is predicted for this long, but not for longer than it was seen.",
    )
    forget_after_s: float = parameter(
        3.0,
        unit="s",
        minimum=0.1,
        maximum=3600.0,
        doc="A rotor that is unseen for this long is dropped; a rotor found there later gets a "
        "new number.",
    )
    reach: float = parameter(
        0.7,
        minimum=0.05,
        maximum=5.0,
        doc="An estimate can belong to a rotor that is no farther away than this share of its "
        "semi-axis or three standard deviations, whichever is more.",
    )
    maximum_rotors: int = parameter(
        64, minimum=1, maximum=1000, doc="Maximum number of rotors tracked at once."
    )
    object_memory_s: float = parameter(
        0.5,
        unit="s",
        minimum=0.0,
        maximum=60.0,
        doc="How long an object of the RVT detector stays valid.",
    )


class _Rotor:
    """One rotor: its filters, and all that is not motion."""

    def __init__(
        self, identity: int, estimate: RotorEstimate, parameters: FilterParameters
    ) -> None:
        self.id = identity
        self.filter = RotorFilter(estimate, parameters)
        self.begin_turns = estimate.turns - self.filter.at(estimate.t_us).turns
        self.first_us = self.seen_us = estimate.t_us
        self.evidence = 0.0
        self.is_confirmed = False
        self.estimates = 0
        self.newest = estimate
        self.gated = 0.0
        self.unrest = self.roughness = self._change = 0.0
        self.moved_us = -(1 << 62)
        self.object: TrackedObject | None = None
        self.blades = BladeFilters(estimate.blade_count)
        self.take(estimate)

    def take(self, estimate: RotorEstimate) -> None:
        """Note an estimate that the filter has accepted."""
        self.estimates += 1
        self.evidence += max(estimate.confidence, _LEAST_EVIDENCE)
        if self.estimates > 1 and estimate.t_us < self.seen_us:
            return
        if self.estimates > 1:
            self._note_change(estimate.rpm - self.newest.rpm, abs(estimate.rpm))
        self.newest = estimate
        self.seen_us = estimate.t_us
        if estimate.blade_count not in (0, self.blades.blade_count):
            self.blades = BladeFilters(estimate.blade_count)
        self.blades.update(self.filter.at(estimate.t_us), estimate.tilt_rad)

    def _note_change(self, change_rpm: float, rpm: float) -> None:
        """Average the relative changes of the speed, and the changes of these."""
        share = 1.0 - _CHANGE_MEMORY
        relative = change_rpm / max(rpm, 1e-9)
        self.unrest += share * (abs(relative) - self.unrest)
        self.roughness += share * (abs(relative - self._change) - self.roughness)
        self._change = relative

    def expected(self, t_us: int, reach: float) -> Expected:
        """Where the rotor is expected at the end of a window; `reach` as of `BankParameters`."""
        motion = self.filter.at(t_us)
        std = math.sqrt(max(motion.covariance[2, 2], motion.covariance[3, 3]))
        axis = motion.axes[0]
        reach_px = max(reach * axis, min(_REACH_STDS * std, 2 * axis), _LEAST_REACH_PX)
        newest = self.newest
        return Expected(*motion.center, reach_px, motion.rpm, newest.blade_count, newest.id)

    def features(self, motion: RotorMotion, rpm: float, rpm_std: float) -> RotorFeatures:
        """What is known of a state whose confidence is asked for.

        Args:
            motion: the filtered motion at its time.
            rpm, rpm_std: its speed and the standard deviation of that.
        """
        rotation_distance, hub_distance = self.filter.distances
        return RotorFeatures(
            detector_confidence=self.newest.confidence,
            age_s=1e-6 * max(motion.t_us - self.seen_us, 0),
            rpm=rpm,
            rpm_std=rpm_std,
            estimates=self.estimates,
            gated=self.gated,
            rotation_distance=rotation_distance,
            hub_distance=hub_distance,
            rate_walk=self.filter.rate_walk,
            newest=self.newest,
            unrest=self.unrest,
            roughness=self.roughness,
        )


class RotorBank:
    """Fuses the estimates of a detector, one window after the other.

    Args:
        filter_parameters: motion model and measurement noise.
        parameters: track management.
        confidence: computes the probability that a speed is right to 1 %.

    Attributes:
        t_us: sensor time of the end of the newest window in µs; None before the first.
        refused: number of implausible estimates and velocities, by the field at fault.
        outcomes: number of the others by the values of `Outcome`; also the counters "born",
            "given_up", "beyond_limit", "clock_jumps" and "late_windows".
        objects_of_another_time: number of objects whose time is too far from that of the windows.
    """

    def __init__(
        self,
        filter_parameters: FilterParameters,
        parameters: BankParameters,
        confidence: Callable[[RotorFeatures], float] = fading_confidence,
    ) -> None:
        self._filter_parameters = filter_parameters
        self._parameters = parameters
        self._confidence = confidence
        self._rotors: list[_Rotor] = []
        self._used: dict[int, None] = {}
        self._next = -1
        self.t_us: int | None = None
        self.refused: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.objects_of_another_time = 0

    def __len__(self) -> int:
        return len(self._rotors)

    def values(self) -> dict[str, object]:
        """All counters, as values of a diagnostic report."""
        refused = {f"refused_{cause}": count for cause, count in self.refused.items() if count}
        outcomes = {f"estimates_{name}": count for name, count in self.outcomes.items()}
        return {
            "estimates_refused": self.refused.total(),
            **refused,
            **outcomes,
            "objects_of_another_time": self.objects_of_another_time,
        }

    def adapt(self, filter_parameters: FilterParameters, parameters: BankParameters) -> None:
        """Continue with other parameters."""
        self._filter_parameters, self._parameters = filter_parameters, parameters
        for rotor in self._rotors:
            rotor.filter.parameters = filter_parameters

    def update(self, t_us: int, estimates: Sequence[RotorEstimate]) -> bool:
        """Update with the estimates of a window.

        Args:
            t_us: its end, sensor time in µs; a window may be late, see
                `FilterParameters.latest_us`.
            estimates: estimates of all rotors in it.

        Returns:
            Whether it is the newest window; False if it is late or its time is implausible.
        """
        if abs(t_us) > _LATEST_US:
            self.refused["window_end"] += 1
            return False
        is_newest = self._note_time(t_us)
        usable = self._usable(t_us, estimates)
        present = [rotor for rotor in self._rotors if rotor.first_us <= t_us]
        expected = [rotor.expected(t_us, self._parameters.reach) for rotor in present]
        pairs = assign(expected, usable)
        for row, column in pairs:
            self._take(present[row], usable[column])
        taken = {column for _, column in pairs}
        left = [estimate for column, estimate in enumerate(usable) if column not in taken]
        self._begin_all(left, {usable[column].id for column in taken})
        self._give_up()
        return is_newest

    def note_objects(self, objects: Sequence[TrackedObject]) -> None:
        """Update with the objects that the RVT detector tracks in a window."""
        late = sum(self._is_of_another_time(one.t_us) for one in objects)
        self.objects_of_another_time += late
        for rotor in self._rotors:
            seen = object_at(rotor.filter.at(max(rotor.filter.t_us, rotor.seen_us)).center, objects)
            if seen is not None:
                rotor.object = seen

    def note_velocity(self, identity: int, measured: HubVelocity) -> None:
        """Update a rotor with a separately measured velocity of its hub."""
        if not is_velocity(measured.velocity, measured.covariance):
            self.refused["hub_velocity"] += 1
            return
        for rotor in self._rotors:
            if rotor.id == identity:
                outcome = rotor.filter.apply(measured)
                self.outcomes[f"velocity_{outcome.value}"] += 1
                if outcome is Outcome.ACCEPTED:
                    rotor.moved_us = measured.t_us

    def states(self, t_us: int, window_us: int | None = None) -> list[RotorState]:
        """States of all confirmed rotors at a time not before the end of the newest window.

        Args:
            t_us: sensor time in µs.
            window_us: length in µs of the window ending then over which the mean speed is given;
                None for the speed at that time.

        Returns:
            The most confident first. States that were not measured at `t_us` are predictions, as
            their `sources` show.
        """
        reported = [rotor for rotor in self._rotors if self._is_reported(rotor, t_us)]
        states = [self._state(rotor, t_us, window_us) for rotor in reported]
        return sorted(states, key=lambda state: -state.confidence)

    def measured(self) -> list[RotorFeatures]:
        """Features of each rotor that the newest window has measured, confirmed or tentative."""
        newest = [rotor for rotor in self._rotors if rotor.newest.t_us == self.t_us]
        return [
            rotor.features(
                rotor.filter.at(rotor.newest.t_us), rotor.newest.rpm, rotor.newest.rpm_std
            )
            for rotor in newest
        ]

    def _note_time(self, t_us: int) -> bool:
        """Advance the sensor's time; when its clock has been set, the rotors are moved with it."""
        if self.t_us is None:
            self.t_us = t_us
            return True
        since_us = t_us - self.t_us
        if -self._filter_parameters.latest_us <= since_us <= 0:
            self.outcomes["late_windows"] += since_us < 0
            return since_us == 0
        if not 0 < since_us <= 1e6 * self._parameters.forget_after_s:
            self.outcomes["clock_jumps"] += 1
            for rotor in self._rotors:
                rotor.filter.move_clock(since_us)
                rotor.first_us += since_us
                rotor.seen_us += since_us
                rotor.blades = BladeFilters(rotor.newest.blade_count)
        self.t_us = t_us
        return True

    def _usable(self, t_us: int, estimates: Sequence[RotorEstimate]) -> list[RotorEstimate]:
        """The plausible estimates, all with the time of the window."""
        usable = []
        for estimate in estimates:
            fault = fault_of(estimate)
            if fault:
                self.refused[fault] += 1
            else:
                usable.append(replace(estimate, t_us=t_us) if estimate.t_us != t_us else estimate)
        return usable

    def _take(self, rotor: _Rotor, estimate: RotorEstimate) -> None:
        """Update a rotor with its estimate."""
        outcome = rotor.filter.apply(estimate)
        self.outcomes[outcome.value] += 1
        if outcome in (Outcome.DUPLICATE, Outcome.TOO_LATE):
            return
        is_gated = outcome is Outcome.GATED
        rotor.gated += (1.0 - _GATED_MEMORY) * (is_gated - rotor.gated)
        if not is_gated:
            rotor.take(estimate)

    def _begin_all(self, estimates: Sequence[RotorEstimate], numbers: set[int]) -> None:
        """Start a tentative rotor for each unassigned estimate, the most confident first.

        Args:
            estimates: unassigned estimates of one window.
            numbers: the detector's ids of this window's assigned estimates. Each id stands for one
                rotor: a second estimate with it is refused.
        """
        for estimate in sorted(estimates, key=lambda one: -one.confidence):
            if estimate.id in numbers:
                self.refused["duplicate_id"] += 1
            elif self._has_room(estimate.confidence):
                numbers.add(estimate.id)
                identity = self._free(estimate.id)
                self._rotors.append(_Rotor(identity, estimate, self._filter_parameters))
            else:
                self.outcomes["beyond_limit"] += 1

    def _has_room(self, confidence: float) -> bool:
        """Whether one more rotor can be tracked, in place of a tentative one if need be.

        So spurious rotors that fill the bank do not keep a real one out.
        """
        if len(self._rotors) < self._parameters.maximum_rotors:
            return True
        tentative = [rotor for rotor in self._rotors if not rotor.is_confirmed]
        weakest = min(tentative, key=lambda rotor: rotor.evidence, default=None)
        if weakest is None or weakest.evidence >= confidence:
            return False
        self._rotors.remove(weakest)
        self.outcomes["beyond_limit"] += 1
        return True

    def _free(self, wanted: int) -> int:
        """The detector's id if no rotor has had it, else a new one.

        Old ids are forgotten, so that an endless stream of spurious rotors does not fill the
        memory.
        """
        present = {rotor.id for rotor in self._rotors}
        identity = wanted
        while identity in self._used or identity in present:
            self._next = (self._next + 1) % _NUMBERS
            identity = self._next
        self._used[identity] = None
        if len(self._used) > _NUMBERS_KEPT:
            del self._used[next(iter(self._used))]
        return identity

    def _give_up(self) -> None:
        """Confirm rotors with enough evidence, and drop those unseen for too long."""
        assert self.t_us is not None
        kept = []
        for rotor in self._rotors:
            if rotor.evidence >= self._parameters.birth_evidence and not rotor.is_confirmed:
                rotor.is_confirmed = True
                self.outcomes["born"] += 1
            memory_s = self._parameters.forget_after_s if rotor.is_confirmed else _TENTATIVE_S
            if self.t_us - rotor.seen_us <= 1e6 * memory_s:
                kept.append(rotor)
            else:
                self.outcomes["given_up"] += rotor.is_confirmed
        self._rotors = kept

    def _is_reported(self, rotor: _Rotor, t_us: int) -> bool:
        unseen_us = t_us - rotor.seen_us
        most_us = min(1e6 * self._parameters.coast_s, rotor.seen_us - rotor.first_us)
        return rotor.is_confirmed and (unseen_us <= 0 or unseen_us <= most_us)

    def _state(self, rotor: _Rotor, t_us: int, window_us: int | None) -> RotorState:
        motion, newest = rotor.filter.at(t_us), rotor.newest
        is_measured = newest.t_us == t_us
        length_us = window_us or 0
        rpm, covariance = motion.mean_rpm(length_us)
        rpm_std = math.sqrt(covariance[1, 1])
        if is_measured and window_us is not None:
            # Nothing is better than the detector's own mean over its window.
            claimed_std = max(newest.rpm_std, least_rpm_std(newest))
            share = claimed_std / rpm_std
            covariance[1, :] *= share
            covariance[:, 1] *= share
            rpm, rpm_std, length_us = newest.rpm, claimed_std, newest.window_us
        seen = self._object_of(rotor)
        return RotorState(
            id=rotor.id,
            t_us=t_us,
            window_us=length_us,
            events=newest.events if is_measured else 0,
            rpm=rpm,
            rpm_std=rpm_std,
            rpm_rate=motion.rpm_rate,
            angle_rad=motion.phase_rad % (2 * math.pi),
            turns=rotor.begin_turns + motion.turns,
            blade_count=newest.blade_count or rotor.blades.blade_count,
            center=motion.center,
            axes=motion.axes,
            tilt_rad=newest.tilt_rad,
            velocity=motion.velocity,
            covariance=covariance,
            confidence=self._confidence_of(rotor, motion, rpm, rpm_std),
            sources=self._sources_of(rotor, is_measured, seen),
            blades=rotor.blades.at(motion, newest.tilt_rad),
            class_id=seen.class_name if seen else "",
            track_id=seen.id if seen else "",
        )

    def _sources_of(self, rotor: _Rotor, is_measured: bool, seen: TrackedObject | None) -> Source:
        bits = 0 if is_measured else _PREDICTION
        if is_measured or rotor.seen_us == self.t_us:
            bits |= _ROTATION_DETECTOR
        if self.t_us is not None and 0 <= self.t_us - rotor.moved_us <= _MOTION_COUNTS_US:
            bits |= _MOTION
        return Source(bits if seen is None else bits | _RVT_DETECTOR)

    def _object_of(self, rotor: _Rotor) -> TrackedObject | None:
        seen = rotor.object
        if seen is None or self.t_us is None:
            return None
        return None if self._is_of_another_time(seen.seen_us) else seen

    def _is_of_another_time(self, t_us: int) -> bool:
        """Whether an object seen at a time is too old now, or in the future."""
        apart_us = abs(t_us - self.t_us) if self.t_us is not None else 0
        return apart_us > 1e6 * self._parameters.object_memory_s

    def _confidence_of(
        self, rotor: _Rotor, motion: RotorMotion, rpm: float, rpm_std: float
    ) -> float:
        confidence = self._confidence(rotor.features(motion, rpm, rpm_std))
        return min(max(confidence, 0.0), 1.0)
