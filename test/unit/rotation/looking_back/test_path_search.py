"""Rotors found in a whole recording: discs with exact motion, and real takes."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from spun_disc import SpunDisc

from evio_ros.ellipse import Ellipse
from evio_ros.events import EventBatch, SensorSize
from evio_ros.rotation.looking_back.path_estimate import PathEstimates
from evio_ros.rotation.looking_back.path_search import find_paths
from evio_ros.sources.registry import open_source

TAKES = Path(__file__).parents[5] / "shared" / "recordings" / "half_disc"
OBLIQUE = "11_37_40"
"""The take whose visible rim is not a circle, although its truth assumes one."""
WINDOW_US = 100_000
DISCS = {
    "half": SpunDisc(),
    "the other way": SpunDisc(rpm=-380.0),
    "near the border": SpunDisc(ellipse=Ellipse((20.2, 60.7), (75.0, 75.0), 0.0)),
    "four sectors": SpunDisc(sectors=4, ellipse=Ellipse((50.3, 48.2), (40.0, 40.0), 0.0)),
    "at an angle": SpunDisc(rpm=500.0, ellipse=Ellipse((50.3, 48.2), (46.0, 40.0), 0.5)),
    "at an angle, a part of its rim in view": SpunDisc(
        ellipse=Ellipse((20.3, 48.2), (66.0, 45.0), 0.5)
    ),
    "at an angle, its rim out of view": SpunDisc(
        rpm=-500.0, ellipse=Ellipse((55.3, 48.2), (110.0, 65.0), 0.5)
    ),
}


@pytest.mark.parametrize("name", DISCS)
def test_a_disc_that_comes_to_rest_is_measured(name):
    disc = DISCS[name]
    ((path,), _) = find_paths(disc.events(seed=3))
    assert path.ellipse.center == pytest.approx(disc.ellipse.center, abs=1.0)
    estimates = PathEstimates(path, 0)
    ends = range(disc.start_us + 110_000, disc.start_us + disc.length_us - 90_000, 25_000)
    found = [(estimates.estimate(end_us, WINDOW_US), end_us) for end_us in ends]
    errors, scaled = [], []
    for estimate, end_us in found:
        assert estimate is not None
        assert estimate.looked_back
        rpm = disc.mean_rpm(end_us - WINDOW_US, end_us)
        errors.append(abs(estimate.rpm / rpm - 1))
        scaled.append(abs(estimate.rpm - rpm) / estimate.rpm_std)
    assert np.median(errors) < 0.02
    assert np.max(scaled) < 4


def test_turns_and_angle_follow_the_disc():
    disc = DISCS["half"]
    ((path,), _) = find_paths(disc.events(seed=4))
    estimates = PathEstimates(path, 7)
    early, late = (estimates.estimate(end_us, WINDOW_US) for end_us in (350_000, 500_000))
    turned = disc.turns(500_000) - disc.turns(350_000)
    assert (early.id, early.t_us, early.window_us) == (7, 350_000, WINDOW_US)
    assert late.turns - early.turns == pytest.approx(turned, abs=0.01)
    apart = (late.angle_rad - early.angle_rad) / (2 * np.pi) - turned
    assert apart == pytest.approx(round(apart), abs=0.01)


def test_a_slow_disc_is_found_in_a_long_recording():
    disc = SpunDisc(rpm=24.0, start_us=1_000_000, length_us=12_000_000)
    ((path,), _) = find_paths(disc.events(seed=8, noise_hz=500.0))
    estimates = PathEstimates(path, 0)
    turned = (estimates.phase(10_000_000) - estimates.phase(1_500_000)) / (2 * np.pi)
    truth = disc.turns(10_000_000) - disc.turns(1_500_000)
    assert turned == pytest.approx(truth, rel=0.01)


def test_a_disc_that_is_spun_again_is_measured_again():
    first = DISCS["half"]
    second = replace(first, rpm=300.0, start_us=1_900_000)
    third = replace(first, rpm=-350.0, start_us=3_300_000, length_us=700_000)
    columns = [disc.events(seed=6, noise_hz=0.0) for disc in (first, second, third)]
    noise = np.random.default_rng(7).integers(0, 100, (2, 40_000)).astype(np.uint16)
    times = np.linspace(0, 4_200_000, 40_000).astype(np.int64)
    columns.append(EventBatch(first.events().size, times, *noise, noise[0] % 2 == 0))
    t, x, y, on = (
        np.concatenate([getattr(part, name) for part in columns])
        for name in ("t", "x", "y", "polarity")
    )
    order = np.argsort(t, kind="stable")
    paths, _ = find_paths(EventBatch(columns[0].size, t[order], x[order], y[order], on[order]))
    assert len(paths) == 3
    for path, disc in zip(paths, (first, second, third), strict=True):
        estimate = PathEstimates(path, 0).estimate(disc.start_us + 250_000, WINDOW_US)
        assert estimate is not None
        rpm = disc.mean_rpm(disc.start_us + 150_000, disc.start_us + 250_000)
        assert estimate.rpm == pytest.approx(rpm, rel=0.03)


@pytest.mark.parametrize("share", [0.1, 0.03])
def test_a_faint_disc_is_measured(share):
    disc = replace(DISCS["half"], events_per_turn=round(share * 150_000))
    ((path,), _) = find_paths(disc.events(seed=9, noise_hz=1_000.0))
    assert path.ellipse.center == pytest.approx(disc.ellipse.center, abs=1.5)
    end_us = disc.start_us + 300_000
    estimate = PathEstimates(path, 0).estimate(end_us, WINDOW_US)
    assert estimate.rpm == pytest.approx(disc.mean_rpm(end_us - WINDOW_US, end_us), rel=0.04)


@pytest.mark.parametrize("slots", [range(7, 100, 10), range(1, 100, 5), (11, 15, 16, 20, 22, 23)])
def test_a_disc_is_measured_where_data_is_missing(slots):
    disc = DISCS["half"]
    events = disc.events(seed=12)
    kept = np.flatnonzero(~np.isin(events.t // 20_000, list(slots)))
    ((path,), _) = find_paths(events.at(kept))
    estimates = PathEstimates(path, 0)
    for end_us in range(disc.start_us + 110_000, disc.start_us + disc.length_us - 90_000, 5_000):
        estimate = estimates.estimate(end_us, WINDOW_US)
        rpm = disc.mean_rpm(end_us - WINDOW_US, end_us)
        assert estimate.rpm == pytest.approx(rpm, rel=0.02)
        assert abs(estimate.rpm - rpm) < 4 * estimate.rpm_std


def test_what_is_marked_as_missing_is_bridged_though_some_events_came():
    disc = DISCS["half"]
    events = disc.events(seed=13)
    missing = [range(400_000, 430_000)]
    lost = np.flatnonzero((events.t >= 400_000) & (events.t < 430_000))
    some = np.random.default_rng(0).permutation(lost)[: len(lost) * 9 // 10]
    ((path,), _) = find_paths(events.at(np.setdiff1d(np.arange(len(events)), some)), missing)
    estimate = PathEstimates(path, 0).estimate(480_000, WINDOW_US)
    assert estimate.rpm == pytest.approx(disc.mean_rpm(380_000, 480_000), rel=0.02)


def common_light(length_us, rng):
    """Events common to all pixels: noise of 20 Hz per pixel, and a lamp that flickers at 100 Hz."""
    t = [rng.uniform(0, length_us, round(0.2 * length_us))]
    bursts = np.arange(0, length_us, 10_000)
    t.append((bursts + rng.exponential(1_500, (800, len(bursts)))).ravel())
    t = np.sort(np.concatenate(t)).astype(np.int64)
    t = t[t < length_us]
    x, y = rng.integers(0, 100, (2, len(t))).astype(np.uint16)
    return t, x, y, rng.random(len(t)) < 0.5


@pytest.mark.parametrize("name", ["half", "four sectors"])
def test_a_disc_is_measured_in_noise_and_flicker(name):
    disc = DISCS[name]
    events = disc.events(seed=14)
    light = common_light(900_000, np.random.default_rng(15))
    own = (events.t, events.x, events.y, events.polarity)
    t, x, y, on = (np.concatenate(both) for both in zip(own, light, strict=True))
    order = np.argsort(t, kind="stable")
    ((path,), _) = find_paths(EventBatch(events.size, t[order], x[order], y[order], on[order]))
    assert path.ellipse.center == pytest.approx(disc.ellipse.center, abs=1.0)
    estimates = PathEstimates(path, 0)
    for end_us in range(disc.start_us + 120_000, disc.start_us + disc.length_us - 90_000, 25_000):
        estimate = estimates.estimate(end_us, WINDOW_US)
        rpm = disc.mean_rpm(end_us - WINDOW_US, end_us)
        assert abs(estimate.rpm - rpm) < 4 * estimate.rpm_std
        assert estimate.rpm == pytest.approx(rpm, rel=0.05)


def test_there_is_no_rotor_in_noise_and_flicker():
    light = common_light(900_000, np.random.default_rng(16))
    assert find_paths(EventBatch(DISCS["half"].events().size, *light))[0] == []


@pytest.mark.skipif(not TAKES.is_dir(), reason="the real takes lie beside the checkout")
def test_a_part_of_a_real_disc_is_no_disc_of_its_own():
    """A take that begins while the disc turns: a corner looked like another rotor."""
    truth = json.loads((TAKES / "11_35_19.truth.json").read_text())
    with open_source(str(TAKES / "11_35_19.aedat4")) as source:
        events = EventBatch.concatenate(source.size, list(source.batches()))
    x0, y0 = events.x.min(), events.y.min()
    size = SensorSize(int(events.x.max() - x0) + 1, int(events.y.max() - y0) + 1)
    cut = EventBatch(size, events.t - events.t[0], events.x - x0, events.y - y0, events.polarity)
    ((path,), _) = find_paths(cut.between(int(truth["t_us"][0]) + 50_000, int(cut.t[-1])))
    hub = truth["hub"][0] - int(x0), truth["hub"][1] - int(y0)
    assert path.ellipse.center == pytest.approx(hub, abs=2.0)


def test_nothing_is_said_of_windows_that_are_not_covered():
    disc = DISCS["half"]
    ((path,), _) = find_paths(disc.events(seed=5))
    estimates = PathEstimates(path, 0)
    assert estimates.estimate(disc.start_us - 50_000, WINDOW_US) is None
    assert estimates.estimate(disc.start_us + disc.length_us + 150_000, WINDOW_US) is None


def moving_bar(rng):
    """A bar that crosses the picture and returns: it moves, but does not turn."""
    t = np.sort(rng.uniform(0, 800_000, 80_000)).astype(np.int64)
    place = 50 + 35 * np.sin(2 * np.pi * t / 600_000)
    on = rng.random(len(t)) < 0.5
    x = np.clip(place + np.where(on, -6, 6) + rng.normal(0, 0.7, len(t)), 0, 99)
    return t, x, rng.uniform(10, 90, len(t)), on


def flicker(rng):
    """A lamp: all its pixels brighten and darken together."""
    t = rng.uniform(0, 800_000, 200_000)
    on = np.sin(2 * np.pi * 10e-6 * t) > 0
    keep = rng.random(len(t)) < np.abs(np.sin(2 * np.pi * 10e-6 * t))
    order = np.argsort(t[keep])
    radius, angle = 35 * np.sqrt(rng.random(len(t))), rng.uniform(0, 2 * np.pi, len(t))
    x, y = 50 + radius * np.cos(angle), 50 + radius * np.sin(angle)
    return tuple(column[keep][order] for column in (t.astype(np.int64), x, y, on))


@pytest.mark.parametrize("scene", [moving_bar, flicker])
def test_what_does_not_turn_is_no_rotor(scene):
    t, x, y, on = scene(np.random.default_rng(0))
    size = SpunDisc().events().size
    events = EventBatch(size, t, x.astype(np.uint16), y.astype(np.uint16), on)
    paths, explanations = find_paths(events)
    assert paths == []
    assert len(explanations) == 1


@pytest.mark.parametrize("number", [0, 10, 1_000])
def test_few_events_hold_no_rotor(number):
    assert find_paths(DISCS["half"].events().slice(0, number)) == ([], [])


@pytest.mark.skipif(not TAKES.is_dir(), reason="the real takes are not there")
@pytest.mark.parametrize(
    "take", sorted({p.name[:8] for p in TAKES.glob("*.truth.json")} - {OBLIQUE})
)
def test_real_takes_are_measured(take):
    events = events_of(take)
    truth = json.loads((TAKES / f"{take}.truth.json").read_text())
    ((path,), _) = find_paths(events)
    # The truth's own hub is accurate to a pixel, near the cut's edge to two.
    assert np.hypot(*np.subtract(path.ellipse.center, truth["hub"])) < 2.0
    estimates = PathEstimates(path, 0)
    times = np.array(truth["t_us"]) + int(events.t[0])
    errors, windows = [], 0
    for end_us in range(int(times[0]) + WINDOW_US, int(times[-1]), 25_000):
        ends = np.interp((end_us - WINDOW_US, end_us), times, truth["angle_rad"])
        rpm = float(np.diff(ends)[0]) / WINDOW_US * 60e6 / (2 * np.pi)
        if abs(rpm) < 60:
            continue
        windows += 1
        estimate = estimates.estimate(end_us, WINDOW_US)
        if estimate is not None and estimate.confidence >= 0.5:
            errors.append(abs(estimate.rpm / rpm - 1))
    assert len(errors) >= 0.55 * windows
    assert np.median(errors) < 0.04
    assert np.max(errors) < 0.15


@pytest.mark.skipif(not TAKES.is_dir(), reason="the real takes are not there")
def test_a_real_disc_that_is_seen_obliquely_is_told_by_its_rim_and_how_evenly_it_turns():
    ((path,), _) = find_paths(events_of(OBLIQUE))
    truth = json.loads((TAKES / f"{OBLIQUE}.truth.json").read_text())
    assert np.hypot(*np.subtract(path.ellipse.center, truth["hub"])) < 2.0
    ratio, tilt = path.ellipse.axes[1] / path.ellipse.axes[0], path.ellipse.tilt_rad
    # Measured by hand: the rim is 88.5 px to the right of the hub and 94.5 px away at 46 degrees
    # below, so the ratio of the disc's width to its height is 0.86 +- 0.03.
    assert ratio == pytest.approx(0.86, abs=3 * path.shear_doubt)
    assert abs(np.sin(tilt)) > 0.95


def events_of(take):
    with open_source(str(TAKES / f"{take}.aedat4")) as source:
        return EventBatch.concatenate(source.size, list(source.batches()))
