"""The Python examples of the documents run, on a small simulated fan."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from evio_ros.sources.conversion import convert
from evio_ros.sources.registry import open_source
from evio_ros.sources.writers.registry import open_writer

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLES = [
    pytest.param(block, id=f"{name} {number}")
    for name in ("README.md", "docs/api.md", "docs/motion.md", "docs/representations.md")
    for number, block in enumerate(BLOCK.findall((ROOT / name).read_text(encoding="utf-8")))
]


@pytest.fixture(scope="module")
def folder(fan_recording, tmp_path_factory) -> Path:
    """A folder with the recording that the examples name."""
    folder = tmp_path_factory.mktemp("examples")
    with (
        open_source(str(fan_recording)) as source,
        open_writer(str(folder / "fan.raw"), source.size, "evt3") as writer,
    ):
        convert(source, writer, source.start_us, source.end_us)
    return folder


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_runs_and_prints(example, folder, monkeypatch, capsys):
    for library in re.findall(r"^import (\w+)", example, re.MULTILINE):
        pytest.importorskip(library, reason=f"{library} is not installed")
    if "evio_ros.motion" in example:
        pytest.importorskip("cv2", reason="flow needs the extra vision")
    monkeypatch.chdir(folder)
    exec(compile(example, "<example>", "exec"), {})
    printed = capsys.readouterr().out
    assert printed
    # What an example says that it prints.
    for told in re.findall(r"print\(.*\)  # (.+)$", example, re.MULTILINE):
        assert told in printed


def test_each_document_has_examples():
    assert len(BLOCK.findall((ROOT / "README.md").read_text())) == 1
    api = "".join(BLOCK.findall((ROOT / "docs" / "api.md").read_text()))
    for name in ("array", "polars", "columns"):
        assert f"events_from_{name}(" in api
        assert f"events_to_{name}(" in api
