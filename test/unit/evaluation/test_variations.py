"""Recordings that vary in seed and speed."""

from evio_ros.evaluation.variations import SPEED_SPREAD, speed_factor


def test_no_two_seeds_have_the_same_speed():
    factors = [speed_factor(seed) for seed in range(100)]
    assert len(set(factors)) == 100
    assert all(abs(factor - 1) <= SPEED_SPREAD / 2 for factor in factors)
