from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evio_ros.ellipse import Ellipse
from evio_ros.rotation.tracking.disc_filter import DiscFilter, deformed
from evio_ros.rotation.tracking.score import SliceInformation

small = st.floats(-0.2, 0.2)


def disc(ellipse: Ellipse) -> DiscFilter:
    return DiscFilter(ellipse, 60.0, 1.0, 0.01)


def image_of_disc(ellipse: Ellipse) -> np.ndarray:
    """Matrix from the disc, in radii along x and y, to the image."""
    return (
        np.stack([ellipse.image_point(1.0, angle) for angle in (0.0, math.pi / 2)], 1)
        - (np.array(ellipse.center)[:, None])
    )


@given(
    minor=st.floats(5.0, 40.0),
    tilt=st.floats(-1.5, 1.5),
    shift=st.tuples(small, small),
    shear=st.tuples(small, small),
)
def test_the_rim_of_a_deformed_disc_is_the_deformed_rim(minor, tilt, shift, shear):
    ellipse = Ellipse((60.0, 50.0), (40.0, minor), tilt)
    changed = deformed(ellipse, *shift, *shear)
    stretch = np.eye(2) + np.array(((shear[0], shear[1]), (shear[1], -shear[0])))
    angles = np.linspace(0.0, 2 * math.pi, 9)
    rim = stretch @ np.stack((np.cos(angles), np.sin(angles))) + np.array(shift)[:, None]
    x, y = image_of_disc(ellipse) @ rim + np.array(ellipse.center)[:, None]
    radius, _ = changed.disc_coordinates(x, y)
    assert radius == pytest.approx(1.0, abs=1e-6)
    assert changed.axes[0] >= changed.axes[1]
    assert -math.pi / 2 <= changed.tilt_rad < math.pi / 2


def test_a_shift_that_slices_show_is_followed_in_pixels():
    ellipse = Ellipse((60.0, 50.0), (40.0, 20.0), 0.0)
    follower = disc(ellipse)
    # The true centre is 0.02 radii to the right: 0.8 pixels along the longer axis.
    shift = np.array((0.0, 0.02, 0.0, 0.0, 0.0))
    information = np.diag((1e6, 1e6, 1e6, 1e6, 1e6))
    for _ in range(20):
        seen = SliceInformation(information @ shift, information, 0.0, 64, 0.0)
        follower.update(seen, 0.0, 1e-9, 1.0)
        follower.predict(0.005)
    assert follower.is_off()
    assert follower.best_ellipse.center == pytest.approx((60.8, 50.0), abs=0.02)
    assert follower.best_ellipse.axes[0] == pytest.approx(40.0)
    assert follower.velocity_px_s == pytest.approx((0.0, 0.0), abs=0.5)
    assert max(follower.center_std_px) < 0.1
    follower.remap()
    assert not follower.is_off()
    assert follower.ellipse.center == pytest.approx((60.8, 50.0), abs=0.02)


def test_a_disc_at_rest_has_no_motion():
    follower = disc(Ellipse((60.0, 50.0), (40.0, 20.0), 0.5))
    assert follower.motion == (0.0, 0.0)
    assert follower.center_std_px == pytest.approx((2.0, 2.0), rel=1e-6)
