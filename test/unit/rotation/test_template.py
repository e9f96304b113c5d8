from __future__ import annotations

import math

import numpy as np
import pytest

from evio_ros.rotation.matched_offset import find_offset, vertex
from evio_ros.rotation.slice_histogram import ANGLE_BINS, BIN_RAD, SECTORS
from evio_ros.rotation.slice_measurement import measure_slice
from evio_ros.rotation.template import Template, add_turned_back

RINGS = 2
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
    template = Template(looks())
    counts = np.random.default_rng(0).poisson(looks(bins * BIN_RAD))
    matched = find_offset(counts.astype(np.int32), template.looks.log_density, 3, 1.0)
    assert matched.offset_rad == pytest.approx(bins * BIN_RAD, abs=0.3 * BIN_RAD)
    assert matched.gained > 0


@pytest.mark.parametrize("offset", [-0.01, -0.005, 0.0, 0.01])
def test_the_score_measures_small_offsets(offset):
    rng = np.random.default_rng(1)
    template = Template(looks())
    # The rotor makes a whole turn, so that all sectors see all of the pattern.
    counts = rng.poisson(np.repeat(looks(offset)[:, None], SECTORS, axis=1)).astype(np.int32)
    seen = measure_slice(
        counts, template.looks, RADII, 0.02, template.response, 0.0, 0.0, 2 * math.pi
    )
    measured = seen.score[0] / seen.information[0, 0]
    assert measured == pytest.approx(offset, abs=2e-3)


def test_learning_keeps_the_angle():
    template = Template(looks())
    for _ in range(50):
        # Always a little ahead, as with a wrong speed.
        template.learn(looks(0.01), 4 * looks().sum())
    matched = find_offset(looks().astype(np.int32), template.looks.log_density, 3, 1.0)
    assert matched.offset_rad == pytest.approx(0.0, abs=2e-3)


def test_turning_back_is_exact_for_whole_bins():
    counts = np.random.default_rng(0).random((RINGS, 2, ANGLE_BINS))
    total = np.ones_like(counts)
    add_turned_back(total, counts, 5.0)
    assert total == pytest.approx(1.0 + np.roll(counts, -5, axis=-1))


def test_vertex_of_a_parabola():
    assert vertex(*(-((x - 0.2) ** 2) for x in (-1, 0, 1))) == pytest.approx(0.2)
    assert vertex(1.0, 1.0, 1.0) == 0.0
