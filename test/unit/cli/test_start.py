"""Signals at the very start of `evio`, and at its very end."""

from __future__ import annotations

import os
import signal

import pytest


def slow(folder, module, moment):
    """An environment in which Python waits at a given moment, after printing a line."""
    wait = "(print('waiting', flush=True), time.sleep(60))"
    code = {"loading": f"{wait}\n", "ending": f"atexit.register(lambda: {wait})\n"}
    (folder / f"{module}.py").write_text("import atexit, time\n" + code[moment])
    before = os.environ.get("PYTHONPATH")
    path = (str(folder), before) if before else (str(folder),)
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path)}


@pytest.mark.parametrize(("module", "moment"), [("typer", "loading"), ("sitecustomize", "ending")])
@pytest.mark.parametrize(
    ("number", "code", "said"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
def test_a_signal_while_it_loads_or_ends_is_told_in_one_line(
    start_evio, tmp_path, module, moment, number, code, said
):
    process = start_evio("--version", env=slow(tmp_path, module, moment))
    while process.stdout.readline() not in ("waiting\n", ""):
        pass
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (code, f"evio: {said}\n")
