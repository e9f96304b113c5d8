"""A tracker through time for which there is no data; what it does with data is in other tests."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from rotor_events import SIZE, IdealRotor, events_of
from rotor_templates import template_of

from evio_ros.estimate import RotorEstimate
from evio_ros.events import EventBatch
from evio_ros.rotation.tracking.phase_filter import Motion
from evio_ros.rotation.tracking.rotor_tracker import RotorTracker
from evio_ros.rotation.tracking.tracker_bank import TrackerBank
from evio_ros.rotation.tracking.tracker_parameters import TrackerParameters

SLICE_US, WINDOW_US, END_US = 5_000, 50_000, 600_000
ROTOR = IdealRotor(19.1667, event_rate_hz=3e5)


def followed(
    events: EventBatch, live_share: Callable[[range], float], end_us: int = END_US
) -> tuple[RotorTracker, dict[int, RotorEstimate | None]]:
    """A tracker of `ROTOR` at the end, and its estimates by the time of each slice's end."""
    bank = TrackerBank(SIZE, 1, 8, WINDOW_US, TrackerParameters())
    speed = 2 * math.pi * ROTOR.frequency_hz
    motion = Motion(0, (ROTOR.angle(0), speed, 0.0), (0.05, 0.01 * speed, 10.0))
    tracker = bank.tracker_of(ROTOR.ellipse, template_of(ROTOR), motion)
    bank.add(tracker)
    unassigned = np.zeros(bank.grid_shape, np.int32)
    estimates = {}
    for start_us in range(0, end_us, SLICE_US):
        times_us = range(start_us, start_us + SLICE_US)
        part = events.between(times_us.start, times_us.stop)
        bank.follow(part, times_us, True, unassigned, live_share(times_us))
        estimates[times_us.stop] = tracker.estimate()
    return tracker, estimates


def without(events: EventBatch, start_us: int, end_us: int) -> EventBatch:
    """What is left where the events between two times are lost."""
    kept = [events.between(0, start_us), events.between(end_us, END_US)]
    return EventBatch.concatenate(SIZE, kept)


def live_outside(start_us: int, end_us: int) -> Callable[[range], float]:
    """Live share of a slice where the time between two is dead."""
    dead = range(start_us, end_us)
    return lambda times: (
        1.0 - len(range(max(times.start, dead.start), min(times.stop, dead.stop))) / len(times)
    )


@pytest.mark.parametrize(("start_us", "end_us"), [(300_000, 340_000), (301_700, 338_300)])
def test_a_rotor_turns_on_while_nothing_is_seen(start_us, end_us):
    lost = without(events_of([ROTOR], END_US), start_us, end_us)
    tracker, estimates = followed(lost, live_outside(start_us, end_us))
    assert tracker.unseen_us == 0
    assert not tracker.stopped
    before, after = estimates[start_us // SLICE_US * SLICE_US], estimates[END_US]
    assert before is not None
    assert after is not None
    turned = ROTOR.turns(END_US) - ROTOR.turns(start_us // SLICE_US * SLICE_US)
    assert after.turns - before.turns == pytest.approx(turned, abs=0.01)
    for estimate in estimates.values():
        if estimate is not None and estimate.t_us > 200_000:
            assert estimate.rpm == pytest.approx(60 * ROTOR.frequency_hz, rel=1e-3)


def test_the_phase_is_the_less_certain_the_longer_nothing_is_seen():
    lost = without(events_of([ROTOR], END_US), 300_000, 345_000)
    _, estimates = followed(lost, live_outside(300_000, 345_000))
    blind = [estimates[t_us] for t_us in range(300_000, 345_001, SLICE_US)]
    spread = [estimate.angle_std_rad for estimate in blind if estimate is not None]
    assert len(spread) == len(blind)
    assert (np.diff(spread) > 0.0).all()
    assert estimates[END_US].angle_std_rad < spread[-1]


def test_a_window_without_any_data_is_not_reported():
    lost = without(events_of([ROTOR], END_US), 300_000, 400_000)
    _, estimates = followed(lost, live_outside(300_000, 400_000))
    for t_us, estimate in estimates.items():
        assert (estimate is None) == (350_000 <= t_us <= 400_000), t_us
    turned = ROTOR.turns(END_US) - ROTOR.turns(300_000)
    assert estimates[END_US].turns - estimates[300_000].turns == pytest.approx(turned, abs=0.01)


def test_what_is_live_and_without_events_is_a_standstill():
    lost = without(events_of([ROTOR], END_US), 300_000, 400_000)
    tracker, estimates = followed(lost, lambda _: 1.0, 380_000)
    assert tracker.stopped
    assert estimates[380_000].rpm == pytest.approx(0.0, abs=0.1)


def test_a_standstill_that_is_noticed_after_dead_time_began_where_the_rotor_was_seen_last():
    lost = without(events_of([ROTOR], END_US), 300_000, END_US)
    tracker, estimates = followed(lost, live_outside(300_000, 320_000))
    assert tracker.stopped
    assert estimates[END_US].rpm == pytest.approx(0.0, abs=0.1)
    turned = estimates[END_US].turns - estimates[300_000].turns
    assert turned == pytest.approx(0.0, abs=0.01)


def test_a_rotor_at_rest_keeps_its_place_while_nothing_is_seen():
    still = without(events_of([ROTOR], END_US), 300_000, END_US)
    tracker, estimates = followed(still, live_outside(400_000, 440_000))
    assert tracker.stopped
    assert estimates[440_000].rpm == pytest.approx(0.0, abs=0.1)
    assert estimates[END_US].turns == pytest.approx(estimates[400_000].turns, abs=0.01)


def test_a_speed_that_no_rotor_has_is_a_loss_of_lock() -> None:
    """Turning at 20 Hz where 5 Hz is the most: not reported, and never believed."""
    bank = TrackerBank(SIZE, 1, 8, WINDOW_US, TrackerParameters(maximum_speed_hz=5.0))
    speed = 2 * math.pi * ROTOR.frequency_hz
    motion = Motion(0, (ROTOR.angle(0), speed, 0.0), (0.05, 0.01 * speed, 10.0))
    tracker = bank.tracker_of(ROTOR.ellipse, template_of(ROTOR), motion)
    bank.add(tracker)
    unassigned = np.zeros(bank.grid_shape, np.int32)
    events = events_of([ROTOR], 100_000)
    for start_us in range(0, 100_000, SLICE_US):
        times_us = range(start_us, start_us + SLICE_US)
        bank.follow(events, times_us, True, unassigned)
    assert tracker.unseen_us > 0
    assert tracker.why_not_seen() is not None
    assert tracker.estimate() is None
