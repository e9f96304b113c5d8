from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evio_ros.ellipse import Ellipse
from evio_ros.events import EventBatch, SensorSize
from evio_ros.rotation.tracking.disc_map import DiscMap
from evio_ros.rotation.tracking.pixel_table import FREE, PixelTable
from evio_ros.rotation.tracking.score import fold_sectors
from evio_ros.rotation.tracking.slice_histogram import ANGLE_BINS, SECTORS, SliceCounts

SIZE = SensorSize(120, 80)
CELL_PX = 4
RINGS = 3
SLICE_US = 5_000


def table_of_two() -> PixelTable:
    table = PixelTable(SIZE, CELL_PX)
    for slot, x in enumerate((30.0, 85.0)):
        ellipse = Ellipse((x, 40.0), (22.0, 18.0), 0.3)
        table.put(slot, DiscMap.of(ellipse, SIZE, RINGS, 0.2, 1.1))
    return table


def random_events(number: int, start_us: int, seed: int = 0) -> EventBatch:
    random = np.random.default_rng(seed)
    return EventBatch(
        SIZE,
        np.sort(random.integers(start_us, start_us + SLICE_US, number)),
        random.integers(0, SIZE.width, number).astype(np.uint16),
        random.integers(0, SIZE.height, number).astype(np.uint16),
        random.random(number) < 0.4,
    )


def counted(events: EventBatch, start_us: int, phases: np.ndarray, speeds: np.ndarray):
    """The same in plain numpy: counts of rotors, and of cells."""
    table = table_of_two()
    codes = table.codes[events.y, events.x]
    slot, ring = codes >> 20, (codes >> 16) & 15
    place = (codes & 0xFFFF) / 0x10000
    turns = (phases[slot % 2] + speeds[slot % 2] * 1e-6 * (events.t - start_us)) / (2 * math.pi)
    angle_bin = np.floor((place - turns) * ANGLE_BINS + 0.5).astype(int) % ANGLE_BINS
    sector = np.floor(place * SECTORS).astype(int)
    counts = np.zeros((2, RINGS, SECTORS, 2, ANGLE_BINS), int)
    of = codes >= 0
    polarity = events.polarity.astype(int)
    np.add.at(counts, (slot[of], ring[of], sector[of], polarity[of], angle_bin[of]), 1)
    cells = np.zeros((SIZE.height // CELL_PX, SIZE.width // CELL_PX), int)
    free = codes == FREE
    np.add.at(cells, (events.y[free] // CELL_PX, events.x[free] // CELL_PX), 1)
    return counts, cells


@pytest.mark.parametrize("speed", [120.0, -120.0, 0.0, 6000.0])
@pytest.mark.parametrize("number", [0, 1, 255, 256, 257, 20_000])
def test_events_are_counted_as_plain_numpy_counts_them(speed, number):
    phases, speeds = np.array((1e3, -4.0)), np.array((speed, -0.7 * speed))
    table = table_of_two()
    slices = SliceCounts(2, RINGS, table.is_taken.shape, CELL_PX)
    free = slices.empty_grid()
    events = random_events(number, 70_000)
    slices.count(events, table, range(70_000, 75_000), phases, speeds, free)
    counts, cells = counted(events, 70_000, phases, speeds)
    # An angle on the border of two bins may be rounded to either.
    assert np.abs(slices.counts - counts).sum() <= 2e-3 * number
    assert np.array_equal(slices.counts.sum(axis=4), counts.sum(axis=4))
    assert np.array_equal(free, cells)


@settings(max_examples=50)
@given(
    phase=st.floats(-1e5, 1e5),
    speed=st.floats(-2e3, 2e3),
    seed=st.integers(0, 1000),
)
def test_nothing_is_left_of_the_slice_before_and_nothing_is_missed(phase, speed, seed):
    phases, speeds = np.array((phase, 0.3 * phase)), np.array((speed, -0.1 * speed))
    table = table_of_two()
    slices = SliceCounts(2, RINGS, table.is_taken.shape, CELL_PX)
    free = slices.empty_grid()
    folded = np.empty((RINGS, 2, ANGLE_BINS), np.int32)
    for start_us in (0, SLICE_US):
        events = random_events(2000, start_us, seed)
        times_us = range(start_us, start_us + SLICE_US)
        slices.count(events, table, times_us, phases + start_us, speeds, free)
        codes = table.codes[events.y, events.x]
        for slot in range(2):
            expected = int(((codes >= 0) & (codes >> 20 == slot)).sum())
            turned = speeds[slot] * SLICE_US * 1e-6
            number = fold_sectors(slices.counts[slot], phases[slot] + start_us, turned, folded)
            assert number == expected == int(slices.counts[slot].sum())
            seen = slices.counts[slot].sum(axis=1)
            assert np.array_equal(folded, seen[:, ::-1] if turned < 0 else seen)


def test_events_of_other_slices_are_left_out():
    table = table_of_two()
    slices = SliceCounts(2, RINGS, table.is_taken.shape, CELL_PX)
    events = random_events(3000, 0)
    inside = events.between(1000, 3000)
    grids = slices.empty_grid(), slices.empty_grid()
    slices.count(events, table, range(1000, 3000), np.zeros(2), np.ones(2), grids[0])
    total = slices.counts.copy()
    slices.count(inside, table, range(1000, 3000), np.zeros(2), np.ones(2), grids[1])
    assert np.array_equal(slices.counts, total)
    assert np.array_equal(*grids)
    assert total.sum() + grids[0].sum() <= len(inside)
