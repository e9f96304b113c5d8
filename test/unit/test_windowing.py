"""Windows of sensor time: the same whatever the batches, with every event in one of them."""

import itertools

import pytest
from builders import SMALL, batch_at, columns, cuts, event_times, parts_of
from hypothesis import given
from hypothesis import strategies as st

from evio_ros.errors import EventError, ParameterError
from evio_ros.events import EventWindow, SensorSize
from evio_ros.windowing import (
    LONGEST_GAP_US,
    WindowAssembler,
    split_missing,
    split_window,
    windows,
    with_missing,
)

LENGTHS = st.integers(1, 100)


def expected(batch, window_us, start_us, end_us):
    """The definition: consecutive half-open intervals from start_us up to end_us."""
    return [
        (
            start,
            window_us,
            [event for event in columns(batch) if start <= event[0] < start + window_us],
        )
        for start in range(start_us, end_us, window_us)
    ]


def shown(given_windows):
    return [(window.start_us, window.length_us, columns(window.events)) for window in given_windows]


@given(event_times(), cuts(), LENGTHS)
def test_windows_do_not_depend_on_how_the_events_were_split(times, places, window_us):
    batch = batch_at(times)
    given_windows = shown(windows(parts_of(batch, places), SMALL, window_us))
    if not times:
        assert given_windows == []
    else:
        assert given_windows == expected(batch, window_us, times[0], times[-1] + 1)


@given(event_times(), cuts(), LENGTHS, st.integers(-200, 500), st.integers(-200, 3000))
def test_start_and_end_choose_the_windows(times, places, window_us, start_us, end_us):
    batch = batch_at(times)
    given_windows = shown(windows(parts_of(batch, places), SMALL, window_us, start_us, end_us))
    assert given_windows == expected(batch, window_us, start_us, end_us)


@given(event_times(), cuts(), LENGTHS, st.none() | st.integers(-200, 3000))
def test_only_windows_that_the_events_cover_can_be_asked_for(times, places, window_us, end_us):
    batch = batch_at(times)
    parts = parts_of(batch, places)
    given_windows = shown(windows(parts, SMALL, window_us, 0, end_us, covered_only=True))
    covered_us = end_us if end_us is not None else times[-1] + 1 if times else 0
    every = expected(batch, window_us, 0, max(covered_us, 0))
    assert given_windows == [window for window in every if window[0] + window_us <= covered_us]


@given(event_times(), cuts(), st.lists(LENGTHS, min_size=1, max_size=4))
def test_lengths_take_turns(times, places, lengths):
    batch = batch_at(times)
    given_windows = list(windows(parts_of(batch, places), SMALL, lengths))
    if not times:
        assert given_windows == []
        return
    starts = itertools.accumulate(itertools.cycle(lengths), initial=times[0])
    for window, (start_us, end_us) in zip(given_windows, itertools.pairwise(starts), strict=False):
        assert (window.start_us, window.end_us) == (start_us, end_us)
    assert [event for window in given_windows for event in columns(window.events)] == columns(batch)


def test_a_gap_gives_empty_windows():
    given_windows = shown(windows([batch_at([0, 35])], SMALL, 10))
    assert [(start, len(events)) for start, _, events in given_windows] == [
        (0, 1),
        (10, 0),
        (20, 0),
        (30, 1),
    ]


def test_a_window_is_given_once_an_event_after_its_end_has_come():
    assembler = WindowAssembler(SMALL, 10)
    assert shown(assembler.push(batch_at([0, 9]))) == []
    assert [window[0] for window in shown(assembler.push(batch_at([10])))] == [0]
    assert [window[0] for window in shown(assembler.flush())] == [10]
    assert shown(assembler.flush()) == []


def test_late_events_are_counted_and_left_out():
    assembler = WindowAssembler(SMALL, 10, start_us=100)
    assert shown(assembler.push(batch_at([98, 99, 101, 105]))) == []
    assert assembler.late_events == 2
    # Before the newest event there is no order left to put them in.
    given_windows = shown(assembler.push(batch_at([104, 105, 112])))
    assert assembler.late_events == 3
    assert [event[0] for event in given_windows[0][2]] == [101, 105, 105]
    assert shown(assembler.push(batch_at([50, 60]))) == []
    assert assembler.late_events == 5
    assert [event[0] for event in shown(assembler.flush())[0][2]] == [112]


def test_an_empty_batch_changes_nothing():
    assembler = WindowAssembler(SMALL, 10)
    assert shown(assembler.push(batch_at([]))) == []
    assert shown(assembler.flush()) == []
    assert shown(assembler.flush(100)) == []


def test_wrong_length_and_wrong_sensor_are_refused():
    with pytest.raises(ParameterError, match="window_us: 0 is below the minimum 1 us"):
        WindowAssembler(SMALL, 0)
    with pytest.raises(ParameterError, match=r"window_us: \(5, 0\) is below the minimum 1 us"):
        WindowAssembler(SMALL, (5, 0))
    with pytest.raises(ParameterError, match="window_us: "):
        WindowAssembler(SMALL, ())
    assembler = WindowAssembler(SMALL, 10)
    with pytest.raises(EventError, match="batch of a 9x9 sensor, expected 8x6"):
        list(assembler.push(batch_at([1], SensorSize(9, 9))))


@given(event_times(), st.lists(st.integers(1, 90), min_size=1, max_size=20), LENGTHS)
def test_windows_of_windows_do_not_depend_on_the_messages(times, lengths, window_us):
    batch = batch_at(times)
    start_us = end_us = -100
    assembler = WindowAssembler(SMALL, window_us)
    given_windows = []
    for length_us in lengths:
        message = EventWindow(end_us, length_us, batch.between(end_us, end_us + length_us))
        given_windows += shown(assembler.push_window(message))
        end_us += length_us
    # Every window that the messages cover as a whole is there, without waiting for more.
    whole_end_us = end_us - (end_us - start_us) % window_us
    assert given_windows == expected(batch, window_us, start_us, whole_end_us)
    assert assembler.late_events == 0


@pytest.mark.parametrize("next_start_us", [0, 25, 30 + LONGEST_GAP_US + 1])
def test_assembly_starts_afresh_where_time_goes_back_or_jumps(next_start_us):
    assembler = WindowAssembler(SMALL, 20)
    message = EventWindow(0, 30, batch_at([3, 22, 28]))
    assert [window[0] for window in shown(assembler.push_window(message))] == [0]
    next_message = EventWindow(next_start_us, 20, batch_at([next_start_us + 4]))
    given_windows = shown(assembler.push_window(next_message))
    assert [(start, len(events)) for start, _, events in given_windows] == [(next_start_us, 1)]
    assert assembler.late_events == 2  # those of the window that was broken off


def test_after_a_jump_the_first_length_comes_again():
    assembler = WindowAssembler(SMALL, (10, 20, 30))
    messages = [
        EventWindow(0, 35, batch_at([3])),
        EventWindow(2 * LONGEST_GAP_US, 12, batch_at([])),
    ]
    given_windows = [shown(assembler.push_window(message)) for message in messages]
    assert [window[:2] for window in given_windows[0]] == [(0, 10), (10, 20)]
    assert [window[:2] for window in given_windows[1]] == [(2 * LONGEST_GAP_US, 10)]


def test_a_gap_between_messages_gives_empty_windows():
    window_us = LONGEST_GAP_US // 4
    assembler = WindowAssembler(SMALL, window_us)
    message = EventWindow(0, window_us, batch_at([3]))
    assert len(shown(assembler.push_window(message))) == 1
    start_us = window_us + LONGEST_GAP_US  # no later, or assembly would start afresh
    message = EventWindow(start_us, window_us, batch_at([start_us]))
    given_windows = shown(assembler.push_window(message))
    numbers = [(start, len(events)) for start, _, events in given_windows]
    assert numbers == [(window_us * index, int(index == 5)) for index in range(1, 6)]


@given(event_times(), st.integers(1, 20), st.integers(0, 50))
def test_split_windows_follow_on_and_hold_all_events(times, maximum, margin_us):
    batch = batch_at(times)
    start_us, end_us = (times[0] - margin_us, times[-1] + 1 + margin_us) if times else (0, 10)
    parts = list(split_window(EventWindow(start_us, end_us - start_us, batch), maximum))
    assert parts[0].start_us == start_us
    assert parts[-1].end_us == end_us
    for before, after in itertools.pairwise(parts):
        assert before.end_us == after.start_us
    assert [event for part in parts for event in columns(part.events)] == columns(batch)
    for part in parts:
        assert part.length_us >= 1
        assert all(part.start_us <= t < part.end_us for t in part.events.t.tolist())
        assert len(part.events) <= maximum or part.events.t[0] == part.events.t[-1]


def test_windows_say_what_is_missing_of_them():
    assembler = WindowAssembler(SMALL, 10)
    found = [*assembler.push(batch_at([0, 3]))]
    assembler.mark_missing(5, 13)
    assembler.mark_missing(13, 31)
    found += [*assembler.push(batch_at([31, 45]))]
    assert [window.missing_us for window in found] == [5, 10, 10, 1]
    assert [window.part(window.start_us, 5).missing_us for window in found] == [0, 5, 5, 1]


def test_a_window_of_missing_events_is_cut_into_such_ones():
    assembler = WindowAssembler(SMALL, 10)
    windows_of = [
        EventWindow(0, 10, batch_at([1, 9])),
        EventWindow.of_missing(SMALL, 10, 25),
        EventWindow(25, 5, batch_at([26])),
    ]
    found = [it for window in windows_of for it in assembler.push_window(window)]
    assert [window.missing_us for window in found] == [0, 10, 5]
    assert [len(window.events) for window in found] == [2, 0, 1]


def test_windows_know_the_share_of_events_that_was_taken():
    assembler = WindowAssembler(SMALL, 10)
    windows_of = [
        EventWindow(0, 15, batch_at([1])),
        EventWindow(15, 10, batch_at([16]), share=0.5),
        EventWindow(25, 15, batch_at([26]), share=0.2),
    ]
    found = [it for window in windows_of for it in assembler.push_window(window)]
    assert [window.share for window in found] == pytest.approx([1.0, 0.75, 0.35, 0.2])


def test_parts_of_a_split_window_keep_its_share_and_what_is_missing():
    window = EventWindow(0, 100, batch_at(range(0, 50)), missing=(range(60, 90),), share=0.5)
    parts = list(split_window(window, 20))
    assert len(parts) > 1
    assert sum(part.missing_us for part in parts) == 30
    assert {part.share for part in parts} == {0.5}


def test_windows_are_split_where_something_is_missing():
    window = EventWindow(0, 100, batch_at([0, 5, 70]), missing=(range(10, 20), range(90, 120)))
    parts = list(split_missing(window))
    assert [(part.start_us, part.end_us) for part in parts] == [
        *((0, 10), (10, 20), (20, 90), (90, 100)),
    ]
    assert [part.missing_us for part in parts] == [0, 10, 0, 10]
    assert [len(part.events) for part in parts] == [2, 0, 1, 0]
    (whole,) = split_missing(EventWindow(0, 100, batch_at([0])))
    assert (whole.start_us, whole.end_us) == (0, 100)


def test_windows_are_told_what_is_missing_of_them():
    given = [EventWindow(start, 10, batch_at([])) for start in range(0, 50, 10)]
    marked = list(with_missing(given, [range(3, 8), range(8, 9), range(25, 40)]))
    assert [window.missing_us for window in marked] == [6, 0, 5, 10, 0]
