"""Recordings of a real disc that a hand spins, and one of its turns re-timed to known speeds."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from evio_ros.events import EventBatch

BENCH = Path(__file__).parents[3] / "bench"
FOLDER = BENCH.parents[1] / "shared" / "recordings" / "half_disc"
TAKES = sorted(path.name.removesuffix(".truth.json") for path in FOLDER.glob("*.truth.json"))

pytestmark = pytest.mark.skipif(not TAKES, reason="the recordings are not beside the checkout")


@pytest.fixture(scope="module")
def bench() -> Iterator[ModuleType]:
    sys.path.insert(0, str(BENCH))
    import real_takes

    yield real_takes
    sys.path.remove(str(BENCH))


def test_every_take_is_found_where_it_turns(bench: ModuleType) -> None:
    """A hand spins the disc up within a tenth of a second; it rests half a second later."""
    for take in bench.takes(FOLDER, TAKES, [bench.AS_IT_IS]):
        outcome = bench.judged(take)
        assert outcome.found
        assert not outcome.wrong
        assert np.max(outcome.hub_px, initial=0.0) < 3.0


def test_a_take_is_found_soon_after_its_first_turn(bench: ModuleType) -> None:
    for take in bench.takes(FOLDER, TAKES, [bench.AS_IT_IS]):
        first_us = next(end_us for end_us, estimates in bench.measured(take) if estimates)
        angles = take.truth.angles_rad
        turned = np.interp(first_us, take.truth.times_us, angles) - angles[0]
        assert abs(turned) < 1.6 * 2 * np.pi


def test_a_disc_that_has_come_to_rest_does_not_turn_back(bench: ModuleType) -> None:
    for take in bench.takes(FOLDER, TAKES, [bench.AS_IT_IS]):
        sense = np.sign(take.truth.angles_rad[-1] - take.truth.angles_rad[0])
        estimates = [e for _, estimates in bench.measured(take) for e in estimates]
        assert all(estimate.rpm * sense >= 0.0 for estimate in estimates)
        assert abs(estimates[-1].rpm) < 1.0


def test_looking_back_measures_all_of_a_take(bench: ModuleType) -> None:
    total = bench.Outcome()
    for take in bench.takes(FOLDER, TAKES, [bench.AS_IT_IS]):
        total.add(bench.judged(take, look_back=True))
    assert total.sure >= 0.6 * total.due
    assert np.median(total.errors) < 0.03
    assert max(total.errors) < 0.15


@pytest.mark.parametrize(
    ("kind", "names", "look_back"),
    [
        ("617.3 rpm, 100%", TAKES[:5], False),
        ("1234 rpm, 33%", TAKES[:5], False),
        ("1234 rpm, 10%", TAKES[:5], False),
        ("300 rpm, 100%", TAKES, True),
        ("617.3 rpm, 10%", TAKES, True),
    ],
)
def test_a_known_speed_is_measured(
    bench: ModuleType, kind: str, names: list[str], look_back: bool
) -> None:
    total = bench.Outcome()
    for take in bench.takes(FOLDER, names, [kind]):
        total.add(bench.judged(take, look_back))
    errors = sorted(total.errors)
    assert total.sure >= 0.95 * total.due
    assert errors[len(errors) // 2] < 3e-4
    assert errors[round(0.95 * len(errors))] < 2e-3
    assert not total.wrong


def retimed(bench: ModuleType, name: str, rpm: float, share: float) -> Any:
    path = FOLDER / f"{name}.aedat4"
    record = json.loads((FOLDER / f"{name}.truth.json").read_text())
    retime = bench.retime_of(FOLDER / "retime.py")
    return bench.retimed(name, bench.from_zero(path), record, rpm, share, retime)


@pytest.mark.parametrize("name", TAKES)
def test_a_rotor_on_the_mains_is_met_at_more_than_one_phase(bench: ModuleType, name: str) -> None:
    """It makes a turn in 20 ms, and looks for rotors come every 20 ms."""
    outcome = bench.judged(retimed(bench, name, 3000.0, 0.1), look_back=True)
    assert outcome.sure >= 0.9 * outcome.due
    assert not outcome.wrong


def test_one_mark_is_not_taken_for_three_where_the_hub_is_at_the_border(bench: ModuleType) -> None:
    outcome = bench.judged(retimed(bench, "11_37_40", 3000.0, 1 / 3), look_back=True)
    assert outcome.sure >= 0.9 * outcome.due
    assert not outcome.wrong


@pytest.mark.parametrize("squeezed", [(0.6, 1.0), (1.0, 0.8)])
def test_a_spun_disc_may_be_seen_obliquely(
    bench: ModuleType, squeezed: tuple[float, float]
) -> None:
    """Of the takes whose hub is not near the border, the largest round cut about it."""
    rng, total = np.random.default_rng(5), bench.Outcome()
    names = ["11_34_19", "11_34_58", "11_35_57", "11_36_46"]
    for take in bench.takes(FOLDER, names, [bench.AS_IT_IS]):
        was, (x, y) = take.events, take.truth.hub
        radius = min(x - was.x.min(), y - was.y.min(), was.x.max() - x, was.y.max() - y)
        inside = was.at(np.flatnonzero(np.hypot(was.x - x, was.y - y) <= radius))
        # Anywhere within a pixel, or some columns would be of two pixels and some of one.
        columns = [
            ((side + rng.random(len(side))) * factor).astype(np.uint16)
            for side, factor in zip((inside.x, inside.y), squeezed, strict=True)
        ]
        oblique = EventBatch(was.size, inside.t, *columns, inside.polarity)
        total.add(bench.judged(replace(take, events=oblique), look_back=True))
    assert total.sure >= 0.6 * total.due
    assert np.median(total.errors) < 0.03
    assert max(total.errors) < 0.1


@pytest.mark.parametrize("squeezed", [(0.6, 1.0), (1.0, 0.6), (0.4, 1.0)])
def test_a_spun_disc_may_be_seen_obliquely_and_cut(
    bench: ModuleType, squeezed: tuple[float, float]
) -> None:
    """Its rim is out of view, or nearly: how evenly it turns tells its shape."""
    rng, total = np.random.default_rng(7), bench.Outcome()
    for take in bench.takes(FOLDER, TAKES[:5], [bench.AS_IT_IS]):
        was = take.events
        columns = [
            ((side + rng.random(len(was))) * factor).astype(np.uint16)
            for side, factor in zip((was.x, was.y), squeezed, strict=True)
        ]
        oblique = EventBatch(was.size, was.t, *columns, was.polarity)
        hub = tuple(np.multiply(take.truth.hub, squeezed))
        truth = replace(take.truth, hub=hub)
        total.add(bench.judged(replace(take, events=oblique, truth=truth), look_back=True))
    assert total.found == total.due
    assert total.sure >= 0.2 * total.due
    assert max(total.errors) < 0.1
    assert np.median(total.found_errors) < 0.05


@pytest.mark.parametrize("turned_deg", [17, 45])
def test_the_square_cut_of_a_take_may_be_turned(bench: ModuleType, turned_deg: int) -> None:
    """Its outline is not that of the disc, which the cut hides in part."""
    rng, total = np.random.default_rng(6), bench.Outcome()
    cosine, sine = np.cos(np.radians(turned_deg)), np.sin(np.radians(turned_deg))
    for take in bench.takes(FOLDER, TAKES[:5], [bench.AS_IT_IS]):
        was, hub = take.events, take.truth.hub
        x, y = (
            side + rng.random(len(was)) - middle
            for side, middle in zip((was.x, was.y), hub, strict=True)
        )
        columns = [
            column.astype(np.uint16)
            for column in (x * cosine - y * sine + 173, x * sine + y * cosine + 130)
        ]
        turned = EventBatch(was.size, was.t, *columns, was.polarity)
        total.add(bench.judged(replace(take, events=turned), look_back=True))
    assert total.sure >= 0.6 * total.due
    assert np.median(total.errors) < 0.03
    assert max(total.errors) < 0.1


@pytest.mark.parametrize("step_us", [500, 1_000, 2_000])
def test_coarse_time_stamps_cost_a_spun_disc_nothing(bench: ModuleType, step_us: int) -> None:
    total = bench.Outcome()
    for take in bench.takes(FOLDER, TAKES, [bench.AS_IT_IS]):
        was = take.events
        stamped = EventBatch(was.size, was.t // step_us * step_us, was.x, was.y, was.polarity)
        total.add(bench.judged(replace(take, events=stamped), look_back=True))
    assert total.sure >= 0.6 * total.due
    assert np.median(total.errors) < 0.03
    assert max(total.errors) < 0.15


@pytest.mark.parametrize(("kind", "every_ms"), [("617.3 rpm, 33%", 200), ("1234 rpm, 100%", 100)])
def test_lost_data_costs_no_turn(bench: ModuleType, kind: str, every_ms: int) -> None:
    """20 ms at a time are lost, unmarked; the border hides a part of some discs."""
    total = bench.Outcome()
    for take in bench.takes(FOLDER, TAKES, [kind]):
        events = take.events
        kept = (events.t // 1000 + 37) % every_ms >= 20
        total.add(bench.judged(replace(take, events=events.at(np.flatnonzero(kept))), True))
    assert total.sure >= 0.95 * total.due
    assert not total.wrong


def test_a_cut_of_a_disc_is_right_or_nothing(bench: ModuleType) -> None:
    for take in bench.takes(FOLDER, None, [bench.CUT]):
        assert not bench.judged(take).wrong
