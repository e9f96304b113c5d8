"""`evio render`: the picture shows the events, and errors are one line each."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from evio_ros.events import EventBatch, SensorSize
from evio_ros.representations.picture import LOOKS
from evio_ros.sources.writers.dat import DatWriter

EVIO = [sys.executable, "-c", "from evio_ros.cli.start import main; main()"]
SIZE = SensorSize(12, 8)


def evio(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [*EVIO, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """One ON event at (3, 2) at 5 ms, three OFF at (9, 6) at 60 ms, one at the end."""
    path = tmp_path_factory.mktemp("recording") / "few.dat"
    t = np.array([0, 5_000, 60_000, 60_000, 60_000, 100_000])
    x = np.array([0, 3, 9, 9, 9, 0], np.uint16)
    y = np.array([0, 2, 6, 6, 6, 0], np.uint16)
    on = np.array([True, True, False, False, False, True])
    with DatWriter(path, SIZE) as writer:
        writer.append(EventBatch(SIZE, t, x, y, on))
    return path


def picture_of(path) -> np.ndarray:
    from matplotlib.image import imread

    return np.rint(imread(path)[..., :3] * 255).astype(int)


def test_the_events_of_the_window_are_shown(recording, tmp_path):
    done = evio("render", recording, "--at", 0.07, "--window-ms", 20, "-o", tmp_path / "a.png")
    assert done.returncode == 0, done.stderr
    picture = picture_of(tmp_path / "a.png")
    assert picture.shape == (8, 12, 3)
    ground = picture[0, 0]
    lit = np.argwhere((picture != ground).any(axis=2))
    assert lit.tolist() == [[6, 9]]
    red, _, blue = picture[6, 9]
    assert blue > red


@pytest.mark.parametrize("kind", LOOKS)
def test_every_look(recording, tmp_path, kind):
    path = tmp_path / f"{kind}.png"
    arguments = ("--kind", kind, "--at", 0.006, "--window-ms", 3, "--tau-ms", 10)
    done = evio("render", recording, *arguments, "--roi", 2, 1, 10, 5, "-o", path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(", 8x4\n")
    picture = picture_of(path)
    assert picture.shape == (4, 8, 3)
    red, _, blue = picture[1, 1]
    assert red > blue
    assert (picture[2:, 2:] == picture[3, 3]).all()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--kind", "voxel_grid"), "--kind: 'voxel_grid' is not one of event_frame,"),
        (("--at", "0.2"), "--at: 0.2 s is past the recording's end at 0.1"),
        (("--window-ms", "0"), "--window-ms: 0 ms is out of range; must be 0.001 to 10000 ms"),
        (("--tau-ms", "nan"), "--tau-ms: nan ms is out of range; must be 0.001 to 10000 ms"),
        (("--window-ms", "inf"), "--window-ms: inf ms is out of range; must be 0.001 to 10000 ms"),
        (("--roi", "0", "0", "13", "8"), "--roi: (13, 8) is outside the sensor of 12x8 pixels"),
        (("--roi", "3", "0", "3", "8"), "is empty or negative"),
        (("-o", "/nowhere/a.png"), "/nowhere/a.png: cannot be written"),
        (("-o", "a.jpg"), "a.jpg: the name must end in .png"),
    ],
)
def test_errors_are_one_line(recording, tmp_path, arguments, text):
    done = evio("render", recording, "-o", tmp_path / "a.png", *arguments)
    assert done.returncode == 2
    assert text in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())
