from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import expm
from scipy.optimize import minimize

from evio_ros.rotation.acquisition.phase_vortex import (
    best_starts,
    disc_angle,
    refined_hub,
    winding_power,
)

HUB = np.array((52.3, 48.1))
ORDER = 3


@pytest.fixture
def points() -> np.ndarray:
    return np.random.default_rng(0).uniform(20.0, 80.0, (120, 2))


@pytest.fixture
def phasors(points) -> np.ndarray:
    """Unit phasors that wind ORDER times backwards about HUB, with a little noise."""
    x, y = (points - HUB).T
    random = np.random.default_rng(1)
    phase = -ORDER * np.arctan2(y, x) + 0.2 * random.normal(size=(2, len(x)))
    off, on = np.exp(1j * phase)
    return np.stack((off.real, off.imag, on.real, on.imag))


def power_by_definition(phasors, points, hub, order, flattening=((0.0, 0.0), (0.0, 0.0))):
    x, y = expm(-np.array(flattening)) @ (points - hub).T
    turn = np.exp(1j * order * np.arctan2(y, x))
    off, on = phasors[0] + 1j * phasors[1], phasors[2] + 1j * phasors[3]
    return abs((off * turn).sum()) ** 2 + abs((on * turn).sum()) ** 2


def test_winding_power_is_that_of_its_definition(phasors, points):
    power = winding_power(phasors, points, HUB, np.zeros(2), 4)
    expected = [power_by_definition(phasors, points, HUB, order) for order in range(-4, 5)]
    assert power == pytest.approx(expected, rel=1e-9)
    assert power.argmax() - 4 == ORDER


@given(
    st.tuples(st.floats(20, 80), st.floats(20, 80)),
    st.tuples(st.floats(-0.8, 0.8), st.floats(-0.8, 0.8)),
    st.integers(0, 6),
)
def test_winding_power_about_any_hub_of_any_flattened_disc(hub, shear, highest):
    random = np.random.default_rng(2)
    points, phasors = random.uniform(20.0, 80.0, (50, 2)), random.normal(size=(4, 50))
    s0, s1 = shear
    power = winding_power(phasors, points, np.array(hub), np.array(shear), highest)
    expected = [
        power_by_definition(phasors, points, hub, order, ((s0, s1), (s1, -s0)))
        for order in range(-highest, highest + 1)
    ]
    assert power == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_the_best_start_is_the_one_nearest_to_the_hub(phasors, points):
    shifts = np.array([(x, y) for x in (-5.0, 0.0, 5.0) for y in (-5.0, 0.0, 5.0)])
    shears = np.zeros((1, 2))
    _, shift, _ = best_starts(phasors, points, HUB - shifts[7], shifts, shears, 4)
    assert shift[4 + ORDER] == 7


def test_the_hub_is_the_one_that_scipy_finds(phasors, points):
    centroid, reach, scale = points.mean(axis=0), 25.0, 2.0 * len(points) ** 2

    def loss(place):
        outside = max(math.hypot(place[0], place[1]) - 1.0, 0.0)
        center = centroid + reach * place[:2]
        power = winding_power(phasors, points, center, place[2:], ORDER)
        return outside - float(power[-1]) / scale

    begin = np.zeros(4)
    simplex = np.vstack((begin, 0.1 * np.eye(4)))
    options = {"initial_simplex": simplex, "xatol": 1e-3, "fatol": 1e-5, "maxiter": 250}
    expected = minimize(loss, begin, method="Nelder-Mead", options=options)
    coherence, center, shear = refined_hub(
        phasors, points, scale, centroid, reach, ORDER, np.zeros(2), np.zeros(2)
    )
    assert coherence == pytest.approx(-expected.fun, abs=1e-9)
    assert center == pytest.approx(centroid + reach * expected.x[:2], abs=1e-6)
    assert shear == pytest.approx(expected.x[2:], abs=1e-6)
    assert math.dist(center, HUB) < 0.5


def test_angles_on_a_flattened_disc():
    # Half as high as wide: exp(2 s) = 2 along x.
    shear = math.log(2.0) / 2
    angle = disc_angle(np.array(((2.0, 1.0), (-2.0, 1.0))), 0.0, 0.0, shear, 0.0)
    assert angle == pytest.approx((math.pi / 4, 3 * math.pi / 4))
