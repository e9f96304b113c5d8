"""Small event batches for tests, strategies to draw them, and functions to compare them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from hypothesis import strategies as st

from evio_ros.events import EventBatch, SensorSize

SMALL = SensorSize(8, 6)


def batch_at(times_us: Sequence[int], size: SensorSize = SMALL) -> EventBatch:
    """Events at given times; pixel and polarity are functions of the event's index."""
    t = np.array(times_us, np.int64)
    number = np.arange(len(t))
    return EventBatch(
        size,
        t,
        (number % size.width).astype(np.uint16),
        (number // size.width % size.height).astype(np.uint16),
        number % 3 == 0,
    )


def columns(batch: EventBatch) -> list[tuple[int, int, int, bool]]:
    """The events as tuples (t, x, y, polarity)."""
    lists = (batch.t.tolist(), batch.x.tolist(), batch.y.tolist(), batch.polarity.tolist())
    return list(zip(*lists, strict=True))


def parts_of(batch: EventBatch, cuts: Sequence[int]) -> list[EventBatch]:
    """The batch split before the events with these indices, in any order."""
    places = [0, *sorted(cut % (len(batch) + 1) for cut in cuts), len(batch)]
    return [batch.slice(start, stop) for start, stop in pairwise(places)]


def event_times(largest_step_us: int = 40, most: int = 60) -> st.SearchStrategy[list[int]]:
    """Non-decreasing times, many of them equal, some negative."""
    steps = st.lists(st.integers(0, largest_step_us), max_size=most)
    return st.tuples(st.integers(-100, 100), steps).map(
        lambda drawn: (drawn[0] + np.cumsum(drawn[1])).astype(np.int64).tolist()
    )


def cuts() -> st.SearchStrategy[list[int]]:
    """Indices for `parts_of`."""
    return st.lists(st.integers(0, 60), max_size=8)
