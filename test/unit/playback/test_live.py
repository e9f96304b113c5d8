"""Live sources pass on whole windows, and cannot go back."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from encoded_events import SIZE, batch_of, events_of, random_events

from evio_ros.errors import ParameterError, SourceError
from evio_ros.playback.live import LiveStream, player_of
from evio_ros.playback.replay import Replay, ReplayParameters
from evio_ros.sources.base import SourceStatistics
from evio_ros.sources.registry import open_source
from evio_ros.sources.writers.registry import open_writer

EVENTS = random_events(5_000, start_us=300, mean_step_us=20.0)


class Camera:
    """A source that gives what it is made with, does something in between, and ends or fails."""

    is_live = True
    size = SIZE

    def __init__(self, steps):
        self.steps = steps
        self.statistics = SourceStatistics()
        self.closed = False

    def batches(self):
        for step in self.steps:
            if callable(step):
                step()
            elif isinstance(step, Exception):
                raise step
            else:
                yield batch_of(step)

    def close(self):
        self.closed = True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def played(steps, **parameters):
    """Windows with whether time starts afresh, and what the end brought."""
    windows, ends = [], []
    camera = Camera(steps)
    stream = LiveStream(
        camera,
        ReplayParameters(**parameters),
        lambda window, fresh: windows.append((window, fresh)),
        ends.append,
    )
    stream.start()
    stream._thread.join()
    stream.close()
    assert camera.closed
    return windows, ends


def test_windows_follow_one_another_and_only_the_first_is_fresh():
    windows, ends = played([EVENTS[:700], EVENTS[700:3000], EVENTS[3000:]], window_us=5_000)
    starts = [window.start_us for window, _ in windows]
    assert starts == list(range(EVENTS[0][0], EVENTS[0][0] + 5_000 * len(starts), 5_000))
    assert [fresh for _, fresh in windows] == [True] + [False] * (len(starts) - 1)
    found = events_of([window.events for window, _ in windows])
    # What comes after the last whole window waits for more.
    assert found == EVENTS[: len(found)]
    assert EVENTS[-1][0] - found[-1][0] <= 5_000 + 100
    assert ends == [None]


def test_a_window_with_too_many_events_comes_in_parts():
    windows, _ = played([EVENTS], window_us=50_000, maximum_events=100)
    assert max(len(window.events) for window, _ in windows) <= 100
    assert [fresh for _, fresh in windows].count(True) == 1


@pytest.mark.parametrize("error", [SourceError("camera:evk4", "melted"), OverflowError("a slip")])
def test_an_error_ends_it(error):
    windows, ends = played([EVENTS, error], window_us=5_000)
    assert windows
    assert ends == [error]


def test_in_pause_events_are_left_out():
    windows = []
    steps = [EVENTS[:2000]]
    stream = LiveStream(
        Camera(steps),
        ReplayParameters(window_us=5_000),
        lambda window, _: windows.append(window),
        lambda _: None,
    )
    steps += [lambda: stream.pause(True), EVENTS[2000:3000]]
    steps += [lambda: stream.pause(False), EVENTS[3000:]]
    stream.start()
    stream._thread.join()
    times = [event[0] for event in events_of([window.events for window in windows])]
    assert set(times) <= {event[0] for event in EVENTS}
    gaps = [b - a for a, b in itertools.pairwise(times)]
    assert 10_000 < max(gaps) <= EVENTS[3000][0] - EVENTS[2000][0] + 10_000


def test_there_is_no_way_back():
    stream = LiveStream(Camera([]), ReplayParameters(), lambda *_: None, lambda _: None)
    with pytest.raises(ParameterError, match="t: 5 us: a live source cannot seek"):
        stream.seek(5)
    with pytest.raises(ParameterError, match="cannot be restarted"):
        stream.restart()


def test_recordings_are_replayed_and_cameras_are_not(tmp_path):
    with open_writer(str(tmp_path / "a"), SIZE, "dat") as writer:
        writer.append(batch_of(EVENTS))
    arguments = (ReplayParameters(), lambda *_: None, lambda _: None)
    with open_source(str(tmp_path / "a")) as source:
        assert isinstance(player_of(source, *arguments), Replay)
    assert isinstance(player_of(Camera([]), *arguments), LiveStream)


def test_a_recording_of_more_pixels_than_sensors_have_is_not_played(tmp_path):
    t, x, y, p = np.array(EVENTS).T
    np.savez(tmp_path / "a.npz", t=t, x=x * 100 + 1, y=y, p=p)
    with (
        open_source(str(tmp_path / "a.npz")) as source,
        pytest.raises(SourceError, match="more than sensors have"),
    ):
        player_of(source, ReplayParameters(), print, print)
