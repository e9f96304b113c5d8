"""Sorting events: the same result however the stream is split, every loss counted."""

from __future__ import annotations

import itertools

import numpy as np
from encoded_events import SIZE, batch_of, events_of, random_events
from hypothesis import given, settings
from hypothesis import strategies as st

from evio_ros.events import EventBatch
from evio_ros.sources.base import SourceStatistics
from evio_ros.sources.time_order import RawColumns, TimeOrder

WINDOW_US = 50


def columns_of(events) -> RawColumns:
    t, x, y, polarity = np.array(events, np.int64).reshape(-1, 4).T
    return RawColumns(t, x.astype(np.uint16), y.astype(np.uint16), polarity.astype(np.bool_))


def ordered(pieces) -> tuple[list[EventBatch], SourceStatistics]:
    statistics = SourceStatistics()
    order = TimeOrder(SIZE, WINDOW_US, statistics)
    batches = [batch for piece in pieces for batch in order.push(columns_of(piece))]
    return batches + list(order.flush()), statistics


@settings(max_examples=150, deadline=None)
@given(
    times=st.lists(st.integers(0, 300), max_size=60),
    columns=st.lists(st.sampled_from((0, 5, 639, 640, 65535)), min_size=60, max_size=60),
    cuts=st.lists(st.integers(0, 60), max_size=5),
)
def test_output_is_sorted_valid_and_every_event_is_accounted_for(times, columns, cuts):
    events = [(t, columns[i], i % 480, i % 2) for i, t in enumerate(times)]
    edges = [0, *sorted(min(cut, len(events)) for cut in cuts), len(events)]
    pieces = [events[a:b] for a, b in itertools.pairwise(edges) if b > a]
    batches, statistics = ordered(pieces)
    # EventBatch checks order and geometry of trusted columns.
    for batch in batches:
        EventBatch(SIZE, batch.t, batch.x, batch.y, batch.polarity)
    found = events_of(batches)
    assert [event[0] for event in found] == sorted(event[0] for event in found)
    assert set(found) <= set(events)
    assert statistics.outside == sum(event[1] >= 640 for event in events)
    assert len(found) == statistics.events == len(events) - statistics.dropped


@settings(max_examples=50, deadline=None)
@given(shifts=st.lists(st.integers(0, WINDOW_US), min_size=40, max_size=40))
def test_events_within_the_window_are_all_kept_when_read_at_once(shifts):
    events = [(7 * i + shift, i, i, 1) for i, shift in enumerate(shifts)]
    batches, statistics = ordered([events])
    newest = np.maximum.accumulate([event[0] for event in events])
    late = sum(event[0] < top - WINDOW_US for event, top in zip(events, newest, strict=True))
    assert statistics.late == late
    assert sorted(events_of(batches))[: len(events) - late] == sorted(events_of(batches))


def test_events_of_one_time_keep_their_order():
    events = [(5, i, 0, 1) for i in range(20)] + [(3, 99, 0, 0)] + [(5, 50, 1, 1)]
    batches, statistics = ordered([events])
    assert events_of(batches) == [(3, 99, 0, 0), *events[:20], (5, 50, 1, 1)]
    assert statistics.reordered == 1


def test_an_event_that_belongs_into_the_piece_before_is_sorted_into_it():
    first, second = random_events(50), [(140, 1, 1, 1)]
    last = first[-1][0]
    second = [(last - 10, 1, 1, 1), (last + 5, 2, 2, 1)]
    batches, statistics = ordered([first, second])
    assert [event[0] for event in events_of(batches)] == sorted(
        event[0] for event in first + second
    )
    assert (statistics.reordered, statistics.late) == (1, 0)


def test_inputs_are_not_written():
    columns = columns_of([(5, 1, 1, 1), (3, 2, 2, 0)])
    for column in (columns.t, columns.x, columns.y, columns.polarity):
        column.flags.writeable = False
    order = TimeOrder(SIZE, WINDOW_US, SourceStatistics())
    assert not list(order.push(columns))
    assert events_of(order.flush()) == [(3, 2, 2, 0), (5, 1, 1, 1)]
    assert events_of([batch_of([(1, 2, 3, 1)])]) == [(1, 2, 3, 1)]
