"""The shape of a disc that comes to rest, told by how evenly it does and by its rim."""

import math

import numpy as np
import pytest
from spun_disc import SIZE, SpunDisc

from evio_ros.ellipse import Ellipse
from evio_ros.events import EventBatch, RegionOfInterest
from evio_ros.rotation.phase_path.event_count_time import CountedEvents
from evio_ros.rotation.phase_path.phase_path import PhasePath, fit_path
from evio_ros.rotation.phase_path.view_shear import view_shear

FACE_ON = np.zeros(2)
STRONG = math.log(20.0)
HUB = (58.4, 47.3)
VIEW = RegionOfInterest(0, 0, SIZE.width, SIZE.height)


def path_on_circle(disc: SpunDisc, events: EventBatch, span_us: tuple[int, int]) -> PhasePath:
    """Of a disc that turns during a span."""
    counted = CountedEvents.of(events.between(*span_us), 60_000)
    turns = disc.turns(disc.start_us + disc.length_us)
    path = fit_path(counted, Ellipse(HUB, (70.0, 70.0), 0.0), turns)
    assert isinstance(path, PhasePath)
    return path


def span_of(disc: SpunDisc) -> tuple[int, int]:
    return disc.start_us, disc.start_us + disc.length_us


@pytest.mark.parametrize("rpm", [420.0, -420.0])
@pytest.mark.parametrize("tilt", [0.4, 1.5, -0.7])
def test_a_disc_that_is_seen_obliquely_is_told(tilt, rpm):
    disc = SpunDisc(rpm=rpm, ellipse=Ellipse(HUB, (120.0, 80.0), tilt))
    told = view_shear(path_on_circle(disc, disc.events(seed=1), span_of(disc)), FACE_ON, VIEW)
    right = 0.5 * math.log(120.0 / 80.0) * np.array((math.cos(2 * tilt), math.sin(2 * tilt)))
    assert told.log_odds > STRONG
    assert np.abs(told.mean - right) == pytest.approx(0.0, abs=0.1)
    assert (np.abs(told.mean - right) < 3 * told.std).all()
    assert told.doubt == pytest.approx(math.hypot(*told.mean, *told.std))


@pytest.mark.parametrize("sectors", [1, 2])
def test_a_disc_that_is_seen_face_on_is_not_taken_for_oblique(sectors):
    disc = SpunDisc(sectors=sectors)
    told = view_shear(path_on_circle(disc, disc.events(seed=2), span_of(disc)), FACE_ON, VIEW)
    assert told.log_odds < 0.0
    assert (np.abs(told.mean) < 3 * told.std).all()


@pytest.mark.parametrize("seed", range(3))
def test_a_hand_that_pushes_as_it_likes_does_not_flatten_a_disc(seed):
    """Its speed wanders at random, by a third and more."""
    disc, rng = SpunDisc(), np.random.default_rng(seed)
    events = disc.events(seed=3)
    knots = np.arange(0, int(events.t[-1]) + 50_000, 25_000)
    pace = np.exp(np.cumsum(rng.normal(0.0, 0.2, len(knots))))
    passed = np.cumsum(pace) / pace.sum() * knots[-1]
    times = np.interp(events.t, knots, passed).astype(np.int64)
    pushed = EventBatch(events.size, times, events.x, events.y, events.polarity)
    start_us, end_us = np.interp(span_of(disc), knots, passed)
    path = path_on_circle(disc, pushed, (int(start_us), int(end_us)))
    assert view_shear(path, FACE_ON, VIEW).log_odds < STRONG


def test_a_rim_that_is_partly_in_view_tells_more():
    disc = SpunDisc(ellipse=Ellipse(HUB, (70.0, 50.0), 0.4))
    path = path_on_circle(disc, disc.events(seed=4), span_of(disc))
    right = 0.5 * math.log(70.0 / 50.0) * np.array((math.cos(0.8), math.sin(0.8)))
    # Of the second view, all corners are on the disc.
    told, without = (view_shear(path, FACE_ON, v) for v in (VIEW, RegionOfInterest(35, 25, 80, 70)))
    assert (np.abs(told.mean - right) < 3 * told.std).all()
    assert (told.std < 0.6 * without.std).all()
    assert told.log_odds > max(without.log_odds, STRONG)


def test_a_round_rim_is_evidence_for_a_round_disc():
    disc = SpunDisc(ellipse=Ellipse(HUB, (50.0, 50.0), 0.0))
    path = path_on_circle(disc, disc.events(seed=5), span_of(disc))
    told, without = (view_shear(path, FACE_ON, v) for v in (VIEW, RegionOfInterest(35, 25, 80, 70)))
    assert told.log_odds < without.log_odds < 0.0
    assert (np.abs(told.mean) < 3 * told.std).all()
    assert (told.std < without.std).all()
