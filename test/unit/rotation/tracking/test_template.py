from __future__ import annotations

import math

import numpy as np
import pytest
from blade_counts import EVEN, RINGS, blade_counts

from evio_ros.rotation.tracking.likelihood import match_template
from evio_ros.rotation.tracking.slice_counts import ANGLE_BINS, BIN_RAD
from evio_ros.rotation.tracking.template import (
    Template,
    TemplateUpdater,
    add_turned,
    common_angle,
)

MEMORY_US = 1_000_000
ANGLE = np.arange(ANGLE_BINS) * BIN_RAD


def _blades(turned_rad: float = 0.0, events: float = 4000.0) -> np.ndarray:
    """(4, 2, ANGLE_BINS) counts of three blades with soft edges."""
    angle = np.arange(ANGLE_BINS) * BIN_RAD - turned_rad
    density = np.exp(3.0 * np.cos(3 * angle))
    return np.tile(events * density / density.sum(), (4, 2, 1))


def _template() -> Template:
    return Template(_blades(), np.ones(4))


def test_what_was_learned_can_be_had_without_the_first_guess():
    template = Template(blade_counts(), EVEN)
    assert template.first_share == 1.0
    seen = 3.0 * blade_counts()
    template.update(seen, memory_events=0.5 * blade_counts().sum())
    assert template.first_share == pytest.approx(0.5 / 3.5)
    learned = template.without_first_guess()
    assert learned.events == pytest.approx(seen.sum(), rel=1e-6)
    assert learned.pattern()[:, :, :4] == pytest.approx(
        np.fft.rfft(seen, axis=2)[:, :, :4], rel=1e-3, abs=1
    )


def test_updates_keep_the_angle():
    template = Template(blade_counts(), EVEN)
    for _ in range(50):
        # Always a little ahead, as with a wrong speed.
        template.update(blade_counts(0.01), 4 * blade_counts().sum())
    match = match_template(blade_counts().astype(np.int32), template.tables, 3, 1.0)
    assert match.offset_rad == pytest.approx(0.0, abs=2e-3)


def test_an_update_tells_how_far_each_channel_has_turned() -> None:
    template = _template()
    # One ring goes ahead, the others stay: the mean is turned back, the difference remains.
    counts = _blades()
    counts[0] = _blades(0.02)[0]
    turned, information = template.update(counts, 1e12)
    assert turned.shape == information.shape == (4, 2)
    assert (information > 0).all()
    # Half of all counts are new, so each ring goes half the way.
    assert turned[0] - turned[1] == pytest.approx(0.01, rel=0.1)
    assert abs(float(turned.mean())) < 1e-3


def test_the_share_of_the_first_guess_is_that_of_its_events() -> None:
    template = _template()
    events = float(_blades().sum())
    assert template.first_share == 1.0
    template.update(_blades(), 1e12)
    assert template.first_share == pytest.approx(1 / 2)
    # Of what is known, only as much is kept as the new counts are.
    template.update(_blades(), events)
    assert template.first_share == pytest.approx(1 / 4)


def test_what_channels_have_in_common_is_weighted_by_information() -> None:
    information, angles = np.zeros((4, 2)), np.ones((4, 2))
    information[:2], angles[:2] = 1.0, 1e-3
    information[2], angles[2] = 2.0, -1e-3
    assert common_angle(angles, information) == pytest.approx(0.0)
    assert common_angle(angles[:2], information[:2]) == pytest.approx(1e-3)
    assert common_angle(angles, 0.0 * information) == 0.0


def test_the_updater_waits_until_an_update_is_worth_the_while() -> None:
    updater = TemplateUpdater(_template(), MEMORY_US, 10, 0)
    counts = _blades(events=100.0).astype(np.int32)
    updates_us = [
        t_us
        for t_us in range(5_000, 3_000_000, 5_000)
        if updater.add(t_us, counts, 0.0, 5_000, t_us // 5_000) is not None
    ]
    # Each slice of a rotor just found, rarer and rarer later on, but several times a second.
    assert updates_us[:3] == [5_000, 10_000, 15_000]
    apart = np.diff(updates_us)
    assert apart[-1] > apart[0]
    assert (np.diff(apart[:-1]) >= 0).all()
    assert apart.max() <= 200_000


def test_the_updater_takes_slices_as_far_ahead_as_they_are() -> None:
    updater = TemplateUpdater(_template(), MEMORY_US, 10, 0)
    drift = updater.add(5_000, _blades(0.1).astype(np.int32), 0.1, 5_000, 0)
    assert drift is not None
    assert drift.turned_rad == pytest.approx(0.0, abs=1e-3)
    assert 0.0 < drift.first_share < 1.0
    assert updater.blades == 3
    # The blade lies between its two edges, which coincide here, up to a pitch.
    pitch = 2 * np.pi / 3
    assert abs((updater.blade_angle() + pitch / 2) % pitch - pitch / 2) < 0.05


def test_slices_without_events_change_nothing() -> None:
    updater = TemplateUpdater(_template(), MEMORY_US, 10, 0)
    before = updater.template.events
    assert updater.add(5_000, np.zeros((4, 2, ANGLE_BINS), np.int32), 0.0, 5_000, 0) is None
    assert updater.template.events == before


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
