from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from rotor_events import SIZE, IdealRotor, events_of

from evio_ros.events import EventBatch
from evio_ros.explanation import Reason, Rejection
from evio_ros.rotation.acquisition.pull_in import pull_in
from evio_ros.rotation.acquisition.region_events import RegionEvents
from evio_ros.rotation.acquisition.regions import Region
from evio_ros.rotation.acquisition.winding import RotorCandidate
from evio_ros.rotation.acquisition.work_units import result_of
from evio_ros.rotation.tracking.disc_map import FREE
from evio_ros.rotation.tracking.tracker_parameters import TrackerParameters
from evio_ros.windowing import windows

LENGTHS_US = (4_762, 4_762, 4_761)


def of_the_whole_image(events: EventBatch) -> RegionEvents:
    """All events, in slices of lengths that take turns."""
    codes = np.full((SIZE.height, SIZE.width), FREE, np.int32)
    cells = np.argwhere(np.ones((60, 80), bool))
    slices = list(windows([events], SIZE, LENGTHS_US, start_us=0))
    return RegionEvents(SIZE, slices, codes, Region(cells, len(events), 4))


@pytest.mark.parametrize("frequency_hz", [19.1667, -19.1667, 95.0])
@pytest.mark.parametrize("wrong_hz", [-2.0, 0.0, 2.0])
def test_a_candidate_is_pulled_in_to_its_speed_and_phase(frequency_hz, wrong_hz):
    rotor = IdealRotor(frequency_hz)
    events = of_the_whole_image(events_of([rotor], 250_000))
    candidate = RotorCandidate(rotor.ellipse, frequency_hz + wrong_hz, 3, 0.9)
    lock = result_of(pull_in(events, candidate, TrackerParameters()))
    assert not isinstance(lock, Rejection)
    phase, speed, _ = lock.motion.state
    assert speed == pytest.approx(2 * math.pi * frequency_hz, rel=3e-3)
    # The events are whole slices of 2.5 turns, but of 50 ms at least.
    assert lock.motion.t_us == lock.window.start_us == lock.window.slices[0].start
    assert lock.window.end_us == events.end_us
    wanted_us = max(2.5e6 / abs(candidate.frequency_hz), 50_000)
    assert wanted_us - max(LENGTHS_US) < lock.window.span_us <= wanted_us
    # The template's angle 0 is where it says: it turns as the rotor does.
    middle_us = lock.window.start_us + lock.window.span_us / 2
    turned = 2 * math.pi * rotor.turns(middle_us) - 2 * math.pi * rotor.turns(lock.window.start_us)
    assert phase == pytest.approx(-turned, abs=0.05)
    assert lock.template.contrast > 0.1


class CheckedNumpy:
    """numpy, whose abs takes no strided complex arrays."""

    def __init__(self) -> None:
        self.complex_shapes: list[tuple[int, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    def abs(self, values: Any) -> Any:
        if np.iscomplexobj(values):
            assert values.flags.c_contiguous
            self.complex_shapes.append(values.shape)
        return np.abs(values)


def test_rounding_does_not_depend_on_places_in_memory(monkeypatch):
    checked = CheckedNumpy()
    monkeypatch.setattr("evio_ros.rotation.acquisition.pull_in.np", checked)
    rotor = IdealRotor(19.1667)
    candidate = RotorCandidate(rotor.ellipse, 19.1667, 3, 0.9)
    events = of_the_whole_image(events_of([rotor], 250_000))
    assert not isinstance(result_of(pull_in(events, candidate, TrackerParameters())), Rejection)
    assert checked.complex_shapes


def test_noise_and_too_few_events_are_not_pulled_in():
    rotor = IdealRotor(19.1667, event_rate_hz=1_000.0)
    candidate = RotorCandidate(rotor.ellipse, 19.1667, 3, 0.9)
    noise, few = events_of([], 250_000, noise_hz=2e6), events_of([rotor], 250_000, noise_hz=0.0)
    for events, reason in ((noise, Reason.UNEVEN), (few, Reason.FEW_EVENTS)):
        work = pull_in(of_the_whole_image(events), candidate, TrackerParameters())
        rejection = result_of(work)
        assert rejection.reason is reason
        assert rejection.value < rejection.limit
