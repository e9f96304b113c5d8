"""Coverage of standard deviations for hand-made errors."""

from __future__ import annotations

import numpy as np
import pytest

from evio_ros.evaluation.coverage import Coverage
from evio_ros.evaluation.scores import RotorScore

CLAIMED = 1e-4


def _rotor(z: np.ndarray) -> RotorScore:
    return RotorScore(0, error=list(CLAIMED * z), z=list(z))


def test_independent_errors_are_counted_as_such():
    rng = np.random.default_rng(1)
    recordings = [[_rotor(rng.normal(size=400))] for _ in range(10)]
    judged = Coverage.of(recordings, 1)
    assert judged.errors == 4000
    assert judged.within_1.value == pytest.approx(0.683, abs=0.02)
    assert judged.within_2.value == pytest.approx(0.954, abs=0.01)
    assert judged.ratio == pytest.approx(1.0, abs=0.05)
    # Ten recordings tell their own scatter to a quarter.
    assert judged.within_1.std == pytest.approx(0.0074, rel=0.6)


def test_errors_that_come_in_blocks_count_for_fewer():
    rng = np.random.default_rng(2)
    recordings = [[_rotor(np.repeat(rng.normal(size=40), 10))] for _ in range(10)]
    judged = Coverage.of(recordings, 10)
    assert judged.effective == pytest.approx(400, rel=0.6)


def test_recordings_that_differ_as_wholes_say_how_little_is_known():
    rng = np.random.default_rng(3)
    recordings = [[_rotor(scale * rng.normal(size=400))] for scale in (0.3, 0.5, 2.0, 3.0)]
    assert Coverage.of(recordings, 1).within_1.std > 0.1


def test_wrong_estimates_are_counted_apart():
    z = np.random.default_rng(4).normal(size=400)
    z[:100] = 1e4
    judged = Coverage.of([[_rotor(z)]], 1)
    assert judged.wrong == 0.25
    assert judged.within_2.value > 0.9


def test_nothing_measured_is_nothing_judged():
    assert Coverage.of([[RotorScore(0)], []], 10) is None
