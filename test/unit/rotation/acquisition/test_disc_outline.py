"""Discs without blades: their outline, and the power along lines of their angle-time spectrum."""

from __future__ import annotations

import math

import numpy as np
import pytest
from rotor_events import SIZE, IdealRotor, events_of

from evio_ros.ellipse import Ellipse
from evio_ros.events import EventBatch
from evio_ros.explanation import Reason, Rejection
from evio_ros.rotation.acquisition.disc_outline import (
    _power_along_lines,
    is_cut,
    outline_ellipse,
    turning_candidate,
)
from evio_ros.rotation.acquisition.regions import Region
from evio_ros.rotation.acquisition.work_units import result_of
from evio_ros.rotation.tracking.tracker_parameters import TrackerParameters

SPAN_US = 400_000
CELL_PX = 4


def region_of(is_inside: np.ndarray) -> Region:
    """The cells of a mask of the grid."""
    return Region(np.argwhere(is_inside), 1000, CELL_PX)


def cell_places() -> np.ndarray:
    """Places (2, rows, columns), x first, of the grid's cells."""
    row, column = np.mgrid[: SIZE.height // CELL_PX, : SIZE.width // CELL_PX]
    return np.stack((column + 0.5, row + 0.5)) * CELL_PX - 0.5


@pytest.mark.parametrize(
    "disc",
    [
        Ellipse((160.0, 120.0), (80.0, 80.0), 0.0),
        Ellipse((140.0, 110.0), (90.0, 40.0), 0.6),
        Ellipse((170.0, 130.0), (90.0, 45.0), -1.3),
    ],
)
def test_the_outline_of_an_ellipse_is_found(disc):
    radius, _ = disc.disc_coordinates(*cell_places())
    found = outline_ellipse(region_of(radius < 1.0))
    assert found is not None
    assert math.dist(found.center, disc.center) < 1.0
    assert found.axes == pytest.approx(disc.axes, rel=0.05)
    if disc.axes[0] > 1.5 * disc.axes[1]:
        assert found.tilt_rad == pytest.approx(disc.tilt_rad, abs=0.05)


def test_regions_of_other_shapes_have_no_outline():
    x, y = cell_places()
    disc = Ellipse((160.0, 120.0), (80.0, 80.0), 0.0)
    radius, _ = disc.disc_coordinates(x, y)
    ring = (radius > 0.75) & (radius < 1.0)
    cross = (np.abs(y - 120) < 8.0) | (np.abs(x - 160) < 8.0)
    ell = ((x < 80) & (x > 40) & (y > 40)) | ((y > 180) & (x > 40))
    for mask in (ring, cross, ell):
        assert outline_ellipse(region_of(mask)) is None


@pytest.mark.parametrize("radius_px", [24.0, 80.0])
def test_what_the_border_of_the_view_cuts_is_told(radius_px):
    x, y = cell_places()
    disc = Ellipse((161.0, 119.0), (radius_px, radius_px), 0.0)
    is_inside = disc.disc_coordinates(x, y)[0] < 1.0
    assert not is_cut(region_of(is_inside))
    # A square cut out of it, its right half and its upper two thirds.
    square = (np.abs(x - 161) < 0.7 * radius_px) & (np.abs(y - 119) < 0.7 * radius_px)
    for view in (square, x > 161, y < 119 + radius_px / 3):
        assert is_cut(region_of(is_inside & view))


def test_power_along_lines_is_that_of_its_definition():
    random = np.random.default_rng(0)
    bins, columns = 64, 9
    power = random.random((bins, columns)).astype(np.float32)
    slopes = np.array([-9.3, -1.0, 0.0, 0.4, 3.7, 20.0])
    # Beyond half the rate of the bins there is nothing; a lower bound leaves out more.
    for highest in (bins // 2, 20):
        expected = []
        for slope in slopes:
            orders = np.arange(1, columns)
            places = np.rint(-slope * orders).astype(int)
            seen = np.abs(places) < highest
            expected.append(power[places[seen] % bins, orders[seen]].sum(dtype=float))
        assert _power_along_lines(power, slopes, highest) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("frequency_hz", [5.3, -21.0, 80.0])
def test_a_mark_on_a_disc_turns(frequency_hz):
    rotor = IdealRotor(frequency_hz, blades=1, duty=0.05)
    events = events_of([rotor], SPAN_US)
    work = turning_candidate(events, 0, SPAN_US, rotor.ellipse, TrackerParameters())
    candidate = result_of(work)
    assert not isinstance(candidate, Rejection)
    assert candidate.frequency_hz == pytest.approx(frequency_hz, abs=0.2e6 / SPAN_US)
    assert (candidate.ellipse, candidate.order) == (rotor.ellipse, 1)
    assert 0.5 < candidate.coherence <= 1.0


def test_noise_does_not_turn_and_neither_does_a_lamp():
    disc = IdealRotor(20.0).ellipse
    noise = events_of([], SPAN_US, noise_hz=4e6)
    keep = np.sin(2 * math.pi * 50 * 1e-6 * noise.t) > 0
    lamp = EventBatch(SIZE, noise.t[keep], noise.x[keep], noise.y[keep], noise.polarity[keep])
    for events in (noise, lamp, EventBatch.empty(SIZE)):
        work = turning_candidate(events, 0, SPAN_US, disc, TrackerParameters())
        rejection = result_of(work)
        assert rejection.reason is Reason.NOT_TURNING
        assert rejection.value < rejection.limit
