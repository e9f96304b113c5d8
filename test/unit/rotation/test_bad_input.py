"""Trouble of every kind before the detector: nothing is made up, a rotor is found afterwards."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from rotor_events import SIZE, IdealRotor, events_of

from evio_ros.ellipse import Ellipse
from evio_ros.estimate import RotorEstimate
from evio_ros.events import EventBatch, EventWindow
from evio_ros.rotation.detector import RotationDetector
from evio_ros.rotation.detector_parameters import RotationDetectorParameters
from evio_ros.windowing import windows

STEP_US = 50_000
TROUBLE_US = 500_000
ROTOR = IdealRotor(19.2283)


def batch(t: np.ndarray, x: np.ndarray, y: np.ndarray) -> EventBatch:
    """Events in order of time, polarities by turns."""
    order = np.argsort(t, kind="stable")
    return EventBatch(
        SIZE,
        t[order].astype(np.int64),
        x[order].astype(np.uint16),
        y[order].astype(np.uint16),
        np.arange(len(t)) % 2 == 0,
    )


def merged(one: EventBatch, other: EventBatch) -> EventBatch:
    columns = ((one.t, other.t), (one.x, other.x), (one.y, other.y))
    return batch(*(np.concatenate(pair) for pair in columns))


def uniform(count: int, seed: int = 0) -> EventBatch:
    """So many events anywhere, any time while there is trouble."""
    random = np.random.default_rng(seed)
    return batch(
        random.integers(0, TROUBLE_US, count),
        random.integers(0, SIZE.width, count),
        random.integers(0, SIZE.height, count),
    )


def one_pixel(count: int, x: int = 170, y: int = 130) -> EventBatch:
    return batch(np.linspace(0, TROUBLE_US - 1, count), np.full(count, x), np.full(count, y))


def one_event_a_step() -> EventBatch:
    t = np.arange(0, TROUBLE_US, STEP_US)
    return batch(t, np.full(len(t), 170), np.full(len(t), 130))


def same_times() -> EventBatch:
    """A quarter of a million events of each step have one time."""
    events = uniform(2_500_000)
    return batch(events.t // STEP_US * STEP_US, events.x, events.y)


def bursts() -> EventBatch:
    """Ten times the events in every fourth step, and next to none between."""
    events = uniform(4_000_000)
    kept = (events.t // STEP_US % 4 == 0) | (np.arange(len(events)) % 10 == 0)
    return batch(events.t[kept], events.x[kept], events.y[kept])


TROUBLES: dict[str, Callable[[], EventBatch]] = {
    "no events": lambda: EventBatch.empty(SIZE),
    "one event a step": one_event_a_step,
    "all events of a step at one time": same_times,
    "every event at one pixel": lambda: one_pixel(500_000),
    "bursts": bursts,
    "noise": lambda: uniform(15_000_000),
}


def steps_of(events: EventBatch, start_us: int, length_us: int) -> Iterator[EventWindow]:
    """Steps of some time, whose events do not share their memory with others'."""
    end_us = start_us + length_us
    moved = EventBatch(SIZE, events.t + start_us, events.x, events.y, events.polarity)
    for step in windows([moved], SIZE, STEP_US, start_us, end_us):
        e = step.events
        copied = EventBatch(SIZE, *(c.copy() for c in (e.t, e.x, e.y, e.polarity)))
        yield EventWindow(step.start_us, STEP_US, copied)


def is_right(estimates: list[RotorEstimate]) -> bool:
    return len(estimates) == 1 and estimates[0].rpm == pytest.approx(
        60 * ROTOR.frequency_hz, rel=1e-3
    )


@pytest.mark.parametrize("trouble", TROUBLES)
def test_what_is_no_rotor_is_none_and_one_that_comes_afterwards_is_found(trouble):
    detector = RotationDetector(SIZE, RotationDetectorParameters(step_us=STEP_US))
    for step in steps_of(TROUBLES[trouble](), 0, TROUBLE_US):
        assert detector.process(step) == []
    after = list(steps_of(events_of([ROTOR], 900_000), TROUBLE_US, 900_000))
    results = [detector.process(step) for step in after]
    # A quarter of a second of events is searched, and where searches failed there may be a pause.
    assert all(is_right(estimates) for estimates in results[-4:])
    assert all(estimates == [] or is_right(estimates) for estimates in results)
    assert detector.statistics.gaps == 0


@pytest.mark.parametrize(
    "disturbance",
    [
        lambda: one_pixel(500_000, 40, 30),
        lambda: one_pixel(500_000, 165, 140),
        lambda: uniform(1_000_000),
    ],
    ids=["hot pixel", "hot pixel on the disc", "noise"],
)
def test_a_rotor_is_found_as_soon_beside_what_disturbs(disturbance):
    detector = RotationDetector(SIZE, RotationDetectorParameters(step_us=STEP_US))
    events = merged(events_of([ROTOR], TROUBLE_US), disturbance())
    results = [detector.process(step) for step in steps_of(events, 0, TROUBLE_US)]
    found = [bool(estimates) for estimates in results]
    assert found == [False] * 4 + [True] * 6
    assert all(is_right(estimates) for estimates in results[6:])


@pytest.mark.parametrize("masked", ["left", "lower"])
@pytest.mark.parametrize("noise_hz", [0.0, 2e5, 2e6])
def test_a_rotor_in_the_half_of_the_sensor_that_is_not_masked_is_found(masked, noise_hz):
    rotor = IdealRotor(19.2283, ellipse=Ellipse((250.3, 55.6), (45.0, 45.0), 0.0))
    events = events_of([rotor], TROUBLE_US, noise_hz)
    seen = events.x >= SIZE.width // 2 if masked == "left" else events.y < SIZE.height // 2
    events = batch(events.t[seen], events.x[seen], events.y[seen])
    detector = RotationDetector(SIZE, RotationDetectorParameters(step_us=STEP_US))
    results = [detector.process(step) for step in steps_of(events, 0, TROUBLE_US)]
    assert all(len(estimates) == 1 for estimates in results[5:])
    assert results[-1][0].rpm == pytest.approx(60 * rotor.frequency_hz, rel=1e-3)


@pytest.mark.parametrize("start_us", [-(10**15), 10**15, 1_000_000_000])
def test_a_time_stamp_far_ahead_or_behind_is_one_gap_each_way(start_us):
    detector = RotationDetector(SIZE, RotationDetectorParameters(step_us=STEP_US))
    events = events_of([ROTOR], 400_000)
    stray = EventWindow(start_us, STEP_US, EventBatch.empty(SIZE))
    for step in steps_of(events, 0, 400_000):
        detector.process(step)
    assert detector.process(stray) == []
    results = [detector.process(step) for step in steps_of(events, 400_000, 400_000)]
    assert detector.statistics.gaps == 2
    assert is_right(results[5])


def test_events_that_are_long_past_are_not_kept():
    detector = RotationDetector(SIZE, RotationDetectorParameters(step_us=STEP_US))
    kept: list[weakref.ref[np.ndarray]] = []
    for start_us in range(0, 4 * TROUBLE_US, TROUBLE_US):
        for step in steps_of(uniform(1_000_000), start_us, TROUBLE_US):
            detector.process(step)
            detector.search()
            kept.append(weakref.ref(step.events.t))
            del step
    alive = sum(reference() is not None for reference in kept)
    # Half a second of steps and the last.
    assert alive <= TROUBLE_US // STEP_US + 1
