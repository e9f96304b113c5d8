from __future__ import annotations

import math

import numpy as np
import pytest
from rotor_events import SIZE, IdealRotor, events_of

from evio_ros.ellipse import Ellipse
from evio_ros.events import EventBatch
from evio_ros.explanation import Rejection
from evio_ros.rotation.acquisition.pull_in import pull_in
from evio_ros.rotation.acquisition.region_events import RegionEvents
from evio_ros.rotation.acquisition.regions import Region
from evio_ros.rotation.acquisition.verification import Verifier
from evio_ros.rotation.acquisition.winding import RotorCandidate
from evio_ros.rotation.acquisition.work_units import result_of
from evio_ros.rotation.detector import RotationDetector
from evio_ros.rotation.tracking.disc_map import FREE
from evio_ros.rotation.tracking.rotor_tracker import RotorTracker
from evio_ros.rotation.tracking.tracker_parameters import TrackerParameters
from evio_ros.windowing import windows

LEFT = Ellipse((125.4, 112.7), (48.0, 48.0), 0.0)
RIGHT = Ellipse((185.2, 129.1), (48.0, 48.0), 0.0)
BOTH = Ellipse((155.3, 120.9), (82.0, 52.0), 0.27)


def test_a_disc_around_two_rotors_is_seen_to_turn_but_not_believed():
    events = events_of([IdealRotor(15.4, ellipse=LEFT), IdealRotor(-19.8, ellipse=RIGHT)], 300_000)
    codes = np.full((SIZE.height, SIZE.width), FREE, np.int32)
    cells = np.argwhere(np.ones((60, 80), bool))
    steps = list(windows([events], SIZE, 5_000, start_us=0))
    region_events = RegionEvents(SIZE, steps, codes, Region(cells, len(events), 4))
    verifier = Verifier(SIZE, RotationDetector(SIZE).settings)

    def tracked(candidate: RotorCandidate) -> RotorTracker:
        lock = result_of(pull_in(region_events, candidate, TrackerParameters()))
        assert not isinstance(lock, Rejection)
        work = verifier.track(lock.window, candidate, lock.template, lock.motion)
        tracker = result_of(work)
        assert tracker.t_us == 300_000
        return tracker

    one, both = RotorCandidate(LEFT, 15.4, 1, 1.0), RotorCandidate(BOTH, -19.8, 1, 1.0)
    right, false = tracked(one), tracked(both)
    assert right.is_credible()
    assert right.doubtful_us == 0
    assert not false.is_credible()
    assert false.doubtful_us > 0
    rejection = result_of(verifier.verify(both, region_events))
    assert rejection.reason.is_convincing
    assert rejection.speed_hz == -19.8
    verified = result_of(verifier.verify(one, region_events))
    assert not isinstance(verified, Rejection)
    assert math.dist(verified.ellipse.center, LEFT.center) < 2.0


@pytest.mark.parametrize("frequency_hz", [41.67, -41.67, 19.3])
@pytest.mark.parametrize("flickers", [-2, -1, 0, 1])
def test_under_flicker_the_rotor_s_own_speed_is_told_from_those_of_the_stroboscope(
    frequency_hz, flickers
):
    rotor = IdealRotor(frequency_hz, ellipse=LEFT)
    steady = events_of([rotor], 300_000)
    # Half of the time it is dark.
    is_lit = steady.t % 10_000 < 5_000
    columns = (steady.t, steady.x, steady.y, steady.polarity)
    events = EventBatch(SIZE, *(column[is_lit] for column in columns))
    codes = np.full((SIZE.height, SIZE.width), FREE, np.int32)
    cells = np.argwhere(np.ones((60, 80), bool))
    steps = list(windows([events], SIZE, 5_000, start_us=0))
    region_events = RegionEvents(SIZE, steps, codes, Region(cells, len(events), 4))
    verifier = Verifier(SIZE, RotationDetector(SIZE).settings)

    seen_hz = frequency_hz + flickers * 100.0 / 3
    candidate = RotorCandidate(LEFT, seen_hz, 3, 1.0, flicker_hz=100.0)
    verified = result_of(verifier.verify(candidate, region_events))
    if flickers:
        # It is not worth a rotor, or the rotor itself.
        assert isinstance(verified, Rejection) or verified.usual_speed == pytest.approx(
            2 * math.pi * abs(frequency_hz), rel=1e-3
        )
    else:
        assert verified.usual_speed == pytest.approx(2 * math.pi * abs(frequency_hz), rel=1e-3)
