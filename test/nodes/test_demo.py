from __future__ import annotations

import csv
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from node_recording import DURATION_US, ROTOR
from web_desk import ask, wait_until

# A namespace of its own, whoever else tests on this machine.
NAMESPACE = ("--namespace", f"demo_{os.getpid()}")
EVIO = [sys.executable, "-c", "from evio_ros.cli.start import main; main()"]


def processes_of(marker: str) -> list[str]:
    """Command lines that hold a text."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if marker in command and int(entry.name) != os.getpid():
                found.append(command)
    return found


def test_demo_measures_a_recording_and_compares_it_with_the_truth(recording, tmp_path):
    command = [*EVIO, "demo", str(recording), "--output", str(tmp_path / "out"), "--rate", "0"]
    command += NAMESPACE
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "measured against true speed" in done.stdout
    assert "windows are missing" not in done.stdout
    with (tmp_path / "out" / "rotor.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len({row["t_us"] for row in rows}) == DURATION_US // 50_000
    speeds = [float(row["rpm"]) for row in rows if row["id"]]
    assert speeds[-1] == pytest.approx(60 * ROTOR.frequency_hz, rel=1e-3)
    assert (tmp_path / "out" / "rotor.png").read_bytes().startswith(b"\x89PNG")
    assert processes_of(str(recording)) == []


def test_a_file_of_the_truths_name_that_is_none_does_not_keep_the_results(recording, tmp_path):
    copied = Path(shutil.copy(recording, tmp_path / "fan.dat"))
    truth = tmp_path / "fan.truth.json"
    truth.write_text("{}")
    command = [*EVIO, "demo", str(copied), "--output", str(tmp_path / "out"), "--rate", "0"]
    done = subprocess.run([*command, *NAMESPACE], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert f"Not compared with the truth: {truth}: " in done.stdout
    assert "no field 'version'" in done.stdout
    assert (tmp_path / "out" / "fan.csv").stat().st_size > 0


def test_demo_says_what_is_wrong_with_a_recording(tmp_path):
    done = subprocess.run(
        [*EVIO, "demo", "missing.dat"], capture_output=True, text=True, timeout=60, cwd=tmp_path
    )
    assert done.returncode == 2
    assert done.stderr == "evio: missing.dat: cannot be opened: No such file or directory\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_demo_leaves_no_process_behind(recording, tmp_path, number):
    config = tmp_path / "evio.yaml"
    config.write_text("/**/driver:\n  ros__parameters:\n    frame_id: camera\n")
    command = [*EVIO, "demo", str(recording), "--rate", "0.01", "--config", str(config)]
    command += NAMESPACE
    demo = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    marker = str(config)
    end_s = time.monotonic() + 60
    # The demo itself and its three nodes name the file.
    while len(processes_of(marker)) < 4 and time.monotonic() < end_s:
        time.sleep(0.1)
    assert len(processes_of(marker)) == 4
    demo.send_signal(number)
    demo.wait(20)
    if number == signal.SIGINT:
        assert demo.returncode == 130
        assert "Traceback" not in demo.stderr.read()
    while processes_of(marker) and time.monotonic() < end_s:
        time.sleep(0.1)
    assert processes_of(marker) == []


def test_demo_shows_a_recording_in_a_browser_until_it_is_interrupted(recording, tmp_path):
    pytest.importorskip("uvicorn", reason="the dashboard's server: pip install 'evio_ros[web]'")
    command = [*EVIO, "demo", str(recording), "--web", "--port", "0", *NAMESPACE]
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
    demo = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, env=environment
    )
    text = ""
    while "Ctrl-C" not in text:
        line = demo.stdout.readline()
        assert line, text
        text += line
    (port,) = re.findall(r"127\.0\.0\.1:(\d+)", text)
    wait_until(lambda: ask(int(port), "/api/rotors")[1], timeout_s=120.0)
    assert ask(int(port), "/api/status")[1]["title"] == NAMESPACE[1]
    demo.send_signal(signal.SIGINT)
    assert demo.wait(20) == 130
    assert processes_of(str(recording)) == []
