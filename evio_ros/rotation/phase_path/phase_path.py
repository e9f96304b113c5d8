"""The path of a rotor's phase through a whole recording, and the disc, found together.

The unknowns are the phase phi_b in bins b of count time (`event_count_time`), the density D of
events in the frame that turns along (ring, polarity, angle), and the hub c. Given the bin, an event
at ring r, of polarity p and at angle theta about the hub has the probability

    P = D_rp(theta - phi_b) / L(phi_b),    L(phi) = sum over visible pixels of D(theta - phi).

They are found in turns, as in expectation maximisation:

1. D from the phases: the events folded to the turning frame, over the visible pixels folded alike.
2. First, while the phases are rough, the whole path anew by dynamic programming (Viterbi 1967) over
   a lattice of phases. It maximises the sum over bins of log P plus the prior of the steps,
   -log(step / expected step)^2 / 2 sigma^2, where the expected step is the bin's events over L,
   the events a radian that D gives off. So a step is free to be twice the expected one, but not to
   go back. D is blurred less from round to round, and the count time made even by L.
3. Then Gauss-Newton steps: score and information of each phase give its offset, the path is
   smoothed by its third differences over count time (`path_smoother`); score and information of the
   hub, with the phases eliminated (Schur complement), give its step.

Two things tell what the result is worth. D of one half of the path must foretell the events of the
other half: what moves on without turning looks different later. And the offsets that rings and
polarities show by themselves, block by block of angle, should agree: by how much they do not tells
the error of the phase that comes from the disc and not from the number of events.

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

BINS_PER_TURN, FINE_BINS_PER_TURN = 64, 192
FEWEST_BINS, MOST_BINS = 48, 6000
"""Bins of a turn, for the lattice and for the refined path, and bounds of all."""
_FEWEST_EVENTS = 20
"""Of a fine bin, on average."""
_FIRST_BLURS = (0.35, 0.2, 0.12, 0.08, 0.08)
BLUR = 0.06
"""Standard deviations in rad by which the density is blurred: from round to round, and at last."""
_ROUNDS = 40
ENOUGH_RAD, ENOUGH_PX = 1e-3, 0.005
"""Rounds of refinement at most, and changes of phase and hub that are small enough to end them."""
LARGEST_OFFSET_RAD, LARGEST_STEP_RADII = 0.15, 0.1
"""The largest changes of phase and hub in a round."""
_LARGEST_STEP = 10
"""Steps of the lattice by which a bin may be ahead of the one before: 28 degrees."""
_STEP_SIGMA = 0.5
"""Standard deviation of the log of a step."""
_TEMPER = 0.1
"""Events come in bursts: so much of their log likelihood counts."""
_LEAST_GIVEN_OFF = 0.15
"""Of the mean: count time does not stop where nothing is seen."""
_FEWEST_TURNS = 0.5
"""What turns by less tells no hub."""
HOPEFUL_GAIN, HOPEFUL_SHARE = 0.2, 0.5
"""A rough path is refined where an event gains this, and one half foretells this share of it."""
_LEAST_GAIN = 0.4
"""Log likelihood that an event of a rotor gains; noise gains none and does not count."""
_LEAST_FORETOLD = 0.85
"""Of the gain: what one half of the path foretells of the other."""
_LEAST_SHOWN, _LEAST_COMPARED = 0.1, 0.5
"""An angle was shown where this share of what angles saw in the mean fell on it; angles that both
halves have shown must hold this share of the events. Set by hand."""
_LEAST_STIFFNESS = 0.9
"""Of the path over count time: what does not turn jumps. Below 1 only what changes within six bins
is smoothed, as (2 sin(pi f))^6 is 1 there. Of some fifty variants of real takes right paths had 3
and more, two wrong ones 0.1 and 0.3."""
_LARGEST_DISAGREEMENT = 0.05
"""Standard deviation of the phase, rad, as rings and polarities disagree: the median over the
path."""

_Fit = Generator[None, None, "PhasePath | Rejection"]


@dataclass(frozen=True, slots=True)
class PhasePath:
    """A rotor over a stretch of a recording.

    Attributes:
        ellipse: its disc.
        center_std: of the hub, x and y, pixels.
        phase: (bins,) in equal bins of count time, unwrapped.
        disagreement: (bins,) standard deviation of the phase as rings and polarities disagree.
        smooth: the smoothed path and its variance.
        density: (2 * rings, ANGLES) events over visible pixels in the turning frame, OFF first.
        gain: log likelihood that an event gains from being known to turn.
        foretold: what it gains where the density is that of the other half of the path.
        counted: the events.
        shear_doubt: shear that the disc may have besides.
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
        """Turns over the whole path, signed."""
        return float(self.phase[-1] - self.phase[0]) / (2 * math.pi)

    def why_no_rotor(self) -> Rejection | None:
        """Why it is a way to describe some other motion; None where it is that of a rotor."""
        disagreement = float(np.median(self.disagreement))
        if not self.gain >= _LEAST_GAIN:
            return Rejection(Reason.NO_PATH, self.gain, _LEAST_GAIN)
        if not self.foretold >= _LEAST_FORETOLD * self.gain:
            return Rejection(Reason.UNLIKE, max(self.foretold / self.gain, 0.0), _LEAST_FORETOLD)
        if not self.smooth.stiffness >= _LEAST_STIFFNESS:
            return Rejection(Reason.JERKY, self.smooth.stiffness, _LEAST_STIFFNESS)
        if not disagreement <= _LARGEST_DISAGREEMENT:
            return Rejection(Reason.RINGS_DISAGREE, disagreement, _LARGEST_DISAGREEMENT)
        return None

    def phase_at(self, t_us: _Real) -> _Real:
        """Phase at sensor times; before and after the events it stands still."""
        return _at_count_times(self.phase, self.counted.at(t_us))


def fit_path(counted: CountedEvents, ellipse: Ellipse, turns: float) -> PhasePath | Rejection:
    """Fit the path and the hub of what may turn.

    Args:
        counted: events of the region.
        ellipse: the disc; its shape is kept.
        turns: about how many it makes over the events, signed.

    Returns:
        The path; why there is none where it does not turn by `_FEWEST_TURNS`, or one half of it
        foretells nothing of the other.
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
    """As `fit_path`, but yields after each part of a few milliseconds for 20 000 events.

    Args:
        counted, ellipse, turns: as of `fit_path`.
        slack: factor for the changes of phase and hub that are small enough to end it.
    """
    seen = seen_pixels(counted)
    bins = int(np.clip(abs(turns) * BINS_PER_TURN, FEWEST_BINS, MOST_BINS))
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
    most = min(MOST_BINS, max(len(counted) // _FEWEST_EVENTS, FEWEST_BINS))
    fine = int(np.clip(turns * FINE_BINS_PER_TURN, FEWEST_BINS, most))
    centers = (np.arange(fine) + 0.5) / fine
    return (yield from _refined(counted, seen, ellipse, _at_count_times(phase, centers), slack))


def _evened(
    counted: CountedEvents, binned: BinnedEvents, phase: _Real
) -> tuple[CountedEvents, _Real]:
    """Events counted by the visible part of the disc, and the path over their count time."""
    given_off = binned.given_off(binned.density(phase, _FIRST_BLURS[-1]))
    given_off -= (1.0 - counted.shares.mean()) * given_off.mean()
    given_off = np.maximum(given_off, _LEAST_GIVEN_OFF * given_off.mean())
    at_events = _at_count_times(phase, counted.events.t / COUNT_SPAN)
    place = at_events * (ANGLES / (2 * math.pi))
    even = counted.weighted(1 / np.interp(place, np.arange(ANGLES), given_off, period=ANGLES))
    centers = _bin_centers(len(phase))
    return even, np.interp(centers, even.events.t / COUNT_SPAN, at_events)


def _bin_centers(bins: int) -> _Real:
    """Centres of equal bins of count time, (bins,), 0 to 1."""
    return (np.arange(bins) + 0.5) / bins


def _at_count_times(phase: _Real, count_times: _Real) -> _Real:
    """A path of bin centres at other count times, 0 to 1; its ends go on straight."""
    places = (np.arange(len(phase) + 2) - 0.5) / len(phase)
    ends = (2 * phase[0] - phase[1], 2 * phase[-1] - phase[-2])
    return np.interp(count_times, places, np.r_[ends[0], phase, ends[1]])


def _rough_path(
    binned: BinnedEvents, phase: _Real, blurs: tuple[float, ...] = _FIRST_BLURS
) -> Generator[None, None, _Real]:
    """Phases by dynamic programming, from a first guess."""
    step = 2 * math.pi / ANGLES
    sense = 1 if phase[-1] > phase[0] else -1
    for blur in blurs:
        density = binned.density(phase, blur)
        likelihood, given_off = binned.log_likelihood(density)
        lattice = _most_likely_path(_TEMPER * likelihood, given_off * step, binned.given, sense)
        phase = _moving_average(lattice * step)
        yield
    return phase


def _moving_average(path: _Real, reach: int = 4) -> _Real:
    padded = np.pad(path, reach, mode="reflect", reflect_type="odd")
    return np.convolve(padded, np.full(2 * reach + 1, 1 / (2 * reach + 1)), "valid")


@njit(cache=True, nogil=True)
def _most_likely_path(likelihood, given_off, events, sense):
    """Unwrapped path over a lattice of phases, in its steps; see the module."""
    bins, phases = likelihood.shape
    best = likelihood[0].copy()
    came = np.zeros((bins, phases), np.int16)
    for b in range(1, bins):
        new = np.full(phases, -np.inf)
        for phase in range(phases):
            expected = max(events[b] / given_off[phase], 1e-3)
            for moved in range(_LARGEST_STEP + 1):
                # A path that rests in its place has moved by less than half a step.
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
    reach = LARGEST_STEP_RADII * start.axes[0]
    ellipse, dispersion = start, 1 / _TEMPER
    for _ in range(_ROUNDS):
        binned = BinnedEvents.of(counted, ellipse, seen, bins)
        density = binned.density(phase, BLUR)
        yield
        scores = PhaseScores.of(counted, binned, ellipse, phase, density)
        offset, weight = scores.offsets()
        smooth = smooth_path(
            phase + np.clip(offset, -LARGEST_OFFSET_RAD, LARGEST_OFFSET_RAD), weight
        )
        change = float(np.abs(smooth.phase - phase).max())
        phase = smooth.phase
        dispersion = max(smooth.variance * float(weight.mean()), 1.0)
        step, precision = scores.hub_step(dispersion)
        step = np.clip(step, -reach, reach)
        x, y = np.add(ellipse.center, step)
        ellipse = replace(ellipse, center=(float(x), float(y)))
        yield
        if change < slack * ENOUGH_RAD and np.abs(step).max() < slack * ENOUGH_PX:
            break
    covariance = np.linalg.inv(precision)
    return PhasePath(
        ellipse=ellipse,
        center_std=(math.sqrt(covariance[0, 0]), math.sqrt(covariance[1, 1])),
        phase=phase,
        disagreement=scores.disagreement(phase),
        smooth=smooth,
        density=density,
        gain=float(gains(binned, density, phase).sum()) / binned.moving,
        foretold=_foretold(binned, phase),
        counted=counted,
    )


def _why_hopeless(binned: BinnedEvents, phase: _Real) -> Rejection | None:
    """Why a rough path is not worth refining; None where it is."""
    gain = float(gains(binned, binned.density(phase, BLUR), phase).sum()) / binned.moving
    if not gain > HOPEFUL_GAIN:
        return Rejection(Reason.NO_PATH, gain, HOPEFUL_GAIN)
    foretold = _foretold(binned, phase)
    if not foretold > HOPEFUL_SHARE * gain:
        return Rejection(Reason.UNLIKE, max(foretold / gain, 0.0), HOPEFUL_SHARE)
    return None


def _foretold(binned: BinnedEvents, phase: _Real) -> float:
    """What an event gains where the density is that of the other half of the path.

    Where the view is cut, a half does not show the whole disc. So the angles that both halves have
    shown tell which share of the gain is foretold; 0 where they hold too few of the events.
    """
    is_early = np.abs(phase - phase[0]) < 0.5 * abs(phase[-1] - phase[0])
    density = binned.density(phase, BLUR)
    events = max(float(binned.events.sum()), 1.0)
    foretold, gained, compared = 0.0, 0.0, 0.0
    for half in (is_early, ~is_early):
        shown = binned.exposure(phase, BLUR, ~half)
        is_shown = shown > _LEAST_SHOWN * shown.mean()
        both = binned.within(phase, is_shown)
        other = np.where(is_shown, binned.density(phase, BLUR, ~half), density)
        foretold += float(gains(both, other, phase)[half].sum())
        gained += float(gains(both, density, phase)[half].sum())
        compared += float(both.events[half].sum())
    if compared < _LEAST_COMPARED * events or not gained > 0.0:
        return 0.0
    return foretold / gained * float(gains(binned, density, phase).sum()) / binned.moving
