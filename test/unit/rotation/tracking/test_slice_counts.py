from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evio_ros.ellipse import Ellipse
from evio_ros.events import EventBatch, SensorSize
from evio_ros.rotation.tracking.disc_map import (
    ANGLE_BITS,
    ANGLE_MASK,
    ANGLE_STEPS,
    FREE,
    SLOT_SHIFT,
    DiscMap,
)
from evio_ros.rotation.tracking.pixel_table import PixelTable
from evio_ros.rotation.tracking.slice_counts import (
    ANGLE_BINS,
    SECTORS,
    CoherentSlices,
    Counters,
    count_slice,
    fold_sectors,
    make_counters,
)

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
    slot = codes >> SLOT_SHIFT
    ring = (codes >> ANGLE_BITS) % (1 << (SLOT_SHIFT - ANGLE_BITS))
    place = (codes & ANGLE_MASK) / ANGLE_STEPS
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


def empty(table: PixelTable) -> tuple[Counters, np.ndarray]:
    """Counters of two rotors, and a grid."""
    counters = make_counters(2, RINGS, table.grid_shape, CELL_PX)
    return counters, np.zeros(table.grid_shape, np.int32)


def count(counters, events, times_us, table, phases, speeds, grid) -> None:
    count_slice(
        counters,
        (events.x, events.y, events.t, events.polarity),
        times_us,
        table.codes,
        table.is_taken,
        np.stack((phases, speeds), axis=1),
        grid,
    )


@pytest.mark.parametrize("speed", [120.0, -120.0, 0.0, 6000.0])
@pytest.mark.parametrize("number", [0, 1, 255, 256, 257, 20_000])
def test_events_are_counted_as_plain_numpy_counts_them(speed, number):
    phases, speeds = np.array((1e3, -4.0)), np.array((speed, -0.7 * speed))
    table = table_of_two()
    slices, free = empty(table)
    events = random_events(number, 70_000)
    count(slices, events, (70_000, 75_000), table, phases, speeds, free)
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
    slices, free = empty(table)
    folded = np.empty((RINGS, 2, ANGLE_BINS), np.int32)
    for start_us in (0, SLICE_US):
        events = random_events(2000, start_us, seed)
        times_us = start_us, start_us + SLICE_US
        count(slices, events, times_us, table, phases + start_us, speeds, free)
        codes = table.codes[events.y, events.x]
        for slot in range(2):
            expected = int(((codes >= 0) & (codes >> SLOT_SHIFT == slot)).sum())
            turned = speeds[slot] * SLICE_US * 1e-6
            number = fold_sectors(slices.counts[slot], phases[slot] + start_us, turned, folded)
            assert number == expected == int(slices.counts[slot].sum())
            seen = slices.counts[slot].sum(axis=1)
            assert np.array_equal(folded, seen[:, ::-1] if turned < 0 else seen)


def test_events_of_other_slices_are_left_out():
    table = table_of_two()
    slices, grid = empty(table)
    others, of_inside = empty(table)
    events = random_events(3000, 0)
    inside = events.between(1000, 3000)
    count(slices, events, (1000, 3000), table, np.zeros(2), np.ones(2), grid)
    count(others, inside, (1000, 3000), table, np.zeros(2), np.ones(2), of_inside)
    assert slices.counts.sum() > 0
    assert np.array_equal(slices.counts, others.counts)
    assert np.array_equal(grid, of_inside)
    assert slices.counts.sum() + grid.sum() <= len(inside)


def test_slices_along_one_line_are_summed():
    rng = np.random.default_rng(0)
    parts = rng.poisson(3.0, (3, RINGS, SECTORS, 2, ANGLE_BINS)).astype(np.int32)
    lengths_us = 4_000, 3_000, 10
    slices = CoherentSlices.of(parts[0], 0.3, 9.0, lengths_us[0])
    for part, length_us in zip(parts[1:], lengths_us[1:], strict=True):
        later = CoherentSlices.of(part, slices.end, 9.0, length_us)
        slices = slices.joined(later)
    assert np.array_equal(slices.counts, parts.sum(axis=0))
    assert slices.length_us == 7_010
    assert slices.end == pytest.approx(0.3 + 9.0 * 7.01e-3)
    # The middle of all is in the first slice.
    assert slices.middle() == (0, pytest.approx(0.3 + 9.0 * 2e-3), 5_010)


@pytest.mark.parametrize(
    ("lengths_us", "middle", "middle_us"),
    [
        ((5,), 0, 2.5),
        ((5, 5), 1, 7.5),
        ((5, 5, 5), 1, 7.5),
        ((9, 1, 1), 0, 4.5),
        ((1, 1, 9), 2, 6.5),
    ],
)
def test_the_middle_slice_holds_the_middle(lengths_us, middle, middle_us):
    counts = np.zeros((1, SECTORS, 2, ANGLE_BINS), np.int32)
    slices = CoherentSlices.of(counts, 0.0, 1e6, lengths_us[0])
    for length_us in lengths_us[1:]:
        slices = slices.joined(CoherentSlices.of(counts, slices.end, 1e6, length_us))
    index, phase, after_us = slices.middle()
    assert (index, phase) == (middle, pytest.approx(middle_us))
    assert after_us == sum(lengths_us) - middle_us


def test_the_live_share_of_slices_is_weighted_by_their_lengths():
    counts = np.zeros((1, SECTORS, 2, ANGLE_BINS), np.int32)
    slices = CoherentSlices.of(counts, 0.0, 2.0, 3_000, 0.5)
    assert slices.exposed_rad == pytest.approx(0.5 * 6e-3)
    slices = slices.joined(CoherentSlices.of(counts, slices.end, 2.0, 1_000, 0.0))
    assert slices.live == pytest.approx(1.5 / 4)
    assert slices.exposed_rad == pytest.approx(2.0 * 1.5e-3)
    # Where there is data for all, that is so to the last digit.
    lengths_us = 3_336, 3_336, 3_335, 7, 5_000
    slices = CoherentSlices.of(counts, 0.0, 2.0, 4_001)
    for length_us in lengths_us:
        slices = slices.joined(CoherentSlices.of(counts, slices.end, 2.0, length_us))
        assert slices.live == 1.0
