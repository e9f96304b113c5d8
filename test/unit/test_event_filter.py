"""Filters of events, against a plain loop over them and against what was put into the scene."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from event_windows import few, window_of
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from evio_ros.errors import ParameterError
from evio_ros.event_filter import EventFilter, FilterParameters, WindowFilter
from evio_ros.events import EventBatch, EventWindow, SensorSize

SIZE = SensorSize(9, 7)


def batch_of(rows, size=SIZE):
    """Events from rows of t, x, y, all ON."""
    t, x, y = (np.array(column) for column in zip(*rows, strict=True))
    polarity = np.ones(len(rows), np.bool_)
    return EventBatch(size, t.astype(np.int64), x.astype(np.uint16), y.astype(np.uint16), polarity)


def kept(event_filter, batch):
    events = event_filter.apply(batch)
    return list(zip(events.t.tolist(), events.x.tolist(), events.y.tolist(), strict=True))


def supported(batch, time_us):
    """Which events a neighbour supports, one by one: Delbruck 2008."""
    last: dict[tuple[int, int], int] = {}
    keep = []
    for t, x, y in zip(batch.t.tolist(), batch.x.tolist(), batch.y.tolist(), strict=True):
        around = [(x + i, y + j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)]
        keep.append(any(place in last and t - last[place] <= time_us for place in around))
        last[x, y] = t
    return np.array(keep, np.bool_)


@few
@given(
    st.lists(st.integers(0, 300), max_size=120),
    st.integers(1, 60),
    st.lists(st.integers(0, 120), max_size=4),
    st.sampled_from([0, 5, 10**12]),
)
def test_background_activity_equals_a_loop_however_it_is_cut(t, time_us, cuts, start_us):
    events = window_of(SIZE, t, 400, start_us=start_us).events
    expected = events.t[supported(events, time_us)]
    event_filter = EventFilter(SIZE, FilterParameters(background_activity_time_us=time_us))
    edges = sorted({0, len(events), *(min(cut, len(events)) for cut in cuts)})
    parts = [event_filter.apply(events.slice(start, stop)) for start, stop in pairwise(edges)]
    together = EventBatch.concatenate(SIZE, parts)
    np.testing.assert_array_equal(together.t, expected)
    assert event_filter.dropped["background_activity"] == len(events) - len(expected)


@pytest.mark.parametrize("step_us", [2**30, 2**31, 2**32, 10**15])
def test_background_activity_knows_no_wrap_of_time(step_us):
    """Two neighbours, then long nothing, then two of them again, in one batch and in two."""
    rows = [(5, 1, 1), (9, 1, 2), (5 + step_us, 1, 1), (9 + step_us, 1, 2)]
    parameters = FilterParameters(background_activity_time_us=100)
    supported_rows = [rows[1], rows[3]]
    assert kept(EventFilter(SIZE, parameters), batch_of(rows)) == supported_rows
    in_two = EventFilter(SIZE, parameters)
    assert [*kept(in_two, batch_of(rows[:2])), *kept(in_two, batch_of(rows[2:]))] == supported_rows


def test_an_event_supports_neither_itself_nor_far_pixels():
    rows = [(0, 0, 0), (1, 0, 0), (2, 2, 0), (3, 8, 6), (4, 0, 1), (5, 8, 0)]
    event_filter = EventFilter(SIZE, FilterParameters(background_activity_time_us=1000))
    assert kept(event_filter, batch_of(rows)) == [(4, 0, 1)]


def test_time_that_begins_anew_has_no_memory():
    event_filter = EventFilter(SIZE, FilterParameters(background_activity_time_us=1000))
    kept(event_filter, batch_of([(5000, 3, 3)]))
    event_filter.restart()
    assert kept(event_filter, batch_of([(100, 3, 4), (101, 3, 3)])) == [(101, 3, 3)]


def test_regions_masks_and_lists_leave_their_pixels_out(tmp_path):
    mask = np.ones((7, 9), np.uint8)
    mask[2, 4] = 0
    np.save(tmp_path / "mask.npy", mask)
    (tmp_path / "hot.txt").write_text("# x y\n5 2\n6,2  # another one\n\n")
    rows = [(t, x, 2) for t, x in enumerate(range(9))]
    parameters = FilterParameters(
        region="2,1,8,7", mask=str(tmp_path / "mask.npy"), hot_pixels=str(tmp_path / "hot.txt")
    )
    event_filter = EventFilter(SIZE, parameters)
    assert [x for _, x, _ in kept(event_filter, batch_of(rows))] == [2, 3, 7]
    assert event_filter.hot_pixels == [(5, 2), (6, 2)]
    assert event_filter.dropped == {
        "region": 3,
        "mask": 1,
        "hot_pixels": 2,
        "background_activity": 0,
    }


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "RGBA"])
def test_a_mask_may_be_any_picture(tmp_path, mode):
    picture = Image.new("L", (9, 7), 255)
    picture.putpixel((4, 2), 0)
    picture.convert(mode).save(tmp_path / "mask.png")
    event_filter = EventFilter(SIZE, FilterParameters(mask=str(tmp_path / "mask.png")))
    rows = [(0, 3, 2), (1, 4, 2), (2, 4, 3)]
    assert kept(event_filter, batch_of(rows)) == [rows[0], rows[2]]


def test_what_is_left_out_supports_nothing():
    parameters = FilterParameters(background_activity_time_us=1000, region="0,0,4,7")
    event_filter = EventFilter(SIZE, parameters)
    # The last one's only neighbour in time is outside.
    rows = [(0, 0, 0), (1, 0, 1), (2, 4, 5), (3, 3, 5)]
    assert kept(event_filter, batch_of(rows)) == [(1, 0, 1)]


def noisy_scene(seconds=3.0):
    """Uniform noise of 2 Hz a pixel, and two pixels that fire 500 times a second."""
    rng = np.random.default_rng(1)
    size = SensorSize(40, 30)
    end_us = round(seconds * 1e6)
    n = round(2 * seconds * size.pixels)
    t = np.concatenate((rng.integers(0, end_us, n), *(np.arange(k, end_us, 2000) for k in (1, 2))))
    hot_x, hot_y = np.repeat((7, 30), end_us // 2000), np.repeat((3, 29), end_us // 2000)
    x = np.concatenate((rng.integers(0, size.width, n), hot_x))
    y = np.concatenate((rng.integers(0, size.height, n), hot_y))
    order = np.argsort(t, kind="stable")
    rows = np.stack((t, x, y), axis=1)[order]
    return batch_of(rows.tolist(), size)


@pytest.mark.parametrize("pieces", [1, 7, 1000])
def test_hot_pixels_are_learned_while_events_come(pieces):
    scene = noisy_scene()
    event_filter = EventFilter(scene.size, FilterParameters(hot_pixels="learn"))
    edges = np.linspace(0, len(scene), pieces + 1).astype(int).tolist()
    parts = [event_filter.apply(scene.slice(start, stop)) for start, stop in pairwise(edges)]
    events = EventBatch.concatenate(scene.size, parts)
    assert event_filter.hot_pixels == [(7, 3), (30, 29)]
    is_hot = ((events.x == 7) & (events.y == 3)) | ((events.x == 30) & (events.y == 29))
    assert int(events.t[is_hot].max()) < 1_000_100  # the first second, to the last event before it
    assert np.count_nonzero(is_hot) >= 999
    assert event_filter.dropped["hot_pixels"] == len(scene) - len(events) >= 1990


def test_hot_pixels_of_a_recording_are_learned_beforehand():
    scene = noisy_scene()
    event_filter = EventFilter(scene.size, FilterParameters(hot_pixels="learn"))
    event_filter.learn([scene.slice(0, 100), scene.slice(100, len(scene))])
    events = event_filter.apply(scene)
    assert event_filter.hot_pixels == [(7, 3), (30, 29)]
    assert not ((events.x == 7) & (events.y == 3)).any()
    assert event_filter.dropped["hot_pixels"] == len(scene) - len(events) >= 3000


def test_a_pixel_that_is_no_longer_hot_counts_again():
    scene = noisy_scene()
    event_filter = EventFilter(scene.size, FilterParameters(hot_pixels="learn"))
    event_filter.apply(scene)
    calm = batch_of([(10_000_000 + 100_000 * k, 7, 3) for k in range(30)], scene.size)
    assert len(event_filter.apply(calm)) >= 10
    assert event_filter.hot_pixels == []


def test_signal_survives_and_noise_does_not():
    """A line that sweeps over the sensor, in noise of 1 Hz a pixel."""
    rng = np.random.default_rng(2)
    size = SensorSize(100, 80)
    sweep = [(1000 * x + int(rng.integers(0, 500)), x, y) for x in range(100) for y in range(80)]
    noise = [tuple(rng.integers(0, (100_000, 100, 80)).tolist()) for _ in range(800)]
    event_filter = EventFilter(size, FilterParameters(background_activity_time_us=1500))
    left = set(kept(event_filter, batch_of(sorted([*sweep, *noise]), size)))
    assert np.mean([row in left for row in sweep]) > 0.98
    assert np.mean([row in left for row in noise]) < 0.1


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"region": "1,2,3"}, "region: '1,2,3' is not x0,y0,x1,y1"),
        ({"region": "5,2,3,4"}, "region: region .* is empty"),
        ({"region": "0,0,10,7"}, r"region: \(10, 7\) is outside the sensor of 9x7"),
        ({"mask": "MISSING.png"}, "mask: .*MISSING.png cannot be read: No such file"),
        ({"mask": "small.npy"}, "mask: .*small.npy has 3x2 pixels, the sensor has 9x7"),
        ({"mask": "text.png"}, "mask: .*text.png cannot be read"),
        ({"hot_pixels": "MISSING"}, "hot_pixels: .*MISSING cannot be read: No such file"),
        ({"hot_pixels": "text.png"}, "line 1: 'no picture' is not x y"),
        ({"hot_pixels": "far.txt"}, r"far.txt, line 2: \(9, 6\) is outside the sensor of 9x7"),
        ({"background_activity_time_us": -1}, "below the minimum"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(values, words, tmp_path):
    np.save(tmp_path / "small.npy", np.ones((2, 3)))
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "far.txt").write_text("8 6\n9 6\n")
    given = {
        name: str(tmp_path / value) if name in ("mask", "hot_pixels") else value
        for name, value in values.items()
    }
    with pytest.raises(ParameterError, match=words):
        EventFilter(SIZE, FilterParameters(**given))


def window(start_us, rows):
    return EventWindow(start_us, 1000, batch_of(rows))


def test_a_window_filter_changes_while_windows_come():
    window_filter = WindowFilter(FilterParameters(), None)
    first = window(0, [(0, 0, 0), (1, 8, 6)])
    assert window_filter.apply(first, True) is first
    window_filter.change(FilterParameters(region="0,0,4,4"))
    assert window_filter.apply(first, False).events.x.tolist() == [0]
    with pytest.raises(ParameterError, match="outside the sensor"):
        window_filter.change(FilterParameters(region="0,0,40,4"))
    assert window_filter.apply(first, False).events.x.tolist() == [0]
    window_filter.change(FilterParameters(background_activity_time_us=500))
    assert len(window_filter.apply(window(2000, [(2000, 1, 1), (2001, 1, 2)]), False).events) == 1
    # A seek to an earlier time.
    assert len(window_filter.apply(window(0, [(0, 1, 1), (1, 1, 2)]), True).events) == 1
    dropped = {name: number for name, number in window_filter.dropped.items() if number}
    assert dropped == {"region": 2, "background_activity": 2}
