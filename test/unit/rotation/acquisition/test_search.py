"""One search: a request that says all, and the outcome."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
from rotor_events import SIZE, IdealRotor, events_of

from evio_ros.cell_counts import activity_grid
from evio_ros.ellipse import Ellipse
from evio_ros.events import EventBatch
from evio_ros.explanation import Reason
from evio_ros.rotation.acquisition.regions import RegionParameters, find_regions
from evio_ros.rotation.acquisition.search import (
    Failed,
    Found,
    RetryAfter,
    RotorSearch,
    SearchRequest,
)
from evio_ros.rotation.acquisition.winding import RotorCandidate
from evio_ros.rotation.acquisition.work_units import result_of
from evio_ros.rotation.detector import RotationDetector
from evio_ros.rotation.tracking.disc_map import FREE
from evio_ros.windowing import windows

SPAN_US = 250_000
ROTOR = IdealRotor(19.1667)
TWO = [
    IdealRotor(19.2283, ellipse=Ellipse((125.4, 112.7), (48.0, 48.0), 0.0)),
    IdealRotor(-24.7883, ellipse=Ellipse((185.2, 129.1), (48.0, 48.0), 0.0)),
]


@pytest.fixture
def search() -> RotorSearch:
    return RotorSearch(SIZE, RotationDetector(SIZE).settings)


def request_of(
    events: EventBatch, active: EventBatch | None = None, **changes: object
) -> SearchRequest:
    """A request for some events, none of which belongs to a rotor, in their first active region.

    Or in that of others.
    """
    active = events if active is None else active
    codes = np.full((SIZE.height, SIZE.width), FREE, np.int32)
    codes.flags.writeable = False
    slices = tuple(windows([events], SIZE, 5_000, start_us=0))
    region = find_regions(activity_grid(active, 4), slices[-1].end_us, RegionParameters())[0]
    request = SearchRequest(region, slices, codes, (), (), (), 0)
    return dataclasses.replace(request, **changes)


def test_a_rotor_is_found_and_tracked_to_the_end_of_the_events(search):
    outcome = result_of(search.search(request_of(events_of([ROTOR], SPAN_US))))
    assert isinstance(outcome, Found)
    assert outcome.tracker.t_us == SPAN_US
    disc = outcome.tracker.known_disc().ellipse
    assert math.dist(disc.center, ROTOR.ellipse.center) < 0.5
    assert outcome.tracker.usual_speed == pytest.approx(2 * math.pi * 19.1667, rel=1e-3)


def test_a_found_rotor_takes_in_what_came_meanwhile(search):
    events = events_of([ROTOR], SPAN_US + 50_000)
    outcome = result_of(search.search(request_of(events.between(0, SPAN_US))))
    assert isinstance(outcome, Found)
    last = events.between(SPAN_US, SPAN_US + 50_000)
    later = list(windows([last], SIZE, 5_000, SPAN_US))
    assert search.why_not_seen(outcome, later) is None
    assert outcome.tracker.t_us == SPAN_US + 50_000
    gone = [dataclasses.replace(part, events=EventBatch.empty(SIZE)) for part in later]
    outcome = result_of(search.search(request_of(events.between(0, SPAN_US))))
    assert isinstance(outcome, Found)
    assert search.why_not_seen(outcome, gone).reason is Reason.STOOD_STILL


def test_the_outcome_depends_on_the_request_alone(search):
    turning, noise = events_of([ROTOR], SPAN_US), events_of([], SPAN_US, noise_hz=3e6)
    requests = request_of(turning), request_of(noise, turning), request_of(turning)
    for request in requests:
        new = RotorSearch(SIZE, RotationDetector(SIZE).settings)
        used, fresh = result_of(search.search(request)), result_of(new.search(request))
        assert type(used) is type(fresh)
        assert used.beside == fresh.beside
        if isinstance(used, Found) and isinstance(fresh, Found):
            assert used.tracker.estimate() == fresh.tracker.estimate()
        assert isinstance(used, Failed if request is requests[1] else Found)


def test_a_tracked_rotor_is_not_found_again(search):
    outcome = result_of(
        search.search(request_of(events_of([ROTOR], SPAN_US), tracked=(ROTOR.ellipse,)))
    )
    assert not isinstance(outcome, Found)
    assert outcome.rejection.reason is Reason.PART_OF_TRACKED


def test_of_two_rotors_the_other_is_a_candidate_for_the_next_search(search):
    events = events_of(TWO, SPAN_US)
    first = result_of(search.search(request_of(events)))
    assert isinstance(first, Found)
    assert first.beside
    disc = first.tracker.ellipse
    second = result_of(search.search(request_of(events, tracked=(disc,), beside=first.beside)))
    assert isinstance(second, Found)
    centers = sorted(found.tracker.ellipse.center for found in (first, second))
    for center, rotor in zip(centers, TWO, strict=True):
        assert math.dist(center, rotor.ellipse.center) < 2.0


def test_candidates_that_fail_are_dropped_and_those_elsewhere_are_kept(search):
    turning, noise = events_of([ROTOR], SPAN_US), events_of([], SPAN_US, noise_hz=3e6)
    here = RotorCandidate(ROTOR.ellipse, 19.0, 3, 0.9)
    elsewhere = RotorCandidate(Ellipse((20.0, 20.0), (9.0, 9.0), 0.0), 19.0, 3, 0.9)
    found = result_of(search.search(request_of(turning, beside=(here, elsewhere))))
    assert isinstance(found, Found)
    assert found.beside == (here, elsewhere)
    failed = result_of(search.search(request_of(noise, turning, beside=(here, elsewhere))))
    assert isinstance(failed, Failed)
    assert failed.beside == (elsewhere,)


def test_a_slow_disc_is_searched_again_when_it_has_turned_once(search):
    rotor = IdealRotor(2.6, blades=1, duty=0.03)
    outcome = result_of(search.search(request_of(events_of([rotor], 300_000))))
    assert isinstance(outcome, RetryAfter)
    assert 300_000 + outcome.wait_us == pytest.approx(1e6 / 2.6, rel=0.1)
    rejection = outcome.rejection
    assert rejection.reason is Reason.NOT_ROUND
    assert rejection.value == pytest.approx(2.6 * 0.3, rel=0.15)
    assert rejection.speed_hz == pytest.approx(2.6, rel=0.15)


def test_a_known_disc_is_tried_where_nothing_winds_and_the_region_is_no_disc(search):
    # A mark winds about no hub, and a lamp beside it makes the region's outline that of no disc.
    rotor = IdealRotor(8.0, blades=1, duty=0.03, ellipse=Ellipse((120.3, 119.6), (50.0, 50.0), 0.0))
    lamp = IdealRotor(0.0, ellipse=Ellipse((215.0, 119.0), (50.0, 12.0), 0.0), edge_std_rad=9.0)
    events = events_of([rotor, lamp], SPAN_US)
    assert not isinstance(result_of(search.search(request_of(events))), Found)
    outcome = result_of(search.search(request_of(events, known=(rotor.ellipse,))))
    assert isinstance(outcome, Found)
    assert math.dist(outcome.tracker.ellipse.center, rotor.ellipse.center) < 2.0


def test_places_that_fail_again_and_again_get_a_short_search_every_other_time():
    request = request_of(events_of([ROTOR], 50_000))
    short = [dataclasses.replace(request, failures=n).is_short for n in range(8)]
    assert not any(short[:2])
    assert all(one != next_one for one, next_one in itertools.pairwise(short[3:]))
