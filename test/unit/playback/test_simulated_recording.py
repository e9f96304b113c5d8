"""Simulated recordings: complete or absent, with their truth, and made only once."""

import os

import pytest
from small_fan import RPM, small_fan

from evio_ros.errors import SourceError
from evio_ros.playback import simulated_recording
from evio_ros.playback.simulated_recording import cached_recording, record
from evio_ros.simulation.presets import preset
from evio_ros.simulation.truth import Truth, truth_path
from evio_ros.sources.registry import open_source


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_recording_has_its_truth_beside_it(tmp_path):
    path = tmp_path / "fan.dat"
    done = []
    events = record(small_fan(25_000), path, done.append)
    assert names(tmp_path) == ["fan.dat", "fan.truth.json"]
    with open_source(str(path)) as source:
        assert sum(len(batch) for batch in source.batches()) == events > 1000
        assert source.end_us <= 25_000
    truth = Truth.read(truth_path(path))
    assert (truth.scene, truth.duration_us) == ("small_fan", 25_000)
    assert truth.rotors[0].mean_rpm(0, 25_000) == pytest.approx(RPM)
    assert done == sorted(done)
    assert done[-1] == 25_000


def test_a_simulation_that_is_broken_off_leaves_nothing(tmp_path):
    def interrupt(done_us: int) -> None:
        if done_us >= 20_000:
            assert names(tmp_path) != []
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        record(small_fan(50_000), tmp_path / "fan.dat", interrupt)
    assert names(tmp_path) == []


def test_a_truth_that_cannot_be_written_leaves_no_recording(tmp_path):
    (tmp_path / "fan.truth.json").mkdir()
    with pytest.raises(SourceError, match=r"fan\.truth\.json: cannot be written: Is a directory"):
        record(small_fan(10_000), tmp_path / "fan.dat")
    assert names(tmp_path) == ["fan.truth.json"]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "evio_ros"


def test_the_cache_makes_a_recording_once(cache):
    path = cached_recording("fan_constant", 0.01)
    assert path.parent == cache
    assert names(cache) == [path.name, truth_path(path).name]
    os.utime(path, (1, 1))
    assert cached_recording("fan_constant", 0.01) == path
    assert path.stat().st_mtime == 1


def test_whatever_makes_other_events_has_another_name(cache, monkeypatch):
    made = []
    monkeypatch.setattr(simulated_recording, "record", lambda _, path, __: made.append(path))
    one = cached_recording("fan_constant")
    usual_s = preset("fan_constant").duration_s
    assert cached_recording("fan_constant", usual_s) == one
    others = [
        cached_recording("fan_constant", 0.5),
        cached_recording("fan_constant", rpm=1151.0),
        cached_recording("fan_constant", seed=1),
        cached_recording("fan_ramp"),
    ]
    monkeypatch.setattr(simulated_recording, "SIMULATOR_VERSION", -1)
    others.append(cached_recording("fan_constant"))
    assert len({one, *others}) == 6
    assert set(made) == {one, *others}


def test_without_a_cache_folder_of_its_own_it_lies_in_the_home(tmp_path, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(simulated_recording, "record", lambda *_: 0)
    assert cached_recording("lamp").parent == tmp_path / ".cache" / "evio_ros"
