"""Small event batches for tests, and ways to draw and compare them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from hypothesis import strategies as st

from evio_ros.events import EventBatch, SensorSize

SMALL = SensorSize(8, 6)


def batch_at(times_us: Sequence[int], size: SensorSize = SMALL) -> EventBatch:
    """Events at given times; place and polarity follow from an event's number."""
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
    """The batch cut before the events with these numbers, whatever their order."""
    places = [0, *sorted(cut % (len(batch) + 1) for cut in cuts), len(batch)]
    return [batch.slice(start, stop) for start, stop in pairwise(places)]


def event_times(largest_step_us: int = 40, most: int = 60) -> st.SearchStrategy[list[int]]:
    """Times that never decrease, many of them alike, some before zero."""
    steps = st.lists(st.integers(0, largest_step_us), max_size=most)
    return st.tuples(st.integers(-100, 100), steps).map(
        lambda drawn: (drawn[0] + np.cumsum(drawn[1])).astype(np.int64).tolist()
    )


def cuts() -> st.SearchStrategy[list[int]]:
    """Places at which `parts_of` cuts."""
    return st.lists(st.integers(0, 60), max_size=8)
