"""Help, version and usage errors of the `evio` command."""

import re

import pytest

import evio_ros
from evio_ros.cli.main import app

COMMANDS = {
    command.name or command.callback.__name__: command for command in app.registered_commands
}
VERBS = list(COMMANDS)
ARGUMENTS = {"RECORDING", "RECORDINGS", "OUTPUT", "SCENE", "MODEL"}


def test_help_names_every_verb_and_what_it_is_for(evio):
    code, out, _ = evio("--help")
    assert code == 0
    assert "event camera" in out
    assert {"analyze", "info", "simulate", "demo"} <= set(VERBS)
    for command, verb in zip(app.registered_commands, VERBS, strict=True):
        assert f" {verb} " in out
        assert command.callback.__doc__


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself_and_its_options(evio, verb):
    code, out, _ = evio(verb, "--help")
    assert code == 0
    assert f"evio {verb}" in out
    assert out.count("--") >= 1


@pytest.mark.parametrize("verb", VERBS)
def test_arguments_are_named_in_the_usage_as_in_the_text(evio, verb):
    explained = set(re.findall(r"\b[A-Z]{5,}\b", COMMANDS[verb].callback.__doc__ or ""))
    usage = evio(verb, "--help").out.partition("Options")[0].splitlines()[1]
    assert explained & ARGUMENTS == set(re.findall(r"\b[A-Z]{5,}\b", usage)) - {"OPTIONS"}


def test_no_verb_gives_the_help(evio):
    _, out, err = evio()
    assert "analyze" in out + err


def test_version_is_the_packages(evio):
    assert evio("--version")[:2] == (0, f"evio {evio_ros.__version__}\n")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["analyse", "a.dat"], "analyse"),
        (["analyze"], "recording"),
        (["info", "a.dat", "b.dat"], "b.dat"),
        (["analyze", "a.dat", "--window-ms", "wide"], "--window-ms"),
        (["analyze", "a.dat", "--roi", "1", "2", "3"], "--roi"),
        (["simulate", "--seed", "-1"], "--seed"),
        (["info", "a.dat", "--colour"], "--colour"),
    ],
)
def test_wrong_usage_is_named_and_ends_with_2(evio, arguments, named):
    code, out, err = evio(*arguments)
    assert code == 2
    assert out == ""
    assert named in err.lower()
    assert "Traceback" not in err


def test_the_executable_of_ros2_run_is_the_same_command(evio_process):
    assert evio_process("--version") == (0, f"evio {evio_ros.__version__}\n", "")


def test_a_typer_that_is_too_old_is_told_in_one_line(evio, tmp_path, monkeypatch):
    # Ubuntu 24.04's version fails on unknown features.
    metadata = tmp_path / "typer-0.9.0.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: typer\nVersion: 0.9.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    needed = "evio: typer 0.16 or newer is needed, not 0.9.0: pip install 'typer >= 0.16'\n"
    assert evio("--version") == (2, "", needed)
