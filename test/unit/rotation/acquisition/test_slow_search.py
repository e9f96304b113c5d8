"""Rotors too slow for the latest events, and what keeps the search for them cheap."""

from __future__ import annotations

import numpy as np
import pytest
from rotor_events import SIZE, IdealRotor, events_of

from evio_ros.events import EventBatch, EventWindow
from evio_ros.rotation.acquisition import slow_search
from evio_ros.rotation.acquisition.slow_search import SlowSearch
from evio_ros.rotation.detector import RotationDetector
from evio_ros.rotation.detector_parameters import DetectorSettings
from evio_ros.rotation.tracking.tracker_bank import TrackerBank
from evio_ros.windowing import windows


@pytest.mark.parametrize(
    ("frequency_hz", "blades", "event_rate_hz"),
    [(1.9, 3, 1.2e5), (-0.93, 3, 6e4), (0.187, 3, 1.2e4), (-1.1, 5, 6e4)],
)
def test_a_slow_rotor_is_found_within_three_passes_or_five_quarters_of_a_turn(
    frequency_hz, blades, event_rate_hz
):
    rotor = IdealRotor(frequency_hz, blades, event_rate_hz=event_rate_hz)
    pass_us = 1e6 / abs(frequency_hz) / blades
    duration_us = int(5 * pass_us)
    detector = RotationDetector(SIZE)
    found_us = None
    events = events_of([rotor], duration_us, noise_hz=2e3)
    for step in windows([events], SIZE, detector.parameters.step_us, start_us=0):
        estimates = detector.process(step)
        if estimates and found_us is None:
            found_us = step.end_us
    assert found_us is not None
    # Pasts are searched when they are full, and each is twice as long as the one before.
    assert found_us <= min(3 * pass_us, 1.25 * blades * pass_us) + max(0.4 * pass_us, 400_000)
    (estimate,) = estimates
    assert estimate.rpm == pytest.approx(60 * frequency_hz, rel=3e-3)
    assert estimate.blade_count == blades


def slices_of(events: EventBatch, length_us: int) -> list[EventWindow]:
    return list(windows([events], SIZE, 5_000, 0, length_us))


def search_for(detector: RotationDetector) -> tuple[SlowSearch, TrackerBank]:
    settings: DetectorSettings = detector.settings
    bank = TrackerBank(SIZE, 8, settings.regions.cell_px, 100_000, settings.tracking)
    return SlowSearch(SIZE, bank, settings), bank


def test_what_is_kept_is_bounded_and_an_even_share_of_all(monkeypatch):
    monkeypatch.setattr(slow_search, "_MOST_EVENTS", 20_000)
    search, _ = search_for(RotationDetector(SIZE))
    events = events_of([], 2_000_000, noise_hz=1e6)
    for part in slices_of(events, 2_000_000):
        search.add(part)
    assert search._pasts
    for past in search._pasts:
        kept = [*past.slices, *past.latest]
        times = np.concatenate([part.events.t for part in kept])
        assert 5_000 < len(times) == past.events <= 20_000
        assert np.all(np.diff(times) >= 0)
        begin_us = kept[0].start_us
        expected = (2_000_000 - begin_us) / past.stride
        assert len(times) == pytest.approx(expected, rel=0.05)
        by_time = np.histogram(times, 5, (begin_us, 2_000_000))[0]
        assert by_time == pytest.approx(expected / 5, rel=0.1)


def test_while_a_rotor_is_tracked_nothing_is_kept_nor_searched():
    detector = RotationDetector(SIZE)
    events = events_of([IdealRotor(19.2283)], 1_500_000)
    for step in windows([events], SIZE, detector.parameters.step_us, start_us=0):
        detector.process(step)
        detector.search()
    assert len(detector.trackers) == 1
    slow = detector._schedule.slow
    assert slow.regions_searched == 0
    assert slow._pasts
    assert all(not past.events for past in slow._pasts)


def test_a_step_does_no_more_than_its_share(monkeypatch):
    done = 0
    search = SlowSearch._search_region

    def counted(self, past, region):
        nonlocal done
        work = search(self, past, region)
        while True:
            done += 1
            try:
                next(work)
            except StopIteration as end:
                return end.value
            yield

    monkeypatch.setattr(SlowSearch, "_search_region", counted)
    slow, _ = search_for(RotationDetector(SIZE))
    random = np.random.default_rng(0)
    events = events_of([], 3_000_000, noise_hz=2e5)
    # What flickers at random, and is searched again and again.
    lit = random.random(600)[events.t // 5_000] < 0.5
    flicker = EventBatch(SIZE, *(c[lit] for c in (events.t, events.x, events.y, events.polarity)))
    most = 0
    for number, part in enumerate(slices_of(flicker, 3_000_000)):
        slow.add(part)
        if number % 10 == 9:
            slow.end_step()
            done = 0
            assert slow.search() == []
            most = max(most, done)
    assert slow.regions_searched > 2
    # A unit takes about a millisecond of the 50 of a step.
    assert 0 < most <= 20
