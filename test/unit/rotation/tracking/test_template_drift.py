from __future__ import annotations

import numpy as np
import pytest

from evio_ros.rotation.tracking.slice_histogram import ANGLE_BINS, BIN_RAD
from evio_ros.rotation.tracking.template import Template
from evio_ros.rotation.tracking.template_drift import TemplateDrift

ONES = np.ones((4, 2))


def _blades(turned_rad: float = 0.0, events: float = 4000.0) -> np.ndarray:
    """(4, 2, ANGLE_BINS) counts of three blades with soft edges."""
    angle = np.arange(ANGLE_BINS) * BIN_RAD - turned_rad
    density = np.exp(3.0 * np.cos(3 * angle))
    return np.tile(events * density / density.sum(), (4, 2, 1))


def test_what_all_channels_have_in_common_is_the_drift() -> None:
    drift = TemplateDrift(0, 0.5)
    angles = np.random.default_rng(2).normal(0.0, 1e-3, (4, 2))
    drift.learn(40_000, angles, ONES, 0.5)
    drift.learn(80_000, 2e-3 * ONES, ONES, 0.5)
    mean = float(angles.mean())
    assert drift.since(0) == pytest.approx((2e-3 + mean, 0.0))
    assert drift.since(40_000) == pytest.approx((2e-3, 0.0))
    assert drift.since(80_000) == (0.0, 0.0)


def test_the_first_guess_fades() -> None:
    drift = TemplateDrift(0, 0.5)
    drift.learn(40_000, 0.0 * ONES, ONES, 0.4)
    drift.learn(80_000, 0.0 * ONES, ONES, 0.1)
    faded = [drift.since(t_us)[1] for t_us in (0, 40_000, 80_000)]
    assert faded == pytest.approx([0.4, 0.3, 0.0])


def test_channels_without_information_do_not_count() -> None:
    drift = TemplateDrift(0, 0.5)
    information, angles = np.zeros((4, 2)), np.ones((4, 2))
    information[:2], angles[:2] = 1.0, 1e-3
    drift.learn(40_000, angles, information, 0.5)
    assert drift.since(0)[0] == pytest.approx(1e-3)


def test_nothing_seen_is_no_drift() -> None:
    drift = TemplateDrift(0, 0.5)
    assert drift.since(0) == (0.0, 0.0)
    drift.learn(40_000, np.zeros((4, 2)), np.zeros((4, 2)), 0.5)
    assert drift.since(0) == (0.0, 0.0)


def test_the_far_past_is_forgotten() -> None:
    drift = TemplateDrift(0, 0.5)
    for index in range(1, 1000):
        drift.learn(40_000 * index, 1e-3 * ONES, ONES, 0.5)
    assert drift.since(40_000 * 949)[0] == pytest.approx(50e-3)
    assert len(drift._history) < 100


def test_a_template_tells_how_far_its_looks_have_turned() -> None:
    template = Template(_blades(), np.ones(len(_blades())))
    # One ring goes ahead, the others stay: the mean is turned back, the difference remains.
    counts = _blades()
    counts[0] = _blades(0.02)[0]
    turned, information = template.learn(counts, 1e12)
    assert turned.shape == information.shape == (4, 2)
    assert (information > 0).all()
    # Half of all counts are new, so each ring goes half the way.
    assert turned[0] - turned[1] == pytest.approx(0.01, rel=0.1)
    assert abs(float(turned.mean())) < 1e-3


def test_the_share_of_the_first_guess_is_that_of_its_events() -> None:
    template = Template(_blades(), np.ones(len(_blades())))
    events = float(_blades().sum())
    assert template.first_share == 1.0
    template.learn(_blades(), 1e12)
    assert template.first_share == pytest.approx(1 / 2)
    # Of what is known, only as much is kept as the new counts are.
    template.learn(_blades(), events)
    assert template.first_share == pytest.approx(1 / 4)
