"""URIs of files: the examples of RFC 8089, and the URIs of Python's pathlib."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from encoded_events import dat_file, events_of, random_events

from evio_ros.sources.file_uri import path_of
from evio_ros.sources.registry import open_source

NAMES = ["with space.dat", "100%.dat", "a%20b.dat", "ünï.dat", "what?.dat", "a#1&b=c.dat"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("head", ["file://", "file://localhost"])
def test_a_recording_is_opened_by_the_uri_of_its_file(name, head, tmp_path):
    events = random_events(100)
    (tmp_path / name).write_bytes(dat_file(events))
    uri = head + (tmp_path / name).as_uri().removeprefix("file://")
    with open_source(uri) as source:
        assert source.path == str(tmp_path / name)
        assert events_of(source.batches()) == events


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("/a/with%20space.csv", "/a/with%20space.csv"),
        ("file:///a/with%20space.csv?stream=left", "/a/with space.csv?stream=left"),
        ("file:///a/with space.csv", "/a/with space.csv"),
        ("file:///a/100%.csv", "/a/100%.csv"),
        ("camera:evk4?serial=%20", "camera:evk4?serial=%20"),
    ],
)
def test_only_a_uris_percent_signs_are_decoded(uri, path):
    assert path_of(uri) == path


def test_names_that_are_not_utf_8_are_kept():
    path = os.fsdecode(b"/a/\xff.dat")
    assert path_of(Path(path).as_uri()) == path
