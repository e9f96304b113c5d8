from __future__ import annotations

import numpy as np
import pytest
from filterpy.kalman import MerweScaledSigmaPoints, UnscentedKalmanFilter
from hypothesis import given
from hypothesis import strategies as st

from evio_ros.fusion.unscented import (
    corrected,
    distance_of,
    positive_definite,
    sigma_points,
    solve_rows,
    weigh,
)


def random_covariance(random: np.random.Generator, n: int) -> np.ndarray:
    root = random.normal(size=(n, n))
    return root @ root.T + 0.1 * np.eye(n)


@given(st.integers(0, 2**32 - 1), st.integers(2, 12), st.integers(1, 8))
def test_a_measurement_step_is_that_of_filterpy(seed, n, k):
    random = np.random.default_rng(seed)
    mean, covariance = random.normal(size=n), random_covariance(random, n)
    noise, matrix = random_covariance(random, k), random.normal(size=(k, n))
    measured = random.normal(size=k)

    def expect(states):
        return np.sin(states @ matrix.T) + 0.1 * (states @ matrix.T) ** 2

    reference = UnscentedKalmanFilter(
        n, k, 1.0, hx=expect, fx=lambda x, _: x, points=MerweScaledSigmaPoints(n, 1.0, 2.0, 0.0)
    )
    reference.x, reference.P, reference.R = mean.copy(), covariance.copy(), noise
    reference.sigmas_f = reference.points_fn.sigma_points(mean, covariance)
    reference.update(measured)

    points, root = sigma_points(mean, covariance)
    innovation, expected, gain, *rest = weigh(root, expect(points), measured, noise, 0)
    new_mean, new_covariance = corrected(mean, root, innovation, gain, *rest)
    scale = max(np.abs(reference.K).max(), np.abs(reference.S).max(), 1.0)
    assert np.abs(points - reference.sigmas_f).max() < 1e-10
    assert np.abs(expected - reference.S).max() < 1e-10 * scale
    assert np.abs(gain - reference.K).max() < 1e-10 * scale
    assert np.abs(new_mean - reference.x).max() < 1e-10 * scale**2
    assert np.abs(new_covariance - reference.P).max() < 1e-10 * scale**2
    whole = float(innovation @ np.linalg.inv(expected) @ innovation)
    assert distance_of(innovation, expected, 0, k) == pytest.approx(whole)


def test_angles_differ_on_the_circle():
    points, root = sigma_points(np.array([3.1, 0.0]), np.diag([1e-4, 1.0]))
    innovation, *_ = weigh(root, points, np.array([-3.1, 0.5]), np.eye(2) * 1e-4, 1)
    assert innovation == pytest.approx([2 * np.pi - 6.2, 0.5])


def test_what_is_no_covariance_gives_no_numbers():
    _, root = sigma_points(np.zeros(2), np.array([[1.0, 2.0], [2.0, 1.0]]))
    assert not np.isfinite(root).all()


def test_a_covariance_stays_one_where_next_to_nothing_is_left_of_it():
    mean, covariance = np.zeros(2), np.array([[1e13, 1e6], [1e6, 1.0]])
    points, root = sigma_points(mean, covariance)
    noise = np.array([[1e-11]])
    innovation, _, gain, *rest = weigh(root, points[:, :1].copy(), np.array([5.0]), noise, 0)
    result, updated = corrected(mean, root, innovation, gain, *rest)
    assert result[0] == pytest.approx(5.0)
    assert updated[0, 0] == pytest.approx(1e-11)
    assert updated[1, 1] == pytest.approx(0.9)


def test_rows_are_solved():
    covariance = np.array([[4.0, 1.0], [1.0, 3.0]])
    solutions = solve_rows(covariance, np.array([[5.0, 4.0], [8.0, 2.0]]))
    assert solutions == pytest.approx(np.array([[1.0, 1.0], [2.0, 0.0]]))


def test_a_covariance_is_left_as_it_is_and_another_matrix_becomes_one():
    sound = np.array([[2.0, 0.5], [0.5, 1.0]])
    assert positive_definite(sound) is sound
    broken = np.array([[1e-8, 1.1e-1], [1.1e-1, 1e6]])
    repaired = positive_definite(broken)
    assert (repaired == repaired.T).all()
    assert np.linalg.eigvalsh(repaired / np.sqrt(np.outer(np.diag(repaired), np.diag(repaired))))[
        0
    ] == pytest.approx(0.0, abs=1e-9)
    assert np.isfinite(np.linalg.cholesky(repaired)).all()


@pytest.mark.parametrize("broken", [[[1.0, 5.0], [5.0, 1.0]], [[-1.0, 2e5], [2e5, 1e8]]])
def test_even_a_matrix_without_a_variance_becomes_a_covariance(broken):
    repaired = positive_definite(np.array(broken))
    assert np.isfinite(np.linalg.cholesky(repaired)).all()
