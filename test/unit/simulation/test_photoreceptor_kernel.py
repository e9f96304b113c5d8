"""Pixels that are slow and noisy in the dark."""

from __future__ import annotations

import math

import numpy as np
import pytest
from whole_recordings import simulated

from evio_ros.ellipse import Ellipse
from evio_ros.errors import ParameterError
from evio_ros.events import EventBatch
from evio_ros.simulation.camera import SensorParameters
from evio_ros.simulation.photoreceptor_kernel import advance_photoreceptors
from evio_ros.simulation.scene import BladePattern, Lamp, Path, Rotor, Scene
from evio_ros.simulation.speed import SpeedProfile
from evio_ros.simulation.truth import Truth

QUIET = SensorParameters(
    width=48,
    height=40,
    threshold_mismatch=0.0,
    cutoff_hz=1e5,
    refractory_us=0.0,
    jitter_us=0.0,
    noise_hz=0.0,
    hot_pixels=0,
    pixel_model="photoreceptor",
)
DARK, BRIGHT = 0.1, 0.8
HUB = (23.6, 19.4)


def half_disc(turns_s: float) -> Scene:
    """A dark half, with the sharpest of edges, that turns on a disc larger than the sensor."""
    pattern = BladePattern(
        1, math.pi / 2, 0.0, 0.0, DARK, BRIGHT, differences=0.0, hub_radius=0.0, edge_px=0.01
    )
    disc = Path.fixed(Ellipse(HUB, (60.0, 60.0), 0.0))
    return Scene("half disc", (Rotor(disc, SpeedProfile.constant(60 * turns_s), pattern),))


def lamp(frequency_hz: float = 50.0, modulation: float = 0.9) -> Scene:
    return Scene("lamp", lamps=(Lamp((24.0, 20.0), 8.0, frequency_hz, modulation),))


def first_events(events: EventBatch) -> dict[tuple[int, int], tuple[int, bool]]:
    """Time and polarity of each pixel's first event."""
    first: dict[tuple[int, int], tuple[int, bool]] = {}
    for t, x, y, p in zip(events.t, events.x, events.y, events.polarity, strict=True):
        first.setdefault((int(x), int(y)), (int(t), bool(p)))
    return first


def test_events_lag_as_set():
    """Until its first event, nothing else changes in a pixel."""
    camera = QUIET.replaced({"threshold_on": 0.6, "threshold_off": 0.6})
    prompt = first_events(simulated(lamp(), camera, 60_000))
    late_camera = camera.replaced({"on_lag_us": 700.0, "off_lag_us": 300.0})
    late = first_events(simulated(lamp(), late_camera, 60_000))
    assert prompt.keys() == late.keys()
    for polarity, lag_us in ((True, 700), (False, 300)):
        lags = [late[k][0] - prompt[k][0] for k in prompt if prompt[k][1] == polarity]
        assert len(lags) > 20
        np.testing.assert_allclose(lags, lag_us, atol=1.01)


def test_it_follows_light_faster_where_it_is_bright():
    """Of an edge of height D, exp(-t / time constant) D is left at time t, and from the first
    event of a pixel to the second it falls by one threshold.

    The constant is 1 / (2 pi 20 Hz sqrt(light)): 8.9 ms where it becomes bright, 25 ms where dark.
    """
    threshold = 0.5
    values = {"threshold_on": threshold, "threshold_off": threshold, "cutoff_growth": 0.5}
    scene = half_disc(2.0)
    events = simulated(scene, QUIET.replaced({**values, "cutoff_hz": 20.0}), 1_500_000)
    (truth,) = Truth.of(scene, 1_500_000).rotors
    direction = np.arctan2(events.y - HUB[1], events.x - HUB[0])
    radius = np.hypot(events.x - HUB[0], events.y - HUB[1])
    pixel = events.y.astype(int) * 48 + events.x
    for polarity, light, edge in ((True, BRIGHT, -math.pi / 2), (False, DARK, math.pi / 2)):
        passed = (truth.angle_rad(events.t) + edge - direction) / (2 * math.pi)
        own = (events.polarity == polarity) & (radius > 14) & (events.t > 500_000)
        turn = np.floor(passed[own])
        late_s = (passed[own] - turn) / 2.0
        order = np.lexsort((late_s, pixel[own], turn))
        keys, late_s = np.stack((turn, pixel[own]))[:, order], late_s[order]
        begins = np.flatnonzero(np.r_[True, (keys[:, 1:] != keys[:, :-1]).any(axis=0)][:-1])
        constant_s = 1 / (2 * math.pi * 20.0 * math.sqrt(light))
        left = np.exp(-late_s / constant_s)
        fallen = np.median(left[begins] - left[begins + 1]) * math.log(BRIGHT / DARK)
        # The kernel sees an edge when it has moved by up to 0.15 px.
        assert fallen == pytest.approx(threshold, rel=0.07)


def tables(background: float) -> tuple:
    """A scene of nothing but a background, as the kernel takes it."""
    return (
        background,
        np.zeros((0, 10)),
        np.zeros((0, 1, 3)),
        np.zeros((0, 2, 5)),
        np.zeros((0, 1, 4)),
        np.zeros((0, 8)),
        np.zeros((0, 2, 2)),
        np.zeros((0, 5)),
        np.zeros(2),
    )


@pytest.mark.parametrize("light", [0.05, 0.8])
def test_shot_noise_has_its_variance_in_the_dark_and_in_the_light(light):
    count = 20_000
    state = np.zeros((5, count))
    state[[0, 2, 3]] = math.log(light)
    own = np.array([[50.0], [50.0], [0.0], [2 * math.pi * 100.0], [0.0]]) * np.ones(count)
    none = np.full((count, 1), -1, np.int16)
    random = np.random.default_rng(1)
    times, signs = np.empty((count, 4)), np.empty((count, 4), np.bool_)
    advance_photoreceptors(
        np.zeros(count),
        np.zeros(count),
        tables(light),
        (none, none),
        (0.0, 1.0, 0.0, 0.1, 0.5),
        np.zeros(2),
        np.zeros((512, 512), np.float32),
        state,
        own,
        random.integers(0, 2**64, count, np.uint64),
        0.0,
        0.2,
        times,
        signs,
        np.zeros(count, np.int64),
    )
    noise = state[1]
    assert noise.mean() == pytest.approx(0.0, abs=0.05 * noise.std())
    assert noise.std() == pytest.approx(0.1 / math.sqrt(light), rel=0.03)
    # Its tails, which make the events, are normal ones: 4.55 % beyond two standard deviations.
    beyond = np.abs(noise) > 2 * 0.1 / math.sqrt(light)
    assert beyond.mean() == pytest.approx(0.0455, abs=0.006)


def test_noise_comes_in_the_dark_with_both_signs():
    """Whatever rises by a threshold falls by one again."""
    camera = QUIET.replaced(
        {"cutoff_hz": 200.0, "cutoff_growth": 0.5, "shot_noise": 0.04, "refractory_us": 500.0}
    )
    dim, bright = (
        # Pixels start near their thresholds and so with more events.
        simulated(Scene("still", background=light), camera, 600_000).between(100_000, 600_000)
        for light in (0.05, 0.8)
    )
    assert len(dim) > 1000
    assert len(bright) < 0.01 * len(dim)
    assert dim.polarity.mean() == pytest.approx(0.5, abs=0.05)


def test_leak_makes_on_events_at_its_rate():
    """A threshold leaks away in 1 / rate."""
    events = simulated(Scene("still"), QUIET.replaced({"leak_hz": 12.0}), 1_000_000)
    assert events.polarity.all()
    counts = np.bincount(events.y.astype(int) * 48 + events.x, minlength=48 * 40)
    # Pixels start anywhere within half a threshold about where they are: 12 - u events, rounded
    # down, with u from -0.5 to 0.5.
    assert set(counts) == {11, 12}
    assert counts.mean() == pytest.approx(11.5, abs=0.05)


def test_odd_columns_are_blind_for_longer():
    camera = QUIET.replaced(
        {
            "threshold_on": 0.01,
            "threshold_off": 0.01,
            "refractory_us": 400.0,
            "odd_refractory": 2.0,
            "on_lag_us": 100.0,
            "off_lag_us": 100.0,
        }
    )
    events = simulated(lamp(200.0), camera, 50_000)
    pixel = events.y.astype(int) * 48 + events.x
    order = np.lexsort((events.t, pixel))
    same = np.diff(pixel[order]) == 0
    interval = np.diff(events.t[order])[same]
    odd = (events.x[order][1:] % 2 == 1)[same]
    # Lag and refractory period; time stamps are cut to whole microseconds.
    assert 499 <= interval[~odd].min() <= 520
    assert 899 <= interval[odd].min() <= 920


def test_leak_spreads_as_set():
    """With log-normal rates the counts tell it."""
    camera = QUIET.replaced({"leak_hz": 100.0, "pixel_spread": 0.2})
    events = simulated(Scene("still"), camera, 1_000_000)
    counts = np.bincount(events.y.astype(int) * 48 + events.x, minlength=48 * 40)
    assert np.log(counts).std() == pytest.approx(0.2, abs=0.01)


def test_the_same_seed_gives_the_same_noise():
    camera = QUIET.replaced({"cutoff_hz": 200.0, "shot_noise": 0.1, "pixel_spread": 0.2})
    first, second = (simulated(lamp(), camera, 40_000) for _ in range(2))
    longer = simulated(lamp(), camera, 70_000).between(0, 40_000)
    other = simulated(lamp(), camera.replaced({"seed": 4}), 40_000)
    assert len(first) > 1000
    for name in ("t", "x", "y", "polarity"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
        np.testing.assert_array_equal(getattr(first, name), getattr(longer, name))
    assert not np.array_equal(first.t[:500], other.t[:500])


@pytest.mark.parametrize(
    ("name", "value"), [("shot_noise", 0.1), ("on_lag_us", 5.0), ("odd_threshold", 0.9)]
)
def test_what_other_pixels_lack_is_refused(name, value):
    with pytest.raises(ParameterError, match=f"{name}: needs pixel_model"):
        SensorParameters(**{name: value})
