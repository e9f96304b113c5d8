from __future__ import annotations

import math

import numpy as np
import pytest
from filterpy.kalman import KalmanFilter
from rotor_estimates import FAN, STEP_US, TurningFan

from evio_ros.ellipse import Ellipse
from evio_ros.fusion.blade_filter import BladeFilters, _filtered
from evio_ros.fusion.rotor_filter import RotorFilter
from evio_ros.fusion.rotor_model import FilterParameters


def followed(fan: TurningFan, windows: int = 20) -> tuple[RotorFilter, BladeFilters, int]:
    """A rotor and its blades after some windows, and the end of the last."""
    filter_ = RotorFilter(fan.estimate(100_000), FilterParameters())
    blades = BladeFilters(3)
    t_us = 100_000
    for _ in range(windows):
        blades.update(filter_.at(t_us), FAN.tilt_rad)
        t_us += STEP_US
        filter_.apply(fan.estimate(t_us))
    blades.update(filter_.at(t_us), FAN.tilt_rad)
    return filter_, blades, t_us


@pytest.mark.parametrize("ahead_us", [0, 7_300, 400_000])
def test_tips_are_where_the_blades_are_and_move_as_they_do(ahead_us):
    fan = TurningFan(rpm=-1150.0, velocity=(80.0, -30.0))
    filter_, blades, t_us = followed(fan)
    t_us += ahead_us
    states = blades.at(filter_.at(t_us), FAN.tilt_rad)

    def tip(index: int, at_us: float) -> np.ndarray:
        disc = Ellipse(fan.center(at_us), FAN.axes, FAN.tilt_rad)
        return disc.image_point(1.0, fan.phase(at_us) + 2 * math.pi * index / 3)

    assert [state.index for state in states] == [0, 1, 2]
    for state in states:
        assert state.tip == pytest.approx(tip(state.index, t_us), abs=0.3)
        before, after = tip(state.index, t_us - 10), tip(state.index, t_us + 10)
        assert state.velocity == pytest.approx((after - before) / 20e-6, rel=0.01, abs=40)
        wanted = fan.phase(t_us) + 2 * math.pi * state.index / 3
        assert math.remainder(state.angle_rad - wanted, 2 * math.pi) == pytest.approx(0, abs=5e-3)
        assert np.linalg.eigvalsh(state.covariance)[0] > 0


def test_what_is_not_measured_becomes_less_certain():
    filter_, blades, t_us = followed(TurningFan())
    deviations = [
        math.sqrt(np.trace(blades.at(filter_.at(t_us + ahead), FAN.tilt_rad)[0].covariance[:2, :2]))
        for ahead in (0, 200_000, 1_000_000)
    ]
    assert deviations == sorted(deviations)
    assert deviations[2] > 2 * deviations[0]


def test_a_measurement_step_is_that_of_filterpy():
    random = np.random.default_rng(1)
    tips, measured = random.normal(size=(2, 3, 4))
    roots = random.normal(size=(2, 3, 4, 4))
    covariances, noises = roots @ roots.transpose(0, 1, 3, 2) + 0.1 * np.eye(4)
    results, updated = _filtered(tips, covariances, measured, noises)
    for blade in range(3):
        reference = KalmanFilter(4, 4)
        reference.x, reference.P = tips[blade][:, None], covariances[blade]
        reference.H, reference.R = np.eye(4), noises[blade]
        reference.update(measured[blade])
        assert results[blade] == pytest.approx(reference.x[:, 0], abs=1e-10)
        assert updated[blade] == pytest.approx(reference.P, abs=1e-10)


def test_rotors_without_blades_and_with_very_many_have_no_blade_states():
    motion = RotorFilter(FAN, FilterParameters()).at(FAN.t_us)
    for count in (0, 200):
        blades = BladeFilters(count)
        blades.update(motion, 0.0)
        assert blades.at(motion, 0.0) == ()
