from __future__ import annotations

import math
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from web_desk import rotor, sample, wait_until

from evio_ros.errors import ParameterError
from evio_ros.web.history import History, HistoryError, HistoryRow
from evio_ros.web.live_view import ShownRotor

BEGIN_S = 1_700_000_040
"""The beginning of a minute."""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "history.sqlite"


def windows(begin_s: float, count: int, rpm_of):
    """Windows of two rotors, ten a second; the second turns the other way."""
    for number in range(count):
        rpm = rpm_of(number)
        rotors = rotor(1, rpm, turns=0.5 * number), rotor(2, -rpm, rpm_std=math.inf)
        yield sample(100_000 * number, *rotors, stamp_s=begin_s + number / 10)


def filled(path, samples, megabytes: int = 10) -> None:
    """A history of some windows, closed again."""
    with History(path, megabytes) as history:
        for one in samples:
            history.put(one)


def test_windows_come_back_as_they_were_put(path):
    filled(path, windows(BEGIN_S, 20, lambda n: 100.0 + n))
    with History(path, 10) as history:
        rows = [row for page in history.rows(BEGIN_S, BEGIN_S + 10) for row in page]
        assert len(rows) == 40
        first = HistoryRow(BEGIN_S * 1_000_000, 1, 100.0, 0.5, 0.0, 0.9, 2, 0)
        assert rows[0] == first
        assert rows[1].rpm_std is None
        assert [row.t_us for row in rows[::2]] == [
            BEGIN_S * 1_000_000 + 100_000 * n for n in range(20)
        ]
        inside = [row for page in history.rows(BEGIN_S + 0.5, BEGIN_S + 0.7) for row in page]
        assert [row.rpm for row in inside] == [105.0, -105.0, 106.0, -106.0]


def test_predictions_are_not_kept(path):
    predicted = ShownRotor(rotor().estimate, is_predicted=True)
    filled(path, [sample(0, predicted, rotor(2), stamp_s=BEGIN_S)])
    with History(path, 10) as history:
        assert [row.rotor for page in history.rows(0, 1e11) for row in page] == [2]


def test_short_spans_are_told_from_windows_and_long_ones_from_means(path):
    # Two minutes at a speed that rises by 1 a window.
    filled(path, windows(BEGIN_S, 1200, lambda n: float(n)))
    with History(path, 10) as history:
        step_s, points = history.points(BEGIN_S, BEGIN_S + 1, 1000, rotor=1)
        assert (step_s, [point.rpm for point in points]) == (0.001, [float(n) for n in range(10)])

        step_s, points = history.points(BEGIN_S, BEGIN_S + 4, 4, rotor=2)
        assert step_s == 1.0
        assert [(point.windows, point.rpm_min, point.rpm_max) for point in points] == [
            (10, -(10.0 * n + 9), -10.0 * n) for n in range(4)
        ]

        step_s, points = history.points(BEGIN_S, BEGIN_S + 120, 1000, rotor=1)
        assert (step_s, len(points)) == (1, 120)
        assert [(point.t_s, point.rpm) for point in points[:2]] == [
            (BEGIN_S, 4.5),
            (BEGIN_S + 1, 14.5),
        ]
        assert points[-1].turns == 0.5 * 1199

        step_s, points = history.points(BEGIN_S, BEGIN_S + 120, 10, rotor=1)
        assert (step_s, [point.windows for point in points]) == (12, [120] * 10)
        assert points[0].rpm == pytest.approx(sum(range(120)) / 120)

        step_s, points = history.points(0, 1e11, 1000, rotor=1)
        assert step_s % 60 == 0
        assert sum(point.windows for point in points) == 1200
        step_s, points = history.points(BEGIN_S, BEGIN_S + 36_000, 600, rotor=1)
        assert (step_s, [point.windows for point in points]) == (60, [600, 600])
        assert [point.rpm for point in points] == [299.5, 899.5]


def test_the_same_windows_twice_are_kept_once(path):
    for _ in range(2):
        filled(path, windows(BEGIN_S, 30, float))
    with History(path, 10) as history:
        _, points = history.points(BEGIN_S, BEGIN_S + 600, 1000)
        assert [point.windows for point in points] == [10] * 6


def test_the_file_stays_within_its_bound_and_the_oldest_windows_go(path):
    most = 2
    kept = History(path, most)
    with kept as history:
        for batch in range(12):
            for one in windows(BEGIN_S + 1000 * batch, 1900, float):
                history.put(one)
            wait_until(lambda batch=batch: history.written == 3800 * (batch + 1))
        size = history.bytes()
        rows = [row for page in history.rows(0, 1e11) for row in page]
    database = path.stat().st_size
    assert database < 1.5e6 * most
    assert size < 3e6 * most
    assert rows[0].t_us > BEGIN_S * 1_000_000
    assert rows[-1].t_us == (BEGIN_S + 11_000) * 1_000_000 + 189_900_000
    # What was dropped is still told by the means.
    with History(path, most) as history:
        _, points = history.points(BEGIN_S, BEGIN_S + 190, 1000, rotor=1)
        assert sum(point.windows for point in points) == 1900


def test_a_process_that_is_killed_leaves_what_it_had_written(path):
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from web_desk import rotor, sample\n"
        "from evio_ros.web.history import History\n"
        "history = History(Path(sys.argv[1]), 10)\n"
        "for n in range(100000):\n"
        f"    history.put(sample(n, rotor(), stamp_s={BEGIN_S} + n / 100))\n"
        "    if history.written and n % 100 == 0:\n"
        "        print(history.written, flush=True)\n"
        "    time.sleep(0.002)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    written = int(child.stdout.readline())
    child.send_signal(signal.SIGKILL)
    child.communicate()
    with History(path, 10) as history:
        rows = [row for page in history.rows(0, 1e11) for row in page]
        assert len(rows) >= written > 0
        _, points = history.points(BEGIN_S, BEGIN_S + 3600, 3600)
        assert sum(point.windows for point in points) == len(rows)
        history.put(sample(0, rotor(), stamp_s=BEGIN_S + 7000))
        wait_until(lambda: history.written == 1)


def test_a_full_disk_is_said_and_counted_and_writing_goes_on_when_there_is_room(path):
    # The system refuses files that grow beyond this limit, as a full disk does.
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with History(path, 100) as history:
        history.put(sample(0, rotor(), stamp_s=BEGIN_S))
        wait_until(lambda: history.written == 1)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
        try:
            for one in windows(BEGIN_S, 1900, float):
                history.put(one)
            for one in windows(BEGIN_S + 1000, 1900, float):
                wait_until(lambda: history.dropped or history.written > 1)
                history.put(one)
            wait_until(lambda: history.dropped > 0)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert history.problem.startswith("history: ")
        before = history.written
        history.put(sample(0, rotor(), stamp_s=BEGIN_S + 5000))
        wait_until(lambda: history.written > before)
        assert history.problem == ""


@pytest.mark.parametrize("is_folder_gone", [False, True])
def test_a_history_that_is_taken_away_begins_anew(path, is_folder_gone):
    with History(path, 10) as history:
        history.put(sample(0, rotor(), stamp_s=BEGIN_S))
        wait_until(lambda: history.written == 1)
        if is_folder_gone:
            shutil.rmtree(path.parent)
        else:
            path.unlink()
        with pytest.raises(HistoryError, match="cannot be read"):
            history.points(BEGIN_S, BEGIN_S + 3600, 100)
        with pytest.raises(HistoryError, match="cannot be read"):
            next(history.rows(BEGIN_S, BEGIN_S + 3600))
        history.put(sample(0, rotor(1, 55.0), stamp_s=BEGIN_S + 10))
        wait_until(lambda: history.written == 2)
        assert history.problem == ""
        (page,) = history.rows(BEGIN_S, BEGIN_S + 3600)
        assert [row.rpm for row in page] == [55.0]


def test_only_one_process_writes(path):
    with History(path, 10), pytest.raises(ParameterError, match="in use by another dashboard"):
        History(path, 10)
    History(path, 10).close()


@pytest.mark.parametrize("content", [b"not a database " * 100, None])
def test_a_file_that_is_no_history_is_refused_and_left_alone(path, content):
    path.parent.mkdir()
    if content is None:
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA user_version = 99")
        connection.close()
    else:
        path.write_bytes(content)
    before = path.read_bytes()
    with pytest.raises(ParameterError, match="move it away"):
        History(path, 10)
    assert path.read_bytes() == before


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ParameterError, match=r"history\.file"):
        History(tmp_path / "file" / "history.sqlite", 10)


def test_putting_never_waits_for_the_disk_and_what_has_no_room_is_counted(path):
    with History(path, 10) as history:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")  # the writer waits for this, and gives up
            for one in windows(BEGIN_S, 10_000, float):
                history.put(one)
            assert history.written == 0
            assert history.dropped > 0
            other.execute("ROLLBACK")
        history.put(sample(0, rotor(), stamp_s=BEGIN_S + 5000))
        wait_until(lambda: history.written + history.dropped == 20_001)
        assert history.written > 0
