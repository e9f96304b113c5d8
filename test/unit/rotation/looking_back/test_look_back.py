"""Looking back, compared with live measurements."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from small_fan import BLADES, DISC, RPM
from spun_disc import SpunDisc
from whole_recordings import all_events

from evio_ros.ellipse import Ellipse
from evio_ros.errors import EventError
from evio_ros.estimate import Measurement
from evio_ros.events import EventBatch, EventWindow, SensorSize
from evio_ros.explanation import Reason
from evio_ros.pipeline import measure_batches, measure_source
from evio_ros.rotation.detector import RotationDetector
from evio_ros.rotation.detector_parameters import RotationDetectorParameters
from evio_ros.rotation.looking_back.look_back import add_earlier_windows
from evio_ros.rotation.looking_back.path_estimate import PathEstimates
from evio_ros.rotation.looking_back.path_search import find_paths
from evio_ros.sources.base import ClockRestart
from evio_ros.sources.registry import open_source

PARAMETERS = RotationDetectorParameters(window_us=100_000, step_us=50_000)


def measurements(path, look_back):
    with open_source(str(path)) as source:
        return list(measure_source(source, PARAMETERS, look_back=look_back))


@pytest.fixture(scope="module")
def live(fan_recording):
    return measurements(fan_recording, False)


@pytest.fixture(scope="module")
def looked_back(fan_recording):
    return measurements(fan_recording, True)


def test_what_a_live_camera_gives_stays_where_nothing_better_is_known(live, looked_back):
    assert [m.t_us for m in looked_back] == [m.t_us for m in live]
    replaced = 0
    for before, after in zip(live, looked_back, strict=True):
        stayed = [r for r in after.rotors if not r.looked_back]
        assert all(rotor in before.rotors for rotor in stayed)
        for rotor in [r for r in before.rotors if r not in stayed]:
            (better,) = [r for r in after.rotors if r.id == rotor.id]
            assert better.rpm_std < rotor.rpm_std
            replaced += 1
    assert replaced < sum(len(m.rotors) for m in live)


def test_windows_before_the_fan_was_found_are_measured(live, looked_back):
    first = next(m for m in live if m.rotors)
    earlier = [m for m in looked_back if m.t_us < first.t_us]
    # When a simulation starts, the reference of each pixel is its present brightness, so the first
    # event of each is late.
    full = [m for m in earlier if m.t_us >= looked_back[0].t_us + 50_000]
    assert len(full) > 0
    for measurement in full:
        (rotor,) = measurement.rotors
        assert rotor.looked_back
        assert rotor.id == first.rotors[0].id
        assert rotor.window_us == 100_000
        assert rotor.rpm == pytest.approx(RPM, rel=1e-3)
        assert abs(rotor.rpm - RPM) < 4 * rotor.rpm_std
        assert rotor.blade_count == BLADES
        assert rotor.center == pytest.approx(DISC.center, abs=1)


STEADY_RPM = 300.0


@pytest.fixture(scope="module")
def distorted_disc():
    """A half disc that turns steadily, seen through a lens that distorts its angles."""
    rng = np.random.default_rng(1)
    seconds, disc = 1.7, Ellipse((50.0, 47.0), (40.0, 40.0), 0.0)
    turned = np.sort(rng.uniform(0.0, STEADY_RPM / 60 * seconds, 500_000))
    on = rng.random(len(turned)) < 0.5
    angle = 2 * np.pi * (turned + 0.5 * on)
    angle += 0.04 * (np.cos(angle) + np.sin(2 * angle)) + rng.normal(0.0, 0.04, len(turned))
    x, y = disc.image_point(np.sqrt(rng.uniform(0.01, 1.0, len(turned))), angle)
    t = (turned * (60e6 / STEADY_RPM)).astype(np.int64)
    columns = np.rint(x).astype(np.uint16), np.rint(y).astype(np.uint16)
    return EventBatch(SensorSize(100, 100), t, *columns, on)


def test_the_first_turns_are_measured_with_what_later_ones_have_shown(distorted_disc):
    size, end_us = distorted_disc.size, int(distorted_disc.t[-1]) + 1
    of_live, of_both = (
        {
            m.t_us: m.rotors[0]
            for m in measure_batches([distorted_disc], size, PARAMETERS, 0, end_us, look_back=back)
            if m.rotors
        }
        for back in (False, True)
    )
    first_us = min(of_live)
    early = [t_us for t_us in of_live if t_us < first_us + 200_000]
    assert all(of_both[t_us].looked_back for t_us in early)
    assert all(of_both[t_us].rpm_std < 0.5 * of_live[t_us].rpm_std for t_us in early)
    errors = [abs(of_both[t_us].rpm / STEADY_RPM - 1) for t_us in early]
    assert max(errors) < 0.2 * max(abs(of_live[t_us].rpm / STEADY_RPM - 1) for t_us in early)
    before = [rotor for t_us, rotor in of_both.items() if t_us < first_us]
    assert before
    assert all(abs(rotor.rpm / STEADY_RPM - 1) < 2e-4 for rotor in before)
    turns = [of_both[t_us].turns for t_us in sorted(of_both)]
    assert np.diff(turns) == pytest.approx(STEADY_RPM / 60 * 0.05, abs=0.02)


def test_turns_and_angle_go_on_over_the_moment_it_was_found(looked_back):
    rotors = [m.rotors[0] for m in looked_back if m.rotors]
    assert len(rotors) > 1
    turned = RPM / 60 * 0.05
    for before, after in itertools.pairwise(rotors):
        assert after.turns - before.turns == pytest.approx(turned, abs=0.01)
        apart = (after.angle_rad - before.angle_rad) / (2 * np.pi) - turned
        # Any of the blades may be the reference blade.
        assert BLADES * apart == pytest.approx(round(BLADES * apart), abs=0.05)


def test_the_path_of_several_turns_is_free_of_what_comes_again(distorted_disc):
    # Each turn appears ahead in its first half and behind in its second.
    turned = distorted_disc.t * (STEADY_RPM / 60e6)
    ahead = 0.03 / (2 * np.pi) * np.sin(2 * np.pi * turned)
    times_us = np.maximum((turned - ahead) * (60e6 / STEADY_RPM), 0).astype(np.int64)
    columns = distorted_disc.x, distorted_disc.y, distorted_disc.polarity
    (path,), _ = find_paths(EventBatch(distorted_disc.size, times_us, *columns))
    assert abs(path.turns) > 5
    estimates = PathEstimates(path, identity=0)
    uncorrected, corrected, within = [], [], []
    for end_us in range(200_000, 1_600_000, 30_000):
        by_path = path.phase_at(np.array([end_us - 100_000.0, end_us]))
        uncorrected.append(abs(float(np.diff(by_path)[0]) / (2 * np.pi) * 600 / STEADY_RPM - 1))
        estimate = estimates.estimate(end_us, 100_000)
        corrected.append(abs(estimate.rpm / STEADY_RPM - 1))
        within.append(abs(estimate.rpm - STEADY_RPM) < 2 * estimate.rpm_std)
    assert np.median(uncorrected) > 0.01
    assert np.max(corrected) < 0.005
    assert np.mean(within) > 0.9


def test_a_disc_that_does_not_come_round_is_explained():
    disc = SpunDisc(rpm=150.0, sectors=1)
    events = disc.events()
    turns = disc.turns(disc.start_us + disc.length_us)
    assert turns < 0.7
    end_us = int(events.t[-1]) + 1
    *_, last = measure_batches([events], events.size, PARAMETERS, 0, end_us, look_back=True)
    (explanation,) = last.explanations
    assert explanation.reason is Reason.NOT_ROUND
    assert explanation.rejection.value == pytest.approx(turns, abs=0.1)
    assert explanation.rejection.limit > 1.0


def test_looking_back_stops_at_a_gap(fan_recording):
    once = all_events(fan_recording)
    first_us, last_us = int(once.t[0]), int(once.t[-1])
    again = EventBatch(once.size, once.t + 1_600_000, once.x, once.y, once.polarity)
    gap = ClockRestart(first_us + 1_600_000, None, last_us)
    found = list(
        measure_batches(
            [once, again],
            once.size,
            PARAMETERS,
            first_us,
            int(again.t[-1]) + 1,
            restarts=[gap],
            look_back=True,
        )
    )
    # A step with the last events before the gap is measured.
    assert all(m.t_us < last_us + 50_000 or m.t_us - 100_000 >= gap.t_us for m in found)
    added = [rotor for m in found for rotor in m.rotors if rotor.looked_back]
    for begin_us in (first_us, gap.t_us):
        part = [r for r in added if begin_us + 150_000 <= r.t_us < begin_us + 600_000]
        assert part
        assert [r.rpm for r in part] == pytest.approx([RPM] * len(part), rel=1e-3)


def test_measurements_without_their_events_are_refused():
    detector = RotationDetector(SpunDisc().events().size, PARAMETERS)
    with pytest.raises(EventError, match="at 100000 us has no events"):
        list(add_earlier_windows([Measurement(100_000, 100_000, None, [])], detector))


def of_disc(disc):
    events = disc.events(seed=6)
    detector = RotationDetector(events.size, PARAMETERS)
    for start_us in range(0, int(events.t[-1]), 50_000):
        step = EventWindow(start_us, 50_000, events.between(start_us, start_us + 50_000))
        yield Measurement(step.end_us, 100_000, step, detector.process(step)), detector


def test_a_disc_that_comes_to_rest_is_measured_as_a_whole():
    disc = SpunDisc()
    steps = list(of_disc(disc))
    found = list(add_earlier_windows((m for m, _ in steps), steps[0][1]))
    ends = range(disc.start_us + 150_000, disc.start_us + disc.length_us - 99_999, 50_000)
    rotors = {r.t_us: r for m in found for r in m.rotors}
    assert set(ends) <= set(rotors)
    assert rotors[ends[0]].looked_back
    # Tracked or looked back on, it is the same rotor, and its turns continue.
    assert len({rotor.id for rotor in rotors.values()}) == 1
    for end_us in ends[1:]:
        turned = disc.turns(end_us) - disc.turns(ends[0])
        assert rotors[end_us].turns - rotors[ends[0]].turns == pytest.approx(turned, abs=0.03)
    for end_us in ends:
        rpm = disc.mean_rpm(end_us - 100_000, end_us)
        assert rotors[end_us].rpm == pytest.approx(rpm, rel=0.05)


def test_a_wrong_sense_as_the_disc_starts_is_left_out():
    disc = SpunDisc()
    steps = list(of_disc(disc))
    told = next(r for m, _ in steps for r in m.rotors)
    start_us = disc.start_us + 50_000

    def with_wrong_one(measurement):
        wrong = replace(told, id=9, t_us=start_us, rpm=-200.0, confidence=0.8)
        is_start = measurement.t_us == start_us
        return replace(measurement, rotors=[wrong]) if is_start else measurement

    found = list(add_earlier_windows((with_wrong_one(m) for m, _ in steps), steps[0][1]))
    (at_start,) = (m for m in found if m.t_us == start_us)
    assert all(rotor.rpm > 0 for rotor in at_start.rotors)


def test_a_rotor_that_the_path_contradicts_in_other_windows_is_left_out_at_its_ends():
    disc = SpunDisc()
    steps = list(of_disc(disc))
    seen = next(r for m, _ in steps for r in m.rotors)
    start_us = disc.start_us + 50_000
    ends_us = range(start_us, start_us + 200_001, 50_000)

    def with_wrong_one(measurement):
        wrong = replace(seen, id=9, t_us=measurement.t_us, rpm=2 * disc.rpm, confidence=0.8)
        is_there = measurement.t_us in ends_us
        return replace(measurement, rotors=[wrong]) if is_there else measurement

    found = list(add_earlier_windows((with_wrong_one(m) for m, _ in steps), steps[0][1]))
    rotors = [rotor for m in found if m.t_us in ends_us for rotor in m.rotors]
    assert len(rotors) >= len(ends_us) - 1
    assert all(rotor.looked_back and rotor.rpm < 1.1 * disc.rpm for rotor in rotors)


BESIDE_FAN_PX = 110
REPEATED_US = 400_000
"""Time in which 23 blades pass: at its end, the fan looks as at its start."""


@pytest.fixture(scope="module")
def long_fan(fan_recording):
    """A steady fan at the left of the view, for 4.8 s."""
    with open_source(str(fan_recording)) as source:
        events = EventBatch.concatenate(source.size, list(source.batches()))
    part = events.between(150_000, 150_000 + REPEATED_US)
    columns = part.x, part.y, part.polarity
    times = part.t - 150_000
    repeats = [EventBatch(part.size, times + turn * REPEATED_US, *columns) for turn in range(12)]
    return EventBatch.concatenate(part.size, repeats)


def beside(fan, disc, at_us):
    """A fan and, to its right, a disc that is spun some time later."""
    size = SensorSize(BESIDE_FAN_PX + 100, 100)
    spun = disc.events(seed=9)
    other = spun.t + at_us, spun.x + np.uint16(BESIDE_FAN_PX), spun.y, spun.polarity
    columns = zip((fan.t, fan.x, fan.y, fan.polarity), other, strict=True)
    t, x, y, on = map(np.concatenate, columns)
    order = np.argsort(t, kind="stable")
    return EventBatch(size, t[order], x[order], y[order], on[order])


def steps_of(events):
    """Measurements of live steps, and the detector."""
    detector = RotationDetector(events.size, PARAMETERS)
    for start_us in range(0, int(events.t[-1]) - 50_000, 50_000):
        step = EventWindow(start_us, 50_000, events.between(start_us, start_us + 50_000))
        yield Measurement(step.end_us, 100_000, step, detector.process(step)), detector


def is_spun(rotor):
    return rotor.center[0] > BESIDE_FAN_PX


def check_spun(found, disc, at_us):
    first_us = at_us + disc.start_us
    ends = range(first_us + 150_000, first_us + disc.length_us - 99_999, 50_000)
    of_disc = {m.t_us: [r for r in m.rotors if is_spun(r)] for m in found}
    for end_us in ends:
        (rotor,) = of_disc[end_us]
        rpm = disc.mean_rpm(end_us - at_us - 100_000, end_us - at_us)
        assert rotor.rpm == pytest.approx(rpm, rel=0.05)
    ids = [{r.id for m in found for r in m.rotors if is_spun(r) == spun} for spun in (True, False)]
    assert ids[0].isdisjoint(ids[1])


def test_a_disc_spun_by_hand_beside_a_steady_fan_is_measured(long_fan):
    disc = SpunDisc(rpm=-400.0)
    both = beside(long_fan.between(0, 1_000_000), disc, 0)
    steps = list(steps_of(both))
    found = list(add_earlier_windows((m for m, _ in steps), steps[0][1]))
    check_spun(found, disc, 0)
    for measurement in found[2:]:
        (fan,) = (r for r in measurement.rotors if not is_spun(r))
        assert abs(fan.rpm - RPM) < 4 * fan.rpm_std


def test_results_beside_a_steady_fan_wait_for_a_disc_to_come_to_rest(long_fan):
    disc, at_us = SpunDisc(rpm=350.0), 1_800_000
    steps = list(steps_of(beside(long_fan, disc, at_us)))
    taken_us, delays_us, found = [0], {}, []

    def as_they_come():
        for measurement, _ in steps:
            taken_us[0] = measurement.t_us
            yield measurement

    for measurement in add_earlier_windows(as_they_come(), steps[0][1]):
        delays_us[measurement.t_us] = taken_us[0] - measurement.t_us
        found.append(measurement)
    assert [m.t_us for m in found] == [m.t_us for m, _ in steps]
    check_spun(found, disc, at_us)
    # Measurements after the fan is known and the disc has come to rest are released at once.
    rest_us = at_us + disc.start_us + disc.length_us
    for end_us in (1_200_000, rest_us - 100_000):
        assert 0 < delays_us[end_us] < 3_000_000
    assert delays_us[rest_us + 1_000_000] <= 1_100_000
