from __future__ import annotations

import math
from dataclasses import replace

import pytest
from rotor_estimates import FAN

from evio_ros.fusion.faults import fault_of, is_velocity


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({}, ""),
        ({"angle_std_rad": math.inf, "center_std": (math.inf, 0.0)}, ""),
        ({"rpm": math.nan}, "rpm"),
        ({"rpm": -1e300}, "rpm"),
        ({"rpm_std": math.inf}, "rpm_std"),
        ({"center": (0.0, math.inf)}, "center"),
        ({"axes": (3.0, -1.0)}, "axes"),
        ({"velocity": (math.nan, 0.0)}, "velocity"),
        ({"confidence": 1.1}, "confidence"),
        ({"angle_rad": 1e12}, "angle"),
        ({"window_us": 2**32 - 1}, "window_length"),
    ],
)
def test_the_first_value_that_no_rotor_can_have_is_named(changed, name):
    assert fault_of(replace(FAN, **changed)) == name


@pytest.mark.parametrize(
    ("velocity", "covariance", "is_one"),
    [
        ((3.0, -4.0), ((1.0, 0.5), (0.5, 1.0)), True),
        ((0.0, 0.0), ((0.0, 0.0), (0.0, 0.0)), True),
        ((math.nan, 0.0), ((1.0, 0.0), (0.0, 1.0)), False),
        ((0.0, math.inf), ((1.0, 0.0), (0.0, 1.0)), False),
        ((0.0, 0.0), ((1.0, math.nan), (0.0, 1.0)), False),
        ((0.0, 0.0), ((1.0, 0.0), (0.0, -1.0)), False),
        ((0.0, 0.0), ((1e300, 0.0), (0.0, 1.0)), False),
    ],
)
def test_velocities_that_no_hub_can_have(velocity, covariance, is_one):
    assert is_velocity(velocity, covariance) is is_one
