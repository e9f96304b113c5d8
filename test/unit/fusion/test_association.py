from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rotor_estimates import FAN

from evio_ros.fusion.association import Expected, assign, object_at
from evio_ros.tracked_object import TrackedObject


def rotor(x: float, **changed: object) -> Expected:
    """A fan that is expected at a place."""
    expected = Expected(x, 100.0, 50.0, 1150.0, 3, 0)
    return expected._replace(**changed)  # type: ignore[arg-type]


def fan(x: float, **changed: object):
    return replace(FAN, center=(x, 100.0), **changed)


def test_places_decide_whatever_the_detector_calls_them():
    rotors = [rotor(100, detector_id=1), rotor(200, detector_id=2)]
    estimates = [fan(203, id=1), fan(98, id=2), fan(400, id=3)]
    assert assign(rotors, estimates) == [(0, 1), (1, 0)]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"rpm": 900.0}, {"rpm": -900.0}),
        ({"rpm": 900.0}, {"rpm": 1800.0}),
        ({"blade_count": 2}, {"blade_count": 5}),
        ({"id": 4}, {"id": 7}),
    ],
)
def test_rotors_at_one_place_are_told_apart_by_what_they_do(first, second):
    names = {"id": "detector_id"}
    rotors = [
        rotor(100, **{names.get(name, name): value for name, value in which.items()})
        for which in (first, second)
    ]
    assert assign(rotors, [fan(101, **second), fan(101, **first)]) == [(0, 1), (1, 0)]


def test_what_is_out_of_reach_belongs_to_nobody():
    assert assign([rotor(100)], [fan(151)]) == []
    assert assign([rotor(100)], [fan(149, rpm=-3.0, blade_count=1, id=5)]) == [(0, 0)]
    assert assign([], [fan(1)]) == assign([rotor(1)], []) == []


PLACES = st.lists(st.integers(0, 60), min_size=1, max_size=5)


@given(PLACES, PLACES)
def test_as_many_as_can_be_are_paired_and_those_nearest(expected, found):
    """Compared with all ways of pairing them."""
    reach_px = 20

    def worth(pairs) -> tuple[int, int]:
        distances = [abs(expected[row] - found[column]) for row, column in pairs]
        near = [distance**2 for distance in distances if distance <= reach_px]
        return -len(near), sum(near)

    pairs = assign([rotor(x, reach_px=reach_px) for x in expected], [fan(x) for x in found])
    assert pairs == sorted(pairs)
    for side in zip(*pairs, strict=True):
        assert len(set(side)) == len(side)
    few, many = sorted((len(expected), len(found)))
    is_turned = len(expected) > len(found)
    best = min(
        worth((column, row) if is_turned else (row, column) for row, column in enumerate(chosen))
        for chosen in permutations(range(many), few)
    )
    assert worth(pairs) == best
    assert len(pairs) == -best[0]


def test_a_hub_belongs_to_the_smallest_box_that_holds_it():
    drone = TrackedObject(0, "d", (50.0, 50.0, 150.0, 150.0), "drone", 0.9, 0)
    person = TrackedObject(0, "p", (0.0, 0.0, 300.0, 300.0), "person", 0.9, 0)
    assert object_at((100.0, 100.0), [person, drone]) is drone
    # A tenth of its size around a box still counts.
    assert object_at((158.0, 100.0), [person, drone]) is drone
    assert object_at((161.0, 100.0), [person, drone]) is person
    assert object_at((400.0, 100.0), [person, drone]) is None
