from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evio_ros.ellipse import Ellipse
from evio_ros.rotation.tracking.disc_filter import DiscFilter, deformed
from evio_ros.rotation.tracking.likelihood import Score

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
        score = Score(information @ shift, information, 0.0, 64, 0.0)
        follower.update(score, 0.0, 1e-9, 1.0)
        follower.predict(0.005)
    assert follower.ellipse == ellipse
    assert follower.best_ellipse.center == pytest.approx((60.8, 50.0), abs=0.02)
    assert follower.best_ellipse.axes[0] == pytest.approx(40.0)
    assert follower.velocity_px_s == pytest.approx((0.0, 0.0), abs=0.5)
    assert max(follower.center_std_px) < 0.1
    assert follower.remap()
    assert follower.ellipse.center == pytest.approx((60.8, 50.0), abs=0.02)
    assert not follower.remap()


def test_a_disc_that_was_not_yet_seen_does_not_move():
    follower = disc(Ellipse((60.0, 50.0), (40.0, 20.0), 0.5))
    assert follower.velocity_px_s == (0.0, 0.0)
    assert follower.center_std_px == pytest.approx((2.0, 2.0), rel=1e-6)
    assert not follower.remap()


def test_a_moving_disc_was_elsewhere_before():
    ellipse = Ellipse((60.0, 50.0), (40.0, 40.0), 0.0)
    follower = DiscFilter(ellipse, 60.0, 0.0, 0.01)
    information = np.diag((1e6, 1e6, 1e6, 1e6, 1e6))
    for index in range(200):
        follower.predict(0.005)
        # 20 px/s to the right.
        shift = np.array((0.0, 20.0 * 0.005 * (index + 1) / 40.0, 0.0, 0.0, 0.0))
        score = Score(information @ shift, information, 0.0, 64, 0.0)
        follower.update(score, 0.0, 1e-9, 1.0)
    assert follower.velocity_px_s == pytest.approx((20.0, 0.0), abs=0.1)
    assert follower.ellipse_before(0.5).center == pytest.approx((70.0, 50.0), abs=0.1)


class DenseDisc:
    """The same in plain numpy: state (shift, shear, rates), in radii of a round disc of 50 px."""

    def __init__(self, velocity_noise_px: float, shear_noise: float) -> None:
        self.mean = np.zeros(8)
        # What is uncertain at first, for blades that pass every 10 ms.
        deviations = (2 / 50, 2 / 50, 0.1, 0.1, 50 / 50, 50 / 50, 0.3, 0.3)
        self.covariance = np.diag(np.square(deviations))
        self.power = np.diag(np.square((*(2 * [velocity_noise_px / 50]), *(2 * [shear_noise]))))

    def predict(self, t: float) -> None:
        """Bar-Shalom et al. 2001, (6.2.2-4) to (6.2.2-12)."""
        transition = np.kron(((1.0, t), (0.0, 1.0)), np.eye(4))
        noise = np.kron(((t**3 / 3, t**2 / 2), (t**2 / 2, t)), self.power)
        self.mean = transition @ self.mean
        self.covariance = transition @ self.covariance @ transition.T + noise

    def update(self, score: Score, offset: float, variance: float, dispersion: float) -> None:
        """The phase's offset is a ninth state with a prior; slices measure it and the disc."""
        mean = np.concatenate(((offset,), self.mean))
        covariance = np.zeros((9, 9))
        covariance[0, 0] = variance
        covariance[1:, 1:] = self.covariance
        measured = np.linalg.solve(score.information, score.gradient)
        noise = dispersion * np.linalg.inv(score.information)
        matrix = np.eye(5, 9)
        gain = covariance @ matrix.T @ np.linalg.inv(matrix @ covariance @ matrix.T + noise)
        self.mean = (mean + gain @ (measured - matrix @ mean))[1:]
        self.covariance = ((np.eye(9) - gain @ matrix) @ covariance)[1:, 1:]

    def phase_given(self, score: Score) -> tuple[float, float]:
        """Where the log likelihood is greatest over the offset, for the disc's own mean."""
        row = score.information[0, 1:] / score.information[0, 0]
        best = score.gradient[0] / score.information[0, 0] - row @ self.mean[:4]
        return float(best), float(row @ self.covariance[:4, :4] @ row)


@pytest.mark.parametrize("seed", range(3))
def test_the_filter_is_a_kalman_filter(seed):
    rng = np.random.default_rng(seed)
    follower = DiscFilter(Ellipse((100.0, 100.0), (50.0, 50.0), 0.0), 60.0, 1.0, 0.01)
    dense = DenseDisc(60.0, 1.0)
    for length_s in rng.choice((0.003336, 0.003335, 0.0007), 60):
        root = rng.normal(0.0, 300.0, (5, 12))
        information = root @ root.T
        score = Score(information @ rng.normal(0.0, 2e-3, 5), information, 0.0, 64, 0.0)
        assert follower.phase_given(score) == pytest.approx(
            dense.phase_given(score), rel=1e-6, abs=1e-9
        )
        offset, variance = rng.normal(0.0, 1e-3), 1e-6
        follower.update(score, offset, variance, 2.5)
        dense.update(score, offset, variance, 2.5)
        follower.predict(length_s)
        dense.predict(length_s)
        x, y, shear_0, shear_1 = dense.mean[:4]
        expected = deformed(follower.ellipse, x, y, shear_0, shear_1)
        assert follower.best_ellipse.center == pytest.approx(expected.center, abs=1e-6)
        assert follower.best_ellipse.tilt_rad == pytest.approx(expected.tilt_rad, abs=1e-6)
        assert follower.velocity_px_s == pytest.approx(50.0 * dense.mean[4:6], abs=1e-5)
        deviations = 50.0 * np.sqrt(np.diag(dense.covariance)[:2])
        assert follower.center_std_px == pytest.approx(deviations, rel=1e-5)


def test_slices_that_say_nothing_leave_the_phase_open():
    nothing = Score(np.zeros(5), np.zeros((5, 5)), 0.0, 0, 0.0)
    follower = disc(Ellipse((60.0, 50.0), (40.0, 20.0), 0.5))
    assert follower.phase_given(nothing) == (math.inf, math.inf)
