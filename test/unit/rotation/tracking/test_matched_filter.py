from __future__ import annotations

import numpy as np
import pytest
from blade_counts import EVEN, blade_counts

from evio_ros.rotation.tracking.matched_filter import match_template, vertex
from evio_ros.rotation.tracking.slice_counts import BIN_RAD
from evio_ros.rotation.tracking.template import Template

TABLES = Template(blade_counts(), EVEN).tables


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


def test_vertex_of_a_parabola():
    assert vertex(*(-((x - 0.2) ** 2) for x in (-1, 0, 1))) == pytest.approx(0.2)
    assert vertex(1.0, 1.0, 1.0) == 0.0
