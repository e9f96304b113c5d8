"""`evio` as a process: pipes, full disks, signals."""

import os
import resource
import signal
import stat
import subprocess
import time

import pytest


@pytest.fixture(scope="module")
def long_recording(fan_recording, tmp_path_factory):
    """The fan repeated for 12 s, which takes seconds to measure."""
    import numpy as np
    from whole_recordings import all_events

    from evio_ros.events import EventBatch
    from evio_ros.sources.writers.dat import DatWriter

    path = tmp_path_factory.mktemp("long") / "long.dat"
    events = all_events(fan_recording)
    with DatWriter(path, events.size) as writer:
        for turn in range(20):
            t = events.t + np.int64(600_000 * turn)
            writer.append(EventBatch(events.size, t, events.x, events.y, events.polarity))
    return path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def wait_for_partial_file(folder):
    # The first time, kernels are compiled before anything is written.
    deadline = time.monotonic() + 240
    while not any(path.stat().st_size for path in folder.glob("*.part")):
        assert time.monotonic() < deadline, f"only {names(folder)} appeared"
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
def test_an_interrupted_analysis_leaves_no_file(
    start_evio, long_recording, tmp_path, number, code, said
):
    (tmp_path / "fan.csv").write_text("older")
    outputs = ("--json", tmp_path / "fan.jsonl", "--csv", tmp_path / "fan.csv")
    process = start_evio("analyze", long_recording, "--causal", *outputs)
    wait_for_partial_file(tmp_path)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (code, "", f"evio: {said}\n")
    assert names(tmp_path) == ["fan.csv"]
    assert (tmp_path / "fan.csv").read_text() == "older"


def test_an_interrupted_simulation_leaves_no_file(start_evio, tmp_path):
    process = start_evio("simulate", "lamp", "--duration", 100, "-o", tmp_path / "lamp.dat")
    wait_for_partial_file(tmp_path)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "evio: interrupted\n")
    assert names(tmp_path) == []


def test_a_reader_that_goes_ends_it_quietly(start_evio, long_recording):
    process = start_evio("analyze", long_recording, "--causal", "--json", "-")
    head = subprocess.run(["head", "-1"], stdin=process.stdout, capture_output=True, text=True)
    process.stdout.close()
    assert head.stdout.startswith('{"t_us": ')
    assert head.stdout.count("\n") == 1
    assert process.wait(timeout=60) == 1
    assert process.stderr.read() == ""


@pytest.mark.parametrize(
    "arguments",
    [("info", "--json"), ("analyze", "--duration", 0.2, "--json", "-")],
    ids=str,
)
def test_a_full_disk_behind_the_output_is_one_error(evio_process, fan_recording, arguments):
    verb, *options = arguments
    with open("/dev/full", "w") as full:
        code, _, err = evio_process(verb, fan_recording, *options, stdout=full)
    assert code == 2
    assert err.startswith("evio: standard output")
    assert err.endswith(": No space left on device\n")
    assert err.count("\n") == 1


def test_a_disk_that_fills_up_leaves_no_file(evio_process, fan_recording, tmp_path):
    def fill_up() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))

    # First without the limit, which would also apply to kernels that are compiled and cached.
    assert evio_process("analyze", fan_recording).code == 0
    output = tmp_path / "fan.jsonl"
    code, out, err = evio_process("analyze", fan_recording, "--json", output, preexec_fn=fill_up)
    assert (code, out) == (2, "")
    assert err == f"evio: {output}, byte 500: cannot be written: File too large\n"
    assert names(tmp_path) == []


def test_a_full_device_as_the_output_is_one_error(evio_process, tmp_path):
    code, out, err = evio_process("simulate", "--duration", 0.01, "-o", "/dev/full")
    assert (code, out) == (2, "")
    assert err == "evio: /dev/full, byte 0: cannot be written: No space left on device\n"
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


def test_a_closed_output_is_no_trouble(evio_process, fan_recording):
    def close() -> None:
        os.close(1)

    code, _, err = evio_process("info", fan_recording, preexec_fn=close)
    assert (code, err) == (0, "")


def test_a_terminal_without_bars_and_boxes_gets_question_marks(evio_process, fan_recording):
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    code, out, err = evio_process("info", fan_recording, env=environment)
    assert (code, err) == (0, "")
    assert "geometry" in out
    assert out.isascii()
