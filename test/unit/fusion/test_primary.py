from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evio_ros.errors import ParameterError
from evio_ros.fusion.primary import PrimaryParameters, PrimaryRotor
from evio_ros.rotor_state import RotorState, Source

BASE = RotorState(
    id=0,
    t_us=0,
    window_us=0,
    events=1,
    rpm=100.0,
    rpm_std=1.0,
    rpm_rate=0.0,
    angle_rad=0.0,
    turns=0.0,
    blade_count=2,
    center=(0.0, 0.0),
    axes=(10.0, 10.0),
    tilt_rad=0.0,
    velocity=(0.0, 0.0),
    covariance=np.eye(6),
    confidence=0.5,
    sources=Source.ROTATION_DETECTOR,
)


def chosen(primary: PrimaryRotor, t_us: int, *states: RotorState) -> int | None:
    best = primary.choose(states, t_us)
    return None if best is None else best.id


def with_(identity: int, **changed: object) -> RotorState:
    return replace(BASE, id=identity, **changed)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"rule": "most_confident"}, 1),
        ({"rule": "largest"}, 2),
        ({"rule": "nearest", "point_x": 95.0, "point_y": 5.0}, 3),
        ({"rule": "id", "number": 2}, 2),
        ({"rule": "id", "number": 9}, None),
        ({"rule": "first_of_group", "number": 5}, 2),
        ({"rule": "first_of_group", "number": 6}, None),
    ],
)
def test_each_rule_chooses_its_rotor(rule, expected):
    states = (
        with_(1, confidence=0.9),
        with_(3, center=(100.0, 0.0), group=5),
        with_(2, axes=(50.0, 10.0), group=5),
    )
    assert chosen(PrimaryRotor(PrimaryParameters(**rule)), 0, *states) == expected
    assert chosen(PrimaryRotor(PrimaryParameters(**rule)), 0) is None


def test_the_choice_does_not_hop():
    primary = PrimaryRotor(PrimaryParameters(margin=0.1, hold_s=0.5))
    first, second = with_(1, confidence=0.8), with_(2, confidence=0.75)
    assert chosen(primary, 0, first, second) == 1
    for window in range(1, 100):
        # In turn a little better.
        better = replace(second, confidence=0.75 + 0.1 * (window % 2))
        assert chosen(primary, 50_000 * window, first, better) == 1
    far_better = replace(second, confidence=0.95)
    assert chosen(primary, 6_000_000, first, far_better) == 1
    assert chosen(primary, 6_400_000, first, far_better) == 1
    assert chosen(primary, 6_500_000, first, far_better) == 2
    # Where it is gone, another takes over at once, and keeps the place.
    assert chosen(primary, 6_550_000, first) == 1
    assert chosen(primary, 6_600_000, first, replace(far_better, confidence=0.85)) == 1


def test_a_rule_that_is_none_is_refused():
    with pytest.raises(ParameterError, match="rule: 'best' is not one of"):
        PrimaryParameters(rule="best")
