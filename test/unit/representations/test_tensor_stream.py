"""Windows of a stream: aligned, complete, the same however the stream was cut."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from event_windows import few, window_of
from hypothesis import given
from hypothesis import strategies as st

from evio_ros.errors import ParameterError
from evio_ros.events import EventBatch, EventWindow, SensorSize
from evio_ros.representations.base import represent
from evio_ros.representations.registry import make
from evio_ros.representations.tensor_stream import TensorStream

SIZE = SensorSize(4, 3)
WINDOW_US = 100


def tensors_of(kind: str, messages: list[EventWindow]) -> list[tuple[int, np.ndarray]]:
    stream = TensorStream(make(kind, SIZE), WINDOW_US)
    made = []
    for message in messages:
        for start_us in stream.push(message):
            out = np.empty(stream.representation.shape, stream.representation.dtype)
            stream.representation.read(out)
            made.append((start_us, out))
    assert stream.late_events == 0
    return made


@pytest.mark.parametrize("kind", ["stacked_histogram", "event_frame", "time_surface"])
@few
@given(
    st.lists(st.integers(0, 999), max_size=60),
    st.lists(st.integers(1, 999), max_size=8, unique=True),
    st.integers(-500, 500),
)
def test_cuts_do_not_matter(kind, times, cuts, start_us):
    whole = window_of(SIZE, times, 1_000, start_us=start_us)
    edges = [start_us, *(start_us + cut for cut in sorted(cuts)), whole.end_us]
    messages = [EventWindow(a, b - a, whole.events.between(a, b)) for a, b in pairwise(edges)]
    expected = []
    representation = make(kind, SIZE)
    first_us = start_us // WINDOW_US * WINDOW_US
    for window_start_us in range(first_us, whole.end_us - WINDOW_US + 1, WINDOW_US):
        events = whole.events.between(window_start_us, window_start_us + WINDOW_US)
        window = EventWindow(window_start_us, WINDOW_US, events)
        expected.append((window_start_us, represent(representation, window)))
    made = tensors_of(kind, messages)
    assert [start for start, _ in made] == [start for start, _ in expected]
    for (_, ours), (_, theirs) in zip(made, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_time_that_goes_back_or_jumps_on_begins_afresh():
    stream = TensorStream(make("event_frame", SIZE), WINDOW_US)
    assert list(stream.push(window_of(SIZE, [0, 1, 2], 50, start_us=200))) == []
    assert list(stream.push(window_of(SIZE, [0], 100, start_us=0))) == [0]
    assert stream.late_events == 3
    # A short gap is a lost message: its windows are given, empty ones too.
    assert list(stream.push(window_of(SIZE, [5], 110, start_us=300))) == [100, 200, 300]
    assert list(stream.push(window_of(SIZE, [7], 100, start_us=10_000_000))) == [10_000_000]
    assert stream.late_events == 3


def test_bad_lengths_are_refused():
    with pytest.raises(ParameterError, match="window_us: 0 is below the minimum 1 us"):
        TensorStream(make("event_frame", SIZE), 0)
    stream = TensorStream(make("event_frame", SIZE), 10)
    other = EventWindow(0, 100, EventBatch.empty(SensorSize(5, 5)))
    with pytest.raises(ValueError, match="batch of a 5x5 sensor"):
        list(stream.push(other))
