"""Discs whose speed changes within a turn: hub, speed and phase along their path."""

from __future__ import annotations

import math

import numpy as np
import pytest
from spun_disc import SpunDisc

from evio_ros.ellipse import Ellipse
from evio_ros.events import EventBatch
from evio_ros.explanation import Rejection
from evio_ros.rotation.acquisition.path_lock import lock_along_path
from evio_ros.rotation.acquisition.region_events import RegionEvents
from evio_ros.rotation.acquisition.regions import Region
from evio_ros.rotation.acquisition.winding import RotorCandidate
from evio_ros.rotation.acquisition.work_units import result_of
from evio_ros.rotation.tracking.disc_map import FREE
from evio_ros.rotation.tracking.tracker_parameters import TrackerParameters
from evio_ros.windowing import windows

SLICE_US = 5_000


def lock_of(events: EventBatch, candidate: RotorCandidate, end_us: int):
    """What is known along the path of all events up to a time."""
    size = events.size
    codes = np.full((size.height, size.width), FREE, np.int32)
    cells = np.argwhere(np.ones((size.height // 4, size.width // 4), bool))
    slices = list(windows([events.between(0, end_us)], size, SLICE_US, start_us=0))
    region = RegionEvents(size, slices, codes, Region(cells, len(events), 4))
    return result_of(lock_along_path(region, candidate, TrackerParameters()))


@pytest.mark.parametrize("rpm", [420.0, -420.0])
def test_hub_speed_and_phase_of_a_disc_that_slows_down(rpm: float) -> None:
    """After 1.1 turns; the candidate's hub is 4 px off, its speed that of the beginning."""
    disc = SpunDisc(rpm=rpm)
    (x, y), axes = disc.ellipse.center, disc.ellipse.axes
    candidate = RotorCandidate(Ellipse((x + 3.0, y - 2.5), axes, 0.0), 0.85 * rpm / 60, 1, 1.0)
    lock = lock_of(disc.events(seed=3), candidate, 400_000)
    assert lock is not None
    assert not isinstance(lock, Rejection)
    assert lock.rejection is None
    assert math.dist(lock.ellipse.center, disc.ellipse.center) < 0.5
    assert lock.turns == pytest.approx(disc.turns(400_000), abs=0.03)
    assert lock.frequency_hz == pytest.approx(disc.turns(400_000) / 0.2, rel=0.1)
    at_us = lock.motion.t_us
    assert at_us == lock.window.start_us == 280_000
    speed = 2 * math.pi * disc.mean_rpm(at_us - 1_000, at_us + 1_000) / 60
    assert lock.motion.state[1] == pytest.approx(speed, rel=0.06)
    assert lock.template.contrast > 1.0


def test_an_even_change_of_the_speed_is_told_from_an_uneven_one() -> None:
    even, uneven = SpunDisc(length_us=2_000_000), SpunDisc(length_us=450_000)
    for disc, end_us, is_even in ((even, 400_000, True), (uneven, 640_000, False)):
        mean_hz = disc.turns(end_us) / 0.3
        lock = lock_of(disc.events(seed=5), RotorCandidate(disc.ellipse, mean_hz, 1, 1.0), end_us)
        assert lock is not None
        assert not isinstance(lock, Rejection)
        assert lock.is_even or not is_even


def test_noise_and_what_moves_past_are_no_rotor() -> None:
    disc = SpunDisc(events_per_turn=0)
    candidate = RotorCandidate(disc.ellipse, 5.0, 1, 1.0)
    lock = lock_of(disc.events(seed=1, noise_hz=200_000.0), candidate, 500_000)
    assert lock is None or isinstance(lock, Rejection) or lock.rejection is not None


def test_too_few_events_and_too_many_turns_are_left_to_others() -> None:
    disc = SpunDisc(events_per_turn=1_000)
    assert (
        lock_of(disc.events(noise_hz=0.0), RotorCandidate(disc.ellipse, 5.0, 1, 1.0), 500_000)
        is None
    )
    fast = SpunDisc(rpm=3_000.0)
    assert lock_of(fast.events(), RotorCandidate(fast.ellipse, 45.0, 1, 1.0), 500_000) is None
