from __future__ import annotations

import math

import numpy as np
import pytest
from rotor_events import SIZE, IdealRotor, events_of

from evio_ros.cell_counts import activity_grid
from evio_ros.ellipse import Ellipse
from evio_ros.events import EventBatch
from evio_ros.explanation import Reason
from evio_ros.rotation.acquisition.regions import RegionParameters, find_regions
from evio_ros.rotation.acquisition.winding import AcquisitionParameters, acquire
from evio_ros.rotation.acquisition.work_units import result_of

SPAN_US = 250_000


def candidates_of(events: EventBatch, **chosen: float) -> list:
    parameters = AcquisitionParameters.from_mapping(chosen)
    found = []
    grid = activity_grid(events, RegionParameters().cell_px)
    for region in find_regions(grid, SPAN_US, RegionParameters()):
        found.append(result_of(acquire(events, 0, SPAN_US, region, parameters)))
    return found


@pytest.mark.parametrize("frequency_hz", [18.0, -18.0, 95.0])
@pytest.mark.parametrize("blades", [2, 3, 5])
def test_finds_speed_sense_and_hub_of_a_fan(frequency_hz, blades):
    rotor = IdealRotor(frequency_hz, blades)
    ((best, *_),) = candidates_of(events_of([rotor], SPAN_US))
    assert best.frequency_hz == pytest.approx(frequency_hz, abs=4.0 / best.order)
    assert best.order % blades == 0
    assert math.dist(best.ellipse.center, rotor.ellipse.center) < 1.5
    assert best.ellipse.axes == pytest.approx((60.0, 60.0), rel=0.1)


@pytest.mark.parametrize("maximum_cells", [100, 300])
def test_cells_are_taken_together_where_there_are_many(maximum_cells):
    rotor = IdealRotor(18.0)
    ((best, *_),) = candidates_of(events_of([rotor], SPAN_US), maximum_cells=maximum_cells)
    assert best.order == 3
    assert math.dist(best.ellipse.center, rotor.ellipse.center) < 2.0
    assert best.ellipse.axes == pytest.approx((60.0, 60.0), rel=0.15)


def test_rotors_faster_than_wanted_are_left_out():
    events = events_of([IdealRotor(95.0, 2)], SPAN_US)
    (rejection,) = candidates_of(events, maximum_speed_hz=90.0)
    assert (rejection.reason, rejection.limit) == (Reason.TOO_FAST, 90.0)
    assert rejection.value == pytest.approx(95.0, abs=2.0)
    ((best, *_),) = candidates_of(events, maximum_speed_hz=100.0)
    assert best.frequency_hz == pytest.approx(95.0, abs=2.0)


def test_finds_two_flat_rotors_and_their_shape():
    shapes = [Ellipse((90.2, 80.7), (30.0, 9.0), 0.2), Ellipse((220.5, 150.1), (30.0, 9.0), -0.3)]
    rotors = [IdealRotor(90.0, 2, shapes[0]), IdealRotor(-97.0, 2, shapes[1])]
    found = [best for best, *_ in candidates_of(events_of(rotors, SPAN_US))]
    assert len(found) == 2
    for rotor in rotors:
        nearest = min(found, key=lambda f: math.dist(f.ellipse.center, rotor.ellipse.center))
        assert math.copysign(1, nearest.frequency_hz) == math.copysign(1, rotor.frequency_hz)
        assert math.dist(nearest.ellipse.center, rotor.ellipse.center) < 2.0
        ratio = nearest.ellipse.axes[1] / nearest.ellipse.axes[0]
        assert ratio == pytest.approx(0.3, abs=0.08)
        assert nearest.ellipse.tilt_rad == pytest.approx(rotor.ellipse.tilt_rad, abs=0.1)


@pytest.mark.parametrize("hub_x", [-15.0, 0.5, 40.0])
@pytest.mark.parametrize("blades", [2, 3, 5])
def test_a_rotor_whose_hub_lies_near_the_border_or_beyond_it_is_found(hub_x, blades):
    rotor = IdealRotor(18.0, blades, Ellipse((hub_x, 119.6), (60.0, 60.0), 0.0))
    ((best, *_),) = candidates_of(events_of([rotor], SPAN_US))
    assert best.frequency_hz == pytest.approx(18.0, abs=4.0 / best.order)
    assert best.order % blades == 0
    assert math.dist(best.ellipse.center, rotor.ellipse.center) < 4.0


def test_a_flickering_lamp_is_no_rotor():
    rng = np.random.default_rng(1)
    count = 200_000
    t = rng.uniform(0, SPAN_US * 1e-6, count)
    on = np.sin(2 * math.pi * 100 * t) > 0
    radius, angle = 40 * np.sqrt(rng.random(count)), rng.uniform(0, 2 * math.pi, count)
    order = np.argsort(t)
    lamp = EventBatch(
        SIZE,
        (t[order] * 1e6).astype(np.int64),
        (150 + radius * np.cos(angle))[order].astype(np.uint16),
        (110 + radius * np.sin(angle))[order].astype(np.uint16),
        on[order],
    )
    (rejection,) = candidates_of(lamp)
    assert rejection.reason is Reason.FLICKER
    assert rejection.line_hz == pytest.approx(100.0, abs=2.0)
    assert rejection.value > 0.9


def test_a_rotor_is_found_beside_light_that_flickers_with_many_overtones():
    rotor = IdealRotor(18.0, event_rate_hz=2e5)
    # What flashes for half a millisecond has twenty overtones, all stronger than the rotor's lines.
    flashes = events_of([], SPAN_US, noise_hz=4e7, seed=2)
    is_lit = flashes.t % 10_000 < 500
    columns = zip(
        *((e.t, e.x, e.y, e.polarity) for e in (events_of([rotor], SPAN_US), flashes)), strict=True
    )
    t, x, y, on = (np.concatenate((mine, other[is_lit])) for mine, other in columns)
    order = np.argsort(t, kind="stable")
    found = candidates_of(EventBatch(SIZE, t[order], x[order], y[order], on[order]))
    candidates = [c for of_region in found if isinstance(of_region, list) for c in of_region]
    seen = [c for c in candidates if abs(c.frequency_hz * c.order - 54.0) < 4.0]
    assert seen
    assert math.dist(seen[0].ellipse.center, rotor.ellipse.center) < 2.0
    assert seen[0].flicker_hz % 100.0 == pytest.approx(0.0, abs=4.0)


def test_without_flicker_none_is_reported():
    ((best, *_),) = candidates_of(events_of([IdealRotor(18.0)], SPAN_US))
    assert best.flicker_hz == 0.0


def test_in_noise_nothing_winds():
    assert candidates_of(events_of([], SPAN_US, noise_hz=2e5)) == []
    (rejection,) = candidates_of(events_of([], SPAN_US, noise_hz=1e6))
    assert rejection.reason is Reason.NO_RHYTHM


def test_no_events_give_no_region():
    grid = activity_grid(EventBatch.empty(SIZE), RegionParameters().cell_px)
    assert find_regions(grid, SPAN_US, RegionParameters()) == []
