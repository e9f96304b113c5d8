from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from rotor_events import SIZE, events_of

from evio_ros.events import EventBatch, EventWindow
from evio_ros.rotation.acquisition import region_events
from evio_ros.rotation.acquisition.region_events import RegionEvents, SearchWindow
from evio_ros.rotation.acquisition.regions import Region
from evio_ros.rotation.acquisition.work_units import result_of
from evio_ros.rotation.tracking.disc_map import FREE, SHARED
from evio_ros.windowing import windows

CELLS = np.array([(10, 20), (10, 21), (14, 30)])
REGION = Region(CELLS, 100, 4)


@pytest.fixture(scope="module")
def steps() -> list[EventWindow]:
    return list(windows([events_of([], 100_000, noise_hz=2e6)], SIZE, 20_000, start_us=0))


def box_of(events: EventBatch) -> tuple[int, int, int, int]:
    """x0, y0, x1 and y1 of the events, all inside."""
    return tuple(
        int(end) for end in (events.x.min(), events.y.min(), events.x.max(), events.y.max())
    )


def expected(
    events: EventBatch, box: tuple[int, int, int, int], codes: np.ndarray, start_us: int
) -> np.ndarray:
    """Times of the events at free pixels of a box, event by event."""
    x0, y0, x1, y1 = box
    return np.array(
        [
            t
            for t, x, y in zip(events.t, events.x, events.y, strict=True)
            if x0 <= x <= x1 and y0 <= y <= y1 and codes[y, x] == FREE and t >= start_us
        ]
    )


def test_the_box_holds_the_cells_and_a_border(steps):
    codes = np.full((SIZE.height, SIZE.width), FREE, np.int32)
    picked = result_of(RegionEvents(SIZE, steps, codes, REGION).last(100_000))
    x0, y0, x1, y1 = box_of(picked.events)
    # Cells of 4 px: columns 20 to 30 and rows 10 to 14.
    for border in (80 - x0, 40 - y0, x1 - 123, y1 - 59):
        assert 4 <= border <= 16


def test_a_region_at_the_border_of_the_sensor_has_its_events(steps):
    codes = np.full((SIZE.height, SIZE.width), FREE, np.int32)
    corner = Region(np.array([(59, 79), (59, 78)]), 100, 4)
    picked = result_of(RegionEvents(SIZE, steps, codes, corner).last(100_000))
    assert box_of(picked.events)[2:] == (SIZE.width - 1, SIZE.height - 1)


@pytest.mark.parametrize("span_us", [20_000, 35_000, 100_000, 900_000])
def test_free_events_of_the_box_are_picked(steps, span_us):
    codes = np.full((SIZE.height, SIZE.width), FREE, np.int32)
    box = box_of(result_of(RegionEvents(SIZE, steps, codes, REGION).last(100_000)).events)
    codes[:, 100:] = SHARED
    whole = EventBatch.concatenate(SIZE, [step.events for step in steps])
    picked = result_of(RegionEvents(SIZE, steps, codes, REGION).last(span_us))
    start_us = max(100_000 - span_us, 0)
    assert (picked.start_us, picked.end_us) == (start_us, 100_000)
    assert np.array_equal(picked.events.t, expected(whole, box, codes, start_us))


def test_a_later_look_at_more_of_the_past_goes_on_where_the_first_ended(steps):
    codes = np.full((SIZE.height, SIZE.width), FREE, np.int32)
    window = RegionEvents(SIZE, steps, codes, REGION)
    short, whole = result_of(window.last(30_000)), result_of(window.last(100_000))
    assert np.array_equal(whole.events.between(70_000, 100_000).t, short.events.t)
    assert np.all(np.diff(whole.events.t) >= 0)


@pytest.mark.parametrize(
    ("span_us", "slices"), [(19_999, 1), (20_000, 1), (59_999, 2), (60_000, 3), (900_000, 5)]
)
def test_the_last_whole_slices_are_no_longer_than_asked_for(steps, span_us, slices):
    codes = np.full((SIZE.height, SIZE.width), FREE, np.int32)
    window = result_of(RegionEvents(SIZE, steps, codes, REGION).last_slices(span_us))
    assert (window.start_us, window.end_us) == (100_000 - 20_000 * slices, 100_000)
    starts_us = range(window.start_us, 100_000, 20_000)
    assert window.slices == tuple(range(start_us, start_us + 20_000) for start_us in starts_us)


def test_what_is_drawn_later_on_the_table_changes_nothing(steps):
    codes = np.full((SIZE.height, SIZE.width), FREE, np.int32)

    def picked(changed: bool) -> SearchWindow:
        table = codes.copy()
        events = RegionEvents(SIZE, steps, table, REGION)
        if changed:
            table[:] = SHARED
        return result_of(events.last(100_000))

    assert np.array_equal(picked(True).events.t, picked(False).events.t)


def test_each_slice_keeps_the_share_of_it_that_was_live(steps):
    codes = np.full((SIZE.height, SIZE.width), FREE, np.int32)
    shares = (1.0, 0.25, 0.0, 0.5, 1.0)
    marked = [replace(step, live=live) for step, live in zip(steps, shares, strict=True)]
    events = RegionEvents(SIZE, marked, codes, REGION)
    latest, whole = result_of(events.last(50_000)), result_of(events.last(100_000))
    assert [times.start for times in latest.slices] == [60_000, 80_000]
    assert latest.live == (0.5, 1.0)
    assert whole.live == shares


@pytest.mark.parametrize("limit", ["_MOST_EVENTS", "_MOST_LOOKED_AT"])
@pytest.mark.parametrize("pixels", [2, 3, 4, 7])
def test_of_many_events_a_share_is_taken_that_prefers_none(limit, pixels, monkeypatch):
    monkeypatch.setattr(region_events, limit, 20_000)
    # Pixels are read out by turns, at a steady rate.
    count = 200_000
    number = np.arange(count)
    events = EventBatch(
        SIZE,
        number // 2,
        (80 + number % pixels).astype(np.uint16),
        np.full(count, 50, np.uint16),
        number % pixels == 0,
    )
    slices = list(windows([events], SIZE, 20_000, start_us=0))
    codes = np.full((SIZE.height, SIZE.width), FREE, np.int32)
    picked = result_of(RegionEvents(SIZE, slices, codes, REGION).last(100_000)).events
    assert 15_000 < len(picked) <= 20_000
    of_pixel = np.bincount(picked.x - 80)
    assert of_pixel == pytest.approx(len(picked) / pixels, abs=5 * np.sqrt(len(picked) / pixels))
    of_time = np.histogram(picked.t, 10, (0, 100_000))[0]
    assert of_time == pytest.approx(len(picked) / 10, rel=0.02)
    again = result_of(RegionEvents(SIZE, slices, codes, REGION).last(100_000)).events
    assert np.array_equal(again.t, picked.t)
    assert np.array_equal(again.x, picked.x)
