from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evio_ros.ellipse import Ellipse
from evio_ros.events import SensorSize
from evio_ros.rotation.tracking.disc_map import (
    ANGLE_BITS,
    ANGLE_MASK,
    ANGLE_STEPS,
    OUTSIDE,
    UNUSED,
    DiscMap,
    ring_radii,
)

ellipses = st.builds(
    lambda x, y, b, stretch, tilt: Ellipse((x, y), (b * stretch, b), tilt),
    st.floats(-50, 400),
    st.floats(-50, 400),
    st.floats(1, 200),
    st.floats(1, 10),
    st.floats(-math.pi / 2, math.pi / 2),
)


def test_map_has_the_ring_and_the_angle_of_each_pixel():
    size = SensorSize(100, 100)
    disc = DiscMap.of(Ellipse((50.0, 50.0), (20.0, 20.0), 0.0), size, 4, 0.2, 1.0)
    at = lambda x, y: int(disc.codes[y - disc.y0, x - disc.x0])  # noqa: E731
    assert at(50, 50) == UNUSED
    assert at(60, 50) == 1 << ANGLE_BITS
    assert at(50, 68) == 3 << ANGLE_BITS | ANGLE_STEPS // 4
    assert at(disc.x0, disc.y0) == OUTSIDE
    used = np.count_nonzero(disc.codes >= 0)
    assert used == pytest.approx(math.pi * 20**2 * (1 - 0.2**2), rel=0.03)


def test_rings_are_equally_wide():
    assert ring_radii(4, 0.2) == pytest.approx([0.3, 0.5, 0.7, 0.9])


@given(ellipses)
def test_map_stays_on_the_sensor(ellipse):
    size = SensorSize(320, 240)
    disc = DiscMap.of(ellipse, size, 4, 0.1, 1.1)
    rows, columns = disc.codes.shape
    assert 0 <= disc.x0 <= size.width - columns
    assert 0 <= disc.y0 <= size.height - rows


@settings(max_examples=30)
@given(ellipses, st.integers(1, 16))
def test_codes_are_the_ellipses_radius_and_angle(ellipse, rings):
    size = SensorSize(320, 240)
    hub, rim = 0.2, 1.1
    disc = DiscMap.of(ellipse, size, rings, hub, rim)
    rows, columns = disc.codes.shape
    y, x = np.mgrid[disc.y0 : disc.y0 + rows, disc.x0 : disc.x0 + columns]
    radius, angle = ellipse.disc_coordinates(x, y)
    used = disc.codes >= 0
    # A pixel on a border may be rounded to either side.
    inside = (radius > hub + 1e-9) & (radius < rim - 1e-9)
    outside = (radius < hub - 1e-9) | (radius > rim + 1e-9)
    assert used[inside].all()
    assert not used[outside].any()
    place = (radius[used] - hub) / (1 - hub) * rings
    ring = disc.codes[used] >> ANGLE_BITS
    assert (np.abs(ring + 0.5 - np.minimum(place, rings - 0.5)) < 0.5 + 1e-6).all()
    turned = (disc.codes[used] & ANGLE_MASK) / ANGLE_STEPS - angle[used] / (2 * math.pi)
    assert (np.abs(turned - np.rint(turned)) < 0.51 / ANGLE_STEPS).all()
