"""The strip of a rotor's last turns: where events land, and what is dropped."""

import math
from dataclasses import replace

import numpy as np
import pytest
from rotor_estimates import FAN

from evio_ros.cli.angle_time_strip import AngleTimeStrip
from evio_ros.estimate import RotorEstimate
from evio_ros.events import EventBatch, EventWindow, SensorSize

SIZE = SensorSize(200, 160)
CENTER, RADIUS = (100.0, 80.0), 60.0
STEP_US = 50_000


def estimate(t_us: int, rpm: float, angle_rad: float = 0.0, **changes) -> RotorEstimate:
    disc = {"center": CENTER, "axes": (RADIUS, RADIUS), "tilt_rad": 0.0}
    seen = {"t_us": t_us, "window_us": STEP_US, "rpm": rpm, "angle_rad": angle_rad}
    return replace(FAN, **{**disc, **seen, "blade_count": 2, **changes})


def step_of(start_us: int, t, x, y, polarity=None) -> EventWindow:
    on = np.ones(len(t), bool) if polarity is None else np.asarray(polarity, bool)
    batch = EventBatch(
        SIZE, np.asarray(t, np.int64), np.asarray(x, np.uint16), np.asarray(y, np.uint16), on
    )
    return EventWindow(start_us, STEP_US, batch)


def test_an_event_lands_at_its_time_angle_and_polarity():
    # A turn takes 100 ms, so a step of 50 ms is half a turn.
    strip = AngleTimeStrip()
    step = step_of(0, [0, 25_000, 49_999], [140, 100, 60], [80, 120, 80], [True, False, True])
    strip.add(step, estimate(STEP_US, rpm=600.0))
    (piece,) = strip.pieces
    polarities, times, angles = piece.counts.shape
    assert polarities == 2
    hits = [tuple(map(int, hit)) for hit in np.argwhere(piece.counts)]
    # To the right is 0, down is a quarter of a turn, to the left is half a turn.
    assert sorted(hits) == [
        (0, times // 2, angles // 4),
        (1, 0, 0),
        (1, times - 1, angles // 2),
    ]


def test_events_off_the_disc_are_left_out():
    strip = AngleTimeStrip()
    strip.add(step_of(0, [1, 2], [100, 199], [80, 80]), estimate(STEP_US, rpm=600.0))
    assert not strip.pieces[0].counts.any()


def test_of_a_fast_rotor_only_three_turns_are_kept():
    strip = AngleTimeStrip()
    strip.add(step_of(0, [46_999, 47_000], [140, 140], [80, 80]), estimate(STEP_US, rpm=60_000.0))
    (piece,) = strip.pieces
    assert (piece.start_us, piece.end_us) == (47_000, STEP_US)
    assert piece.counts.sum() == 1


@pytest.mark.parametrize(("rpm", "pieces"), [(-600.0, 6), (300.0, 12), (0.0, 20)])
def test_old_pieces_are_dropped(rpm, pieces):
    """Three turns of 100 and 200 ms, and a second if nothing turns, in steps of 50 ms."""
    strip = AngleTimeStrip()
    for index in range(30):
        step = step_of(index * STEP_US, [], [], [])
        strip.add(step, estimate(step.end_us, rpm))
    assert len(strip.pieces) == pieces
    assert strip.pieces[-1].end_us == 30 * STEP_US


def test_a_moving_rotor_is_followed():
    """At the middle of its step, the hub was 25 ms earlier, which is 25 px farther left."""
    strip = AngleTimeStrip()
    step = step_of(0, [25_000], [75], [120])
    strip.add(step, estimate(STEP_US, 600.0, velocity=(1000.0, 0.0)))
    counts = strip.pieces[0].counts
    (hit,) = np.argwhere(counts)
    assert hit[2] == counts.shape[2] // 4


def test_blades_are_where_the_estimate_says():
    strip = AngleTimeStrip()
    strip.add(step_of(0, [], [], []), estimate(STEP_US, rpm=-600.0, angle_rad=1.0))
    angles = strip.pieces[0].blade_angles(np.array([STEP_US, STEP_US - 10_000.0]))
    # Ten milliseconds before the end, it was a tenth of a turn ahead, because it turns backwards.
    ahead = 1.0 + 0.2 * math.pi
    expected = [[1.0, ahead], [1.0 + math.pi, ahead + math.pi]]
    np.testing.assert_allclose(angles, expected, atol=1e-9)
