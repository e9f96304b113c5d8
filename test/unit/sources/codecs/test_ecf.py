"""ECF: events in every packing, sums of Metavision's own file, refusal of corrupt chunks."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from ecf_encoding import chunk
from encoded_events import events_of, random_events
from field_cases import field_case
from hypothesis import given, settings
from hypothesis import strategies as st

from evio_ros.errors import EventError
from evio_ros.sources.codecs.ecf import decode_ecf
from evio_ros.sources.registry import open_source

PACKINGS = ("all", "columns", "runs")
any_packing = pytest.mark.parametrize("packing", PACKINGS)
events_lists = st.lists(
    st.tuples(
        st.integers(0, 1 << 40), st.integers(0, 2047), st.integers(0, 2047), st.integers(0, 1)
    ),
    min_size=1,
    max_size=60,
).map(sorted)


@any_packing
@settings(max_examples=60, deadline=None)
@given(events=events_lists)
def test_events_come_back(packing, events):
    assert events_of([decode_ecf(chunk(events, packing))]) == events


@any_packing
@pytest.mark.parametrize("count", [14, 15, 16, 30, 31, 32, 126, 127, 128, 5000])
def test_runs_of_every_length_come_back(packing, count):
    events = [(7, 100, 200, 1)] * count + [(8, 101, 200, 0)] * count
    assert events_of([decode_ecf(chunk(events, packing))]) == events


def test_a_chunk_that_ends_early_is_refused():
    whole = chunk(random_events(500), "runs")
    for length in (5, 11, 12, 100, len(whole) - 1):
        with pytest.raises(EventError, match="is truncated"):
            decode_ecf(whole[:length])


def test_a_chunk_of_too_many_events_is_refused():
    with pytest.raises(EventError, match="at most 65535 are possible"):
        decode_ecf((1 << 31).to_bytes(4, "little") + bytes(100))


@settings(max_examples=200, deadline=None)
@given(st.binary(min_size=12, max_size=300), st.integers(0, 3), st.integers(0, 500))
def test_any_bytes_are_events_or_one_error(data, packing, count):
    head = (count << 2 | packing).to_bytes(4, "little")
    with contextlib.suppress(EventError):
        assert len(decode_ecf(head + data)) == count


def test_the_makers_file_has_its_sums():
    sums = np.zeros(3, np.int64)
    count = on = 0
    with open_source(field_case("32_ecf/ecf.hdf5")) as source:
        assert (source.size.width, source.size.height) == (1280, 720)
        assert (source.start_us, source.end_us) == (18, 52_475)
        for batch in source.batches():
            count, on = count + len(batch), on + int(batch.polarity.sum())
            sums += [column.sum(dtype=np.int64) for column in (batch.t, batch.x, batch.y)]
    assert (count, on) == (100_000, 49_709)
    assert sums.tolist() == [2_555_925_160, 64_007_586, 36_061_739]
