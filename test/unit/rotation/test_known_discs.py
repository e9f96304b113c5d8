from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rotor_events import SIZE, IdealRotor, events_of

from evio_ros.ellipse import Ellipse
from evio_ros.errors import ParameterError, SourceError
from evio_ros.events import SensorSize
from evio_ros.rotation.detector import RotationDetector
from evio_ros.rotation.known_discs import KnownDisc, KnownDiscs
from evio_ros.windowing import windows

finite = st.floats(-1e4, 1e4)


@given(finite, finite, st.floats(1, 100), st.floats(1, 10), st.floats(-1.5, 1.5))
def test_what_was_written_is_read(tmp_path_factory, x, y, b, stretch, tilt):
    disc = KnownDisc(Ellipse((x, y), (b * stretch, b), tilt), (0.1, 0.2), 3)
    path = tmp_path_factory.mktemp("known_discs") / "discs.json"
    KnownDiscs(SIZE, (disc,)).write(path)
    assert KnownDiscs.read(path) == KnownDiscs(SIZE, (disc,))


def test_a_detector_gives_the_discs_that_it_has_found_and_starts_from_them(tmp_path):
    rotor = IdealRotor(19.1667)
    steps = list(windows([events_of([rotor], 400_000)], SIZE, 50_000, start_us=0))
    detector = RotationDetector(SIZE)
    for step in steps:
        detector.process(step)
    found = detector.known_discs()
    (disc,) = found.discs
    assert math.dist(disc.ellipse.center, rotor.ellipse.center) < 0.5
    assert disc.blade_count == 3
    found.write(tmp_path / "discs.json")
    second = RotationDetector(SIZE, known_discs=KnownDiscs.read(tmp_path / "discs.json"))
    results = [second.process(step) for step in steps]
    assert results[-1][0].rpm == pytest.approx(1150.0, rel=1e-4)
    second.forget_discs()
    assert second.known_discs().discs == ()


def test_known_discs_of_another_sensor_is_refused():
    other = KnownDiscs(SensorSize(64, 48), ())
    with pytest.raises(ParameterError, match="for a 64x48 sensor, not for 320x240"):
        RotationDetector(SIZE, known_discs=other)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"size": {"width": 0, "height": 1}},
        {"discs": [{"ellipse": {}}]},
        {"discs": 3},
        {"format": "other"},
    ],
)
def test_damaged_files_are_refused_by_name(tmp_path, change):
    path = tmp_path / "discs.json"
    disc = KnownDisc(Ellipse((1.0, 2.0), (4.0, 3.0), 0.0), (0.1, 0.1), 2)
    KnownDiscs(SIZE, (disc,)).write(path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(SourceError, match=r"discs\.json"):
        KnownDiscs.read(path)


@pytest.mark.parametrize("text", ["", "[]", "{", "null"])
def test_files_without_known_discs_are_refused(tmp_path, text):
    path = tmp_path / "discs.json"
    path.write_text(text)
    with pytest.raises(SourceError):
        KnownDiscs.read(path)
    with pytest.raises(SourceError):
        KnownDiscs.read(tmp_path / "missing.json")


def test_a_refusal_is_short_whatever_the_file_holds(tmp_path):
    path = tmp_path / "discs.json"
    path.write_bytes(bytes(range(256)) * 1000)
    with pytest.raises(SourceError, match="is not a file of known discs") as refused:
        KnownDiscs.read(path)
    assert len(str(refused.value)) < len(str(path)) + 200
