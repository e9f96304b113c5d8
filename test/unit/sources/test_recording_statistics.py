"""Statistics of recordings, counted by hand."""

from collections import Counter

import numpy as np
import pytest
from builders import SMALL, batch_at, columns, cuts, event_times, parts_of
from hypothesis import given

from evio_ros.events import EventBatch, SensorSize
from evio_ros.sources.recording_statistics import Gap, RecordingStatistics

SIZE = SensorSize(20, 10)


def collected(batches, size=SMALL):
    statistics = RecordingStatistics(size)
    for batch in batches:
        statistics.add(batch)
    return statistics


def firing(counts: dict[tuple[int, int], int], size=SIZE) -> EventBatch:
    """A batch with the given number of events of each pixel (x, y)."""
    pixels = [pixel for pixel, count in counts.items() for _ in range(count)]
    x, y = np.array(pixels, np.uint16).T
    t = np.arange(len(pixels), dtype=np.int64)
    return EventBatch(size, t, x.copy(), y.copy(), np.ones(len(t), np.bool_))


@given(event_times(), cuts())
def test_counts_do_not_depend_on_how_the_events_were_split(times, places):
    batch = batch_at(times)
    statistics = collected(parts_of(batch, places))
    assert statistics.events == len(times)
    assert statistics.on == sum(event[3] for event in columns(batch))
    assert statistics.duration_us == (times[-1] + 1 - times[0] if times else 0)
    y, x = np.nonzero(statistics.pixels)
    pixels = zip(x.tolist(), y.tolist(), strict=True)
    counted = dict(zip(pixels, statistics.pixels[y, x].tolist(), strict=True))
    assert counted == Counter((x, y) for _, x, y, _ in columns(batch))


def test_nothing_has_no_duration_and_no_rate():
    statistics = collected([batch_at([])])
    assert (statistics.events, statistics.duration_us, statistics.gaps) == (0, 0, [])
    assert statistics.rates_hz().tolist() == []
    assert statistics.hot_pixels() == []


def test_rates_are_events_a_second_in_bins_of_10_ms():
    # From 5 us on: 3 events in the first 10 ms, 1 in the second, 2 in the remaining 5 ms.
    times = [5, 6, 10_004, 10_005, 20_005, 25_004]
    assert collected([batch_at(times)]).rates_hz() == pytest.approx([300, 100, 400])


@pytest.mark.parametrize(
    ("step_us", "events_a_stamp", "coarse_us"),
    [
        (1_000, 40, 1_000),
        (33_333, 9_000, 33_333),
        (50, 40, 0),
        # A quiet night scene: few events, none at the same time.
        (7_000, 1, 0),
    ],
)
def test_time_stamps_that_come_seldom_are_told(step_us, events_a_stamp, coarse_us):
    times = np.repeat(step_us * np.arange(30), events_a_stamp)
    pixels = np.zeros(len(times), np.uint16)
    batch = EventBatch(SIZE, times, pixels, pixels, np.ones(len(times), np.bool_))
    halves = [batch.slice(0, len(times) // 2), batch.slice(len(times) // 2, len(times))]
    assert collected(halves, SIZE).coarse_step_us == pytest.approx(coarse_us)


def test_a_single_event_has_the_rate_of_its_microsecond():
    statistics = collected([batch_at([1 << 40])])
    assert statistics.duration_us == 1
    assert statistics.rates_hz() == pytest.approx([1e6])


def test_long_recordings_grow_bin_by_bin():
    statistics = collected(
        batch_at([start, start + 9_999]) for start in range(0, 1_000_000, 10_000)
    )
    assert statistics.rates_hz() == pytest.approx([200] * 100)


@given(cuts())
def test_gaps_do_not_depend_on_how_the_events_were_split(places):
    batch = batch_at([0, 10, 100_010, 200_011, 200_012, 500_012])
    statistics = collected(parts_of(batch, places))
    # 100 ms between events is not a gap yet, 1 us more is.
    assert statistics.gaps == [Gap(100_010, 100_001), Gap(200_012, 300_000)]


def test_a_pixel_that_fires_far_more_than_its_neighbours_is_hot():
    counts = {(5, 5): 2, (6, 5): 152, (0, 0): 51, (15, 3): 500, (16, 3): 20, (19, 9): 50}
    statistics = collected([firing(counts)], SIZE)
    # (6, 5) has 152 events, more than 50 times the 2 + 1 beside it; (15, 3) has a busy neighbour.
    assert statistics.hot_pixels() == [(6, 5, 152), (0, 0, 51)]


def test_a_busy_area_has_no_hot_pixel():
    counts = {(x, y): 100 for x in range(20) for y in range(10)}
    assert collected([firing(counts)], SIZE).hot_pixels() == []
