"""A recording that is shown gives the rotors that are in it, and goes where it is told."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
from small_fan import RPM
from web_desk import wait_until

from evio_ros.errors import ParameterError
from evio_ros.playback.replay import ReplayParameters
from evio_ros.rotation.detector_parameters import DetectorSettings
from evio_ros.sources.base import SeekableSource
from evio_ros.sources.registry import open_recording
from evio_ros.web.data_source import ControlError
from evio_ros.web.recording_source import RecordingSource


@pytest.fixture
def recording(fan_recording) -> Iterator[SeekableSource]:
    with open_recording(str(fan_recording)) as source:
        yield source


def shown(recording: SeekableSource, **pace: float | bool | int) -> RecordingSource:
    replay = ReplayParameters(**pace)  # type: ignore[arg-type]
    return RecordingSource(recording, "/data/fan.dat", DetectorSettings(), replay)


@pytest.fixture
def source(recording) -> Iterator[RecordingSource]:
    source = shown(recording, rate=0.0)
    source.start()
    yield source
    source.close()


def has_ended(source: RecordingSource) -> bool:
    state = source.playback()
    return state.position_us == state.duration_us


def test_the_rotor_of_a_recording_is_shown(source):
    wait_until(lambda: has_ended(source))
    state = source.view.state
    assert state is not None
    (rotor,) = state.rotors
    assert rotor.estimate.rpm == pytest.approx(RPM, rel=1e-3)
    assert source.title == "fan.dat"
    report = source.view.reports()[0]
    wait_until(lambda: source.view.reports()[0].message == "the recording has ended")
    assert report.hardware_id == "/data/fan.dat"
    assert source.playback().source == "/data/fan.dat"


def test_events_are_thinned_to_what_a_view_keeps_and_say_so(source, recording):
    wait_until(lambda: has_ended(source))
    samples = source.view.samples_after(-(1 << 60))
    assert samples
    for one in samples:
        span_s = 1e-6 * (one.end_us - one.start_us)
        assert len(one.events) <= math.ceil(source.view.events_a_second * span_s)
        assert 0 < one.share <= 1
    came = sum(len(one.events) / one.share for one in samples)
    first, last = samples[0].start_us, samples[-1].end_us
    recording.seek(first)
    truth = sum(len(batch.between(first, last)) for batch in recording.batches())
    assert came == pytest.approx(truth, rel=0.01)


def test_it_goes_back_and_begins_anew(source):
    wait_until(lambda: has_ended(source))
    before = source.view.states
    assert source.seek(100_000) == "at 0.100 s"
    wait_until(lambda: source.view.states > before and has_ended(source))
    again = source.view.states
    source.restart()
    wait_until(lambda: source.view.states > again and has_ended(source))


def test_it_stands_still_until_it_may_go_on(recording):
    source = shown(recording)
    source.pause(True)
    source.start()
    try:
        assert source.playback().is_paused
        source.pause(False)
        source.set_rate(0.0)
        wait_until(lambda: has_ended(source))
        assert source.playback().rate == 0.0
    finally:
        source.close()


def test_in_pause_it_shows_where_it_has_gone_and_goes_on_from_there(recording):
    source = shown(recording, rate=0.05)
    source.pause(True)
    source.start()
    try:
        for t_us in (200_000, 100_000):
            source.seek(t_us)
            wait_until(lambda t_us=t_us: t_us < source.playback().position_us < t_us + 100_000)
            assert source.playback().is_paused
        source.set_rate(1.0)  # neither moves it nor lets it go on
        assert source.view.states == 2
        state = source.view.state
        assert state is not None
        step_us = state.t_us - recording.start_us - 100_000
        assert step_us > 0
        source.pause(False)
        wait_until(lambda: source.view.states > 2)
        _, samples = source.view.states_after(1)
        assert samples[0] == state
        assert samples[1].t_us - samples[0].t_us == step_us
    finally:
        source.close()


@pytest.mark.parametrize("t_us", [-1, 1 << 50])
def test_a_time_outside_is_refused_with_the_bounds(source, t_us):
    with pytest.raises(ControlError, match="is not in 0 to"):
        source.seek(t_us)


def test_parameters_are_checked(source):
    names = {one.name: one for one in source.parameters()}
    assert names["replay.rate"].doc
    assert not names["replay.loop"].is_read_only
    assert source.set_parameter("/player", "replay.rate", 2) == "replay.rate is 2.0"
    for name, value, reason in (
        ("replay.rate", -1.0, "rate"),
        ("replay.rate", True, "rate"),
        ("replay.loop", "yes", "loop"),
        ("replay.start_us", 5, "at the start only"),
        ("replay.other", 5, "no parameter"),
    ):
        with pytest.raises(ControlError, match=reason):
            source.set_parameter("/player", name, value)
    assert source.playback().rate == 2.0


def test_a_beginning_past_the_end_is_refused(recording):
    with pytest.raises(ParameterError, match="past the recording's end"):
        shown(recording, start_us=1 << 40)
