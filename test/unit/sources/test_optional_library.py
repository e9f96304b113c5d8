"""The error for a missing library names it in one line."""

from __future__ import annotations

import sys

import pytest
from encoded_events import batch_of, random_events

from evio_ros.errors import SourceError
from evio_ros.sources.registry import open_source
from evio_ros.sources.writers.registry import open_writer


@pytest.mark.parametrize(
    ("start", "module", "package"),
    [
        (b"Event Stream\x02\x00\x00", "faery", r"evio_ros\[formats\]"),
        (b"\x89HDF\r\n\x1a\n", "h5py", "h5py"),
    ],
)
def test_files(start, module, package, tmp_path, monkeypatch):
    path = tmp_path / "recording"
    path.write_bytes(start + b"\x01" * 100)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SourceError, match=f"needs the library {module} .*pip install '{package}'"):
        open_source(str(path))


def test_bags(tmp_path, monkeypatch):
    batch = batch_of(random_events(10))
    with open_writer(str(tmp_path / "a"), batch.size, "bag") as writer:
        writer.append(batch)
    monkeypatch.setitem(sys.modules, "rosbags.rosbag2", None)
    with pytest.raises(SourceError, match="pip install 'rosbags'"):
        open_source(str(tmp_path / "a"))


def test_cameras(monkeypatch):
    monkeypatch.setitem(sys.modules, "neuromorphic_drivers", None)
    with pytest.raises(SourceError, match=r"pip install 'evio_ros\[cameras\]'"):
        open_source("camera:evk4")
