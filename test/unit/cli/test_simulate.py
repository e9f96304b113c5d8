"""`evio simulate`: the recording and the truth beside it."""

import pytest

from evio_ros.simulation.presets import PRESETS, REALISTIC_PRESETS
from evio_ros.simulation.truth import Truth
from evio_ros.sources.registry import open_source


def test_writes_a_recording_and_its_truth(evio, tmp_path):
    output = tmp_path / "made.dat"
    options = ("--duration", 0.01, "--rpm", -900, "--seed", 3)
    code, out, err = evio("simulate", "fan_constant", "-o", output, *options)
    assert (code, err) == (0, "")
    truth = Truth.read(tmp_path / "made.truth.json")
    assert truth.rotors[0].mean_rpm(0, 10_000) == pytest.approx(-900)
    with open_source(str(output)) as source:
        events = sum(len(batch) for batch in source.batches())
        assert source.statistics.dropped == source.statistics.reordered == 0
        assert source.end_us <= 10_000
    assert f"{output}: {events} events in 0.01 s" in out
    assert str(tmp_path / "made.truth.json") in out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made.dat", "made.truth.json"]


@pytest.mark.parametrize(
    ("ending", "name"), [("raw", "Prophesee EVT3"), ("h5", "HDF5"), ("bag", "rosbag2")]
)
def test_the_ending_says_the_format(evio, tmp_path, ending, name):
    output = tmp_path / f"made.{ending}"
    code, out, _ = evio("simulate", "fan_constant", "-o", output, "--duration", 0.01)
    assert code == 0
    with open_source(str(output)) as source:
        assert source.format_name == name
        events = sum(len(batch) for batch in source.batches())
    assert f"{output}: {events} events in 0.01 s" in out
    assert (tmp_path / "made.truth.json").exists()


def test_list_shows_every_scene(evio):
    code, out, _ = evio("simulate", "--list")
    assert code == 0
    for name in (*PRESETS, *REALISTIC_PRESETS):
        assert name in out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("no_such_scene",), "scene: 'no_such_scene' is not one of fan_constant, "),
        (("--duration", 0), "duration: 0 s is not above 0 and at most 3600"),
        (("--duration", "nan"), "duration: nan s is not above 0"),
        (("--duration", 4000), "duration: 4000 s is not above 0 and at most 3600"),
        (("--rpm", "nan"), "rpm: nan is not in -1000000 to 1000000"),
        (("--rpm", "-inf"), "rpm: -inf is not in -1000000 to 1000000"),
        (
            ("-o", "fan.xyz"),
            "fan.xyz: the ending '.xyz' is not that of a format; known endings are .dat, .raw",
        ),
        (("-o", "-"), "--output: the truth lies beside the recording, so name a file, not -"),
        (("-o", "."), ".: cannot be written: Is a directory"),
        (("-o", "/"), "/: cannot be written: Is a directory"),
        (("lamp", "--rpm", 100), "rpm: scene lamp has no rotor"),
        (("-o", "missing/fan.dat"), "missing/fan.dat: cannot be written: No such file"),
    ],
)
def test_wrong_values_are_refused_in_one_line(evio, monkeypatch, tmp_path, options, message):
    monkeypatch.chdir(tmp_path)
    code, out, err = evio("simulate", *options)
    assert (code, out) == (2, "")
    assert err.startswith("evio: ")
    assert err.count("\n") == 1
    assert message in err
    assert list(tmp_path.iterdir()) == []
