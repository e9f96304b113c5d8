"""Ellipses against numbers worked out by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evio_ros.ellipse import Ellipse, wrapped_tilt

places = st.floats(-500, 500)
semi_axes = st.floats(5, 200)
ellipses = st.builds(
    lambda x, y, a, flatness, tilt: Ellipse((x, y), (a, a * flatness), tilt),
    places,
    places,
    semi_axes,
    st.floats(0.1, 1.0),
    st.floats(-math.pi / 2, math.pi / 2),
)
# Twice as wide as high, its longer axis turned by 30 degrees from +x towards +y (downwards).
TILTED = Ellipse((100.0, 50.0), (20.0, 10.0), math.radians(30))


def test_points_on_the_axes_of_a_tilted_ellipse():
    end_of_a = (100 + 20 * math.cos(math.radians(30)), 50 + 20 * math.sin(math.radians(30)))
    end_of_b = (100 - 10 * math.sin(math.radians(30)), 50 + 10 * math.cos(math.radians(30)))
    radius, angle = TILTED.disc_coordinates(*np.transpose([end_of_a, end_of_b, (100, 50)]))
    assert radius == pytest.approx([1, 1, 0])
    assert angle[:2] == pytest.approx([math.radians(30), math.radians(120)])
    assert TILTED.image_point(1.0, math.radians(30)) == pytest.approx(end_of_a)
    assert TILTED.image_point(1.0, math.radians(120)) == pytest.approx(end_of_b)


def test_the_angle_of_a_circle_is_that_in_the_image_whatever_its_tilt():
    for tilt in (-1.0, 0.0, 1.2):
        disc = Ellipse((10.0, 10.0), (5.0, 5.0), tilt)
        _, angle = disc.disc_coordinates([15, 10, 5, 10], [10, 15, 10, 5])
        wrapped = np.angle(np.exp(1j * (angle - [0, math.pi / 2, math.pi, -math.pi / 2])))
        assert wrapped == pytest.approx([0, 0, 0, 0])


@given(ellipses, st.floats(0.05, 2.0), st.floats(-10, 10))
def test_image_point_and_disc_coordinates_undo_each_other(ellipse, radius, angle):
    x, y = ellipse.image_point(radius, angle)
    back_radius, back_angle = ellipse.disc_coordinates(x, y)
    assert back_radius == pytest.approx(radius, rel=1e-6)
    assert math.remainder(float(back_angle) - angle, 2 * math.pi) == pytest.approx(0, abs=1e-6)


@given(ellipses, st.floats(-10, 10))
def test_disc_angles_stay_in_the_documented_interval(ellipse, angle):
    _, found = ellipse.disc_coordinates(*ellipse.image_point(1.0, angle))
    assert -math.pi + ellipse.tilt_rad <= found <= math.pi + ellipse.tilt_rad


@given(ellipses)
def test_half_extent_is_that_of_the_rim(ellipse):
    rim = ellipse.image_point(1.0, np.linspace(0, 2 * math.pi, 3601))
    low, high = rim.min(axis=1), rim.max(axis=1)
    assert ellipse.half_extent() == pytest.approx((high - low) / 2, rel=1e-4)


@given(st.floats(-20, 20))
def test_a_wrapped_tilt_is_the_same_axis(tilt):
    wrapped = wrapped_tilt(tilt)
    assert -math.pi / 2 <= wrapped <= math.pi / 2
    assert math.remainder(wrapped - tilt, math.pi) == pytest.approx(0, abs=1e-9)


def test_scaling_keeps_centre_and_tilt():
    assert TILTED.scaled(1.5) == Ellipse((100.0, 50.0), (30.0, 15.0), TILTED.tilt_rad)


@pytest.mark.parametrize("shape", [(), (0,), (4,), (3, 2)])
def test_shapes_are_kept(shape):
    radius, angle = TILTED.disc_coordinates(np.ones(shape), np.ones(shape))
    assert radius.shape == angle.shape == shape
    assert TILTED.image_point(np.ones(shape), np.ones(shape)).shape == (2, *shape)
