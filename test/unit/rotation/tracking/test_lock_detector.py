from __future__ import annotations

import math

import numpy as np
import pytest
from rotor_events import SIZE, IdealRotor, events_of

from evio_ros.ellipse import Ellipse
from evio_ros.explanation import Reason
from evio_ros.rotation.detector import RotationDetector
from evio_ros.rotation.detector_parameters import RotationDetectorParameters
from evio_ros.rotation.tracking.lock_detector import LockDetector, why_wrong_disc
from evio_ros.windowing import windows

GAIN, EVENTS, TURNED_RAD = 100.0, 100, 0.3
"""What a slice of a rotor shows whose events all gain 1."""


def _seen(slices: int, share: float = 1.0) -> LockDetector:
    """A rotor of which slices show a share of what its template leads to expect."""
    lock = LockDetector()
    for _ in range(slices):
        lock.update(share * GAIN, EVENTS, TURNED_RAD, 1.0)
    return lock


def test_much_that_fits_is_a_rotor() -> None:
    assert _seen(500).probability(2.0) > 0.999
    assert _seen(500).why_not_locked() is None


def test_little_is_doubtful_and_grows() -> None:
    chances = [_seen(slices).probability(1.0) for slices in (0, 6, 10, 30, 100)]
    assert chances == sorted(chances)
    assert chances[0] == 0.0
    # Simulated rotors taken up after a gain of 1500 were right in half of the cases, after more
    # than 2500 in all.
    assert _seen(15).probability(1.0) == pytest.approx(0.5, abs=0.3)
    assert _seen(30).probability(1.0) > 0.9
    assert _seen(2).why_not_locked().reason is Reason.FEW_SLICES


def test_events_that_do_not_match_are_none() -> None:
    lock = _seen(500, 0.1)
    assert lock.probability(1.0) == 0.0
    assert lock.why_not_locked().reason is Reason.NO_MATCH
    assert not lock.is_match()


def test_scatter_that_events_do_not_explain_is_a_wrong_disc() -> None:
    """In simulations right discs show up to 75, one mark 115, wrong ones 300 to 3000."""
    lock = _seen(500)
    chances = [lock.probability(excess) for excess in (1.0, 75.0, 115.0, 300.0, 3000.0)]
    assert chances == sorted(chances, reverse=True)
    assert chances[1] > 0.95
    assert chances[2] > 0.5 > chances[3]
    assert chances[4] < 1e-3
    assert why_wrong_disc(75.0) is why_wrong_disc(115.0) is None
    rejection = why_wrong_disc(300.0)
    assert (rejection.reason, rejection.value) == (Reason.WRONG_DISC, 300.0)
    assert 115.0 < rejection.limit < 300.0


def test_a_rotor_that_stops_turning_as_expected_is_lost_at_once() -> None:
    lock = _seen(20)
    assert not lock.is_lost(0.9 * GAIN, TURNED_RAD)
    assert lock.is_lost(0.0, TURNED_RAD)
    assert lock.is_lost(-GAIN, TURNED_RAD)


def test_a_rotor_of_which_a_slice_says_little_is_lost_after_several() -> None:
    lock = LockDetector()
    for _ in range(20):
        assert not lock.is_lost(10.0, TURNED_RAD)
        lock.update(10.0, 10, TURNED_RAD, 1.0)
    lost = [lock.is_lost(0.0, TURNED_RAD) for _ in range(20)]
    assert not lost[0]
    assert lost[-1]
    # Once found again, the past is not held against it.
    lock.restart()
    assert not lock.is_lost(0.0, TURNED_RAD)


def test_few_events_are_a_rotor_at_rest_and_many_a_lost_one() -> None:
    lock = _seen(50)
    assert lock.is_standing(EVENTS // 10, TURNED_RAD)
    assert not lock.is_standing(EVENTS, TURNED_RAD)
    assert not lock.is_restarting(2, TURNED_RAD)
    assert lock.is_restarting(EVENTS, TURNED_RAD)
    # Half of its events allow it to creep at no more than half of its speed.
    speed = TURNED_RAD / 0.005
    assert 0.0 < lock.creep_rad_s(EVENTS // 2, 0.005) <= 0.5 * speed


def test_a_part_of_each_turn_without_edges_is_no_standstill() -> None:
    """A third of each turn is out of view: known after a turn, and not believed for much longer."""
    lock = LockDetector()
    for slices in range(70):
        is_hidden = slices % 21 >= 14
        if is_hidden:
            assert lock.is_usually_unseen(TURNED_RAD) == (slices > 21 or slices % 21 < 19), slices
        else:
            lock.update(GAIN, EVENTS, TURNED_RAD, 1.0)
    turned = 0.0
    while lock.is_usually_unseen(TURNED_RAD):
        turned += TURNED_RAD
    assert 7 * TURNED_RAD < turned < 14 * TURNED_RAD


def test_time_without_data_does_not_tell_where_a_disc_is_hidden() -> None:
    """A third of each turn is out of view, and of one turn that third and more has no data."""
    lock = LockDetector()
    for slices in range(77):
        is_hidden, is_missing = slices % 21 >= 14, 52 <= slices < 65
        if is_missing:
            lock.skip(is_whole=True)
        elif is_hidden:
            assert lock.is_usually_unseen(TURNED_RAD) == (slices > 21 or slices % 21 < 19), slices
        else:
            lock.update(GAIN, EVENTS, TURNED_RAD, 1.0)
    # What was hidden before a time without data is not counted on after it.
    for _ in range(2):
        assert all(lock.is_usually_unseen(TURNED_RAD) for _ in range(8))
        lock.skip(is_whole=True)


def test_a_rotor_that_is_always_seen_stands_still_at_once() -> None:
    assert not _seen(50).is_usually_unseen(TURNED_RAD)


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
