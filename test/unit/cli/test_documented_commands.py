"""Commands in the documents and the help are accepted by `evio` and the scripts."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from evio_ros.cli.main import app
from evio_ros.simulation.presets import PRESETS, REALISTIC_PRESETS

ROOT = Path(__file__).parents[3]
DOCUMENTS = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
DOCUMENTS += (ROOT / "evio_ros" / "detection" / "models").glob("*.md")
IN_BLOCK = re.compile(r"^ {4}(?:\$ )?(evio .*)$", re.MULTILINE)
IN_TEXT = re.compile(r"`(evio [a-z-]+ -[^`]*)`")
SCRIPT = re.compile(r"python ((?:bench|test|tools)/\w+\.py)([^`\n]*)")
IN_HELP = re.compile(r"^ *Example: (evio .*)$", re.MULTILINE)
SCENE = re.compile(r"\bscene:([a-z]\w*)|evio simulate ([a-z]\w*)")
REMARK = re.compile(r"  .*")


def shown() -> Iterator[str]:
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        for line in IN_BLOCK.findall(text):
            yield from REMARK.sub("", line.strip("\\")).split(" && ")
    for module in sorted((ROOT / "evio_ros" / "cli").glob("*.py")):
        yield from IN_HELP.findall(module.read_text(encoding="utf-8"))


def options_in_text() -> Iterator[str]:
    for document in DOCUMENTS:
        yield from IN_TEXT.findall(document.read_text(encoding="utf-8"))


def scripts() -> Iterator[tuple[str, str]]:
    for document in DOCUMENTS:
        yield from SCRIPT.findall(document.read_text(encoding="utf-8"))


def verb_of(words: list[str]):
    """The command named by words, and its arguments."""
    program, *words = words
    assert program == "evio"
    command = typer.main.get_command(app)
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    return command, words


@pytest.mark.parametrize("line", sorted(set(shown())))
def test_a_command_is_understood(line):
    # Brackets enclose optional parts.
    command, arguments = verb_of(shlex.split(line.replace("[", "").replace("]", "")))
    # Parses and converts, but runs nothing; raises for an invalid name or value.
    context = command.make_context(command.name, arguments)
    assert context.args == []


def test_scenes_that_are_named_exist():
    named = {a or b for line in shown() for a, b in SCENE.findall(line)}
    for document in DOCUMENTS:
        named |= {a or b for a, b in SCENE.findall(document.read_text(encoding="utf-8"))}
    assert {"fan", "drone_idle", "lamp"} <= named
    assert named - {"fan"} <= {*PRESETS, *REALISTIC_PRESETS}


@pytest.mark.parametrize("line", sorted(set(options_in_text())))
def test_the_options_of_a_mention_exist(line):
    command, arguments = verb_of(shlex.split(line))
    known = {name for parameter in command.params for name in parameter.opts}
    assert {word for word in arguments if word.startswith("-")} <= known


@pytest.mark.parametrize(("script", "arguments"), sorted(set(scripts())))
def test_a_script_is_there_and_has_the_options(script, arguments):
    source = (ROOT / script).read_text(encoding="utf-8")
    for option in re.findall(r"--[a-z-]+", arguments):
        assert f'"{option}"' in source


def test_each_verb_that_takes_something_has_an_example_in_its_help():
    without = {
        command.callback.__name__
        for command in app.registered_commands
        if not IN_HELP.search(command.callback.__doc__)
    }
    assert without == {"compile_all", "devices"}
