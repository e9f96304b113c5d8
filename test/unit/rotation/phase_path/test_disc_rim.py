"""Where the events of a disc end, and the shape of a disc of which a part of the rim is in view."""

import math

import numpy as np
import pytest
from spun_disc import SIZE, SpunDisc

from evio_ros.ellipse import Ellipse
from evio_ros.events import RegionOfInterest
from evio_ros.rotation.phase_path.disc_rim import DiscRim
from evio_ros.rotation.phase_path.event_count_time import CountedEvents

SECTOR = 2 * math.pi / 120
PIXEL_STD = 1 / math.sqrt(12)
VIEW = RegionOfInterest(0, 0, SIZE.width, SIZE.height)
SIDE = np.arange(-0.4, 0.401, 0.02)
SHEARS = np.stack(np.meshgrid(SIDE, SIDE), axis=-1).reshape(-1, 2)


def shear_of(ratio, tilt):
    return -0.5 * math.log(ratio) * np.array((math.cos(2 * tilt), math.sin(2 * tilt)))


def radius_of(disc: Ellipse, angles):
    """Distance of the rim from the hub in the image."""
    unit, _ = disc.disc_coordinates(
        disc.center[0] + np.cos(angles), disc.center[1] + np.sin(angles)
    )
    return 1 / unit


def rim_of(radii, first=-math.pi, seed=0):
    """Points with errors of a pixel, in sectors that follow one another from an angle on."""
    angles = first + SECTOR * (np.arange(len(radii)) + 0.5)
    order = np.argsort((angles + math.pi) % (2 * math.pi))
    errors = np.random.default_rng(seed).uniform(-0.5, 0.5, len(radii))
    angles = (angles[order] + math.pi) % (2 * math.pi) - math.pi
    return DiscRim(angles, (radii + errors)[order], np.full(len(radii), PIXEL_STD), SECTOR)


def arc_of(disc, degrees, first=-math.pi, seed=0):
    angles = first + SECTOR * (np.arange(round(math.radians(degrees) / SECTOR)) + 0.5)
    return rim_of(radius_of(disc, angles), first, seed)


def posterior(log_likelihood):
    weight = np.exp(log_likelihood - log_likelihood.max())
    weight /= weight.sum()
    mean = weight @ SHEARS
    return mean, np.sqrt(weight @ (SHEARS - mean) ** 2 + (SIDE[1] - SIDE[0]) ** 2 / 12)


@pytest.mark.parametrize("degrees", [60, 100, 200, 360])
@pytest.mark.parametrize(("ratio", "tilt", "first"), [(0.8, 0.3, -0.4), (0.6, 1.2, 2.9)])
def test_an_arc_tells_the_shape(degrees, ratio, tilt, first):
    disc = Ellipse((0.0, 0.0), (80.0, 80.0 * ratio), tilt)
    mean, std = posterior(arc_of(disc, degrees, first).log_likelihood(SHEARS))
    assert (np.abs(mean - shear_of(ratio, tilt)) < 3 * std).all()
    # Of no rim, the standard deviation on this grid is 0.24.
    assert np.hypot(*std) < 0.2


def test_the_more_of_a_rim_is_in_view_the_more_it_tells():
    disc = Ellipse((0.0, 0.0), (70.0, 50.0), 0.3)
    doubts = [
        np.hypot(*posterior(arc_of(disc, degrees).log_likelihood(SHEARS))[1])
        for degrees in (50, 90, 180, 360)
    ]
    assert (np.diff(doubts) < 0).all()


def test_a_hub_beside_the_middle_of_the_rim_is_allowed_for():
    """As in perspective: off by 6 % of the radius."""
    seen = Ellipse((4.8, 0.0), (80.0, 64.0), 0.0)
    angles = -math.pi + SECTOR * (np.arange(120) + 0.5)
    direction = np.stack((np.cos(angles), np.sin(angles)))
    # The point of the ray in each direction that lies on the ellipse, by hand.
    a = (direction[0] / 80) ** 2 + (direction[1] / 64) ** 2
    b = -2 * direction[0] * 4.8 / 80**2
    radii = (-b + np.sqrt(b**2 - 4 * a * ((4.8 / 80) ** 2 - 1))) / (2 * a)
    assert seen.disc_coordinates(*(radii * direction))[0] == pytest.approx(np.ones(120))
    mean, _ = posterior(rim_of(radii).log_likelihood(SHEARS))
    assert mean == pytest.approx(shear_of(0.8, 0.0), abs=0.02)


def test_what_lies_beside_the_rim_does_not_matter():
    disc = Ellipse((0.0, 0.0), (80.0, 60.0), 0.3)
    rim = arc_of(disc, 200)
    radii = rim.radii.copy()
    radii[np.random.default_rng(2).choice(len(radii), len(radii) // 5, replace=False)] *= 0.8
    mean, std = posterior(DiscRim(rim.angles, radii, rim.std, SECTOR).log_likelihood(SHEARS))
    assert (np.abs(mean - shear_of(0.75, 0.3)) < 3 * std).all()


@pytest.mark.parametrize(
    "radii", [np.full(3, 50.0), np.random.default_rng(3).uniform(20.0, 90.0, 120)]
)
def test_few_points_and_points_without_order_tell_nothing(radii):
    assert (rim_of(radii).log_likelihood(SHEARS) == 0.0).all()


@pytest.mark.parametrize("turned", [0.0, 0.3, math.pi / 4])
@pytest.mark.parametrize("sides", [(30.0, 40.0, 60.0, 60.0), (10.0, 50.0, 40.0, 40.0)])
def test_the_cut_of_a_view_is_no_rim(sides, turned):
    angles = -math.pi + SECTOR * (np.arange(120) + 0.5)
    normals = turned + np.array((0.0, 0.5, 1.0, 1.5)) * math.pi
    facing = np.maximum(np.cos(angles[:, None] - normals), 1e-9)
    ends = rim_of((np.array(sides) / facing).min(axis=1))
    assert len(ends.arcs(np.zeros(2)).angles) <= 4


@pytest.mark.parametrize("ratio", [1.0, 0.8, 0.5])
def test_of_a_cut_disc_the_rim_remains(ratio):
    disc = Ellipse((0.0, 0.0), (60.0, 60.0 * ratio), 0.4)
    angles = -math.pi + SECTOR * (np.arange(120) + 0.5)
    on_rim = radius_of(disc, angles)
    cut = 20.0 / np.maximum(np.cos(angles - 2.0), 1e-9)
    rim = rim_of(np.minimum(on_rim, cut)).arcs(shear_of(ratio, 0.4))
    off = np.abs(rim.radii - radius_of(disc, rim.angles))
    assert len(off) >= 0.85 * (cut > on_rim).sum()
    assert (off < 1.0).mean() > 0.95


def test_the_events_of_a_disc_end_at_its_rim():
    disc = SpunDisc(ellipse=Ellipse((40.2, 51.7), (45.0, 34.0), 0.7))
    counted = CountedEvents.of(disc.events(seed=1), 60_000)
    rim = DiscRim.of(counted, Ellipse(disc.ellipse.center, (40.0, 40.0), 0.0), VIEW)
    off = rim.radii - radius_of(disc.ellipse, rim.angles)
    assert len(off) > 0.7 * 2 * math.pi / rim.sector
    assert np.median(np.abs(off)) < 0.5
    assert (np.diff(rim.angles) > 0).all()


def test_where_all_of_the_view_is_on_the_disc_or_empty_no_events_end():
    disc = SpunDisc(ellipse=Ellipse((55.2, 48.7), (120.0, 100.0), 0.7))
    counted = CountedEvents.of(disc.events(seed=1), 60_000)
    assert len(DiscRim.of(counted, disc.ellipse, VIEW).angles) == 0
    beside = RegionOfInterest(SIZE.width, 0, SIZE.width + 50, 50)
    assert len(DiscRim.of(counted, disc.ellipse, beside).angles) == 0
