from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
from rotor_events import DISC, SIZE, IdealRotor, events_of
from rotor_templates import template_of

from evio_ros.ellipse import Ellipse
from evio_ros.rotation.tracking.disc_map import FREE
from evio_ros.rotation.tracking.phase_filter import Motion
from evio_ros.rotation.tracking.rotor_tracker import RotorTracker
from evio_ros.rotation.tracking.tracker_bank import TrackerBank
from evio_ros.rotation.tracking.tracker_parameters import TrackerParameters

PARAMETERS = TrackerParameters()
CELL_PX = 8


def bank_of(window_us: int) -> TrackerBank:
    return TrackerBank(SIZE, 4, CELL_PX, window_us, PARAMETERS)


def tracker_of(bank: TrackerBank, rotor: IdealRotor) -> RotorTracker:
    """A tracker that begins a little wrong."""
    speed = 2 * math.pi * rotor.frequency_hz
    motion = Motion(0, (rotor.angle(0) + 0.02, 1.003 * speed, 0.0), (0.05, 0.01 * abs(speed), 10.0))
    x, y = rotor.ellipse.center
    guess = Ellipse((x + 0.5, y - 0.5), rotor.ellipse.axes, rotor.ellipse.tilt_rad)
    return bank.tracker_of(guess, template_of(rotor), motion)


def follow(
    bank: TrackerBank, rotors: Sequence[IdealRotor], lengths_us: Sequence[int], steps: int
) -> int:
    """Let a bank follow steps of slices of some lengths; the time at the end."""
    step_us = sum(lengths_us)
    events = events_of(list(rotors), steps * step_us, seed=3)
    unassigned = np.zeros(bank.grid_shape, np.int32)
    start_us = 0
    for index, length_us in enumerate(
        itertools.islice(itertools.cycle(lengths_us), steps * len(lengths_us))
    ):
        is_last = index % len(lengths_us) == len(lengths_us) - 1
        times_us = range(start_us, start_us + length_us)
        part = events.between(times_us.start, times_us.stop)
        bank.follow(part, times_us, is_last, unassigned)
        start_us += length_us
    return start_us


@pytest.mark.parametrize(
    ("frequency_hz", "lengths_us"),
    [(100.0, (3_336, 3_336, 3_335)), (-100.0, (5_000, 5_000, 7)), (100.0, (4_000, 2_000))],
)
def test_slices_of_any_length_measure_the_same_rotor(frequency_hz, lengths_us):
    rotor = IdealRotor(frequency_hz, event_rate_hz=4e6)
    step_us = sum(lengths_us)
    steps = 1_000_000 // step_us
    window_us = steps * step_us
    bank = bank_of(window_us)
    tracker = tracker_of(bank, rotor)
    bank.add(tracker)
    end_us = follow(bank, [rotor], lengths_us, steps + 10)
    assert tracker.t_us == end_us == (steps + 10) * step_us
    assert tracker.is_credible()
    estimate = tracker.estimate()
    assert estimate is not None
    assert estimate.window_us == window_us
    truth = rotor.mean_rpm(end_us - window_us, end_us)
    assert estimate.rpm == pytest.approx(truth, rel=1e-6)
    assert abs(estimate.rpm - truth) < 4 * estimate.rpm_std
    # Of 4 Mev/s, those within the rings; each is counted once.
    assert estimate.events == pytest.approx(4 * window_us, rel=0.1)
    pitch = 2 * math.pi / rotor.blades
    away = (estimate.angle_rad - rotor.angle(end_us) + pitch / 2) % pitch - pitch / 2
    assert abs(away) < 0.01
    assert estimate.blade_count == rotor.blades
    assert estimate.center == pytest.approx(DISC.center, abs=0.2)


@pytest.mark.parametrize("lengths_us", [(3_336, 3_336, 3_335), (5_000, 5_000, 7)])
def test_a_slow_rotor_is_measured_over_slices_of_any_length(lengths_us):
    """Slices in which it turns by 0.1 rad are integrated coherently."""
    rotor = IdealRotor(3.0, event_rate_hz=1e6)
    step_us = sum(lengths_us)
    bank = bank_of(20 * step_us)
    tracker = tracker_of(bank, rotor)
    bank.add(tracker)
    end_us = follow(bank, [rotor], lengths_us, 40)
    estimate = tracker.estimate()
    assert estimate is not None
    assert estimate.window_us == 20 * step_us
    truth = rotor.mean_rpm(end_us - 20 * step_us, end_us)
    assert abs(estimate.rpm - truth) < 4 * estimate.rpm_std
    assert estimate.rpm == pytest.approx(truth, rel=1e-3)


def test_two_rotors_are_followed_side_by_side():
    rotors = [
        IdealRotor(40.0, 3, Ellipse((85.0, 120.0), (60.0, 60.0), 0.0)),
        IdealRotor(-55.0, 2, Ellipse((235.0, 120.0), (60.0, 50.0), 0.4)),
    ]
    bank = bank_of(100_000)
    for rotor in rotors:
        bank.add(tracker_of(bank, rotor))
    assert len(bank) == 2
    assert not bank.is_full
    follow(bank, rotors, (5_000,), 40)
    for tracker, rotor in zip(bank, rotors, strict=True):
        estimate = tracker.estimate()
        assert estimate is not None
        assert estimate.rpm == pytest.approx(60.0 * rotor.frequency_hz, rel=1e-4)


def test_a_rotor_that_is_removed_leaves_its_pixels_and_its_events():
    rotor = IdealRotor(40.0)
    bank = bank_of(100_000)
    tracker = tracker_of(bank, rotor)
    bank.add(tracker)
    assert (bank.codes != FREE).any()
    unassigned = np.zeros(bank.grid_shape, np.int32)
    events = events_of([rotor], 5_000, noise_hz=0.0)
    bank.follow(events, range(5_000), True, unassigned)
    assert unassigned.sum() < 0.05 * len(events)
    bank.clear()
    assert len(bank) == 0
    assert (bank.codes == FREE).all()
    unassigned[:] = 0
    bank.follow(events, range(5_000), True, unassigned)
    assert unassigned.sum() == len(events)


def test_the_map_of_a_disc_is_that_of_the_parameters():
    bank = bank_of(100_000)
    disc = bank.disc_map(tracker_of(bank, IdealRotor(40.0)))
    assert disc.rings == PARAMETERS.rings
    assert (disc.codes >= 0).sum() == pytest.approx(
        math.pi * 60.0**2 * (PARAMETERS.rim_radius**2 - PARAMETERS.hub_radius**2), rel=0.03
    )


def test_a_rotor_found_on_a_discs_pixels_makes_its_template_a_first_guess() -> None:
    """What was learned until then was learned with the other's events."""
    bank = bank_of(100_000)
    here, far = IdealRotor(40.0), IdealRotor(40.0)
    x, y = here.ellipse.center
    beside = Ellipse((x + here.ellipse.axes[0], y), here.ellipse.axes, 0.0)
    first = tracker_of(bank, here)
    bank.add(first)
    follow(bank, [here], (5_000,), 40)
    events, share = first.template.events, first.template.first_share
    assert share < 0.5
    bank.add(bank.tracker_of(beside, template_of(far), Motion(0, (0.0, 1.0, 0.0), (1.0, 1.0, 1.0))))
    assert first.template.first_share == pytest.approx(1.0)
    assert first.template.events < 0.2 * events


def test_a_rotor_found_elsewhere_changes_no_template() -> None:
    bank = bank_of(100_000)
    first = tracker_of(bank, IdealRotor(40.0))
    bank.add(first)
    events = first.template.events
    x, y = first.ellipse.center
    away = Ellipse((x + 4 * first.ellipse.axes[0], y), first.ellipse.axes, 0.0)
    bank.add(bank.tracker_of(away, first.template, Motion(0, (0.0, 1.0, 0.0), (1.0, 1.0, 1.0))))
    assert first.template.events == events
