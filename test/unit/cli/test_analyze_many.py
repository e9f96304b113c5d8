"""`evio analyze A B C --out DIR`: a result for each, failures, resuming, processes and clusters."""

import csv
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_fan import RPM


@pytest.fixture(scope="module")
def recordings(fan_recording, tmp_path_factory):
    """Two good recordings with the same name in two folders, and an invalid one."""
    folder = tmp_path_factory.mktemp("many")
    (folder / "other").mkdir()
    good = [folder / "fan.dat", folder / "other" / "fan.dat"]
    for path in good:
        shutil.copy(fan_recording, path)
    bad = folder / "broken.raw"
    bad.write_bytes(b"\x15\x0e\x56\x84" * 100)
    return [good[0], bad, good[1]]


@pytest.fixture(scope="module")
def one_result(recordings, tmp_path_factory):
    """Output of `evio analyze --json` for one of the good recordings."""
    from evio_ros.cli.analyze import analyze

    path = tmp_path_factory.mktemp("one") / "fan.jsonl"
    analyze([str(recordings[0])], json_path=str(path))
    return path.read_bytes()


def index(folder):
    lines = (folder / "recordings.jsonl").read_text().splitlines()
    return {entry["recording"]: entry for entry in map(json.loads, lines)}


def check_results(folder, recordings, one_result):
    """Two recordings with equal content have equal results, in separate files."""
    entries = index(folder)
    assert set(entries) == set(map(str, recordings))
    good = [entries[str(path)] for path in (recordings[0], recordings[2])]
    names = [entry["result"] for entry in good]
    assert len(set(names)) == 2
    assert [(folder / name).read_bytes() for name in names] == [one_result, one_result]
    failed = entries[str(recordings[1])]
    assert "is not a supported recording" in failed["error"]
    assert not (folder / failed["result"]).exists()
    with (folder / "recordings.csv").open(newline="") as file:
        table = {row["recording"]: row["result"] for row in csv.DictReader(file)}
    assert table[str(recordings[1])] == ""
    assert [table[str(path)] for path in (recordings[0], recordings[2])] == names


def test_a_failure_stops_no_other_and_is_told_at_the_end(evio, recordings, one_result, tmp_path):
    outcome = evio("analyze", *recordings, "--out", tmp_path, "--jobs", 2)
    assert outcome.code == 2
    assert "evio: 1 of 3 recordings could not be measured" in outcome.err
    assert "broken.raw, byte 0: is not a supported recording" in outcome.err
    check_results(tmp_path, recordings, one_result)
    with open(tmp_path / "recordings.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["recording"] for row in rows] == [str(path) for path in recordings]
    assert float(rows[0]["rpm"]) == pytest.approx(RPM, rel=1e-3)
    assert rows[1]["error"] != ""


def measured(folder):
    """When each result was written; a measured one is rewritten."""
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.dat*")}


def test_a_second_run_measures_what_has_changed_alone(evio, fan_recording, tmp_path):
    good = [tmp_path / "a.dat", tmp_path / "b.dat"]
    for path in good:
        shutil.copy(fan_recording, path)
    out = tmp_path / "out"
    command = ("analyze", *good, "--out", out, "--window-ms", 200)
    assert evio(*command).code == 0
    first = measured(out)
    assert set(first) == {"a.dat.jsonl", "b.dat.jsonl"}

    # A new time stamp or another order of the recordings is not a change.
    os.utime(good[0])
    assert "unchanged" in evio("analyze", *reversed(good), *command[3:]).out
    assert measured(out) == first

    # A result that was modified, and another recording with the same name.
    (out / "a.dat.jsonl").write_text("{}\n")
    assert evio(*command).code == 0
    second = measured(out)
    assert second["a.dat.jsonl"] != first["a.dat.jsonl"]
    assert second["b.dat.jsonl"] == first["b.dat.jsonl"]
    with open(good[1], "ab") as file:
        file.write(bytes(3))
    assert evio(*command).code == 0
    third = measured(out)
    assert third["a.dat.jsonl"] == second["a.dat.jsonl"]
    assert third["b.dat.jsonl"] != second["b.dat.jsonl"]
    assert any("not a whole record" in text for text in index(out)[str(good[1])]["remarks"])

    # Other options need other results.
    assert evio("analyze", good[0], "--out", out, "--window-ms", 250).code == 0
    assert measured(out)["a.dat.jsonl"] != third["a.dat.jsonl"]
    lines = (out / "a.dat.jsonl").read_text().splitlines()
    assert max(json.loads(line)["window_us"] for line in lines) == 250_000


def test_a_line_that_was_cut_off_is_measured_again(evio, fan_recording, tmp_path):
    command = ("analyze", fan_recording, "--out", tmp_path)
    assert evio(*command).code == 0
    whole = (tmp_path / "recordings.jsonl").read_text()
    before = (tmp_path / "fan.dat.jsonl").read_bytes()
    (tmp_path / "recordings.jsonl").write_text(whole[: len(whole) // 2])
    outcome = evio(*command)
    assert (outcome.code, "unchanged" in outcome.out) == (0, False)
    assert (tmp_path / "recordings.jsonl").read_text() == whole
    assert (tmp_path / "fan.dat.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["a.dat", "b.dat"], "--out: missing; several recordings"),
        (["a.dat", "--dask", "tcp://localhost:1"], "--out: missing; several recordings"),
        (["a.dat", "--jobs", 2], "--out: missing; several recordings"),
        (["a.dat", "./a.dat", "--out", "out"], "a.dat: is given twice"),
        (["/a b.dat", "file:///a%20b.dat", "--out", "out"], "/a b.dat: is given twice"),
        (
            ["a.dat", "--out", "out", "--json", "-"],
            "cannot be combined with --json, --csv or --plot",
        ),
    ],
)
def test_options_that_do_not_go_together_are_refused(evio, arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = evio("analyze", *arguments)
    assert outcome.code == 2
    assert words in outcome.err
    assert list(tmp_path.iterdir()) == []


def test_what_a_recording_does_not_tell_is_given_for_all(evio, tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("".join(f"{i} {i % 64} {i % 48} {i % 2}\n" for i in range(500)))
    told = {}
    for options in ((), ("--size", "70x50", "--time-unit", "ms")):
        command = ("analyze", path, "--out", tmp_path / "out", "--window-ms", 100)
        evio(*command, *options)
        (entry,) = index(tmp_path / "out").values()
        told[len(options)] = (entry["error"], entry["remarks"])
    assert "longer than the 500 us to measure" in told[0][0]
    assert told[4][0] == ""
    assert not any("guessed" in remark for remark in told[4][1])


def test_a_recording_is_not_replaced_by_the_table_of_results(evio, tmp_path):
    path = tmp_path / "recordings.csv"
    path.write_text("1,2,3,1\n")
    outcome = evio("analyze", path, "--out", tmp_path)
    assert (outcome.code, path.read_text()) == (2, "1,2,3,1\n")
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_a_long_name_is_shown_whole(evio, tmp_path):
    path = tmp_path / f"{'a' * 120}.dat"
    path.write_bytes(b"nothing")
    assert path.name in evio("analyze", path, "--out", tmp_path / "out").out


def test_options_behind_a_path_are_no_part_of_a_result_name(evio, fan_recording, tmp_path):
    outcome = evio("analyze", f"{fan_recording}?topic=/a/b", "--out", tmp_path)
    assert outcome.code == 2
    (entry,) = index(tmp_path).values()
    assert entry["result"] == f"{fan_recording.name}.jsonl"
    assert "has no option ?topic=" in entry["error"]


def test_workers_of_another_version_measure_nothing(fan_recording):
    from evio_ros.cli.recording_job import AnalysisOptions, RecordingJob, measure_recording
    from evio_ros.rotation.detector_parameters import RotationDetectorParameters

    options = AnalysisOptions(RotationDetectorParameters())
    outcome = measure_recording(RecordingJob(str(fan_recording), options, version="0.0.1"))
    assert outcome.lines is None
    assert "but 0.0.1 is needed" in outcome.error


def children_of(process):
    """Running child processes of a process."""
    lines = subprocess.run(["ps", "-e", "-o", "pid=,ppid="], capture_output=True, text=True).stdout
    pairs = [tuple(map(int, line.split())) for line in lines.splitlines()]
    return [pid for pid, parent in pairs if parent == process.pid]


def wait_until(condition, limit_s=60.0):
    deadline = time.monotonic() + limit_s
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def is_running(pid):
    return os.path.exists(f"/proc/{pid}")


@pytest.mark.parametrize("to_all", [False, True], ids=["one_process", "its_group"])
def test_ctrl_c_ends_all_processes(start_evio, fan_recording, tmp_path, to_all):
    several = [tmp_path / f"{number}.dat" for number in range(40)]
    for path in several:
        os.link(fan_recording, path)
    out = tmp_path / "out"
    process = start_evio("analyze", *several, "--out", out, "--jobs", 2, start_new_session=True)
    wait_until(lambda: list(out.glob("*.dat.jsonl")))
    children = children_of(process)
    assert len(children) >= 2
    if to_all:
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.send_signal(signal.SIGINT)
    printed, err = process.communicate(timeout=60)
    assert (process.returncode, printed, err) == (130, "", "evio: interrupted\n")
    wait_until(lambda: not any(map(is_running, children)))
    assert list(out.glob("*.part")) == []
    # Measured results are kept.
    assert 0 < len(index(out)) < 40


def test_processes_end_with_the_one_that_started_them(start_evio, fan_recording, tmp_path):
    several = [tmp_path / f"{number}.dat" for number in range(40)]
    for path in several:
        os.link(fan_recording, path)
    process = start_evio("analyze", *several, "--out", tmp_path / "out", "--jobs", 2)
    wait_until(lambda: list((tmp_path / "out").glob("*.dat.jsonl")))
    children = children_of(process)
    process.kill()
    process.wait(timeout=60)
    wait_until(lambda: not any(map(is_running, children)))


def test_a_process_that_dies_fails_its_recording_alone(start_evio, fan_recording, tmp_path):
    several = [tmp_path / f"{number}.dat" for number in range(8)]
    for path in several:
        os.link(fan_recording, path)
    out = tmp_path / "out"
    process = start_evio("analyze", *several, "--out", out)
    wait_until(lambda: list(out.glob("*.dat.jsonl")))
    for child in children_of(process):
        if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
            os.kill(child, signal.SIGKILL)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "evio: 1 of 8 recordings could not be measured" in err
    assert len(list(out.glob("*.dat.jsonl"))) == 7


@pytest.fixture
def cluster(tmp_path):
    """Address of a Dask scheduler with two workers."""
    pytest.importorskip("distributed", reason="Dask is not installed: pip install '.[cluster]'")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    worker = ("distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard")
    scheduler = ("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port))
    processes = []
    for command in ((*scheduler, "--no-dashboard"), worker, worker):
        with open(tmp_path / f"dask{len(processes)}.log", "w") as log:
            started = [sys.executable, "-m", *command]
            processes.append(subprocess.Popen(started, stdout=log, stderr=log, cwd=tmp_path))
    yield address
    for process in reversed(processes):
        process.terminate()
    for process in processes:
        process.wait(timeout=60)


def test_a_cluster_gives_what_this_machine_gives(evio, recordings, one_result, cluster, tmp_path):
    out = tmp_path / "out"
    outcome = evio("analyze", *recordings, "--out", out, "--dask", cluster)
    assert outcome.code == 2
    assert "evio: 1 of 3 recordings could not be measured" in outcome.err
    check_results(out, recordings, one_result)
    assert (
        evio("analyze", recordings[0], "--out", out, "--dask", cluster).out.count("unchanged") == 1
    )


def test_a_cluster_that_does_not_answer_is_one_error(evio, fan_recording, tmp_path):
    outcome = evio("analyze", fan_recording, "--out", tmp_path, "--dask", "tcp://127.0.0.1:9")
    assert outcome.code == 2
    assert outcome.err.startswith("evio: --dask: ")
    assert outcome.err.count("\n") == 1
