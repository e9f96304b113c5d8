from __future__ import annotations

import math

import numpy as np
import pytest
from blade_counts import EVEN, RINGS

from evio_ros.rotation.tracking.slice_counts import ANGLE_BINS, BIN_RAD
from evio_ros.rotation.tracking.template import Template
from evio_ros.rotation.tracking.template_tables import add_turned

ANGLE = np.arange(ANGLE_BINS) * BIN_RAD


def test_templates_are_blurred_by_the_same_arc_on_all_rings():
    density = np.tile(1e9 * (1 + 0.5 * np.cos(10 * ANGLE)), (RINGS, 2, 1))
    log_density = Template(density, np.array([0.25, 1.0])).tables.log_density
    for ring, blur_rad in enumerate((0.14, 0.035)):
        soft = 0.5 * math.exp(-0.5 * (10 * blur_rad) ** 2)
        assert log_density[ring, 0] == pytest.approx(
            np.log(1 + soft * np.cos(10 * ANGLE)), abs=1e-4
        )


def test_tables_are_derivatives_and_integrals_of_the_density():
    density = 1 + 0.5 * np.cos(3 * ANGLE)
    found = Template(np.tile(1e9 * density, (RINGS, 2, 1)), EVEN).tables
    # Blurred by 0.035 rad.
    soft = 0.5 * math.exp(-0.5 * (3 * 0.035) ** 2)
    blurred, slope = 1 + soft * np.cos(3 * ANGLE), -3 * soft * np.sin(3 * ANGLE)
    slope /= blurred
    weighted = density * slope
    assert found.log_density[0, 0] == pytest.approx(np.log(blurred), abs=1e-5)
    assert found.slope[0, 0] == pytest.approx(slope, abs=1e-5)
    curvature = -9 * soft * np.cos(3 * ANGLE) / blurred - slope**2
    assert found.curvature[0, 0] == pytest.approx(curvature, abs=1e-4)
    assert found.density_integral[0, 0] == pytest.approx(0.5 * np.sin(3 * ANGLE) / 3, abs=1e-5)
    twice = -0.5 * np.cos(3 * ANGLE) / 9
    assert found.density_second_integral[0, 0] == pytest.approx(twice, abs=1e-5)
    assert found.mean_slope[0, 0] == pytest.approx(weighted.mean(), abs=1e-6)
    # From one angle to another, an integral grows by the mean between them.
    grown = found.slope_integral[0, 0, 20] - found.slope_integral[0, 0, 0]
    fine = (np.arange(20_000) + 0.5) / 20_000 * 20 * BIN_RAD
    above = 0.5 * np.cos(3 * fine) + 1
    exact = (above * -3 * soft * np.sin(3 * fine) / (1 + soft * np.cos(3 * fine))).mean()
    assert grown == pytest.approx((exact - weighted.mean()) * 20 * BIN_RAD, abs=1e-5)


def test_noise_has_no_pattern():
    """Of counts that are even but for their noise, the Wiener filter leaves hardly anything."""
    counts = np.random.default_rng(5).poisson(100.0, (RINGS, 2, ANGLE_BINS))
    smooth = Template(counts, EVEN).tables.log_density
    rough = np.log(counts / counts.mean())
    assert smooth.std() < 0.5 * rough.std()


@pytest.mark.parametrize("bins", [0.0, 5.0, -3.0, 0.25, -300.75])
def test_tables_are_turned_straight_between_bins(bins):
    table = np.random.default_rng(0).random((RINGS, 2, ANGLE_BINS))
    total = np.ones_like(table)
    add_turned(total, table, bins)
    whole = math.floor(bins)
    before, after = (np.roll(table, whole + step, axis=2) for step in (0, 1))
    assert total == pytest.approx(1 + before + (bins - whole) * (after - before))
