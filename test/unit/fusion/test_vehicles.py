"""Rotors that move together are one vehicle; rotors that do not are not."""

import math

import numpy as np
import pytest

from evio_ros.fusion.disc_normal import Intrinsics
from evio_ros.fusion.vehicles import (
    RotorVelocity,
    VehicleObserver,
    VehicleParameters,
    Vehicles,
)
from evio_ros.rotor_state import RotorState, Source

STEP_US = 50_000
STD_PX_S = 5.0


def fly(vehicles, velocities, windows=60, seed=1, first=0, camera=(0.0, 0.0)):
    """Groups after some windows of noisy velocities; `velocities` by rotor, or a function of s."""
    random = np.random.default_rng(seed)
    groups = {}
    for index in range(first, first + windows):
        t_us = index * STEP_US
        rotors = [
            RotorVelocity(
                number,
                (np.array(v(1e-6 * t_us) if callable(v) else v) + camera)
                + random.normal(0, STD_PX_S, 2),
                STD_PX_S**2 * np.eye(2),
            )
            for number, v in velocities.items()
        ]
        groups = vehicles.update(t_us, rotors, camera)
    return groups


def test_four_rotors_of_a_drone_are_one_vehicle():
    groups = fly(Vehicles(), dict.fromkeys(range(4), (100.0, 15.0)))
    assert len(set(groups.values())) == 1
    assert groups[0] > 0


def test_two_drones_are_two_vehicles_and_a_fan_is_none():
    velocities = {1: (80.0, 0.0), 2: (82.0, 3.0), 5: (-40.0, 60.0), 6: (-43.0, 58.0), 9: (0.0, 0.0)}
    groups = fly(Vehicles(), velocities)
    assert groups[1] == groups[2] > 0
    assert groups[5] == groups[6] > 0
    assert groups[1] != groups[5]
    assert groups[9] == 0


@pytest.mark.parametrize("camera", [(0.0, 0.0), (120.0, -80.0)])
def test_fans_at_rest_are_no_vehicle_even_before_a_turning_camera(camera):
    groups = fly(Vehicles(), {1: (0.0, 0.0), 2: (0.0, 0.0)}, windows=200, camera=camera)
    assert groups == {1: 0, 2: 0}


def test_a_group_keeps_its_number_when_a_rotor_is_hidden_and_comes_back():
    vehicles = Vehicles()
    drone = dict.fromkeys(range(4), (60.0, 60.0))
    before = fly(vehicles, drone)
    without = fly(vehicles, {n: drone[n] for n in (0, 1, 2)}, windows=20, first=60)
    after = fly(vehicles, drone, windows=5, first=80)
    assert set(before.values()) == set(without.values()) == set(after.values())


def test_rotors_that_part_become_vehicles_of_their_own():
    vehicles = Vehicles()
    together = fly(vehicles, dict.fromkeys((1, 2, 3, 4), (70.0, 0.0)))
    apart = {1: (70.0, 0.0), 2: (70.0, 0.0), 3: (-50.0, 50.0), 4: (-50.0, 50.0)}
    parted = fly(vehicles, apart, windows=40, first=60)
    assert parted[1] == parted[2] != parted[3] == parted[4]
    assert together[1] in (parted[1], parted[3])


def test_one_window_of_nonsense_does_not_part_what_belongs_together():
    vehicles = Vehicles()
    drone = dict.fromkeys((1, 2), (90.0, 10.0))
    before = fly(vehicles, drone)
    fly(vehicles, {1: (90.0, 10.0), 2: (-300.0, 400.0)}, windows=1, first=60)
    assert fly(vehicles, drone, windows=1, first=61) == before


def test_evidence_does_not_depend_on_how_often_velocities_come():
    """Ten velocities in 25 ms are ten times the same one."""
    vehicles = Vehicles()
    for index in range(10):
        one = [RotorVelocity(n, (90.0, 0.0), 25.0 * np.eye(2)) for n in (1, 2)]
        groups = vehicles.update(index * 2_500, one)
    assert groups == {1: 0, 2: 0}


def test_values_that_are_not_finite_and_times_that_stand_still_are_no_evidence():
    vehicles = Vehicles()
    for index in range(100):
        rotors = [
            RotorVelocity(1, (math.nan, 0.0), np.eye(2)),
            RotorVelocity(2, (100.0, 0.0), np.diag((math.inf, 1.0))),
            RotorVelocity(3, (100.0, 0.0), np.eye(2)),
        ]
        assert vehicles.update(index * STEP_US, rotors) == {1: 0, 2: 0, 3: 0}
    still = Vehicles()
    pair = [RotorVelocity(n, (100.0, 0.0), np.eye(2)) for n in (1, 2)]
    first = still.update(0, pair)
    assert all(still.update(0, pair) == first for _ in range(100))


def test_a_rotor_not_seen_for_long_is_forgotten():
    vehicles = Vehicles(VehicleParameters(forget_s=1.0))
    drone = dict.fromkeys((1, 2), (90.0, 10.0))
    assert fly(vehicles, drone)[1] > 0
    fly(vehicles, {1: (90.0, 10.0)}, windows=40, first=60)
    assert vehicles.update(110 * STEP_US, [RotorVelocity(1, (90.0, 10.0), np.eye(2))]) == {1: 0}


def test_a_clock_that_is_set_back_begins_anew():
    vehicles = Vehicles(VehicleParameters(forget_s=1.0))
    drone = dict.fromkeys((1, 2), (90.0, 10.0))
    assert fly(vehicles, drone, first=10_000)[1] > 0
    apart = {1: (90.0, 10.0), 2: (-90.0, 10.0)}
    assert fly(vehicles, apart) == {1: 0, 2: 0}


def state(number, t_us, place, axes=(40.0, 20.0), tilt=0.3):
    """A rotor of a vehicle that flies to the right at 100 px/s."""
    return RotorState(
        id=number,
        t_us=t_us,
        window_us=STEP_US,
        events=1000,
        rpm=5000.0,
        rpm_std=1.0,
        rpm_rate=0.0,
        angle_rad=0.0,
        turns=0.0,
        blade_count=2,
        center=(place[0] + 1e-4 * t_us, place[1]),
        axes=axes,
        tilt_rad=tilt,
        velocity=(100.0, 0.0),
        covariance=np.eye(6),
        confidence=1.0,
        sources=Source.ROTATION_DETECTOR,
    )


def test_states_get_their_vehicle_and_normal():
    observer = VehicleObserver()
    places = {1: (100.0, 100.0), 2: (500.0, 120.0), 3: (110.0, 400.0)}
    observer.note([])
    for window in range(40):
        states = [state(n, window * STEP_US, place) for n, place in places.items()]
        observer.note(states)
    told = observer.completed(states)
    assert {one.group for one in told} == {told[0].group} != {0}
    assert all(one.normal == (0.0, 0.0, 0.0) for one in told)  # no intrinsics
    observer.intrinsics = Intrinsics((500.0, 500.0), (320.0, 240.0))
    for window in range(40, 80):
        states = [state(n, window * STEP_US, place) for n, place in places.items()]
        observer.note(states)
    for one in observer.completed(states):
        assert np.linalg.norm(one.normal) == pytest.approx(1.0)
        covariance = np.reshape(one.normal_covariance, (3, 3))
        assert np.linalg.eigvalsh(covariance)[0] > -1e-12
        assert np.trace(covariance) > 0
    # A state predicted later has them too.
    later = observer.completed([state(1, 80 * STEP_US + 5_000, places[1])])
    assert later[0].group == told[0].group
