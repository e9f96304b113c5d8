from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evio_ros.thinning import Thinner, kept_messages

COUNT = 100_000
SHARES = (0.93, 0.5, 0.31, 0.02)


@pytest.mark.parametrize("share", SHARES)
def test_the_share_is_met_to_an_event(share):
    thinner = Thinner()
    places = thinner.places(COUNT, share)
    assert len(places) == pytest.approx(share * COUNT, abs=1.0)
    assert (thinner.taken, thinner.passed) == (len(places), COUNT)
    assert places[0] >= 0
    assert places[-1] < COUNT
    assert (np.diff(places) > 0).all()


@given(
    st.lists(st.integers(0, 3000), max_size=6),
    st.floats(0.01, 0.99),
)
def test_the_choice_does_not_depend_on_how_events_are_split(cuts, share):
    whole = Thinner().places(3000, share)
    thinner = Thinner()
    parts = [
        thinner.places(end - start, share) + start
        for start, end in pairwise([0, *sorted(cuts), 3000])
    ]
    assert np.concatenate(parts).tolist() == whole.tolist()


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("period", [2, 3, 7, 64])
def test_what_comes_in_turns_is_taken_alike(share, period):
    """Polarities, or rows, that alternate: each is taken as often, within five deviations."""
    places = Thinner().places(COUNT, share)
    counts = np.bincount(places % period, minlength=period)
    expected = len(places) / period
    assert np.abs(counts - expected).max() < 5 * np.sqrt(expected)


def test_another_share_begins_with_the_next_event():
    thinner = Thinner()
    thinner.places(10, 0.1)
    assert len(thinner.places(1000, 0.5)) == pytest.approx(500, abs=1.0)


def test_of_messages_every_second_one_is_dropped_and_none_next_to_a_gap():
    assert kept_messages([False] * 7, is_urgent=False) == [True, False] * 3 + [True]
    follow = [False, True, False, False, False, True, True]
    assert kept_messages(follow, False) == [True, True, False, True, True, True, True]
    assert kept_messages(follow, True) == [True, False] * 3 + [True]
    assert kept_messages([], False) == []
    assert kept_messages([True], True) == [True]
    assert kept_messages([False, False], True) == [True, True]
