"""Random windows of events for tests of representations, and references in plain numpy."""

from __future__ import annotations

import os

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from evio_ros.events import EventBatch, EventWindow, SensorSize

os.environ.setdefault("POLARS_MAX_THREADS", "1")

START_US = 1_000_003

few = settings(max_examples=60, deadline=None)
"""Settings of property tests; no deadline, as the first example compiles kernels."""


def window_of(
    size: SensorSize, t: list[int], length_us: int, seed: int = 0, start_us: int = START_US
) -> EventWindow:
    """A window with events at times `t` since its start, at random pixels."""
    rng = np.random.default_rng(seed)
    n = len(t)
    events = EventBatch(
        size,
        start_us + np.sort(np.array(t, np.int64)),
        rng.integers(0, size.width, n).astype(np.uint16),
        rng.integers(0, size.height, n).astype(np.uint16),
        rng.random(n) < 0.5,
    )
    return EventWindow(start_us, length_us, events)


@st.composite
def windows(draw: st.DrawFn, least_events: int = 0) -> EventWindow:
    """Windows of few pixels with many events at the first and last microsecond and at bin edges."""
    size = SensorSize(draw(st.integers(2, 9)), draw(st.integers(2, 7)))
    length_us = draw(st.sampled_from([1, 2, 10, 97, 1_000, 50_000, 50_001]))
    edges = [0, length_us - 1, length_us // 2, length_us // 10, (length_us - 1) * 3 // 10]
    times = st.one_of(st.integers(0, length_us - 1), st.sampled_from(edges))
    t = draw(st.lists(times, min_size=least_events, max_size=80))
    return window_of(size, t, length_us, draw(st.integers(0, 999)))


def count_at(shape: tuple[int, ...], *index: np.ndarray) -> np.ndarray:
    """Number of times that each element of an array is indexed, int64."""
    counts = np.zeros(shape, np.int64)
    np.add.at(counts, index, 1)
    return counts


def evlib_frame(window: EventWindow):
    """The window's events as input of evlib: a Polars frame, polarity -1 and 1."""
    import polars

    events = window.events
    columns = {
        "t": events.t,
        "x": events.x.astype(np.int16),
        "y": events.y.astype(np.int16),
        "polarity": np.where(events.polarity, 1, -1).astype(np.int8),
    }
    return polars.DataFrame(columns)
