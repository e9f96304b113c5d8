"""The path of a rotor's phase through a whole recording, and the disc, found together.

The unknowns are the phase phi_b in bins b of the `EventClock`, the density D of events in the frame
that turns along (ring, polarity, angle), and the hub c. Given the bin, an event at ring r, of
polarity p and at angle theta about the hub has the probability

    P = D_rp(theta - phi_b) / L(phi_b),    L(phi) = sum over visible pixels of D(theta - phi).

They are found in turns, as in expectation maximisation:

1. D from the phases: the events folded to the turning frame, over the visible pixels folded alike.
2. First, while the phases are rough, the whole path anew by dynamic programming (Viterbi 1967) over
   a lattice of phases. It maximises the sum over bins of log P plus the prior of the steps,
   -log(step / expected step)^2 / 2 sigma^2, where the expected step is the bin's events over L,
   the events a radian that D gives off. So a step is free to be twice the expected one, but not to
   go back. D is blurred less from round to round, and the clock made even by L.
3. Then Gauss-Newton steps: score and information of each phase give its offset, the path is
   smoothed by its third differences over the clock (`path_smoother`); score and information of the
   hub, with the phases eliminated (Schur complement), give its step.

Two things tell what the result is worth. D of one half of the path must foretell the events of the
other half: what moves on without turning looks different later. And the offsets that rings and
polarities show by themselves, block by block of angle, should agree: by how much they do not tells
the error of the phase that comes from the disc and not from the number of events.

The shape of the disc is given. Where few edges pass, a flattening can't be told from a wobble of
the speed: with the shear s, the angle on the disc is theta + s0 sin 2 theta - s1 cos 2 theta. But
the area that an edge sweeps goes with the angle on the disc, and so does the even clock. So
`shear_left` compares the steps of the path over the clock with exp(-2 (s0 cos 2 theta + s1 sin 2
theta)), theta being where the edges are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import scipy.fft
from numba import njit
from numpy.typing import NDArray

from evio_ros.ellipse import Ellipse
from evio_ros.rotation.angle_time import angle_time_histogram
from evio_ros.rotation.looking_back.event_clock import TICKS, EventClock
from evio_ros.rotation.looking_back.path_smoother import SmoothPath, smooth_path
from evio_ros.rotation.tracking.disc_map import DiscMap

__all__ = ["PhasePath", "fit_path", "shear_left"]

Real = NDArray[np.float64]

RINGS = 3
HUB_RADIUS = 0.12
ANGLES = 128
ORDERS = 40
BINS_PER_TURN, FINE_BINS_PER_TURN = 64, 192
FEWEST_BINS, MOST_BINS = 48, 6000
FEWEST_EVENTS = 20
"""Of a fine bin, on average."""
FIRST_BLURS = (0.35, 0.2, 0.12, 0.08, 0.08)
BLUR = 0.06
ROUNDS = 40
ENOUGH_RAD, ENOUGH_PX = 1e-3, 0.005
LARGEST_OFFSET_RAD, LARGEST_STEP_RADII = 0.15, 0.1
LARGEST_STEP = 10
STEP_SIGMA = 0.5
TEMPER = 0.1
"""Events come in bursts: so much of their log likelihood counts."""
BLOCK_RAD = 0.35
"""Angle over which rings and polarities are compared."""
LEAST_GIVEN_OFF = 0.15
"""Of the mean: the clock does not stop where nothing is seen."""
FEWEST_TURNS = 0.5
HOPEFUL_GAIN, HOPEFUL_SHARE = 0.2, 0.5
LEAST_STEP = 0.2
"""Of the usual one: slower ones do not tell the shear."""
SHAPE = 2
"""Unknowns of the disc: the hub, x and y."""


@dataclass(frozen=True, slots=True)
class PhasePath:
    """A rotor over a stretch of a recording.

    Attributes:
        ellipse: its disc.
        center_std: of the hub, x and y, pixels.
        phase: (bins,) in equal bins of the clock, unwrapped.
        disagreement: (bins,) standard deviation of the phase as rings and polarities disagree.
        smooth: the smoothed path and its variance.
        density: (2 * rings, ANGLES) events over visible pixels in the turning frame, OFF first.
        gain: log likelihood that an event gains from being known to turn.
        foretold: what it gains where the density is that of the other half of the path.
        clock: the events.
    """

    ellipse: Ellipse
    center_std: tuple[float, float]
    phase: Real
    disagreement: Real
    smooth: SmoothPath
    density: Real
    gain: float
    foretold: float
    clock: EventClock

    @property
    def turns(self) -> float:
        """Turns over the whole path, signed."""
        return float(self.phase[-1] - self.phase[0]) / (2 * math.pi)


def fit_path(clock: EventClock, ellipse: Ellipse, turns: float) -> PhasePath | None:
    """Fit the path and the hub of what may turn.

    Args:
        clock: events of the region.
        ellipse: the disc; its shape is kept.
        turns: about how many it makes over the clock, signed.

    Returns:
        The path; None where it does not turn by `FEWEST_TURNS`, or one half of it foretells nothing
        of the other.
    """
    seen = _seen_pixels(clock)
    bins = int(np.clip(abs(turns) * BINS_PER_TURN, FEWEST_BINS, MOST_BINS))
    binned = _Binned.of(clock, ellipse, seen, bins)
    phase = _rough_path(binned, 2 * math.pi * turns * (np.arange(bins) + 0.5) / bins)
    for _ in range(2):
        if abs(phase[-1] - phase[0]) < 2 * math.pi * FEWEST_TURNS:
            return None
        clock, phase = _even_clock(clock, binned, phase)
        binned = _Binned.of(clock, ellipse, seen, bins)
        phase = _rough_path(binned, phase, FIRST_BLURS[-2:])
    turns = abs(phase[-1] - phase[0]) / (2 * math.pi)
    if turns < FEWEST_TURNS or not _is_hopeful(binned, phase):
        return None
    most = min(MOST_BINS, max(len(clock) // FEWEST_EVENTS, FEWEST_BINS))
    fine = int(np.clip(turns * FINE_BINS_PER_TURN, FEWEST_BINS, most))
    centers = (np.arange(fine) + 0.5) / fine
    return _refined(clock, seen, ellipse, _on_clock(phase, centers))


def _even_clock(clock: EventClock, binned: _Binned, phase: Real) -> tuple[EventClock, Real]:
    """A clock by which the visible part of the disc counts, and the path by it."""
    given_off = binned.given_off(binned.density(phase, FIRST_BLURS[-1]))
    given_off = np.maximum(given_off, LEAST_GIVEN_OFF * given_off.mean())
    at_events = _on_clock(phase, clock.ticked.t / TICKS)
    place = at_events * (ANGLES / (2 * math.pi))
    even = clock.weighted(1 / np.interp(place, np.arange(ANGLES), given_off, period=ANGLES))
    centers = (np.arange(len(phase)) + 0.5) / len(phase)
    return even, np.interp(centers, even.ticked.t / TICKS, at_events)


def _on_clock(phase: Real, clock: Real) -> Real:
    """A path of bin centres at other values of the clock, 0 to 1; its ends go on straight."""
    places = (np.arange(len(phase) + 2) - 0.5) / len(phase)
    ends = (2 * phase[0] - phase[1], 2 * phase[-1] - phase[-2])
    return np.interp(clock, places, np.r_[ends[0], phase, ends[1]])


def shear_left(path: PhasePath) -> Real:
    """Shear of the disc that its ellipse does not yet have, (2,); see the module."""
    bins = len(path.phase)
    clock = (np.arange(bins) + 0.5) / bins - 0.5
    steps = np.abs(np.gradient(path.phase))
    used = steps > LEAST_STEP * np.median(steps)
    angles = np.arange(ANGLES) * (2 * math.pi / ANGLES)
    edges = -np.angle((path.density.sum(axis=0) * np.exp(-2j * angles)).sum())
    double = 2 * path.phase + edges
    # The speed by the clock may change slowly, and with the phase, where the hub is a little off.
    columns = [clock**power for power in range(4)]
    columns += [np.cos(path.phase), np.sin(path.phase), np.cos(double), np.sin(double)]
    design = np.stack(columns, axis=1)[used]
    return -0.5 * np.linalg.lstsq(design, np.log(steps[used]), rcond=None)[0][-2:]


def _seen_pixels(clock: EventClock) -> NDArray[np.bool_]:
    events = clock.ticked
    seen = np.zeros((events.size.height, events.size.width), bool)
    seen[events.y, events.x] = True
    return seen


@dataclass(frozen=True, slots=True)
class _Binned:
    """Events on a disc by channel (ring and polarity), bin and angle."""

    disc: DiscMap
    counts: Real  # (channels, bins, ANGLES)
    harmonics: NDArray[np.complex128]  # (channels, bins, ORDERS + 1)
    visible: Real  # (channels, ANGLES) pixels
    levers: Real  # (SHAPE, channels, ANGLES) sums over pixels of the angle's change with the shape

    @classmethod
    def of(cls, clock: EventClock, ellipse: Ellipse, seen: NDArray[np.bool_], bins: int) -> _Binned:
        disc = DiscMap.of(ellipse, clock.ticked.size, RINGS, HUB_RADIUS, 1.0)
        counts = angle_time_histogram(clock.ticked, disc, 0, TICKS, bins, ANGLES)
        harmonics = scipy.fft.rfft(counts.astype(np.float64), axis=2)[:, :, : ORDERS + 1]
        x0, y0, x1, y1 = disc.box
        row, column = np.nonzero(seen[y0:y1, x0:x1] & (disc.codes >= 0))
        codes = disc.codes[row, column]
        steps = (1 << 16) // ANGLES
        place = codes >> 16, (((codes & 0xFFFF) + steps // 2) // steps) % ANGLES
        dx, dy = column + x0 - ellipse.center[0], row + y0 - ellipse.center[1]
        gradients = np.stack((dy, -dx)) / (dx**2 + dy**2)
        tables = np.zeros((1 + SHAPE, disc.rings, ANGLES))
        for table, value in zip(tables, (np.ones(len(dx)), *gradients), strict=True):
            np.add.at(table, place, value)
        tables = np.concatenate((tables, tables), axis=1)
        return cls(disc, counts.astype(np.float64), harmonics, tables[0], tables[1:])

    @property
    def events(self) -> Real:
        """(bins,) number of events."""
        return self.counts.sum(axis=(0, 2))

    def density(self, phase: Real, blur: float, used: NDArray[np.bool_] | None = None) -> Real:
        """Events for each visible pixel in the turning frame, (channels, ANGLES).

        Args:
            phase: (bins,) of the rotor.
            blur: standard deviation of the blur, rad.
            used: (bins,) of which bins; None for all.
        """
        orders = np.arange(ORDERS + 1)
        rate = np.abs(np.gradient(phase))
        smooth = np.exp(-0.5 * (orders * blur) ** 2)
        visible = scipy.fft.rfft(self.visible, axis=1)[:, : ORDERS + 1]
        turn = np.exp(1j * np.outer(phase, orders))
        if used is not None:
            turn = turn * used[:, None]
        folded = np.einsum("cbk,bk->ck", self.harmonics, turn)
        exposed = visible * (turn * rate[:, None]).sum(axis=0)
        events = np.maximum(_periodic(folded * smooth), 0.0)
        pixels = np.maximum(_periodic(exposed * smooth), 0.0)
        mean = events.sum() / max(pixels.sum(), 1e-9)
        # What was hardly seen is taken for empty; no event is impossible.
        doubt = 0.02 * pixels.mean() + 1e-9
        return np.maximum((events + 0.05 * mean * doubt) / (pixels + doubt), 0.03 * mean + 1e-12)

    def log_likelihood(self, density: Real) -> tuple[Real, Real]:
        """Of each bin at each phase, (bins, ANGLES), and events a radian given off, (ANGLES,)."""
        logs = scipy.fft.rfft(np.log(density), axis=1)
        spectrum = scipy.fft.rfft(self.counts, axis=2)
        product = np.einsum("cbk,ck->bk", spectrum, np.conj(logs))
        total = self.given_off(density)
        return scipy.fft.irfft(product, ANGLES, axis=1) - self.events[:, None] * np.log(
            total
        ), total

    def given_off(self, density: Real) -> Real:
        """Events a radian that the visible pixels give off at each phase, (ANGLES,)."""
        return np.maximum(_correlated(self.visible, density), 1e-9)


def _correlated(pixels: Real, pattern: Real) -> Real:
    """Sum over channels and angles of pixels * pattern turned to each phase, (..., ANGLES)."""
    product = scipy.fft.rfft(pixels, axis=-1) * np.conj(scipy.fft.rfft(pattern, axis=-1))
    return scipy.fft.irfft(product.sum(axis=-2), ANGLES, axis=-1)


def _periodic(harmonics: NDArray[np.complex128]) -> Real:
    return scipy.fft.irfft(harmonics, ANGLES, axis=1)


def _rough_path(binned: _Binned, phase: Real, blurs: tuple[float, ...] = FIRST_BLURS) -> Real:
    """Phases by dynamic programming, from a first guess."""
    step = 2 * math.pi / ANGLES
    sense = 1 if phase[-1] > phase[0] else -1
    for blur in blurs:
        density = binned.density(phase, blur)
        likelihood, given_off = binned.log_likelihood(density)
        lattice = _most_likely_path(TEMPER * likelihood, given_off * step, binned.events, sense)
        phase = _moving_average(lattice * step)
    return phase


def _moving_average(path: Real, reach: int = 4) -> Real:
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
            for moved in range(LARGEST_STEP + 1):
                # A path that rests in its place has moved by less than half a step.
                surprise = math.log(max(moved, 0.35) / expected) / STEP_SIGMA
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


def _refined(clock: EventClock, seen: NDArray[np.bool_], start: Ellipse, phase: Real) -> PhasePath:
    bins = len(phase)
    reach = LARGEST_STEP_RADII * start.axes[0]
    ellipse, dispersion = start, 1 / TEMPER
    for _ in range(ROUNDS):
        binned = _Binned.of(clock, ellipse, seen, bins)
        density = binned.density(phase, BLUR)
        scores = _Scores.of(clock, binned, ellipse, phase, density)
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
        if change < ENOUGH_RAD and np.abs(step).max() < ENOUGH_PX:
            break
    covariance = np.linalg.inv(precision)
    return PhasePath(
        ellipse=ellipse,
        center_std=(math.sqrt(covariance[0, 0]), math.sqrt(covariance[1, 1])),
        phase=phase,
        disagreement=scores.disagreement(phase),
        smooth=smooth,
        density=density,
        gain=float(_gains(binned, density, phase).sum()) / max(float(binned.events.sum()), 1.0),
        foretold=_foretold(binned, phase),
        clock=clock,
    )


def _gains(binned: _Binned, density: Real, phase: Real) -> Real:
    """Log likelihood of each bin's events less that of a disc that is everywhere alike, (bins,)."""
    likelihood, _ = binned.log_likelihood(density)
    place = phase * (ANGLES / (2 * math.pi))
    low = np.floor(place).astype(np.int64)
    share = place - low
    bins = np.arange(len(phase))
    on_path = (1 - share) * likelihood[bins, low % ANGLES]
    on_path += share * likelihood[bins, (low + 1) % ANGLES]
    by_channel = binned.counts.sum(axis=2)  # (channels, bins)
    pixels = np.maximum(binned.visible.sum(axis=1), 1.0)
    total = by_channel.sum(axis=1)
    alike = np.log(np.maximum(total / pixels, 1e-12) / max(float(total.sum()), 1.0))
    return on_path - alike @ by_channel


def _is_hopeful(binned: _Binned, phase: Real) -> bool:
    """Whether a rough path is worth refining."""
    gain = float(_gains(binned, binned.density(phase, BLUR), phase).sum())
    events = max(float(binned.events.sum()), 1.0)
    return gain > HOPEFUL_GAIN * events and _foretold(binned, phase) > HOPEFUL_SHARE * gain / events


def _foretold(binned: _Binned, phase: Real) -> float:
    """What an event gains from the density of the other half of the path."""
    is_early = np.abs(phase - phase[0]) < 0.5 * abs(phase[-1] - phase[0])
    gained = 0.0
    for half in (is_early, ~is_early):
        density = binned.density(phase, BLUR, ~half)
        gained += float(_gains(binned, density, phase)[half].sum())
    return gained / max(float(binned.events.sum()), 1.0)


@dataclass(frozen=True, slots=True)
class _Scores:
    """Score and information of phases and shape at the present estimate."""

    score: Real  # (bins, channels)
    information: Real  # (bins, channels)
    cross: Real  # (bins, SHAPE)
    shape_score: Real  # (SHAPE,)
    shape_information: Real  # (SHAPE, SHAPE)
    response: float
    expected: Real  # (bins, 1 + SHAPE) what the visible pixels alone add to the scores

    @classmethod
    def of(
        cls,
        clock: EventClock,
        binned: _Binned,
        ellipse: Ellipse,
        phase: Real,
        density: Real,
    ) -> _Scores:
        channels, bins, _ = binned.counts.shape
        orders = _derivative()
        logs = scipy.fft.rfft(np.log(density), axis=1)
        slope = scipy.fft.irfft(logs * orders, ANGLES, axis=1)
        bend = scipy.fft.irfft(logs * orders**2, ANGLES, axis=1)
        scores = cls(
            np.zeros((bins, channels)),
            np.zeros((bins, channels)),
            np.zeros((bins, SHAPE)),
            np.zeros(SHAPE),
            np.zeros((SHAPE, SHAPE)),
            1.0,
            _expected(binned, density, phase),
        )
        events, disc = clock.ticked, binned.disc
        bent, squared = _add_scores(
            events.x,
            events.y,
            events.t,
            events.polarity,
            disc.x0,
            disc.y0,
            disc.codes,
            ellipse.center[0],
            ellipse.center[1],
            phase,
            np.gradient(phase),
            slope,
            bend,
            scores.score,
            scores.information,
            scores.cross,
            scores.shape_score,
            scores.shape_information,
        )
        # With a blurred density an offset changes the score by less than its variance tells.
        return replace(scores, response=min(max(-bent / max(squared, 1e-9), 0.2), 5.0))

    def offsets(self) -> tuple[Real, Real]:
        """By how much each bin is ahead of its phase, and the inverse of the variance for that."""
        information = self.response * self.information.sum(axis=1)
        information = np.maximum(information, 0.05 * np.median(information) + 1e-9)
        return self._phase_score() / information, self.response * information

    def _phase_score(self) -> Real:
        return self.expected[:, 0] - self.score.sum(axis=1)

    def hub_step(self, dispersion: float) -> tuple[Real, Real]:
        """Change of the hub in pixels, and the inverse of its covariance.

        Args:
            dispersion: how much larger the offsets' variance is than events explain.
        """
        information = np.maximum(self.information.sum(axis=1), 1e-9)
        own = self.shape_information - (self.cross / information[:, None]).T @ self.cross
        pull = self.shape_score - self.expected[:, 1:].sum(axis=0)
        pull += self.cross.T @ (self._phase_score() / information)
        precision = self.response * own / dispersion + 1e-6 * np.eye(SHAPE)
        return np.linalg.solve(precision, pull / dispersion), precision

    def disagreement(self, phase: Real) -> Real:
        """Standard deviation of the phase of each bin, as rings and polarities tell it apart."""
        block = (np.abs(phase - phase[0]) / BLOCK_RAD).astype(np.int64)
        blocks = int(block.max()) + 1
        score, weight = (np.zeros((blocks, self.score.shape[1])) for _ in range(2))
        np.add.at(score, block, -self.score)
        np.add.at(weight, block, self.response * self.information)
        used = weight > 0.03 * weight.sum(axis=1, keepdims=True)
        weight = np.where(used, weight, 0.0)
        offset = np.where(used, score / np.maximum(weight, 1e-9), 0.0)
        share = weight / np.maximum(weight.sum(axis=1, keepdims=True), 1e-9)
        mean = (share * offset).sum(axis=1, keepdims=True)
        number = used.sum(axis=1)
        variance = (share**2 * (offset - mean) ** 2).sum(axis=1)
        variance *= number / np.maximum(number - 1, 1)
        several = number > 1
        if not several.any():
            return np.full(len(phase), math.inf)
        variance = np.where(several, variance, np.median(variance[several]))
        padded = np.pad(variance, 1, mode="edge")
        return np.sqrt((padded[:-2] + padded[1:-1] + padded[2:]) / 3)[block]


def _expected(binned: _Binned, density: Real, phase: Real) -> Real:
    """Mean scores of a bin's events where they lie, (bins, 1 + SHAPE): of angles, and of shape.

    The derivatives of log(sum over visible pixels of the density).
    """
    slope = scipy.fft.irfft(scipy.fft.rfft(density, axis=1) * _derivative(), ANGLES, axis=1)
    tables = np.concatenate((binned.visible[None], binned.levers))
    means = _correlated(tables, np.broadcast_to(slope, tables.shape)) / binned.given_off(density)
    place = phase * (ANGLES / (2 * math.pi))
    angles = np.arange(ANGLES)
    at_bins = [np.interp(place, angles, mean, period=ANGLES) for mean in means]
    return binned.events[:, None] * np.stack(at_bins, axis=1)


def _derivative() -> NDArray[np.complex128]:
    orders = 1j * np.arange(ANGLES // 2 + 1)
    orders[-1] = 0.0
    return orders


@njit(cache=True, nogil=True)
def _add_scores(
    x,
    y,
    ticks,
    polarity,
    x0,
    y0,
    codes,
    center_x,
    center_y,
    phase,
    advance,
    slope,
    bend,
    score,
    information,
    cross,
    shape_score,
    shape_information,
):
    """Add up scores of all events; returns the sums of bend and of squared slope.

    Scores are of the event's own angle: those of the phase have the opposite sign.
    """
    rows, columns = codes.shape
    channels, angles = slope.shape
    rings = channels // 2
    bins = len(phase)
    per_tick = bins / TICKS
    gradient = np.empty(SHAPE)
    bent, squared = 0.0, 0.0
    for i in range(x.size):
        row, column = np.int64(y[i]) - y0, np.int64(x[i]) - x0
        if not (0 <= row < rows and 0 <= column < columns) or codes[row, column] < 0:
            continue
        code = codes[row, column]
        place = ticks[i] * per_tick
        b = min(int(place), bins - 1)
        theta = (code & 0xFFFF) * (2 * math.pi / 65536.0)
        turned = phase[b] + advance[b] * (place - b - 0.5)
        position = (theta - turned) * (angles / (2 * math.pi))
        low = math.floor(position)
        share = position - low
        first, second = int(low) % angles, (int(low) + 1) % angles
        channel = np.int64(polarity[i]) * rings + (code >> 16)
        steep = (1 - share) * slope[channel, first] + share * slope[channel, second]
        bent += (1 - share) * bend[channel, first] + share * bend[channel, second]
        squared += steep * steep
        dx, dy = x[i] - center_x, y[i] - center_y
        distance = dx * dx + dy * dy
        gradient[0] = dy / distance
        gradient[1] = -dx / distance
        score[b, channel] += steep
        information[b, channel] += steep * steep
        for j in range(SHAPE):
            shape_score[j] += steep * gradient[j]
            cross[b, j] += steep * steep * gradient[j]
            for k in range(SHAPE):
                shape_information[j, k] += steep * steep * gradient[j] * gradient[k]
    return bent, squared
