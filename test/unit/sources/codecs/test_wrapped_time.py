"""Unwrapping of times: a single wrong one does not affect those after it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evio_ros.sources.codecs.wrapped_time import unwrap

WRAP = 1 << 32


@given(
    start=st.integers(0, 5 * WRAP),
    steps=st.lists(st.integers(-1000, 10_000_000), min_size=3, max_size=60),
    wrong=st.integers(1, 58),
    bit=st.integers(0, 31),
)
def test_a_flipped_bit_moves_no_other_time(start, steps, wrong, bit):
    times = 2000 * len(steps) + start + np.cumsum(steps)
    stored = times % WRAP
    others = np.arange(len(times)) != wrong
    if wrong < len(times):
        stored[wrong] ^= 1 << bit
    reached = unwrap(stored, int(times[0]), WRAP)
    assert stored[others].tolist() == times[others].tolist()
    assert abs(reached - times[others][-1]) < WRAP // 2


@pytest.mark.parametrize("gap", [WRAP // 4 + 1, WRAP // 2 - 1])
def test_times_that_agree_after_a_long_gap_are_followed_past_the_next_wrap(gap):
    times = np.r_[np.arange(5), gap + 4 + np.arange(0, WRAP, WRAP // 50)]
    stored = times % WRAP
    assert unwrap(stored, 0, WRAP) == times[-1]
    assert stored.tolist() == times.tolist()


@pytest.mark.parametrize("count", [1, 16, 64, 300])
@pytest.mark.parametrize("seed", range(20))
def test_a_block_of_random_times_moves_no_other_time(seed, count):
    rng = np.random.default_rng(seed)
    times = int(rng.integers(0, 5 * WRAP)) + np.cumsum(rng.integers(0, 1000, 700))
    stored = times % WRAP
    stored[200 : 200 + count] = rng.integers(0, WRAP, count)
    unwrap(stored, int(times[0]), WRAP)
    others = np.r_[0:200, 200 + count : 700]
    assert stored[others].tolist() == times[others].tolist()
