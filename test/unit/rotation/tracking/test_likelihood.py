from __future__ import annotations

import math

import numpy as np
import pytest
from blade_counts import EVEN, RINGS, blade_counts

from evio_ros.rotation.tracking.likelihood import (
    Score,
    match_template,
    score_of,
)
from evio_ros.rotation.tracking.slice_counts import (
    ANGLE_BINS,
    BIN_RAD,
    SECTORS,
    CoherentSlices,
)
from evio_ros.rotation.tracking.template import Template

TABLES = Template(blade_counts(), EVEN).tables
RADII = np.array((0.4, 0.8))
ANGLE = np.arange(ANGLE_BINS) * BIN_RAD
MIDDLES = (np.arange(SECTORS) + 0.5) * 2 * math.pi / SECTORS
SHARP = 1e-9
"""An angle of a pixel so small that a sector's place is exact."""


def slices_of(counts: np.ndarray, start: float, turned: float) -> CoherentSlices:
    """Counts of one slice of a second."""
    return CoherentSlices.of(counts.astype(np.int32), start, turned, 1_000_000)


def lags(unknowns: np.ndarray, radius: float) -> np.ndarray:
    """Lag of the pattern in each sector for (offset, shift x, y, shear 0, 1): the definition."""
    offset, x, y, shear_0, shear_1 = unknowns
    shift = (y * np.cos(MIDDLES) - x * np.sin(MIDDLES)) / radius
    return offset + shift + shear_1 * np.cos(2 * MIDDLES) - shear_0 * np.sin(2 * MIDDLES)


def wavy(angle: np.ndarray) -> np.ndarray:
    """A density that the template's blur hardly changes, with slopes unlike on both sides."""
    return 1 + 0.5 * np.cos(2 * angle) + 0.2 * np.sin(3 * angle)


@pytest.mark.parametrize("bins", [0.0, 3.0, -7.0])
def test_the_matched_filter_finds_an_offset(bins):
    counts = np.random.default_rng(0).poisson(blade_counts(bins * BIN_RAD))
    match = match_template(counts.astype(np.int32), TABLES, 3, 1.0)
    assert match.offset_rad == pytest.approx(bins * BIN_RAD, abs=0.3 * BIN_RAD)
    assert match.gain > 0


def test_the_matched_filter_is_the_sum_of_log_densities():
    counts = np.random.default_rng(2).poisson(blade_counts(0.2)).astype(np.int32)
    match = match_template(counts, TABLES, 3, 1.0)
    # Half a pitch of three blades is 42 bins.
    likelihood = [
        float((counts * np.roll(TABLES.log_density, bins, axis=2)).sum()) for bins in range(-42, 43)
    ]
    assert match.gain == pytest.approx(max(likelihood), rel=1e-5)
    assert match.offset_rad / BIN_RAD == pytest.approx(np.argmax(likelihood) - 42, abs=0.5)


def test_a_rotor_that_left_its_motion_is_found_farther_away():
    counts = np.random.default_rng(3).poisson(blade_counts(0.8) / 100).astype(np.int32)
    match = match_template(counts, TABLES, 3, 1e-4)
    assert match.is_manoeuvre
    assert match.offset_rad == pytest.approx(0.8, abs=0.5 * BIN_RAD)


def test_few_events_do_not_outweigh_the_expected_motion():
    counts = np.zeros_like(blade_counts(), np.int32)
    counts[0, 0, 30] = 1
    match = match_template(counts, TABLES, 3, 1e-4)
    assert not match.is_manoeuvre
    assert abs(match.offset_rad) < 0.2


@pytest.mark.parametrize("offset", [-0.01, -0.005, 0.0, 0.01])
@pytest.mark.parametrize("sense", [1, -1])
def test_the_score_measures_small_offsets(offset, sense):
    rng = np.random.default_rng(1)
    template = Template(blade_counts(), RADII)
    seen = blade_counts(offset)[:, ::sense]
    # The rotor makes a whole turn, so that all sectors see all of the pattern.
    counts = rng.poisson(np.repeat(seen[:, None], SECTORS, axis=1))
    score = score_of(slices_of(counts, 0.0, sense * 2 * math.pi), template, 0.0, 0.02)
    assert score.gradient[0] / score.information[0, 0] == pytest.approx(offset, abs=2e-3)


def test_a_rotor_that_turns_the_other_way_swaps_its_edges():
    mirrored = blade_counts(0.01)[:, ::-1]
    counts = np.random.default_rng(1).poisson(np.repeat(mirrored[:, None], SECTORS, axis=1))
    slices = slices_of(counts, 0.0, -2 * math.pi)
    assert slices.events == counts.sum()
    match = match_template(slices.folded, Template(blade_counts(), EVEN).tables, 3, 1.0)
    assert match.offset_rad == pytest.approx(0.01, abs=0.01)


def test_score_and_information_are_derivatives_of_the_log_likelihood():
    """All five unknowns, against differences of the likelihood of every single bin."""
    template = Template(np.tile(1e9 * wavy(ANGLE), (RINGS, 2, 1)), np.full(RINGS, 100.0))
    template.radii = RADII
    truth = np.array((0.01, 0.004, -0.006, 0.01, 0.005))
    rng = np.random.default_rng(4)
    counts = np.empty((RINGS, SECTORS, 2, ANGLE_BINS))
    for ring, radius in enumerate(RADII):
        for sector, lag in enumerate(lags(truth, radius)):
            counts[ring, sector] = rng.poisson(500 * wavy(ANGLE - lag), (2, ANGLE_BINS))

    def likelihood(unknowns: np.ndarray) -> float:
        return sum(
            float((counts[ring, sector].sum(axis=0) * np.log(wavy(ANGLE - lag))).sum())
            for ring, radius in enumerate(RADII)
            for sector, lag in enumerate(lags(unknowns, radius))
        )

    at = np.array((0.006, 0.0, 0.0, 0.0, 0.0))
    steps = 1e-3 * np.eye(5)
    gradient = [(likelihood(at + h) - likelihood(at - h)) / 2e-3 for h in steps]
    hessian = [
        [
            (
                likelihood(at + h + k)
                - likelihood(at + h - k)
                - likelihood(at - h + k)
                + likelihood(at - h - k)
            )
            / 4e-6
            for h in steps
        ]
        for k in steps
    ]
    # The rotor makes a whole turn: how much of it a sector sees does not depend on the unknowns.
    score = score_of(slices_of(counts, 0.0, 2 * math.pi), template, 0.006, SHARP)
    scale = template.response * np.sqrt(np.diag(score.information) / template.response)
    assert np.abs(score.gradient - template.response * np.array(gradient)).max() < (
        0.02 * np.abs(score.gradient).max()
    )
    difference = score.information / template.response + np.array(hessian) * template.response
    assert np.abs(difference / np.outer(scale, scale)).max() < 0.05
    # One step of Newton's method finds what the events were drawn with.
    found = at + np.linalg.solve(score.information, score.gradient)
    bound = np.sqrt(np.diag(np.linalg.inv(score.information)))
    assert (np.abs(found - truth) < 4 * bound).all()
    assert score.over_dispersion() == pytest.approx(1.0, abs=0.6)


def slow_score(
    counts: np.ndarray, template: Template, offset: float, start: float, turned: float
) -> tuple[np.ndarray, np.ndarray]:
    """Score and information by plain loops; means over a sector and the time by fine sampling."""
    t = template.tables
    fine = 64
    density = wavy(ANGLE)
    gradient, information = np.zeros(5), np.zeros((5, 5))
    # What a sector sees in the turning frame: all pairs of a place in it and a time.
    places = (np.arange(fine) + 0.5) / fine * 2 * math.pi / SECTORS
    turns = (np.arange(fine) + 0.5) / fine * turned
    seen = places[:, None] - (start + offset + turns[None, :])
    for ring, radius in enumerate(template.radii):
        for sector in range(SECTORS):
            own_score = own = doubt = 0.0
            for polarity in range(2):
                channel = polarity ^ int(turned < 0)
                slope = t.slope[ring, channel].astype(float)
                angles = seen + sector * 2 * math.pi / SECTORS
                at = np.interp(angles, ANGLE, slope, period=2 * math.pi)
                weight = np.interp(angles, ANGLE, density, period=2 * math.pi)
                usual = (at * weight).mean() / weight.mean()
                events = counts[ring, sector, polarity]
                slopes = np.interp(ANGLE - offset, ANGLE, slope, period=2 * math.pi)
                own_score += (events * (usual - slopes)).sum()
                own += (events * slopes**2).sum() - events.sum() * usual**2
                # A tenth of what an edge within the sector leads to expect is not believed.
                doubt += (0.1 * events.sum() * usual) ** 2
            trust = own / (own + doubt)
            design = [lags(row, radius)[sector] for row in np.eye(5)]
            gradient += trust * own_score * np.array(design)
            information += trust * own * np.outer(design, design)
    return template.response * gradient, template.response**2 * information


@pytest.mark.parametrize("turned", [0.9, -2.3, 0.002])
def test_a_part_of_a_turn_is_measured_as_plain_loops_measure_it(turned):
    template = Template(np.tile(1e9 * wavy(ANGLE), (RINGS, 2, 1)), np.full(RINGS, 100.0))
    template.radii = RADII
    start, offset = 5.3, -0.02
    rng = np.random.default_rng(7)
    # Events where the sectors pass, from the definition: places, times, derotated angles.
    counts = np.zeros((RINGS, SECTORS, 2, ANGLE_BINS))
    place = rng.uniform(0, 2 * math.pi, 400_000)
    derotated = place - start - rng.uniform(0, 1, place.size) * turned
    kept = rng.uniform(0, 2, place.size) < wavy(derotated - 0.03)
    place, derotated = place[kept], derotated[kept]
    sector = (place / (2 * math.pi) * SECTORS).astype(int)
    angle_bin = np.rint(derotated / BIN_RAD).astype(int) % ANGLE_BINS
    ring, polarity = rng.integers(0, RINGS, place.size), rng.integers(0, 2, place.size)
    np.add.at(counts, (ring, sector, polarity, angle_bin), 1)
    gradient, information = slow_score(counts, template, offset, start, turned)
    score = score_of(slices_of(counts, start, turned), template, offset, SHARP)
    assert score.information == pytest.approx(
        information, rel=0.01, abs=0.01 * np.diag(information).max()
    )
    deviation = np.sqrt(np.diag(information))
    assert np.abs((score.gradient - gradient) / deviation).max() < 0.1


def _score(scatter: float) -> Score:
    return Score(np.zeros(5), np.zeros((5, 5)), scatter, 45, 0.0)


def test_too_few_sectors_tell_nothing():
    assert _score(1.0)._replace(sectors=6).over_dispersion() is None
