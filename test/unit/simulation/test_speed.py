from __future__ import annotations

import numpy as np
import pytest

from evio_ros.errors import ParameterError
from evio_ros.simulation.speed import SpeedProfile


def test_turns_of_a_constant_speed():
    speed = SpeedProfile.constant(-120.0)
    np.testing.assert_allclose(speed.turns([-1e6, 0.0, 0.25e6]), [2.0, 0.0, -0.5])
    assert speed.mean_rpm(3e5, 9e5) == pytest.approx(-120.0)


def test_turns_of_a_ramp():
    # 60 to 180 rpm from 1 to 3 s: f = 1 + (t - 1) turns a second.
    speed = SpeedProfile.through((1.0, 60.0), (3.0, 180.0))
    np.testing.assert_allclose(speed.frequency_hz([0.0, 1e6, 2e6, 3e6, 9e6]), [1, 1, 2, 3, 3])
    np.testing.assert_allclose(speed.turns([1e6, 2e6, 3e6, 4e6]), [1.0, 2.5, 5.0, 8.0])
    assert speed.mean_rpm(1e6, 3e6) == pytest.approx(120.0)


def test_a_sudden_step_and_a_stop():
    speed = SpeedProfile.through((0.0, 60.0), (1.0, 60.0), (1.0, 120.0), (2.0, 120.0), (2.0, 0.0))
    np.testing.assert_allclose(speed.turns([1e6, 1.5e6, 2e6, 5e6]), [1.0, 2.0, 3.0, 3.0])
    np.testing.assert_allclose(speed.frequency_hz([1e6, 2e6]), [2.0, 0.0])


def test_turns_are_the_integral_of_the_frequency():
    speed = SpeedProfile.through((0.1, 900.0), (0.4, -300.0), (0.4, 500.0), (0.9, 700.0))
    t_us = np.linspace(0.0, 1.2e6, 1_200_001)
    middle = 0.5 * (t_us[1:] + t_us[:-1])
    turned = np.cumsum(speed.frequency_hz(middle)) * 1e-6
    np.testing.assert_allclose(speed.turns(t_us[1:]), turned, atol=1e-8)


@pytest.mark.parametrize(
    ("times", "rpm"), [((), ()), ((0.0,), (1.0, 2.0)), ((1.0, 0.5), (1.0, 1.0))]
)
def test_impossible_profiles_are_refused(times, rpm):
    with pytest.raises(ParameterError):
        SpeedProfile(times, rpm)
