"""Rules for all formats, one test case each."""

from __future__ import annotations

import random

import numpy as np
import pytest
from encoded_events import SIZE, Event, events_of, random_events
from recording_makers import MAKERS, SENSORS, as_made, mutated, storage_file

from evio_ros.errors import SourceError
from evio_ros.events import EventBatch, SensorSize
from evio_ros.sources.base import EventSource, SeekableSource
from evio_ros.sources.registry import FILE_FORMATS, open_source

# The first event is at 0 because Event Stream files begin there.
EVENTS = [(0, 0, 0, 1), *random_events(150_000, start_us=20, mean_step_us=6.0)]
EVENTS[7] = (EVENTS[7][0], 639, 479, 0)
TIMES = np.array([event[0] for event in EVENTS])


@pytest.fixture(scope="module", params=MAKERS)
def made(request, tmp_path_factory) -> tuple[str, SensorSize, list[Event]]:
    """Path, geometry and events of a recording in each format."""
    path = tmp_path_factory.mktemp("recordings") / "recording"
    MAKERS[request.param](path, EVENTS)
    size = SENSORS.get(request.param, SIZE)
    return str(path), size, as_made(request.param, EVENTS)


@pytest.fixture
def path(made) -> str:
    return made[0]


def test_it_is_a_source_that_gives_the_events_once(made):
    path, size, events = made
    with open_source(path) as source:
        assert isinstance(source, EventSource)
        assert isinstance(source, SeekableSource)
        assert not source.is_live
        assert source.format_name
        assert source.size == size
        assert (source.start_us, source.end_us) == (TIMES[0], TIMES[-1] + 1)
        batches = list(source.batches())
        assert not list(source.batches())
        assert source.statistics.events == len(EVENTS)
        assert source.statistics.dropped == source.statistics.reordered == 0
    assert events_of(batches) == events
    for batch in batches:
        assert len(batch)
        assert not batch.t.flags.writeable
        EventBatch(size, batch.t, batch.x, batch.y, batch.polarity)


def test_a_seek_gives_the_same_as_skipping(made):
    path, _, events = made
    with open_source(path) as source:
        for t_us in (500_000, int(TIMES[-1]), -1, 123_456, int(TIMES[-1]) + 1, 0):
            source.seek(t_us)
            first = int(np.searchsorted(TIMES, t_us))
            found = next(source.batches(), None)
            if first == len(EVENTS):
                assert found is None
            else:
                assert events_of([found]) == events[first : first + len(found)]
        assert events_of(source.batches())[-1] == events[-1]


def test_it_may_be_closed_twice_and_by_an_error(path):
    source = open_source(path)
    next(source.batches())
    with pytest.raises(ZeroDivisionError), source:
        raise ZeroDivisionError
    source.close()


@pytest.mark.parametrize("name", MAKERS)
def test_broken_copies_end_in_one_line_or_in_events(name, tmp_path):
    MAKERS[name](tmp_path / "whole", EVENTS[:3000])
    whole = tmp_path / "whole"
    target = storage_file(whole)
    data = target.read_bytes()
    chance = random.Random(name)
    for _ in range(24):
        target.write_bytes(mutated(data, chance))
        text = ""
        try:
            with open_source(str(whole)) as source:
                assert source.end_us > source.start_us
                events = sum(len(batch) for batch in source.batches())
                assert events <= 40 * len(data)
        except SourceError as error:
            text = str(error)
        assert "\n" not in text


def test_every_registered_format_has_a_row(tmp_path):
    opened = set()
    for name, make in MAKERS.items():
        make(tmp_path / name, EVENTS[:100])
        with open_source(str(tmp_path / name)) as source:
            opened.add(type(source).__name__)
    assert opened == {*(entry.partition(":")[2] for entry in FILE_FORMATS), "Bag"}


def test_an_event_stream_that_ends_in_zeros_is_refused_with_what_to_do(tmp_path):
    path = tmp_path / "a.es"
    MAKERS["Event Stream"](path, EVENTS[:3000])
    size = len(path.read_bytes().rstrip(b"\0"))
    path.write_bytes(path.read_bytes() + bytes(5000))
    with pytest.raises(SourceError, match=f"zeros, as after a crash; .* truncate -s {size}$"):
        open_source(str(path))
