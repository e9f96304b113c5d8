from __future__ import annotations

import json
import math
from pathlib import Path as FilePath

import pytest

from evio_ros.ellipse import Ellipse
from evio_ros.errors import SourceError
from evio_ros.simulation.presets import preset
from evio_ros.simulation.scene import Path, Rotor, Scene
from evio_ros.simulation.speed import SpeedProfile
from evio_ros.simulation.truth import Truth, truth_path


def scene() -> Scene:
    path = Path(
        (0.0, 1e6), (Ellipse((10.0, 20.0), (8.0, 4.0), 0.0), Ellipse((30.0, 20.0), (8.0, 6.0), 0.2))
    )
    return Scene("two knots", (Rotor(path, SpeedProfile.constant(60.0), phase_rad=0.3),))


def test_angle_and_ellipse_at_a_time():
    (rotor,) = Truth.of(scene(), 1_000_000).rotors
    assert rotor.angle_rad(250_000) == pytest.approx(0.3 + math.pi / 2)
    halfway = rotor.ellipse(500_000)
    assert halfway.center == (20.0, 20.0)
    assert halfway.axes == (8.0, 5.0)
    assert halfway.tilt_rad == pytest.approx(0.1)


@pytest.mark.parametrize("name", ["fan_steps", "drone_moving", "lamp"])
def test_a_file_gives_back_the_truth(tmp_path, name):
    truth = Truth.of(preset(name).scene, 500_000)
    path = truth_path(tmp_path / "x.dat")
    truth.write(path)
    assert path.name == "x.truth.json"
    assert Truth.read(path) == truth


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"version": 99}', '{"version": 1, "scene": "x"}']
)
def test_what_is_no_truth_file_is_refused(tmp_path, content):
    path = tmp_path / "x.truth.json"
    path.write_text(content)
    with pytest.raises(SourceError, match=r"x\.truth\.json"):
        Truth.read(path)


@pytest.mark.parametrize(
    ("recording", "name"),
    [
        ("a/fan.dat", "a/fan.truth.json"),
        ("fan.v2.raw", "fan.v2.truth.json"),
        ("bag", "bag.truth.json"),
        (".hidden", ".hidden.truth.json"),
    ],
)
def test_the_truth_lies_beside_the_recording(recording, name):
    assert truth_path(recording) == FilePath(name)


def test_the_truth_of_the_present_folder_lies_beside_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert truth_path(".") == tmp_path.with_name(f"{tmp_path.name}.truth.json")
    assert truth_path("/") == FilePath("/.truth.json")


def test_a_refusal_is_short_whatever_the_file_holds(tmp_path):
    path = tmp_path / "x.truth.json"
    path.write_bytes(bytes(range(256)) * 1000)
    with pytest.raises(SourceError, match="is not a ground-truth file") as refused:
        Truth.read(path)
    assert len(str(refused.value)) < len(str(path)) + 200
    path.write_text('{"version": 99}')
    with pytest.raises(SourceError, match=r"truth\.json: unknown version 99 of the format$"):
        Truth.read(path)


def test_a_truth_whose_speed_has_no_knots_is_refused(tmp_path):
    path = tmp_path / "x.truth.json"
    Truth.of(scene(), 1).write(path)
    content = json.loads(path.read_text())
    content["rotors"][0]["speed"] = {"time_us": [], "rpm": []}
    path.write_text(json.dumps(content))
    with pytest.raises(SourceError, match="not a ground-truth file"):
        Truth.read(path)
