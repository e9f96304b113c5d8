"""Recordings and models are replaced only with --overwrite, and never by tables or pictures."""

from __future__ import annotations

import os

import pytest
import typer
from encoded_events import dat_file, random_events

from evio_ros.cli.main import app
from evio_ros.cli.outputs import check_outputs, check_results
from evio_ros.errors import ParameterError
from evio_ros.sources.registry import open_source

KEPT = "not to be lost"
WRITING = [
    (["convert", "in.dat", "a.csv"], "a.csv"),
    (["simulate", "--duration", "0.001", "-o", "a.raw"], "a.raw"),
    (["simulate", "--duration", "0.001", "-o", "a.raw"], "a.truth.json"),
    (["simulate", "--duration", "0.001"], "fan_constant.dat"),
]
LONG = [
    (["train", "a.safetensors"], "a.safetensors"),
    (["train-confidence", "-o", "a.npz"], "a.npz"),
    (["train-confidence", "--keep", "a.npz"], "a.npz"),
    (["models", "import", "a.ckpt", "--name", "b"], "evio_ros/models/b.safetensors"),
]
ANALYSIS = ["analyze", "in.dat", "--window-ms", "20"]
ANALYSES = [[*ANALYSIS, "--json"], [*ANALYSIS, "--csv"]]
RESULTS = [
    (["render", "in.dat", "-o"], "a.png"),
    *zip(ANALYSES, ["a.jsonl", "a.csv"], strict=True),
    ([*ANALYSIS, "--plot"], "a.png"),
]
READING = {"compile", "demo", "devices", "evaluate", "info", "list", "view"}
MEASURING = {"analyze", "detect", "render"}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    (tmp_path / "in.dat").write_bytes(dat_file(random_events(20_000)))
    return tmp_path


@pytest.mark.parametrize(("arguments", "name"), [*WRITING, *LONG])
def test_a_file_that_exists_is_kept(evio, folder, arguments, name):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(KEPT)
    before = sorted(folder.rglob("*"))
    code, out, err = evio(*arguments)
    assert (code, out) == (2, "")
    assert err.endswith(f"{name}: exists already; --overwrite replaces it\n")
    assert err.count("\n") == 1
    assert path.read_text() == KEPT
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize(("arguments", "name"), WRITING)
def test_it_is_replaced_if_the_user_asks_for_it(evio, folder, arguments, name):
    path = folder / name
    path.write_text(KEPT)
    assert evio(*arguments, "--overwrite").code == 0
    assert KEPT.encode() not in path.read_bytes()


def test_a_bag_is_replaced_as_a_whole_and_only_if_the_user_asks_for_it(evio, folder):
    assert evio("convert", "in.dat", "a.bag").code == 0
    assert evio("convert", "in.dat", "a.bag", "--duration", "0.005").code == 2
    with open_source("a.bag") as bag, open_source("in.dat") as whole:
        assert bag.end_us - bag.start_us == pytest.approx(whole.end_us - whole.start_us, abs=10_000)
        length_us = whole.end_us - whole.start_us
    assert evio("convert", "in.dat", "a.bag", "--duration", "0.005", "--overwrite").code == 0
    with open_source("a.bag") as bag:
        assert bag.end_us - bag.start_us <= 10_000 < length_us


def test_a_folder_that_is_no_bag_is_never_replaced(evio, folder):
    (folder / "a.bag").mkdir()
    (folder / "a.bag" / "notes").write_text(KEPT)
    for asked in ([], ["--overwrite"]):
        assert evio("convert", "in.dat", "a.bag", *asked).code == 2
    assert (folder / "a.bag" / "notes").read_text() == KEPT


def test_the_recording_is_never_replaced(evio, folder):
    before = (folder / "in.dat").read_bytes()
    code, _, err = evio("convert", "in.dat", "in.dat", "--to", "csv", "--overwrite")
    assert code == 2
    assert "would overwrite the recording" in err
    assert (folder / "in.dat").read_bytes() == before


def test_devices_pipes_and_the_standard_output_are_written_to(folder):
    os.mkfifo(folder / "pipe")
    outputs = ["-", "/dev/null", folder / "pipe", folder / "new.csv", None]
    check_outputs(outputs, overwrite=False)
    check_results(outputs, ["in.dat"])
    with pytest.raises(ParameterError, match="another output"):
        check_outputs(["-", "-"], overwrite=True)


def commands(group):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command)
        else:
            yield name, command


@pytest.mark.parametrize(("arguments", "name"), RESULTS)
def test_results_replace_what_is_no_recording(evio, folder, arguments, name):
    path = folder / name
    path.write_text(KEPT)
    assert evio(*arguments, name).code == 0
    assert KEPT.encode() not in path.read_bytes()
    assert evio(*arguments, name).code == 0


@pytest.mark.parametrize("arguments", [*ANALYSES, ["detect", "in.dat", "--json"]])
@pytest.mark.parametrize("other", ["other.raw", "other.csv", "other.bag"])
def test_results_never_replace_a_recording(evio, folder, arguments, other):
    assert evio("convert", "in.dat", other).code == 0
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    code, out, err = evio(*arguments, other)
    assert (code, out) == (2, "")
    assert err == f"evio: {other}: is a recording, which would be lost; use another name\n"
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_every_command_that_writes_recordings_or_models_has_the_option():
    without = {
        name
        for name, command in commands(typer.main.get_command(app))
        if "--overwrite" not in {option for each in command.params for option in each.opts}
    }
    assert without == READING | MEASURING
