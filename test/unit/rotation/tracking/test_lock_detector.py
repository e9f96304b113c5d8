from __future__ import annotations

import math

import numpy as np
import pytest
from rotor_events import SIZE, IdealRotor, events_of

from evio_ros.ellipse import Ellipse
from evio_ros.rotation.detector import RotationDetector, RotationDetectorParameters
from evio_ros.rotation.tracking.lock_detector import CONVINCING, DOUBTFUL_EXCESS, Evidence
from evio_ros.windowing import windows


def _seen(slices: int, share: float = 1.0) -> Evidence:
    """A rotor of which slices show a share of what its template leads to expect."""
    evidence = Evidence()
    for _ in range(slices):
        evidence.learn(share * 100.0, 100, 0.3, 1.0)
    return evidence


def test_much_evidence_that_fits_is_a_rotor() -> None:
    assert _seen(500).is_rotor(2.0) > 0.999


def test_little_evidence_is_doubtful_and_grows() -> None:
    chances = [_seen(slices).is_rotor(1.0) for slices in (0, 6, 10, 30, 100)]
    assert chances == sorted(chances)
    assert chances[0] == 0.0
    assert chances[2] == pytest.approx(1 - math.exp(-1000 / CONVINCING))


def test_events_that_do_not_match_are_none() -> None:
    assert _seen(500, 0.1).is_rotor(1.0) == 0.0


def test_scatter_that_events_do_not_explain_is_a_wrong_disc() -> None:
    evidence = _seen(500)
    assert evidence.is_rotor(75.0) > 0.95
    assert evidence.is_rotor(DOUBTFUL_EXCESS) == pytest.approx(0.5, abs=0.01)
    assert evidence.is_rotor(2 * DOUBTFUL_EXCESS) < 0.1


def test_confidence_is_the_share_of_estimates_that_are_right() -> None:
    """Weak rotors in noise, whose speed jumps: a jump makes windows wrong for a while."""
    confidence, right = [], []
    for seed in range(9000, 9024):
        rng = np.random.default_rng(seed)
        before = IdealRotor(
            rng.uniform(10, 60),
            int(rng.integers(2, 5)),
            Ellipse((160.0, 120.0), (60.0, rng.uniform(30, 60)), rng.uniform(-1.5, 1.5)),
            event_rate_hz=10 ** rng.uniform(4.2, 5.2),
        )
        after_hz = before.frequency_hz * rng.uniform(0.6, 1.5)
        jump_us, end_us = 350_000, 500_000
        # The angle goes on where it was.
        phase = before.angle(jump_us) - 2 * math.pi * after_hz * jump_us * 1e-6
        after = IdealRotor(
            after_hz,
            before.blades,
            before.ellipse,
            phase_rad=phase,
            event_rate_hz=before.event_rate_hz,
        )
        parts = [
            events_of([before], end_us, 1e5, seed=seed).between(0, jump_us),
            events_of([after], end_us, 1e5, seed=seed + 500).between(jump_us, end_us),
        ]
        detector = RotationDetector(
            SIZE,
            RotationDetectorParameters(window_us=20_000, step_us=20_000, acquisition_us=160_000),
        )
        for window in windows(parts, SIZE, 20_000, 0, end_us):
            for estimate in detector.process(window):
                start_us = window.end_us - estimate.window_us
                angles = [
                    (before if t_us <= jump_us else after).angle(t_us)
                    for t_us in (start_us, window.end_us)
                ]
                truth = 60e6 * (angles[1] - angles[0]) / (2 * math.pi * estimate.window_us)
                confidence.append(estimate.confidence)
                right.append(abs(estimate.rpm - truth) < 0.01 * abs(truth))
    sure = np.array(confidence) > 0.95
    assert len(confidence) > 200
    assert np.mean(~sure) > 0
    assert np.mean(np.array(right)[sure]) > 0.97
    # As many are right as are claimed to be, up to three standard deviations of so few rotors.
    assert abs(np.mean(right) - np.mean(confidence)) < 0.06
