"""Searching for rotors while events come: beside others, slow ones, and a work unit at a time."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
from rotor_events import SIZE, IdealRotor, events_of

from evio_ros.ellipse import Ellipse
from evio_ros.estimate import RotorEstimate
from evio_ros.events import EventBatch
from evio_ros.rotation.acquisition.search import RotorSearch
from evio_ros.rotation.detector import RotationDetector
from evio_ros.rotation.detector_parameters import RotationDetectorParameters
from evio_ros.windowing import windows

LEFT = Ellipse((125.4, 112.7), (48.0, 48.0), 0.0)
RIGHT = Ellipse((185.2, 129.1), (48.0, 48.0), 0.0)
FIRST = IdealRotor(19.2283, ellipse=Ellipse((80.3, 119.6), (50.0, 50.0), 0.0))
SECOND = IdealRotor(-26.1, ellipse=Ellipse((230.4, 118.2), (50.0, 50.0), 0.0))
STARTS_US = 400_000


def joined(one: EventBatch, other: EventBatch) -> EventBatch:
    """Events of both in order of time."""
    columns = [
        np.concatenate(pair)
        for pair in zip(
            (one.t, one.x, one.y, one.polarity),
            (other.t, other.x, other.y, other.polarity),
            strict=True,
        )
    ]
    order = np.argsort(columns[0], kind="stable")
    return EventBatch(one.size, *(column[order] for column in columns))


@pytest.fixture(scope="module")
def one_after_the_other() -> EventBatch:
    """A rotor, and from some time on another."""
    late = events_of([SECOND], 500_000, noise_hz=0.0, seed=1)
    later = EventBatch(SIZE, late.t + STARTS_US, late.x, late.y, late.polarity)
    return joined(events_of([FIRST], STARTS_US + 500_000), later)


def run(
    detector: RotationDetector, events: EventBatch, search: bool = False
) -> Iterator[tuple[int, list[RotorEstimate]]]:
    """End and estimates of every step."""
    for step in windows([events], events.size, detector.parameters.step_us, start_us=0):
        estimates = detector.process(step)
        if search:
            detector.search()
        yield step.end_us, estimates


@pytest.mark.parametrize("factor", [0.8, 0.853, 1.0, 1.25])
def test_overlapping_rotors_are_found_at_once_and_not_taken_for_one(factor):
    rotors = [
        IdealRotor(19.2283 * factor, ellipse=LEFT),
        IdealRotor(-24.7883 * factor, ellipse=RIGHT),
    ]
    for end_us, estimates in run(RotationDetector(SIZE), events_of(rotors, 400_000)):
        if end_us < 250_000:
            assert estimates == []
            continue
        assert len(estimates) == 2
        for rotor in rotors:
            nearest = min(estimates, key=lambda e: math.dist(e.center, rotor.ellipse.center))
            assert math.dist(nearest.center, rotor.ellipse.center) < 2.0
            assert nearest.rpm == pytest.approx(60 * rotor.frequency_hz, rel=0.01)
            assert nearest.blade_count == 3


def test_a_rotor_that_starts_later_is_found_while_the_first_is_tracked(one_after_the_other):
    parameters = RotationDetectorParameters(window_us=20_000, step_us=10_000)
    found_us = None
    for end_us, estimates in run(RotationDetector(SIZE, parameters), one_after_the_other):
        by_place = {estimate.center[0] < 160: estimate for estimate in estimates}
        if end_us >= 250_000:
            assert by_place[True].rpm == pytest.approx(60 * FIRST.frequency_hz, rel=1e-3)
            assert by_place[True].id == 0
        if False in by_place:
            found_us = found_us or end_us
            assert by_place[False].rpm == pytest.approx(60 * SECOND.frequency_hz, rel=3e-3)
            assert by_place[False].id == 1
    assert found_us is not None
    assert STARTS_US < found_us <= STARTS_US + 300_000


@pytest.mark.parametrize("frequency_hz", [2.6, -3.4])
def test_a_slow_disc_with_one_mark_is_found_after_a_turn(frequency_hz):
    rotor = IdealRotor(frequency_hz, blades=1, duty=0.03)
    found_us = None
    for end_us, estimates in run(RotationDetector(SIZE), events_of([rotor], 700_000)):
        if found_us is None and estimates:
            found_us = end_us
        if found_us is not None:
            (estimate,) = estimates
            assert estimate.rpm == pytest.approx(60 * frequency_hz, rel=0.02)
    turn_us = 1e6 / abs(frequency_hz)
    assert found_us is not None
    assert 0.95 * turn_us <= found_us <= turn_us + 110_000


@pytest.mark.parametrize("step_us", [10_000, 50_000])
def test_results_do_not_depend_on_when_the_search_is_done(one_after_the_other, step_us):
    parameters = RotationDetectorParameters(window_us=100_000, step_us=step_us)
    results = [
        list(run(RotationDetector(SIZE, parameters), one_after_the_other, search))
        for search in (False, True)
    ]
    assert results[0] == results[1]


@pytest.mark.parametrize("step_us", [1_000, 10_000, 50_000])
def test_while_rotors_are_tracked_a_step_does_no_more_than_its_share_of_a_search(
    one_after_the_other, step_us, monkeypatch
):
    done: Counter[int] = Counter()
    now_us = 0
    search = RotorSearch.search

    def counted(self, request):
        work = search(self, request)
        while True:
            done[now_us] += 1
            try:
                next(work)
            except StopIteration as end:
                return end.value
            yield

    monkeypatch.setattr(RotorSearch, "search", counted)
    parameters = RotationDetectorParameters(window_us=100_000, step_us=step_us)
    detector = RotationDetector(SIZE, parameters)
    for step in windows([one_after_the_other], SIZE, step_us, start_us=0):
        now_us = step.start_us
        detector.process(step)
        detector.search()
    assert detector.statistics.rotors_found == 2
    late = {start_us: units for start_us, units in done.items() if start_us > 300_000}
    # A unit takes about a millisecond: half of the core is left to the trackers.
    assert max(late.values()) <= max(step_us // 2_000, 1)
    assert len(late) > 1
