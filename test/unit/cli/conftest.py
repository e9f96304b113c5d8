import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from evio_ros.cli.main import main

EXECUTABLE = Path(__file__).parents[3] / "scripts" / "evio"


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def evio(monkeypatch, capsys) -> Callable[..., Outcome]:
    """Runs `evio` in this process, in which its imports are already loaded."""
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["evio", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        return Outcome(end.value.code, *capsys.readouterr())

    return run


@pytest.fixture
def start_evio() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `evio` as a separate process."""
    started = []

    def start(*arguments: object, **options: Any) -> subprocess.Popen[str]:
        command = [sys.executable, str(EXECUTABLE), *map(str, arguments)]
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        # Processes started in the background ignore SIGINT, and so do their children.
        heard = signal.signal(signal.SIGINT, signal.default_int_handler)
        process = subprocess.Popen(command, text=True, **{**streams, **options})
        signal.signal(signal.SIGINT, heard)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def evio_process(start_evio) -> Callable[..., Outcome]:
    """Runs `evio` as a separate process to its end."""

    def run(*arguments: object, **options: Any) -> Outcome:
        process = start_evio(*arguments, **options)
        out, err = process.communicate(timeout=120)
        return Outcome(process.returncode, out, err)

    return run
