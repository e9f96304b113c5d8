from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from whole_recordings import simulated

from evio_ros.ellipse import Ellipse
from evio_ros.simulation.camera import SensorParameters
from evio_ros.simulation.scene import BladePattern, Lamp, MovingTexture, Path, Rotor, Scene
from evio_ros.simulation.simulator import simulate
from evio_ros.simulation.speed import SpeedProfile
from evio_ros.simulation.truth import Truth

IDEAL = SensorParameters(
    width=64,
    height=48,
    threshold_mismatch=0.0,
    cutoff_hz=1e6,
    refractory_us=0.0,
    jitter_us=0.0,
    noise_hz=0.0,
    hot_pixels=0,
)
DARK = Scene("nothing")


def lamp(frequency_hz: float, modulation: float) -> Scene:
    return Scene("lamp", lamps=(Lamp((32.0, 24.0), 6.0, frequency_hz, modulation),))


def test_thresholds_are_crossed_as_often_as_the_light_says():
    """Light that rises to 1.9 times its start in a quarter period of 25 ms.

    Its logarithm rises by 0.642, 3.21 thresholds of 0.2. A pixel starts anywhere from one threshold
    below to one above the light, so it crosses 3.21 - u thresholds, rounded down, with u from -1 to
    1: four times for u < -0.79, three times to u = 0.21, else twice; 2.71 events on average.
    """
    camera = IDEAL.replaced({"threshold_on": 0.2, "threshold_off": 5.0})
    events = simulated(lamp(10.0, 0.9), camera, 25_000)
    pixels = np.unique(np.stack((events.x, events.y)), axis=1).T
    inside = sum(math.hypot(x - 32, y - 24) <= 6.0 for x in range(64) for y in range(48))
    assert len(pixels) == inside
    assert events.polarity.all()
    counts = []
    for x, y in pixels:
        t_s = 1e-6 * events.t[(events.x == x) & (events.y == y)]
        counts.append(len(t_s))
        # From event to event the logarithm rises by one threshold.
        rise = np.diff(np.log(1 + 0.9 * np.sin(2 * math.pi * 10 * t_s)))
        np.testing.assert_allclose(rise, 0.2, atol=0.03)
    assert set(counts) <= {2, 3, 4}
    assert np.mean(counts) == pytest.approx(2.71, abs=0.2)


def test_on_and_off_balance_as_their_thresholds_say():
    """Every ON event moves a pixel's reference up by 0.1, every OFF event down by 0.3."""
    camera = IDEAL.replaced({"threshold_on": 0.1, "threshold_off": 0.3})
    events = simulated(lamp(200.0, 0.9), camera, 200_000)
    pixel = events.y.astype(int) * 64 + events.x
    on = np.bincount(pixel[events.polarity], minlength=64 * 48)
    off = np.bincount(pixel[~events.polarity], minlength=64 * 48)
    swing = math.log(1.9 / 0.1)
    assert np.abs(0.1 * on - 0.3 * off).max() <= swing + 0.3
    assert on.sum() / off.sum() == pytest.approx(3.0, rel=0.02)
    assert on[24 * 64 + 32] > 40 * 20


def test_a_pixel_is_blind_after_an_event():
    camera = IDEAL.replaced({"threshold_on": 0.05, "threshold_off": 0.05, "refractory_us": 700.0})
    events = simulated(lamp(100.0, 0.9), camera, 50_000)
    times = events.t[(events.x == 32) & (events.y == 24)]
    assert len(times) > 20
    # Time stamps are cut to whole microseconds.
    assert np.diff(times).min() >= 699


def test_noise_comes_at_its_rate_everywhere():
    camera = IDEAL.replaced({"noise_hz": 40.0, "noise_on_share": 0.8})
    events = simulated(DARK, camera, 500_000)
    expected = 40 * 64 * 48 * 0.5
    assert len(events) == pytest.approx(expected, abs=5 * math.sqrt(expected))
    assert events.polarity.mean() == pytest.approx(0.8, abs=0.01)
    assert np.bincount(events.x, minlength=64).min() > 0.8 * expected / 64
    assert np.histogram(events.t, 10, (0, 500_000))[0].min() > 0.9 * expected / 10


def test_hot_pixels_fire_by_themselves():
    camera = IDEAL.replaced({"hot_pixels": 3, "hot_pixel_hz": 2000.0})
    events = simulated(DARK, camera, 500_000)
    pixel = events.y.astype(int) * 64 + events.x
    counts = np.bincount(pixel)
    assert np.count_nonzero(counts) == 3
    np.testing.assert_allclose(counts[counts > 0], 1000, atol=5 * math.sqrt(1000))


def rotor(rpm: float, **pattern: object) -> Rotor:
    blades = BladePattern(blades=3, sweep_rad=0.2, differences=0.0, **pattern)  # type: ignore[arg-type]
    return Rotor(
        Path.fixed(Ellipse((31.6, 24.3), (22.0, 16.0), 0.3)), SpeedProfile.constant(rpm), blades
    )


@pytest.mark.parametrize("rpm", [1200.0, -1200.0])
def test_edges_are_where_the_truth_has_them(rpm):
    """A dark blade's leading edge gives OFF events, its trailing edge ON events."""
    scene = Scene("rotor", (rotor(rpm),))
    events = simulated(scene, IDEAL, 60_000)
    (truth,) = Truth.of(scene, 60_000).rotors
    radius, angle = truth.ellipse(0.0).disc_coordinates(events.x, events.y)
    outer = radius > 0.4
    pitch = 2 * math.pi / 3
    offset = angle - truth.angle_rad(events.t) - 0.2 * (radius - 0.7)
    offset = (offset + pitch / 2) % pitch - pitch / 2
    leading = 0.35 * np.sign(rpm)
    edge = np.where(events.polarity, -leading, leading)
    # A blade's edge is soft over a pixel.
    assert (np.abs(offset - edge) * radius * 16.0)[outer].max() < 1.0
    # The logarithm changes most at the dark side of a soft edge.
    assert abs(float(np.mean(((offset - edge) * radius * 16.0)[outer]))) < 0.35
    # Each edge passes 3.6 times in 60 ms and moves log light by log(0.6 / 0.25), 2.9 thresholds,
    # of which a pixel that goes up and down between them crosses two.
    pixels = math.pi * 22.0 * 16.0 * (1 - 0.18**2)
    assert len(events) == pytest.approx(2 * 3.6 * 2 * pixels, rel=0.05)


def test_the_same_arguments_give_the_same_events():
    scene = Scene("rotor", (rotor(1200.0),))
    camera = SensorParameters(width=64, height=48, noise_hz=50.0)
    first, second = (simulated(scene, camera, 20_000) for _ in range(2))
    other = simulated(scene, camera.replaced({"seed": 1}), 20_000)
    for name in ("t", "x", "y", "polarity"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert not np.array_equal(first.t[: len(other)], other.t[: len(first)])


def test_a_longer_recording_begins_with_the_shorter_one():
    moving = replace(
        rotor(3000.0),
        path=Path(
            (0.0, 1e5),
            (Ellipse((15.0, 20.0), (10.0, 6.0), 0.0), Ellipse((50.0, 25.0), (10.0, 6.0), 0.0)),
        ),
    )
    sway = MovingTexture((0, 0, 64, 10), 0.5, 3.0, (0.0, 1e5), ((0.0, 0.0), (30.0, 5.0)))
    scene = Scene("moving", (moving,), (sway,))
    camera = SensorParameters(width=64, height=48, noise_hz=20.0, jitter_us=200.0)
    short, long = simulated(scene, camera, 25_000), simulated(scene, camera, 60_000)
    begin = long.between(0, 25_000)
    assert len(short) > 1000
    for name in ("t", "x", "y", "polarity"):
        np.testing.assert_array_equal(getattr(short, name), getattr(begin, name))


def test_what_is_hidden_makes_no_events():
    scene = Scene("hidden", (rotor(1200.0),), hidden=((0, 24, 64, 48),))
    events = simulated(scene, IDEAL, 20_000)
    assert len(events) > 100
    assert events.y.max() < 24


def test_batches_are_in_order_of_time_and_end_in_time():
    camera = SensorParameters(width=64, height=48, noise_hz=200.0, jitter_us=1000.0)
    batches = list(simulate(Scene("rotor", (rotor(1200.0),)), camera, 35_000))
    t = np.concatenate([batch.t for batch in batches])
    assert (np.diff(t) >= 0).all()
    assert t[0] >= 0
    assert 34_000 < t[-1] < 35_000


def test_noise_spreads_over_the_pixels_as_set():
    """Log-normal rates: of counts so high that Poisson's spread of 5 % adds little."""
    camera = IDEAL.replaced({"noise_hz": 400.0, "noise_spread": 0.5})
    events = simulated(DARK, camera, 1_000_000)
    counts = np.bincount(events.y.astype(int) * 64 + events.x, minlength=64 * 48)
    assert len(events) == pytest.approx(400 * 64 * 48, rel=0.01)
    assert np.log(counts).std() == pytest.approx(0.5, abs=0.03)


def test_under_flickering_light_all_pixels_fire_alike():
    """As before a lamp: log light swings by log(1.5 / 0.5), 10.99 thresholds, up and down."""
    scene = replace(DARK, flicker_hz=50.0, flicker_depth=0.5)
    camera = IDEAL.replaced({"threshold_on": 0.1, "threshold_off": 0.1})
    events = simulated(scene, camera, 60_000).between(20_000, 60_000)
    counts = np.bincount(events.y.astype(int) * 64 + events.x, minlength=64 * 48)
    # Two periods, each up and down by 10 thresholds; for one pixel in a hundred only 9 fit.
    assert set(counts) <= {36, 40}
    assert counts.mean() == pytest.approx(40, abs=0.2)


def test_a_shiny_hub_flashes_on_the_side_of_the_light():
    """Five facets: of an edgeless disc, only the hub makes events, five times a turn."""
    pattern = BladePattern(0, disc_reflectance=0.3, hub_radius=0.5, glint=5.0)
    disc = Path.fixed(Ellipse((31.6, 24.3), (20.0, 20.0), 0.0))
    scene = Scene("hub", (Rotor(disc, SpeedProfile.constant(1200.0), pattern),))
    events = simulated(scene, IDEAL, 200_000)
    assert len(events) > 1000
    assert np.hypot(events.x - 31.6, events.y - 24.3).max() < 10.5
    assert (events.x > 31.6).mean() > 0.95
    rate = np.bincount(events.t[events.polarity] // 500, minlength=400)
    spectrum = np.abs(np.fft.rfft(rate - rate.mean()))
    assert np.argmax(spectrum) / 0.2 == pytest.approx(100.0)


def test_an_edge_out_of_focus_takes_longer():
    """Light changes over the time in which the soft edge passes a pixel."""
    spans = []
    for edge_px in (1.0, 4.0):
        scene = Scene("rotor", (rotor(1200.0, edge_px=edge_px),))
        camera = IDEAL.replaced({"threshold_on": 0.1, "threshold_off": 0.1})
        events = simulated(scene, camera, 50_000).between(10_000, 50_000)
        pixel = events.y.astype(int) * 64 + events.x
        order = np.lexsort((events.t, pixel))
        same = np.diff(pixel[order]) == 0
        same &= np.diff(events.polarity[order].astype(int)) == 0
        spans.append(np.median(np.diff(events.t[order])[same]))
    assert spans[1] == pytest.approx(4 * spans[0], rel=0.25)
