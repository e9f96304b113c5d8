"""Motion of regions and background, on events of which every position is known."""

import math

import numpy as np
import pytest

from evio_ros.ellipse import Ellipse
from evio_ros.errors import EventError
from evio_ros.events import EventBatch, EventWindow, SensorSize
from evio_ros.motion.image_motion import ImageMotionEstimator, MotionParameters, Region
from evio_ros.motion.translation import UNKNOWN
from evio_ros.windowing import windows

pytest.importorskip("cv2")
SIZE = SensorSize(320, 240)
STEP_US = 500
SPAN_US = 300_000
HUB = (150.0, 110.0)
RADIUS = 30.0


def turning_blades(seconds, random, velocity, turns_s):
    """Points on three blades at a time."""
    radius = RADIUS * np.sqrt(random.uniform(0.05, 1.0, 60))
    blade = random.integers(0, 3, 60) * 2 * math.pi / 3
    angle = blade + 2 * math.pi * turns_s * seconds
    x = HUB[0] + velocity[0] * seconds + radius * np.cos(angle)
    y = HUB[1] + velocity[1] * seconds + radius * np.sin(angle)
    return x, y


def scene(velocity, background, turns_s=37.0, seed=3):
    """Events of a rotor whose hub moves before points that all move alike, px/s."""
    random = np.random.default_rng(seed)
    points = random.uniform((-40.0, -40.0), (360.0, 280.0), (150, 2))
    columns = []
    for t_us in range(0, SPAN_US, STEP_US):
        x, y = turning_blades(1e-6 * t_us, random, velocity, turns_s)
        shown = points[random.random(len(points)) < 0.3] + np.array(background) * 1e-6 * t_us
        places = np.rint(np.concatenate((np.stack((x, y), 1), shown))).astype(int)
        inside = (places >= 0).all(1) & (places < (SIZE.width, SIZE.height)).all(1)
        places = places[inside]
        columns.append(np.column_stack((np.full(len(places), t_us), places)))
    t, x, y = np.concatenate(columns).T
    return EventBatch(SIZE, t, x.astype(np.uint16), y.astype(np.uint16), t % 2 == 0)


def region(t_us, velocity):
    """The rotor as it is at a time."""
    center = tuple(h + v * 1e-6 * t_us for h, v in zip(HUB, velocity, strict=True))
    return Region(4, Ellipse(center, (RADIUS, RADIUS), 0.0), velocity)


def last_motion(events, velocity, **parameters):
    estimator = ImageMotionEstimator(SIZE, MotionParameters(**parameters))
    found = None
    for window in windows([events], SIZE, estimator.parameters.frame_us, 0, SPAN_US):
        found = estimator.process(window, [region(window.end_us, velocity)])
    return found


@pytest.mark.parametrize("method", ["farneback", "dis"])
@pytest.mark.parametrize("velocity", [(0.0, 0.0), (60.0, -40.0)])
@pytest.mark.parametrize("background", [(0.0, 0.0), (-50.0, 30.0)])
def test_hub_and_background_are_told_apart(method, velocity, background):
    motion = last_motion(scene(velocity, background), velocity, method=method, background_cell_px=4)
    hub, rest = motion.regions[4], motion.background
    assert math.dist(hub.velocity, velocity) < 8.0
    assert math.dist(rest.velocity, background) < 8.0
    assert hub.pixels > 1000
    for one, right in ((hub, velocity), (rest, background)):
        off = np.subtract(one.velocity, right)
        assert off @ np.linalg.solve(one.covariance, off) < 9.2  # 99 % of two degrees of freedom


def test_velocity_and_speed_belong_to_the_span_of_the_two_pictures():
    motion = last_motion(scene((40.0, 0.0), (0.0, 0.0)), (40.0, 0.0), method="farneback")
    assert (motion.start_us, motion.end_us) == (100_000, 300_000)
    # All of the disc moves alike, so the mean magnitude is the magnitude of the mean.
    assert motion.regions[4].speed == pytest.approx(40.0, abs=15.0)


def test_nothing_is_said_before_there_are_pictures_enough_and_after_a_gap():
    estimator = ImageMotionEstimator(SIZE, MotionParameters(method="dis", baseline=2))
    batch = EventBatch.empty(SIZE)
    starts = (0, 50_000, 100_000, 150_000, 400_000, 450_000, 500_000)
    said = [
        estimator.process(EventWindow(start_us, 50_000, batch), []) is not None
        for start_us in starts
    ]
    assert said == [False, False, True, True, False, False, True]


def test_motion_is_unknown_where_there_are_no_events():
    estimator = ImageMotionEstimator(SIZE, MotionParameters(method="dis", baseline=1))
    for start_us in (0, 50_000):
        window = EventWindow(start_us, 50_000, EventBatch.empty(SIZE))
        motion = estimator.process(window, [region(start_us, (0.0, 0.0))])
    assert motion.background == motion.regions[4] == UNKNOWN
    assert math.isinf(UNKNOWN.covariance[0][0])
    assert UNKNOWN.pixels == 0


@pytest.mark.parametrize("center", [(-500.0, 100.0), (2.0, 2.0), (318.0, 239.0), (1e6, 1e6)])
def test_a_region_at_the_border_or_beyond_it_does_no_harm(center):
    estimator = ImageMotionEstimator(SIZE, MotionParameters(method="dis", baseline=1))
    events = scene((0.0, 0.0), (0.0, 0.0))
    place = Region(1, Ellipse(center, (20.0, 10.0), 0.3), (1e6, -1e6))
    for start_us in (0, 50_000):
        window = EventWindow(start_us, 50_000, events.between(start_us, start_us + 50_000))
        motion = estimator.process(window, [place])
    assert set(motion.regions) == {1}


def test_windows_of_another_sensor_or_length_are_refused():
    estimator = ImageMotionEstimator(SIZE, MotionParameters(method="dis"))
    with pytest.raises(EventError, match="sensor"):
        estimator.process(EventWindow(0, 50_000, EventBatch.empty(SensorSize(64, 48))), [])
    with pytest.raises(EventError, match="expected"):
        estimator.process(EventWindow(0, 20_000, EventBatch.empty(SIZE)), [])
