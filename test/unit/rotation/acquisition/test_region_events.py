from __future__ import annotations

import numpy as np
import pytest
from rotor_events import SIZE, events_of
from work_results import result_of

from evio_ros.events import EventBatch, EventWindow
from evio_ros.rotation.acquisition.region_events import MARGIN_PX, RegionEvents
from evio_ros.rotation.acquisition.regions import Region
from evio_ros.rotation.tracking.disc_map import FREE, SHARED
from evio_ros.windowing import windows

CELLS = np.array([(10, 20), (10, 21), (14, 30)])
REGION = Region(CELLS, 100, 4)


@pytest.fixture(scope="module")
def steps() -> list[EventWindow]:
    return list(windows([events_of([], 100_000, noise_hz=2e6)], SIZE, 20_000, start_us=0))


def expected(events: EventBatch, codes: np.ndarray, start_us: int) -> np.ndarray:
    """Times of the events at free pixels of the region's box, event by event."""
    centers = REGION.cell_centers()
    low, high = centers.min(axis=0) - MARGIN_PX, centers.max(axis=0) + MARGIN_PX
    inside = (events.x >= np.floor(low[0])) & (events.x <= high[0])
    inside &= (events.y >= np.floor(low[1])) & (events.y <= high[1])
    return events.t[inside & (codes[events.y, events.x] == FREE) & (events.t >= start_us)]


@pytest.mark.parametrize("span_us", [20_000, 35_000, 100_000, 900_000])
def test_free_events_of_the_box_are_picked(steps, span_us):
    codes = np.full((SIZE.height, SIZE.width), FREE, np.int32)
    codes[:, 100:] = SHARED
    whole = EventBatch.concatenate(SIZE, [step.events for step in steps])
    picked = result_of(RegionEvents(SIZE, steps, codes, REGION).last(span_us))
    start_us = max(100_000 - span_us, 0)
    assert (picked.start_us, picked.end_us) == (start_us, 100_000)
    assert np.array_equal(picked.events.t, expected(whole, codes, start_us))


def test_a_later_look_at_more_of_the_past_goes_on_where_the_first_ended(steps):
    codes = np.full((SIZE.height, SIZE.width), FREE, np.int32)
    window = RegionEvents(SIZE, steps, codes, REGION)
    short, whole = result_of(window.last(30_000)), result_of(window.last(100_000))
    assert np.array_equal(whole.events.between(70_000, 100_000).t, short.events.t)
    assert np.all(np.diff(whole.events.t) >= 0)
