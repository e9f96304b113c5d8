from __future__ import annotations

import math

import numpy as np
import pytest

from evio_ros.rotation.tracking.matched_filter import find_offset, vertex
from evio_ros.rotation.tracking.score import fold_sectors, measure_slice
from evio_ros.rotation.tracking.slice_histogram import ANGLE_BINS, BIN_RAD, SECTORS
from evio_ros.rotation.tracking.template import Template, add_turned

RINGS = 2
EVEN = np.ones(RINGS)
"""Rings at the rim, whose looks are blurred alike."""
RADII = np.array((0.4, 0.8))


def looks(offset_rad: float = 0.0) -> np.ndarray:
    """Expected events of a three-blade rotor, edges 0.05 rad wide, (RINGS, 2, ANGLE_BINS)."""
    angle = np.arange(ANGLE_BINS) * BIN_RAD
    counts = np.full((RINGS, 2, ANGLE_BINS), 2.0)
    for polarity, edge in enumerate((-0.3, 0.3)):
        away = np.remainder(3 * (angle - edge - offset_rad) + math.pi, 2 * math.pi) - math.pi
        counts[:, polarity] += 200 * np.exp(-0.5 * (away / 0.15) ** 2)
    return counts


@pytest.mark.parametrize("bins", [0.0, 3.0, -7.0])
def test_the_matched_filter_finds_an_offset(bins):
    template = Template(looks(), EVEN)
    counts = np.random.default_rng(0).poisson(looks(bins * BIN_RAD))
    matched = find_offset(counts.astype(np.int32), template.looks.log_density, 3, 1.0)
    assert matched.offset_rad == pytest.approx(bins * BIN_RAD, abs=0.3 * BIN_RAD)
    assert matched.gained > 0


@pytest.mark.parametrize("offset", [-0.01, -0.005, 0.0, 0.01])
def test_the_score_measures_small_offsets(offset):
    rng = np.random.default_rng(1)
    template = Template(looks(), EVEN)
    # The rotor makes a whole turn, so that all sectors see all of the pattern.
    counts = rng.poisson(np.repeat(looks(offset)[:, None], SECTORS, axis=1)).astype(np.int32)
    seen = measure_slice(
        counts, template.looks, RADII, 0.02, template.response, 0.0, 0.0, 2 * math.pi
    )
    measured = seen.score[0] / seen.information[0, 0]
    assert measured == pytest.approx(offset, abs=2e-3)


def test_the_matched_filter_is_the_sum_of_log_densities():
    log_density = Template(looks(), EVEN).looks.log_density
    counts = np.random.default_rng(2).poisson(looks(0.2)).astype(np.int32)
    matched = find_offset(counts, log_density, 3, 1.0)
    likelihood = [
        float((counts * np.roll(log_density, bins, axis=2)).sum()) for bins in range(-42, 43)
    ]
    assert matched.gained == pytest.approx(max(likelihood), rel=1e-5)
    assert matched.offset_rad / BIN_RAD == pytest.approx(np.argmax(likelihood) - 42, abs=0.5)


def test_a_rotor_that_left_its_motion_is_found_farther_away():
    log_density = Template(looks(), EVEN).looks.log_density
    counts = np.random.default_rng(3).poisson(looks(0.8) / 100).astype(np.int32)
    matched = find_offset(counts, log_density, 3, 1e-4)
    assert matched.is_manoeuvre
    assert matched.offset_rad == pytest.approx(0.8, abs=0.5 * BIN_RAD)


def test_a_rotor_that_turns_the_other_way_swaps_its_edges():
    rng = np.random.default_rng(1)
    template = Template(looks(), EVEN)
    mirrored = looks(0.01)[:, ::-1]
    counts = rng.poisson(np.repeat(mirrored[:, None], SECTORS, axis=1)).astype(np.int32)
    folded = np.empty((RINGS, 2, ANGLE_BINS), np.int32)
    assert fold_sectors(counts, 0.0, -2 * math.pi, folded) == counts.sum()
    matched = find_offset(folded, template.looks.log_density, 3, 1.0)
    assert matched.offset_rad == pytest.approx(0.01, abs=0.01)
    seen = measure_slice(
        counts, template.looks, RADII, 0.02, template.response, 0.0, 0.0, -2 * math.pi
    )
    assert seen.score[0] / seen.information[0, 0] == pytest.approx(0.01, abs=2e-3)


def test_looks_are_blurred_by_the_same_arc_on_all_rings():
    angle = np.arange(ANGLE_BINS) * BIN_RAD
    density = np.tile(1e9 * (1 + 0.5 * np.cos(10 * angle)), (RINGS, 2, 1))
    log_density = Template(density, np.array([0.25, 1.0])).looks.log_density
    for ring, blur_rad in enumerate((0.14, 0.035)):
        soft = 0.5 * math.exp(-0.5 * (10 * blur_rad) ** 2)
        assert log_density[ring, 0] == pytest.approx(
            np.log(1 + soft * np.cos(10 * angle)), abs=1e-4
        )


def test_what_was_learned_can_be_had_without_the_first_guess():
    template = Template(looks(), EVEN)
    assert template.first_share == 1.0
    seen = 3.0 * looks()
    template.learn(seen, memory_events=0.5 * looks().sum())
    assert template.first_share == pytest.approx(0.5 / 3.5)
    relearned = template.relearned()
    assert relearned.events == pytest.approx(seen.sum(), rel=1e-6)
    assert relearned.pattern(3) == pytest.approx(
        np.fft.rfft(seen, axis=2)[:, :, :4], rel=1e-3, abs=1
    )


def test_looks_are_derivatives_and_integrals_of_the_density():
    angle = np.arange(ANGLE_BINS) * BIN_RAD
    density = 1 + 0.5 * np.cos(3 * angle)
    found = Template(np.tile(1e9 * density, (RINGS, 2, 1)), EVEN).looks
    # Blurred by 0.035 rad.
    soft = 0.5 * math.exp(-0.5 * (3 * 0.035) ** 2)
    blurred, slope = 1 + soft * np.cos(3 * angle), -3 * soft * np.sin(3 * angle)
    slope /= blurred
    pull = density * slope
    assert found.log_density[0, 0] == pytest.approx(np.log(blurred), abs=1e-5)
    assert found.slope[0, 0] == pytest.approx(slope, abs=1e-5)
    bend = -9 * soft * np.cos(3 * angle) / blurred - slope**2
    assert found.bend[0, 0] == pytest.approx(bend, abs=1e-4)
    assert found.integral[0, 0] == pytest.approx(0.5 * np.sin(3 * angle) / 3, abs=1e-5)
    assert found.second_integral[0, 0] == pytest.approx(-0.5 * np.cos(3 * angle) / 9, abs=1e-5)
    assert found.pull[0, 0] == pytest.approx(pull.mean(), abs=1e-6)
    # From one angle to another, an integral grows by the mean between them.
    grown = found.pull_integral[0, 0, 20] - found.pull_integral[0, 0, 0]
    fine = (np.arange(20_000) + 0.5) / 20_000 * 20 * BIN_RAD
    above = 0.5 * np.cos(3 * fine) + 1
    exact = (above * -3 * soft * np.sin(3 * fine) / (1 + soft * np.cos(3 * fine))).mean()
    assert grown == pytest.approx((exact - pull.mean()) * 20 * BIN_RAD, abs=1e-5)


def test_learning_keeps_the_angle():
    template = Template(looks(), EVEN)
    for _ in range(50):
        # Always a little ahead, as with a wrong speed.
        template.learn(looks(0.01), 4 * looks().sum())
    matched = find_offset(looks().astype(np.int32), template.looks.log_density, 3, 1.0)
    assert matched.offset_rad == pytest.approx(0.0, abs=2e-3)


@pytest.mark.parametrize("bins", [0.0, 5.0, -3.0, 0.25, -300.75])
def test_tables_are_turned_straight_between_bins(bins):
    table = np.random.default_rng(0).random((RINGS, 2, ANGLE_BINS))
    total = np.ones_like(table)
    add_turned(total, table, bins)
    whole = math.floor(bins)
    before, after = (np.roll(table, whole + step, axis=2) for step in (0, 1))
    assert total == pytest.approx(1 + before + (bins - whole) * (after - before))


def test_vertex_of_a_parabola():
    assert vertex(*(-((x - 0.2) ** 2) for x in (-1, 0, 1))) == pytest.approx(0.2)
    assert vertex(1.0, 1.0, 1.0) == 0.0
