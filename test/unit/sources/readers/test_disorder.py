"""Events that a tool sorted by another value than time are sorted; restarts of a clock are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from encoded_events import events_of
from numpy.typing import NDArray

from evio_ros.sources.readers.disorder import are_nearly_constant, are_unsorted
from evio_ros.sources.registry import open_source

COUNT = 5_000
RANDOM = np.random.default_rng(0)
T = 1_000 + np.cumsum(RANDOM.integers(1, 40, COUNT))
X, Y, P = (
    RANDOM.integers(0, 640, COUNT),
    RANDOM.integers(0, 480, COUNT),
    RANDOM.integers(0, 2, COUNT),
)
X[0], Y[0] = 639, 479
EVENTS = list(zip(T.tolist(), X.tolist(), Y.tolist(), P.tolist(), strict=True))
FEW_PIXELS = RANDOM.integers(0, 9, COUNT)
"""Few, so that many events of a pixel are consecutive, and few time steps are negative."""

ORDERS = {
    "shuffled": RANDOM.permutation(COUNT),
    "newest first": np.arange(COUNT)[::-1],
    "by pixel": np.lexsort((T, X, Y)),
    "by polarity": np.lexsort((T, P)),
    "by polarity, ON first": np.lexsort((T, -P)),
    "by polarity in frames of 20 ms": np.lexsort((T, -P, T // 20_000)),
    "by polarity in frames of 33 ms": np.lexsort((T, P, T // 33_333)),
}
any_kind = pytest.mark.parametrize("kind", ["csv", "npz", "seconds"])


def write(path: Path, kind: str, t, x, y, p) -> str:
    if kind == "npz":
        with path.open("wb") as file:
            np.savez(file, t=t, x=x, y=y, p=p)
        return str(path)
    rows = zip(t, x, y, p, strict=True)
    if kind == "csv":
        path.write_text("t,x,y,p\n" + "".join(f"{a},{b},{c},{d}\n" for a, b, c, d in rows))
    else:
        text = "".join(f"{a // 10**6}.{a % 10**6:06d} {b} {c} {d}\n" for a, b, c, d in rows)
        path.write_text("t x y p\n" + text)
    return str(path)


def at_their_times(events) -> list[tuple[int, ...]]:
    """Events sorted by time, and by their values if times are equal."""
    return sorted(tuple(int(value) for value in event) for event in events)


@any_kind
@pytest.mark.parametrize("order", ORDERS)
def test_events_in_another_order_are_sorted(tmp_path, kind, order):
    places = ORDERS[order]
    path = write(tmp_path / "a", kind, T[places], X[places], Y[places], P[places])
    with open_source(path) as source:
        found = events_of(source.batches())
        assert at_their_times(found) == at_their_times(EVENTS)
        assert source.statistics.dropped == 0
        assert f"events are not in time order; all {COUNT} were sorted in memory" in (
            source.remarks
        )
        assert (source.start_us, source.end_us) == (T[0], T[-1] + 1)
        source.seek(int(T[3_000]))
        assert events_of(source.batches()) == found[int(np.searchsorted(T, T[3_000])) :]


@any_kind
def test_events_of_few_pixels_one_after_the_other_are_sorted(tmp_path, kind):
    places = np.lexsort((T, FEW_PIXELS))
    path = write(tmp_path / "a", kind, T[places], FEW_PIXELS[places], Y[places], P[places])
    with open_source(path) as source:
        assert [event[0] for event in events_of(source.batches())] == T.tolist()


@any_kind
def test_a_long_recording_whose_first_part_is_on_alone_is_sorted(tmp_path, kind):
    # Over 2^16 events, and over a megabyte of text, before the first OFF event.
    t = np.arange(180_000) * 10
    p = np.arange(len(t)) % 2
    places = np.lexsort((t, -p))
    path = write(tmp_path / "a", kind, t[places], t[places] % 640, t[places] % 480, p[places])
    with open_source(path) as source:
        found = list(source.batches())
    assert np.array_equal(np.concatenate([batch.t for batch in found]), t)
    assert np.array_equal(np.concatenate([batch.polarity for batch in found]), p == 1)


def test_what_polarities_mean_is_told_from_both_parts_of_a_text(tmp_path):
    places = ORDERS["by polarity, ON first"]
    path = write(tmp_path / "a", "csv", T[places], X[places], Y[places], 255 * P[places])
    with open_source(path) as source:
        assert at_their_times(events_of(source.batches())) == at_their_times(EVENTS)


@any_kind
@pytest.mark.parametrize("lengths", [(5_000, 3_000), (3_000, 5_000), (2_000, 1_200, 3_000, 900)])
def test_a_clock_that_starts_again_from_0_is_not_sorted(tmp_path, kind, lengths):
    t = np.concatenate([T[:length] - T[0] for length in lengths])
    columns = [np.concatenate([c[:length] for length in lengths]) for c in (X, Y, P)]
    path = write(tmp_path / "a", kind, t, *columns)
    with open_source(path) as source:
        found = events_of(source.batches())
        assert source.statistics.clock_restarts == len(lengths) - 1
        assert source.statistics.dropped == 0
    assert np.array_equal(np.array(found)[:, 1:], np.stack(columns, axis=1))


def disturbed(wrong_us: int, every: int) -> NDArray[np.int64]:
    """Times, some of which are wrong by `wrong_us`."""
    t = T + 2_000_000
    t[7::every] += wrong_us
    return t


@pytest.mark.parametrize("wrong_us", [-1_000_000, -20_000, 20_000, 5_000_000])
@pytest.mark.parametrize("every", [40, 500, 4_000])
def test_single_wrong_times_are_no_disorder(wrong_us, every):
    assert not are_unsorted(disturbed(wrong_us, every), [P, X, Y])


@pytest.mark.parametrize("count", [1, 20, 32])
def test_first_times_of_an_earlier_run_are_no_disorder(count):
    t = np.concatenate((T[:count] + 3_264_000_000, T))
    others = [np.concatenate((np.zeros(count), column)) for column in (P, X, Y)]
    assert not are_unsorted(t, others)


def test_on_alone_may_be_a_part():
    assert are_nearly_constant(np.ones(100))
    assert not are_nearly_constant(P)
