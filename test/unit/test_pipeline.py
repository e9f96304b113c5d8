"""The whole chain without ROS, on a recording whose truth is known."""

from dataclasses import replace

import pytest
from small_fan import BLADES, DISC, RPM
from whole_recordings import all_events

from evio_ros.errors import ParameterError
from evio_ros.events import RegionOfInterest
from evio_ros.pipeline import measure_batches, measure_source
from evio_ros.rotation.detector_parameters import RotationDetectorParameters
from evio_ros.sources.registry import open_source

PARAMETERS = RotationDetectorParameters(window_us=100_000, step_us=50_000)


def measurements(path, **options):
    with open_source(str(path)) as source:
        return source.start_us, source.end_us, list(measure_source(source, PARAMETERS, **options))


@pytest.fixture(scope="module")
def whole(fan_recording):
    return measurements(fan_recording)


def test_one_measurement_for_every_step_whose_window_the_recording_covers(whole):
    start_us, end_us, found = whole
    ends = [measurement.t_us for measurement in found]
    assert ends == list(range(start_us + 100_000, end_us + 1, 50_000))
    assert {measurement.window_us for measurement in found} == {100_000}


def test_steps_hold_every_event_once(whole, fan_recording):
    found = whole[2]
    first_us, end_us = found[0].step.start_us, found[-1].t_us
    with open_source(str(fan_recording)) as source:
        events = sum(len(batch.between(first_us, end_us)) for batch in source.batches())
    assert sum(len(measurement.step.events) for measurement in found) == events


def test_the_fan_is_found_and_measured(whole):
    rotors = [measurement.rotors for measurement in whole[2]]
    assert [len(each) for each in rotors[-6:]] == [1] * 6
    for (rotor,) in rotors[-6:]:
        assert rotor.rpm == pytest.approx(RPM, rel=1e-3)
        assert rotor.blade_count == BLADES
        assert rotor.center == pytest.approx(DISC.center, abs=1)


def test_a_section_is_measured_as_if_it_were_alone(whole, fan_recording):
    start_us, _, every = whole
    begin_us = start_us + 100_000
    _, _, found = measurements(fan_recording, start_us=begin_us, end_us=begin_us + 420_000)
    # A window of 100 ms every 50 ms; the one that would end at 450 ms is not covered.
    assert [each.t_us - begin_us for each in found] == [50_000 * n for n in range(2, 9)]
    for each, same in zip(found, every[2:9], strict=True):
        assert len(each.step.events) == len(same.step.events)
    assert found[-1].rotors[0].rpm == pytest.approx(RPM, rel=1e-3)


@pytest.mark.parametrize("end_us", [99_999, 100_000])
def test_a_section_shorter_than_a_window_is_refused(fan_recording, end_us):
    with open_source(str(fan_recording)) as source:
        section = (source.start_us, source.start_us + end_us)
        if end_us == 100_000:
            assert len(list(measure_source(source, PARAMETERS, *section))) == 1
        else:
            with pytest.raises(ParameterError, match="window_us: 100000 us is longer than"):
                measure_source(source, PARAMETERS, *section)


def test_a_fan_that_ends_within_a_step_never_slows_down(fan_recording):
    """The last 40 ms of a step of 50 ms have no events."""
    end_us = 560_000
    _, _, found = measurements(fan_recording, end_us=end_us)
    assert end_us - 50_000 < found[-1].t_us <= end_us
    seen = [measurement.rotors[0] for measurement in found if measurement.rotors]
    assert [rotor.rpm for rotor in seen] == pytest.approx([RPM] * len(seen), rel=1e-3)


def test_a_region_leaves_out_all_other_events(fan_recording):
    region = RegionOfInterest(85, 0, 100, 80)
    _, _, found = measurements(fan_recording, region=region)
    assert all(not measurement.rotors for measurement in found)
    for measurement in found:
        assert len(measurement.step.events.x) == (measurement.step.events.x >= 85).sum()


def test_a_rotor_turns_on_where_events_are_known_to_be_missing(whole, fan_recording):
    start_us, end_us, every = whole
    gap = range(start_us + 405_000, start_us + 440_000)
    once = all_events(fan_recording)
    batches = [once.between(start_us, gap.start), once.between(gap.stop, end_us)]
    found = list(measure_batches(batches, once.size, PARAMETERS, start_us, end_us, gaps=[gap]))
    assert [each.t_us for each in found] == [each.t_us for each in every]
    after = [each.rotors for each in found if each.t_us > gap.stop]
    assert after
    for (rotor,) in after:
        assert rotor.id == 0
        assert rotor.rpm == pytest.approx(RPM, rel=1e-3)
    assert sum(each.step.missing_us for each in found) == len(gap)


def test_an_hour_without_events_is_passed_over(whole, fan_recording):
    start_us, end_us, every = whole
    once = all_events(fan_recording)
    hour_us = 3_600_000_000
    again = replace(once, t=once.t + hour_us)
    found = list(measure_batches([once, again], once.size, PARAMETERS, start_us, end_us + hour_us))
    # Of the hour, 72 000 steps, little more than a minute is measured.
    assert len(found) < 1_500
    before = [each.rotors for each in found if each.t_us <= end_us]
    assert [len(rotors) for rotors in before] == [len(each.rotors) for each in every]
    (rotor,) = found[-1].rotors
    assert rotor.rpm == pytest.approx(RPM, rel=1e-3)
    assert found[-1].t_us > start_us + hour_us + 400_000
