from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from rotor_events import SIZE, IdealRotor, events_of

from evio_ros.ellipse import Ellipse
from evio_ros.errors import EventError, ParameterError
from evio_ros.estimate import RotorEstimate
from evio_ros.events import EventBatch, EventWindow, SensorSize
from evio_ros.explanation import Reason
from evio_ros.rotation.acquisition.regions import RegionParameters
from evio_ros.rotation.detector import RotationDetector
from evio_ros.rotation.detector_parameters import RotationDetectorParameters
from evio_ros.rotation.tracking.tracker_parameters import TrackerParameters
from evio_ros.thinning import Thinner
from evio_ros.windowing import WindowAssembler, windows


def detect(events: EventBatch, **parameters: int) -> list[list[RotorEstimate]]:
    """Estimates of every step."""
    chosen = RotationDetectorParameters(**parameters)
    detector = RotationDetector(events.size, chosen)
    steps = windows([events], events.size, chosen.step_us, start_us=0)
    return [detector.process(step) for step in steps]


def test_a_fan_is_measured_to_one_in_ten_thousand():
    rotor = IdealRotor(19.1667)
    results = detect(events_of([rotor]))
    assert [len(result) for result in results[:4]] == [0, 0, 0, 0]
    estimates = [estimate for (estimate,) in results[4:]]
    for estimate in estimates:
        truth = rotor.mean_rpm(estimate.t_us - estimate.window_us, estimate.t_us)
        assert estimate.rpm == pytest.approx(truth, rel=1e-4)
        assert estimate.blade_count == 3
        assert math.dist(estimate.center, rotor.ellipse.center) < 0.5
        assert estimate.confidence > 0.9
        error = 3 * (estimate.angle_rad - rotor.angle(estimate.t_us))
        assert math.cos(error) > 0.99
    assert {estimate.id for estimate in estimates} == {0}


def stamped_every(events: EventBatch, period_us: int) -> EventBatch:
    """Events with the times of frames, as of converted video, or of a coarse clock."""
    t = events.t // period_us * period_us
    return EventBatch(events.size, t, events.x, events.y, events.polarity)


@pytest.mark.parametrize("period_us", [100, 1_000, 2_500])
@pytest.mark.parametrize("frequency_hz", [19.1667, -14.3, 45.0])
def test_time_stamps_may_be_coarse(frequency_hz, period_us):
    results = detect(stamped_every(events_of([IdealRotor(frequency_hz)]), period_us))
    sure = [e for result in results for e in result if e.confidence > 0.5]
    assert len(sure) >= 5
    for estimate in sure:
        assert estimate.rpm == pytest.approx(60 * frequency_hz, rel=1e-3)


@pytest.mark.parametrize("frequency_hz", [-70.0, 90.0, 120.0])
def test_what_seems_slower_as_frames_come_seldom_is_not_reported(frequency_hz):
    # Blades pass more often than every other frame, and seem to go backwards, as in a film.
    events = stamped_every(events_of([IdealRotor(frequency_hz)], 800_000), 2_500)
    assert not any(detect(events))


def test_frames_that_come_too_seldom_are_named():
    events = stamped_every(events_of([IdealRotor(19.1667)]), 10_000)
    detector = RotationDetector(events.size, RotationDetectorParameters())
    for step in windows([events], events.size, RotationDetectorParameters().step_us, start_us=0):
        assert detector.process(step) == []
    assert detector.explanations[0].reason is Reason.COARSE_TIMES
    assert "10 ms apart" in str(detector.explanations[0])


@pytest.mark.parametrize("frequency_hz", [19.1667, -95.0])
def test_turns_are_counted_without_slips(frequency_hz):
    rotor = IdealRotor(frequency_hz)
    estimates = [result[0] for result in detect(events_of([rotor], 1_000_000)) if result]
    first, last = estimates[0], estimates[-1]
    turned = rotor.turns(last.t_us) - rotor.turns(first.t_us)
    assert last.turns - first.turns == pytest.approx(turned, abs=0.01)


def test_a_ramp_is_followed():
    rotor = IdealRotor(18.0, rate=4.0)
    for result in detect(events_of([rotor], 800_000))[6:]:
        (estimate,) = result
        truth = rotor.mean_rpm(estimate.t_us - estimate.window_us, estimate.t_us)
        assert estimate.rpm == pytest.approx(truth, rel=2e-4)


def test_a_drifting_rotor_keeps_its_identity_and_centre():
    rotor = IdealRotor(90.0, 2, Ellipse((100.0, 110.0), (30.0, 12.0), 0.1), drift_px_s=(80.0, 20.0))
    results = detect(events_of([rotor], 1_000_000))
    last = results[-1][0]
    middle_s = (last.t_us - last.window_us / 2) * 1e-6
    assert last.id == 0
    assert last.rpm == pytest.approx(5400.0, rel=2e-3)
    assert math.dist(last.center, (100 + 80 * middle_s, 110 + 20 * middle_s)) < 5.0


def test_four_rotors_have_four_identities():
    base = IdealRotor(91.0, 2, event_rate_hz=4e5)
    places = [(60, 60), (160, 70), (70, 170), (170, 180)]
    speeds = [91.0, -95.0, 98.5, -102.0]
    rotors = [
        replace(base, frequency_hz=speed, ellipse=Ellipse((x + 0.3, y + 0.2), (30.0, 10.0), 0.1))
        for (x, y), speed in zip(places, speeds, strict=True)
    ]
    result = detect(events_of(rotors))[-1]
    assert sorted(round(estimate.rpm / 60, 1) for estimate in result) == sorted(speeds)
    assert len({estimate.id for estimate in result}) == 4


def test_the_split_into_batches_does_not_matter():
    events = events_of([IdealRotor(19.1667)], 350_000)
    parameters = RotationDetectorParameters()
    cuts = [0, 1, 1000, 1001, 150_000, len(events)]
    pieces = [events.slice(a, b) for a, b in itertools.pairwise(cuts)]
    outcomes = []
    for batches in ([events], pieces):
        detector = RotationDetector(SIZE, parameters)
        steps = windows(batches, SIZE, parameters.step_us, start_us=0)
        outcomes.append([detector.process(step) for step in steps])
    assert outcomes[0] == outcomes[1]
    assert outcomes[0][-1]


def stop_and_go(first: IdealRotor, second: IdealRotor) -> EventBatch:
    """0.4 s of one rotor, 0.2 s of rest, 0.4 s of another."""
    turning = events_of([first], 400_000)
    parts = [turning]
    for start_us, rotors, length_us in ((400_000, [], 200_000), (600_000, [second], 400_000)):
        part = events_of(rotors, length_us, seed=start_us)
        parts.append(EventBatch(SIZE, part.t + start_us, part.x, part.y, part.polarity))
    return EventBatch.concatenate(SIZE, parts)


@pytest.mark.parametrize("second_hz", [15.0, -21.0])
def test_a_stop_is_seen_at_once_and_the_count_of_turns_goes_on(second_hz):
    first = IdealRotor(19.1667)
    # It starts where it stopped.
    second = IdealRotor(second_hz, phase_rad=first.angle(400_000))
    results = detect(stop_and_go(first, second), window_us=20_000, step_us=10_000)
    estimates = {result[0].t_us: result[0] for result in results if result}
    assert estimates[400_000].rpm == pytest.approx(1150.0, rel=1e-3)
    for t_us in range(430_000, 600_000, 10_000):
        assert estimates[t_us].rpm == pytest.approx(0.0, abs=0.1)
    for t_us in range(640_000, 1_000_000, 10_000):
        assert estimates[t_us].rpm == pytest.approx(60 * second_hz, rel=1e-3)
    turned = first.turns(400_000) - first.turns(300_000) + second.turns(400_000)
    assert estimates[1_000_000].turns - estimates[300_000].turns == pytest.approx(turned, abs=0.02)
    assert {estimate.id for estimate in estimates.values()} == {0}


def test_a_rotor_that_is_taken_away_is_given_up():
    turning = events_of([IdealRotor(19.1667)], 400_000)
    other = events_of([], 600_000, noise_hz=5e6, seed=1)
    later = EventBatch(SIZE, other.t + 400_000, other.x, other.y, other.polarity)
    results = detect(EventBatch.concatenate(SIZE, [turning, later]))
    assert results[7]
    assert results[10:] == [[]] * len(results[10:])


@pytest.mark.parametrize("step_us", [5_000, 50_000])
def test_empty_and_tiny_windows_are_no_trouble(step_us):
    detector = RotationDetector(
        SIZE, RotationDetectorParameters(window_us=100_000, step_us=step_us)
    )
    one = EventBatch(
        SIZE,
        np.array([10], np.int64),
        np.array([5], np.uint16),
        np.array([5], np.uint16),
        np.array([True]),
    )
    batches = [EventBatch.empty(SIZE), one] + [EventBatch.empty(SIZE)] * 60
    for index, batch in enumerate(batches):
        shifted = EventBatch(SIZE, batch.t + index * step_us, batch.x, batch.y, batch.polarity)
        assert detector.process(EventWindow(index * step_us, step_us, shifted)) == []


def test_one_hot_pixel_is_no_rotor():
    count = 250_000
    events = EventBatch(
        SIZE,
        np.arange(count, dtype=np.int64) * 2,
        np.full(count, 17, np.uint16),
        np.full(count, 30, np.uint16),
        np.arange(count) % 2 == 0,
    )
    assert all(result == [] for result in detect(events))


def test_all_events_at_one_time_are_no_rotor():
    events = events_of([IdealRotor(19.1667)], 100_000)
    frozen = EventBatch(SIZE, np.zeros(len(events), np.int64), events.x, events.y, events.polarity)
    steps = [EventWindow(0, 50_000, frozen)]
    steps += [EventWindow(i * 50_000, 50_000, EventBatch.empty(SIZE)) for i in range(1, 8)]
    detector = RotationDetector(SIZE)
    assert [detector.process(step) for step in steps] == [[]] * 8


def test_a_gap_in_time_starts_afresh():
    rotor = IdealRotor(19.1667)
    events = events_of([rotor], 400_000)
    detector = RotationDetector(SIZE)
    steps = list(windows([events], SIZE, 50_000, start_us=0))
    assert [bool(detector.process(step)) for step in steps[:6]] == [False] * 4 + [True] * 2
    assert detector.process(steps[7]) == []


def test_window_must_be_a_multiple_of_step():
    with pytest.raises(
        ParameterError, match="window_us: 100000 is not a multiple of step_us, 30000"
    ):
        RotationDetectorParameters(window_us=100_000, step_us=30_000)


def shifted(events: EventBatch, by_us: int) -> EventBatch:
    """The same events later."""
    return EventBatch(events.size, events.t + by_us, events.x, events.y, events.polarity)


def test_ten_times_the_event_rate_for_a_while_does_not_lose_the_rotor():
    rotor = IdealRotor(19.1667)
    calm = events_of([rotor], 700_000)
    burst = events_of([], 50_000, noise_hz=1e7, seed=3)
    late = shifted(burst, 400_000)
    parts = [np.concatenate(pair) for pair in zip(columns(calm), columns(late), strict=True)]
    order = np.argsort(parts[0], kind="stable")
    both = EventBatch(SIZE, *(column[order] for column in parts))
    results = detect(both)
    for (estimate,) in results[10:]:
        truth = rotor.mean_rpm(estimate.t_us - estimate.window_us, estimate.t_us)
        assert estimate.id == 0
        assert estimate.rpm == pytest.approx(truth, rel=1e-3)


def columns(events: EventBatch) -> tuple[np.ndarray, ...]:
    """t, x, y and polarity."""
    return events.t, events.x, events.y, events.polarity


def test_a_gap_of_seconds_and_time_going_back_are_counted_and_the_rotor_is_found_again():
    rotor = IdealRotor(19.1667)
    events = events_of([rotor], 350_000)
    detector = RotationDetector(SIZE)
    for start_us in (0, 5_000_000, 1_000_000):
        steps = list(windows([shifted(events, start_us)], SIZE, 50_000, start_us=start_us))
        results = [detector.process(step) for step in steps]
        assert results[:4] == [[]] * 4
        assert results[5][0].rpm == pytest.approx(1150.0, rel=1e-4)
    assert detector.statistics.gaps == 2
    assert detector.statistics.rotors_found == 3


def test_events_of_another_geometry_are_refused_and_leave_no_trace():
    rotor = IdealRotor(19.1667)
    steps = list(windows([events_of([rotor], 350_000)], SIZE, 50_000, start_us=0))
    detector = RotationDetector(SIZE)
    for step in steps[:6]:
        detector.process(step)
    foreign = EventBatch.empty(SensorSize(64, 48))
    with pytest.raises(EventError, match="64x48"):
        detector.process(EventWindow(steps[6].start_us, 50_000, foreign))
    assert detector.process(steps[6])[0].rpm == pytest.approx(1150.0, rel=1e-4)


def test_a_step_of_another_length_is_refused():
    detector = RotationDetector(SIZE)
    with pytest.raises(EventError, match="a window of 20000 us, expected 50000 us"):
        detector.process(EventWindow(0, 20_000, EventBatch.empty(SIZE)))


def test_events_outside_their_step_are_refused():
    detector = RotationDetector(SIZE)
    events = shifted(events_of([IdealRotor(19.1667)], 50_000), 10)
    with pytest.raises(EventError, match="50009 us lies outside 0 to 50000 us"):
        detector.process(EventWindow(0, 50_000, events))


def test_slices_give_what_their_steps_give():
    events = events_of([IdealRotor(19.1667)], 500_000)
    whole, by_slices = RotationDetector(SIZE), RotationDetector(SIZE)
    of_steps = [whole.process(step) for step in windows([events], SIZE, 50_000, start_us=0)]
    lengths_us = by_slices.parameters.slice_lengths_us
    given = [by_slices.take(part) for part in windows([events], SIZE, lengths_us, start_us=0)]
    of_slices = [estimates for estimates in given if estimates is not None]
    assert of_slices == of_steps
    assert of_slices[-1]
    assert given.index([]) == len(lengths_us) - 1
    assert by_slices.statistics == whole.statistics


@pytest.mark.parametrize("step_us", [1_000, 7_001, 10_007, 11_111, 33_333, 49_999])
def test_steps_of_any_length_lose_no_event_and_measure_alike(step_us):
    rotor = IdealRotor(19.1667)
    end_us = 500_000 // step_us * step_us
    events = events_of([rotor]).between(0, end_us)
    parameters = RotationDetectorParameters(
        window_us=-(-100_000 // step_us) * step_us, step_us=step_us
    )
    whole, by_slices = (RotationDetector(SIZE, parameters) for _ in range(2))
    results = [whole.process(step) for step in windows([events], SIZE, step_us, 0, end_us)]
    # Messages of a length that has nothing to do with the slices'.
    messages = windows([events], SIZE, 1_234, 0, end_us)
    assembler = WindowAssembler(SIZE, parameters.slice_lengths_us)
    given = [part for message in messages for part in assembler.push_window(message)]
    parts = [part for part in given if part.end_us <= end_us]
    taken = [estimates for part in parts if (estimates := by_slices.take(part)) is not None]
    assert taken == results
    assert by_slices.statistics == whole.statistics
    assert whole.statistics.events_measured == len(events)
    assert whole.statistics.steps == len(results) == end_us // step_us
    for end, (estimate,) in enumerate(results[-2:], start=len(results) - 1):
        window = events.between(end * step_us - parameters.window_us, end * step_us)
        assert (estimate.t_us, estimate.window_us) == (end * step_us, parameters.window_us)
        truth = rotor.mean_rpm(end * step_us - parameters.window_us, end * step_us)
        assert estimate.rpm == pytest.approx(truth, rel=1e-4)
        radius, _ = estimate_disc(estimate).disc_coordinates(window.x, window.y)
        on_the_disc = int(((radius >= 0.15) & (radius <= 1.1)).sum())
        assert estimate.events == pytest.approx(on_the_disc, rel=0.01)


def estimate_disc(estimate: RotorEstimate) -> Ellipse:
    """The disc that an estimate gives."""
    return Ellipse(estimate.center, estimate.axes, estimate.tilt_rad)


def test_a_slice_may_come_after_a_gap_in_the_middle_of_a_step():
    detector = RotationDetector(SIZE, RotationDetectorParameters(window_us=30_021, step_us=10_007))
    lengths_us = (3_336, 3_336, 3_335)
    starts_us = [0, 3_336, 500_000, 503_336, 506_672]
    turns = [0, 1, 0, 1, 2]
    slices = [
        EventWindow(start_us, lengths_us[turn], EventBatch.empty(SIZE))
        for start_us, turn in zip(starts_us, turns, strict=True)
    ]
    assert [detector.take(part) for part in slices] == [None, None, None, None, []]
    with pytest.raises(EventError, match="a window of 3335 us, expected 3336 us"):
        detector.take(EventWindow(510_007, 3_335, EventBatch.empty(SIZE)))


def test_discs_are_forgotten_in_the_middle_of_a_step_that_goes_on():
    detector = RotationDetector(SIZE, RotationDetectorParameters(window_us=30_021, step_us=10_007))
    assert detector.take(EventWindow(0, 3_336, EventBatch.empty(SIZE))) is None
    detector.forget_discs()
    assert detector.take(EventWindow(3_336, 3_336, EventBatch.empty(SIZE))) is None
    assert detector.take(EventWindow(6_672, 3_335, EventBatch.empty(SIZE))) == []


def test_a_slice_of_another_length_is_refused():
    detector = RotationDetector(SIZE)
    with pytest.raises(EventError, match="a window of 50000 us, expected 5000 us"):
        detector.take(EventWindow(0, 50_000, EventBatch.empty(SIZE)))


def test_after_a_gap_a_step_begins_with_the_slice_that_came():
    detector = RotationDetector(SIZE)
    starts_us = [0, 5_000, *range(2_000_000, 2_100_000, 5_000)]
    slices = [EventWindow(start_us, 5_000, EventBatch.empty(SIZE)) for start_us in starts_us]
    complete = [part.end_us for part in slices if detector.take(part) is not None]
    assert complete == [2_050_000, 2_100_000]
    assert detector.statistics.gaps == 1


def test_a_hot_pixel_beside_a_rotor_changes_nothing():
    rotor = IdealRotor(19.1667)
    events = events_of([rotor], 400_000)
    hot = np.arange(0, 400_000, dtype=np.int64)
    parts = [np.concatenate((events.t, hot))]
    parts += [
        np.concatenate((column, np.full(len(hot), at, np.uint16)))
        for column, at in ((events.x, 180), (events.y, 130))
    ]
    parts += [np.concatenate((events.polarity, hot % 2 == 0))]
    order = np.argsort(parts[0], kind="stable")
    results = detect(EventBatch(SIZE, *(column[order] for column in parts)))
    for result in results[5:]:
        assert result[0].rpm == pytest.approx(1150.0, rel=1e-3)


def test_a_rotor_at_rest_is_given_up_after_its_time():
    first = IdealRotor(19.1667)
    still = shifted(events_of([], 600_000, seed=1), 400_000)
    detector = RotationDetector(SIZE, tracking=TrackerParameters(rest_us=300_000))
    events = EventBatch.concatenate(SIZE, [events_of([first], 400_000), still])
    results = [detector.process(step) for step in windows([events], SIZE, 50_000, start_us=0)]
    assert results[13][0].rpm == pytest.approx(0.0, abs=0.1)
    assert results[-1] == []
    assert detector.statistics.rotors_lost == 1


def test_mean_shift_finds_the_same_rotor():
    rotor = IdealRotor(19.1667)
    regions = RegionParameters(clustering="mean_shift", mean_shift_px=90.0)
    detector = RotationDetector(SIZE, regions=regions)
    steps = windows([events_of([rotor], 400_000)], SIZE, 50_000, start_us=0)
    results = [detector.process(step) for step in steps]
    assert results[-1][0].rpm == pytest.approx(1150.0, rel=1e-3)


LOST = {
    "a tenth": np.arange(75) % 10 == 9,
    "a third at random": np.random.default_rng(4).random(75) < 1 / 3,
}
"""Which slots of 20 ms are lost."""


@pytest.mark.parametrize("which", LOST)
@pytest.mark.parametrize("frequency_hz", [18.3, -95.0, 4.3])
@pytest.mark.parametrize(("window_us", "step_us"), [(20_000, 20_000), (100_000, 50_000)])
def test_a_rotor_turns_on_while_events_are_lost(which, frequency_hz, window_us, step_us):
    rotor = IdealRotor(frequency_hz, event_rate_hz=3e5)
    events = events_of([rotor], 1_500_000)
    # They are lost at times that have nothing to do with the slices'.
    there = ~LOST[which][(events.t + 7_300) // 20_000 % 75]
    lossy = EventBatch(SIZE, *(column[there] for column in columns(events)))
    results = detect(lossy, window_us=window_us, step_us=step_us)
    late = [(end, found) for end, found in enumerate(results, 1) if end * step_us > 500_000]
    seen = [estimate for _, found in late for estimate in found]
    for estimate in seen:
        if estimate.confidence > 0.5:
            truth = rotor.mean_rpm(estimate.t_us - estimate.window_us, estimate.t_us)
            assert estimate.rpm == pytest.approx(truth, rel=2e-3)
    assert {estimate.id for estimate in seen} == {0}
    turned = np.diff([(estimate.turns, rotor.turns(estimate.t_us)) for estimate in seen], axis=0)
    assert turned[:, 0] == pytest.approx(turned[:, 1], abs=0.01)
    sure = [estimate for estimate in seen if estimate.confidence > 0.5]
    assert len(sure) >= (0.6 if which == "a tenth" else 0.4) * len(late)


@pytest.mark.parametrize("noise_hz", [100, 1_000, 10_000])
def test_a_stop_before_a_quiet_sensor_is_none_of_lost_events(noise_hz):
    first = IdealRotor(19.1667, event_rate_hz=3e5)
    parts = [
        events_of([first], 500_000, noise_hz),
        shifted(events_of([], 500_000, noise_hz, seed=1), 500_000),
    ]
    results = detect(EventBatch.concatenate(SIZE, parts), window_us=20_000, step_us=20_000)
    estimates = {result[0].t_us: result[0] for result in results if result}
    for t_us in range(560_000, 1_000_000, 20_000):
        assert estimates[t_us].rpm == pytest.approx(0.0, abs=0.5)
    turned = estimates[980_000].turns - estimates[480_000].turns
    assert turned == pytest.approx(first.turns(20_000), abs=0.02)


def lamp(duration_us: int, hz: float = 100.0) -> EventBatch:
    """A disc that is lit and dark by turns, all of it at once, and noise."""
    events = events_of([replace(IdealRotor(0.0), edge_std_rad=9.0)], duration_us)
    is_lit = np.sin(2e-6 * math.pi * hz * events.t) > 0.5
    columns = (events.t, events.x, events.y, events.polarity)
    return EventBatch(SIZE, *(column[is_lit] for column in columns))


def swaying(duration_us: int) -> EventBatch:
    """Noise in a square that moves to and fro along the rows, four times a second."""
    events = events_of([], duration_us, noise_hz=3e6)
    middle = 160 + 30 * np.sin(2e-6 * math.pi * 4 * events.t)
    inside = (np.abs(events.x - middle) < 30) & (np.abs(events.y.astype(int) - 120) < 30)
    columns = (events.t, events.x, events.y, events.polarity)
    return EventBatch(SIZE, *(column[inside] for column in columns))


FLAT = Ellipse((160.3, 119.6), (60.0, 6.0), 0.0)
SCENES = {
    "nothing": (EventBatch.empty(SIZE), Reason.NO_EVENTS),
    "short": (events_of([IdealRotor(20.0)], 150_000), Reason.SHORT),
    "dim": (events_of([IdealRotor(20.0, event_rate_hz=4e3)], noise_hz=1e3), Reason.FAINT),
    "tiny": (
        events_of([IdealRotor(20.0, ellipse=Ellipse((80.0, 60.0), (3.0, 3.0), 0.0))]),
        Reason.SMALL,
    ),
    "lamp": (lamp(500_000), Reason.FLICKER),
    "noise in a place": (
        events_of([replace(IdealRotor(0.0, ellipse=FLAT), edge_std_rad=9.0)]),
        Reason.NO_RHYTHM,
    ),
    "to and fro": (swaying(500_000), Reason.SLOW),
    "too slow": (events_of([IdealRotor(1.5, 1, duty=0.05)], 600_000), Reason.TOO_SLOW),
}


@pytest.mark.parametrize("scene", SCENES)
def test_why_nothing_is_found(scene):
    events, reason = SCENES[scene]
    parameters = RotationDetectorParameters()
    detector = RotationDetector(SIZE, parameters)
    assert detector.explanations == ()
    end_us = int(events.t[-1]) + 1 if len(events) else 500_000
    for step in windows([events], SIZE, parameters.step_us, start_us=0, end_us=end_us):
        assert detector.process(step) == []
    (explanation, *_) = detector.explanations
    assert explanation.reason is reason
    assert explanation.t_us <= end_us + parameters.step_us
    if not reason.is_of_view:
        x0, y0, x1, y1 = explanation.box
        assert x0 <= 160 < x1
        assert y0 <= 120 < y1


def test_the_numbers_of_a_slow_disc_are_those_of_its_turn():
    events = events_of([IdealRotor(-1.5, 1, duty=0.05)], 600_000)
    detector = RotationDetector(SIZE)
    for step in windows([events], SIZE, 50_000, start_us=0):
        detector.process(step)
    (explanation,) = detector.explanations
    assert explanation.rejection.speed_hz == pytest.approx(-1.5, rel=0.2)
    # At the most 0.5 s are looked at.
    assert explanation.rejection.value == pytest.approx(0.75, rel=0.2)
    assert explanation.rate_hz == pytest.approx(1e6, rel=0.1)
    assert explanation.box == pytest.approx((100, 60, 220, 180), abs=8)


def test_a_rotor_that_is_found_needs_no_explanation_and_a_lamp_beside_it_does():
    rotor = IdealRotor(19.2, ellipse=Ellipse((70.3, 60.6), (45.0, 45.0), 0.0))
    blinking = lamp(600_000)
    x = (blinking.x.astype(int) + 90).clip(0, SIZE.width - 1).astype(np.uint16)
    both = [
        events_of([rotor], 600_000),
        EventBatch(SIZE, blinking.t, x, blinking.y, blinking.polarity),
    ]
    t = np.concatenate([events.t for events in both])
    order = np.argsort(t, kind="stable")
    columns = [
        np.concatenate([getattr(events, name) for events in both])[order]
        for name in ("x", "y", "polarity")
    ]
    detector = RotationDetector(SIZE)
    for step in windows([EventBatch(SIZE, t[order], *columns)], SIZE, 50_000, start_us=0):
        rotors = detector.process(step)
    assert len(rotors) == 1
    assert [each.reason for each in detector.explanations] == [Reason.FLICKER]
    (x0, _, x1, _) = detector.explanations[0].box
    assert x0 > 150
    assert x1 > 300


def test_a_rotor_that_is_gone_is_explained():
    turning = events_of([IdealRotor(19.2)], 400_000)
    gone = events_of([], 400_000, seed=1)
    after = EventBatch(SIZE, gone.t + 400_000, gone.x, gone.y, gone.polarity)
    events = EventBatch.concatenate(SIZE, [turning, after])
    detector = RotationDetector(SIZE, tracking=TrackerParameters(rest_us=200_000))
    for step in windows([events], SIZE, 50_000, start_us=0):
        detector.process(step)
    assert detector.statistics.rotors_lost == 1
    explanation = detector.explanations[0]
    assert explanation.reason in (Reason.AT_REST, Reason.LOST)
    assert explanation.box == pytest.approx((100, 60, 220, 180), abs=8)


@pytest.mark.parametrize("shares", [(1.0, 0.04, 1.0), (0.1, 1.0, 0.1), (0.3, 0.05, 0.6)])
@pytest.mark.parametrize("frequency_hz", [19.1667, -95.0])
def test_a_share_of_the_events_that_changes_does_not_lose_the_rotor(shares, frequency_hz):
    rotor = IdealRotor(frequency_hz)
    events, thinner = events_of([rotor], 1_500_000), Thinner()
    detector = RotationDetector(SIZE, RotationDetectorParameters(window_us=20_000, step_us=20_000))
    results = []
    for step in windows([events], SIZE, 20_000, start_us=0, end_us=1_500_000):
        share = shares[step.start_us // 500_000]
        places = thinner.places(len(step.events), share) if share < 1.0 else None
        results.append(detector.process(step.thinned(places, share)))
    for (estimate,) in results[20:]:
        truth = rotor.mean_rpm(estimate.t_us - estimate.window_us, estimate.t_us)
        assert estimate.id == 0
        assert estimate.rpm == pytest.approx(truth, rel=1e-3)
        assert estimate.confidence > 0.9
    assert detector.statistics.rotors_recovered == 0


@pytest.mark.parametrize("frequency_hz", [19.1667, -95.0])
@pytest.mark.parametrize("gap_us", [3_000, 42_000, 400_000])
def test_what_is_known_to_be_missing_is_passed_over(frequency_hz, gap_us):
    rotor = IdealRotor(frequency_hz)
    events, gap = events_of([rotor], 1_500_000), range(701_000, 701_000 + gap_us)
    there = (events.t < gap.start) | (events.t >= gap.stop)
    lossy = EventBatch(SIZE, *(column[there] for column in columns(events)))
    detector = RotationDetector(SIZE, RotationDetectorParameters(window_us=20_000, step_us=20_000))
    steps = windows([lossy], SIZE, 20_000, start_us=0, end_us=1_500_000)
    found = [detector.process(replace(step, missing=(gap,))) for step in steps]
    before = found[34][0]
    for estimates in found[37 + gap_us // 20_000 :]:
        (estimate,) = estimates
        truth = rotor.mean_rpm(estimate.t_us - estimate.window_us, estimate.t_us)
        assert estimate.id == before.id
        assert estimate.rpm == pytest.approx(truth, rel=1e-3)
        turned = rotor.turns(estimate.t_us) - rotor.turns(before.t_us)
        assert estimate.turns - before.turns == pytest.approx(turned, abs=0.02)
    assert detector.statistics.gaps == 0


def test_a_search_that_is_put_off_finds_the_rotor_later():
    rotor = IdealRotor(19.1667)
    events = events_of([rotor], 800_000)
    detector = RotationDetector(SIZE, RotationDetectorParameters(window_us=20_000, step_us=20_000))
    units = iter(range(10_000))
    detector.may_search = lambda: next(units) % 5 > 0
    steps = list(windows([events], SIZE, 20_000, start_us=0, end_us=800_000))
    results = [detector.process(step) for step in steps]
    first = next(number for number, found in enumerate(results) if found)
    undisturbed = detect(events, window_us=20_000, step_us=20_000)
    assert first > next(number for number, found in enumerate(undisturbed) if found)
    for (estimate,) in results[first + 1 :]:
        truth = rotor.mean_rpm(estimate.t_us - estimate.window_us, estimate.t_us)
        assert estimate.rpm == pytest.approx(truth, rel=1e-3)


def test_a_search_that_may_always_go_on_changes_nothing():
    events = events_of([IdealRotor(19.1667)], 500_000)
    asked = RotationDetector(SIZE, RotationDetectorParameters(window_us=20_000, step_us=20_000))
    asked.may_search = lambda: True
    steps = windows([events], SIZE, 20_000, start_us=0)
    results = [asked.process(step) for step in steps]
    assert any(results)
    assert results == detect(events, window_us=20_000, step_us=20_000)


@pytest.mark.parametrize("hold_us", [None, 100_000, 10_000_000])
def test_a_rotor_too_small_to_be_searched_is_found_where_a_cue_says_it_is(hold_us):
    """Nine cells of activity are no region; the cue must last until there are events enough."""
    rotor = IdealRotor(19.1667, ellipse=Ellipse((100.0, 80.0), (5.0, 4.5), 0.2), event_rate_hz=5e4)
    events = events_of([rotor], 700_000)
    detector = RotationDetector(SIZE)
    if hold_us is not None:
        detector.cue([(85.0, 65.0, 115.0, 95.0)], hold_us)
    found = []
    for step in windows([events], SIZE, detector.parameters.step_us, 0, covered_only=True):
        found = detector.process(step)
    if hold_us != 10_000_000:
        assert found == []
        assert detector.statistics.regions_searched == 0
        return
    (estimate,) = found
    assert estimate.rpm == pytest.approx(60 * rotor.frequency_hz, rel=1e-3)
    assert estimate.blade_count == rotor.blades


def test_a_cue_to_noise_finds_nothing():
    events = events_of([], 600_000, noise_hz=1e6)
    detector = RotationDetector(SIZE)
    detector.cue([(0.0, 0.0, 200.0, 200.0), (-50.0, -50.0, 999.0, 999.0)], 10_000_000)
    for step in windows([events], SIZE, detector.parameters.step_us, 0, covered_only=True):
        assert detector.process(step) == []
    assert detector.statistics.regions_searched > 0
