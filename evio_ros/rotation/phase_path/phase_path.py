"""The path of a rotor's phase through a recording, estimated together with the disc.

The unknowns are the phase phi_b in bins b of count time (`event_count_time`), the density D of
events in the co-rotating frame (ring, polarity, angle), and the hub c. Given the bin, an event at
ring r, of polarity p and at angle theta about the hub has the probability

    P = D_rp(theta - phi_b) / L(phi_b),    L(phi) = sum over visible pixels of D(theta - phi).

They are estimated alternately, as in expectation maximisation:

1. D from the phases: the events in the co-rotating frame, divided by the visible pixels in it. 2.
At first, while the phases are rough, the whole path is determined by dynamic programming (Viterbi
1967) over a lattice of phases. It maximises the sum over bins of log P plus the prior of the steps,
-log(step / expected step)^2 / 2 sigma^2, where the expected step is the bin's events divided by L,
the events per radian according to D. So a step may easily be twice the expected one, but cannot go
back. In each round, D is blurred less, and L makes the count time more even. 3. Then Gauss-Newton
steps: the score and information of each phase give its offset, and the path is smoothed by its
third differences over count time (`path_smoother`); the score and information of the hub, with the
phases eliminated (Schur complement), give its step.

Two checks show whether the result is valid. D of one half of the path must predict the events of
the other half: what moves without turning looks different later. And the offsets of separate rings
and polarities, in blocks of angle, should agree: their disagreement gives the error of the phase
that is due to the disc and not to the number of events.

The shape of the disc is given; `view_shear` estimates how well it is known.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass, replace

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.ellipse import Ellipse
from evio_ros.explanation import Reason, Rejection
from evio_ros.rotation.phase_path.event_count_time import COUNT_SPAN, CountedEvents
from evio_ros.rotation.phase_path.path_smoother import SmoothPath, smooth_path
from evio_ros.rotation.phase_path.phase_scores import PhaseScores
from evio_ros.rotation.phase_path.turning_frame import (
    ANGLES,
    BinnedEvents,
    gains,
    seen_pixels,
)

__all__ = ["PhasePath", "fit_path", "fit_path_by_units"]

_Real = NDArray[np.float64]

_BINS_PER_TURN, _FINE_BINS_PER_TURN = 64, 192
_FEWEST_BINS, _MOST_BINS = 48, 6000
"""Bins per turn, for the lattice and for the refined path, and bounds of their total number."""
_FEWEST_EVENTS = 20
"""Minimum mean number of events in a fine bin."""
_FIRST_BLURS = (0.35, 0.2, 0.12, 0.08, 0.08)
_BLUR = 0.06
"""Standard deviations in rad by which the density is blurred: from round to round, and finally."""
_ROUNDS = 40
_ENOUGH_RAD, _ENOUGH_PX = 1e-3, 0.005
"""Maximum number of refinements, and changes of phase and hub below which they end."""
_LARGEST_OFFSET_RAD, _LARGEST_STEP_RADII = 0.15, 0.1
"""Maximum changes of phase and hub in a refinement."""
_LARGEST_STEP = 10
"""Maximum step from bin to bin, in steps of the lattice: 28 degrees."""
_STEP_SIGMA = 0.5
"""Standard deviation of the logarithm of a step."""
_TEMPER = 0.1
"""Share of the events' log likelihood that counts, because events come in bursts."""
_LEAST_EVENTS_PER_RADIAN = 0.15
"""Minimum events per radian relative to the mean, so that count time does not stop where nothing is
seen."""
_FEWEST_TURNS = 0.5
"""Minimum number of turns: fewer do not determine the hub."""
_HOPEFUL_GAIN, _HOPEFUL_SHARE = 0.2, 0.5
"""Minimum gain of a rough path, and share of it that one half must predict, for a refinement."""
_LEAST_GAIN = 0.4
"""Minimum log likelihood gained by an event of a rotor, not counting noise, which gains none."""
_LEAST_PREDICTED = 0.85
"""Minimum share of the gain that one half of the path predicts of the other."""
_LEAST_SHOWN, _LEAST_COMPARED = 0.1, 0.5
"""An angle counts as seen if its exposure is at least this share of the mean; angles that both
halves have seen must have this share of the events. Set by hand."""
_LEAST_STIFFNESS = 0.9
"""Minimum stiffness of the path over count time: what does not turn jumps. Below 1, only changes
within six bins are smoothed, because (2 sin(pi f))^6 is 1 there. Of some fifty variants of real
takes, correct paths had 3 or more, two wrong ones 0.1 and 0.3."""
_LARGEST_DISAGREEMENT = 0.05
"""Maximum standard deviation of the phase by the disagreement of rings and polarities, in rad: the
median over the path."""

_Fit = Generator[None, None, "PhasePath | Rejection"]


@dataclass(frozen=True, slots=True)
class PhasePath:
    """The path of a rotor's phase over a part of a recording.

    Attributes:
        ellipse: its disc.
        center_std: standard deviations of the hub, x and y, pixels.
        phase: (bins,) in equal bins of count time, unwrapped, rad.
        disagreement: (bins,) standard deviation of the phase by the disagreement of rings and
            polarities, rad.
        smooth: the smoothed path and its variance.
        density: (2 * rings, ANGLES) events per visible pixel in the co-rotating frame, OFF first.
        gain: mean log likelihood gained by an event from the rotation.
        foretold: the same with the density of the other half of the path.
        counted: the events.
        shear_doubt: root mean square of the remaining error of the disc's shear.
    """

    ellipse: Ellipse
    center_std: tuple[float, float]
    phase: _Real
    disagreement: _Real
    smooth: SmoothPath
    density: _Real
    gain: float
    foretold: float
    counted: CountedEvents
    shear_doubt: float = 0.0

    @property
    def count_times(self) -> _Real:
        """Centres of the bins in count time, (bins,), 0 to 1."""
        return _bin_centers(len(self.phase))

    @property
    def turns(self) -> float:
        """Number of turns over the whole path, signed."""
        return float(self.phase[-1] - self.phase[0]) / (2 * math.pi)

    def why_no_rotor(self) -> Rejection | None:
        """Why the path describes another motion than a rotor's; None if it is a rotor's."""
        disagreement = float(np.median(self.disagreement))
        if not self.gain >= _LEAST_GAIN:
            return Rejection(Reason.NO_PATH, self.gain, _LEAST_GAIN)
        if not self.foretold >= _LEAST_PREDICTED * self.gain:
            return Rejection(Reason.UNLIKE, max(self.foretold / self.gain, 0.0), _LEAST_PREDICTED)
        if not self.smooth.stiffness >= _LEAST_STIFFNESS:
            return Rejection(Reason.JERKY, self.smooth.stiffness, _LEAST_STIFFNESS)
        if not disagreement <= _LARGEST_DISAGREEMENT:
            return Rejection(Reason.RINGS_DISAGREE, disagreement, _LARGEST_DISAGREEMENT)
        return None

    def phase_at(self, t_us: _Real) -> _Real:
        """Phases in rad at sensor times in µs, (n,) each; constant outside the events."""
        return _at_count_times(self.phase, self.counted.at(t_us))


def fit_path(counted: CountedEvents, ellipse: Ellipse, turns: float) -> PhasePath | Rejection:
    """Fit the path and the hub of a possible rotor.

    Args:
        counted: events of the region.
        ellipse: the disc; its shape is not changed.
        turns: approximate number of turns over the events, signed.

    Returns:
        The path; the reason for a rejection if it does not turn by `_FEWEST_TURNS`, or one half
        does not predict anything of the other.
    """
    work = fit_path_by_units(counted, ellipse, turns)
    while True:
        try:
            next(work)
        except StopIteration as done:
            path: PhasePath | Rejection = done.value
            return path


def fit_path_by_units(
    counted: CountedEvents, ellipse: Ellipse, turns: float, slack: float = 1.0
) -> _Fit:
    """The same as `fit_path`, but yields after each part of a few milliseconds for 20 000 events.

    Args:
        counted, ellipse, turns: as for `fit_path`.
        slack: factor on the changes of phase and hub below which refinements end.
    """
    seen = seen_pixels(counted)
    bins = int(np.clip(abs(turns) * _BINS_PER_TURN, _FEWEST_BINS, _MOST_BINS))
    binned = BinnedEvents.of(counted, ellipse, seen, bins)
    phase = yield from _rough_path(binned, 2 * math.pi * turns * (np.arange(bins) + 0.5) / bins)
    for _ in range(2):
        turned = abs(phase[-1] - phase[0]) / (2 * math.pi)
        if turned < _FEWEST_TURNS:
            return Rejection(Reason.MOVED_PAST, turned, _FEWEST_TURNS)
        counted, phase = _evened(counted, binned, phase)
        binned = BinnedEvents.of(counted, ellipse, seen, bins)
        phase = yield from _rough_path(binned, phase, _FIRST_BLURS[-2:])
    turns = abs(phase[-1] - phase[0]) / (2 * math.pi)
    if turns < _FEWEST_TURNS:
        return Rejection(Reason.MOVED_PAST, turns, _FEWEST_TURNS)
    hopeless = _why_hopeless(binned, phase)
    if hopeless is not None:
        return hopeless
    most = min(_MOST_BINS, max(len(counted) // _FEWEST_EVENTS, _FEWEST_BINS))
    fine = int(np.clip(turns * _FINE_BINS_PER_TURN, _FEWEST_BINS, most))
    centers = (np.arange(fine) + 0.5) / fine
    return (yield from _refined(counted, seen, ellipse, _at_count_times(phase, centers), slack))


def _evened(
    counted: CountedEvents, binned: BinnedEvents, phase: _Real
) -> tuple[CountedEvents, _Real]:
    """Events counted by the visible part of the disc, and the path over their count time."""
    events_per_radian = binned.events_per_radian(binned.density(phase, _FIRST_BLURS[-1]))
    events_per_radian -= (1.0 - counted.shares.mean()) * events_per_radian.mean()
    events_per_radian = np.maximum(
        events_per_radian, _LEAST_EVENTS_PER_RADIAN * events_per_radian.mean()
    )
    at_events = _at_count_times(phase, counted.events.t / COUNT_SPAN)
    place = at_events * (ANGLES / (2 * math.pi))
    even = counted.weighted(
        1 / np.interp(place, np.arange(ANGLES), events_per_radian, period=ANGLES)
    )
    centers = _bin_centers(len(phase))
    return even, np.interp(centers, even.events.t / COUNT_SPAN, at_events)


def _bin_centers(bins: int) -> _Real:
    """Centres of equal bins of count time, (bins,), 0 to 1."""
    return (np.arange(bins) + 0.5) / bins


def _at_count_times(phase: _Real, count_times: _Real) -> _Real:
    """A path of bin centres at other count times, 0 to 1; extrapolated linearly at its ends."""
    places = (np.arange(len(phase) + 2) - 0.5) / len(phase)
    ends = (2 * phase[0] - phase[1], 2 * phase[-1] - phase[-2])
    return np.interp(count_times, places, np.r_[ends[0], phase, ends[1]])


def _rough_path(
    binned: BinnedEvents, phase: _Real, blurs: tuple[float, ...] = _FIRST_BLURS
) -> Generator[None, None, _Real]:
    """Phases by dynamic programming, from an initial guess."""
    step = 2 * math.pi / ANGLES
    sense = 1 if phase[-1] > phase[0] else -1
    for blur in blurs:
        density = binned.density(phase, blur)
        likelihood, events_per_radian = binned.log_likelihood(density)
        lattice = _most_likely_path(
            _TEMPER * likelihood, events_per_radian * step, binned.gap_free_counts, sense
        )
        phase = _moving_average(lattice * step)
        yield
    return phase


def _moving_average(path: _Real, reach: int = 4) -> _Real:
    padded = np.pad(path, reach, mode="reflect", reflect_type="odd")
    return np.convolve(padded, np.full(2 * reach + 1, 1 / (2 * reach + 1)), "valid")


@njit(cache=True, nogil=True)
def _most_likely_path(likelihood, events_per_radian, events, sense):
    """Unwrapped path over a lattice of phases, in its steps; see the module."""
    bins, phases = likelihood.shape
    best = likelihood[0].copy()
    came = np.zeros((bins, phases), np.int16)
    for b in range(1, bins):
        new = np.full(phases, -np.inf)
        for phase in range(phases):
            expected = max(events[b] / events_per_radian[phase], 1e-3)
            for moved in range(_LARGEST_STEP + 1):
                # A path that stays in place has moved by less than half a step.
                surprise = math.log(max(moved, 0.35) / expected) / _STEP_SIGMA
                value = best[phase] - 0.5 * surprise * surprise
                place = (phase + sense * moved) % phases
                if value > new[place]:
                    new[place] = value
                    came[b, place] = moved
        best = new + likelihood[b]
    path = np.zeros(bins)
    place = int(np.argmax(best))
    position = float(place)
    for b in range(bins - 1, -1, -1):
        path[b] = position
        moved = came[b, place]
        position -= sense * moved
        place = (place - sense * moved) % phases
    return path


def _refined(
    counted: CountedEvents,
    seen: NDArray[np.bool_],
    start: Ellipse,
    phase: _Real,
    slack: float,
) -> Generator[None, None, PhasePath]:
    bins = len(phase)
    reach = _LARGEST_STEP_RADII * start.axes[0]
    ellipse, dispersion = start, 1 / _TEMPER
    for _ in range(_ROUNDS):
        binned = BinnedEvents.of(counted, ellipse, seen, bins)
        density = binned.density(phase, _BLUR)
        yield
        scores = PhaseScores.of(counted, binned, ellipse, phase, density)
        offset, weight = scores.offsets()
        smooth = smooth_path(
            phase + np.clip(offset, -_LARGEST_OFFSET_RAD, _LARGEST_OFFSET_RAD), weight
        )
        change = float(np.abs(smooth.phase - phase).max())
        phase = smooth.phase
        dispersion = max(smooth.variance * float(weight.mean()), 1.0)
        step, precision = scores.hub_step(dispersion)
        step = np.clip(step, -reach, reach)
        x, y = np.add(ellipse.center, step)
        ellipse = replace(ellipse, center=(float(x), float(y)))
        yield
        if change < slack * _ENOUGH_RAD and np.abs(step).max() < slack * _ENOUGH_PX:
            break
    covariance = np.linalg.inv(precision)
    return PhasePath(
        ellipse=ellipse,
        center_std=(math.sqrt(covariance[0, 0]), math.sqrt(covariance[1, 1])),
        phase=phase,
        disagreement=scores.disagreement(phase),
        smooth=smooth,
        density=density,
        gain=float(gains(binned, density, phase).sum()) / binned.moving_count,
        foretold=_predicted_gain(binned, phase),
        counted=counted,
    )


def _why_hopeless(binned: BinnedEvents, phase: _Real) -> Rejection | None:
    """Why a rough path is not worth refining; None if it is."""
    gain = float(gains(binned, binned.density(phase, _BLUR), phase).sum()) / binned.moving_count
    if not gain > _HOPEFUL_GAIN:
        return Rejection(Reason.NO_PATH, gain, _HOPEFUL_GAIN)
    predicted = _predicted_gain(binned, phase)
    if not predicted > _HOPEFUL_SHARE * gain:
        return Rejection(Reason.UNLIKE, max(predicted / gain, 0.0), _HOPEFUL_SHARE)
    return None


def _predicted_gain(binned: BinnedEvents, phase: _Real) -> float:
    """Mean gain of an event with the density of the other half of the path.

    If the view is cut, a half does not show the whole disc. Therefore the predicted share of the
    gain is determined at the angles that both halves have seen; 0 if these have too few events.
    """
    is_early = np.abs(phase - phase[0]) < 0.5 * abs(phase[-1] - phase[0])
    density = binned.density(phase, _BLUR)
    events = max(float(binned.events.sum()), 1.0)
    predicted, gained, compared = 0.0, 0.0, 0.0
    for half in (is_early, ~is_early):
        shown = binned.exposure(phase, _BLUR, ~half)
        is_shown = shown > _LEAST_SHOWN * shown.mean()
        both = binned.at_angles(phase, is_shown)
        other = np.where(is_shown, binned.density(phase, _BLUR, ~half), density)
        predicted += float(gains(both, other, phase)[half].sum())
        gained += float(gains(both, density, phase)[half].sum())
        compared += float(both.events[half].sum())
    if compared < _LEAST_COMPARED * events or not gained > 0.0:
        return 0.0
    return predicted / gained * float(gains(binned, density, phase).sum()) / binned.moving_count
