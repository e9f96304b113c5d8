"""The history of rotors on disk: bounded, and kept over restarts, even if a process is killed.

An SQLite file holds the rotors of every window, and their means over seconds and minutes, from
which requests for long spans are answered in milliseconds. One thread writes, once a second in one
transaction; requests read through their own connections. When the file has reached its limit, the
oldest windows are dropped first: the means over seconds take a hundredth of their space and reach
back much further.
"""

from __future__ import annotations

import fcntl
import os
import queue
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple

from evio_ros.errors import EvioError, ParameterError
from evio_ros.parameters import Parameters, parameter
from evio_ros.web.live_view import StateSample

__all__ = [
    "COLUMNS",
    "History",
    "HistoryError",
    "HistoryParameters",
    "HistoryPoint",
    "HistoryRow",
    "rows_of",
]

COLUMNS = ("t_us", "rotor", "rpm", "rpm_std", "turns", "confidence", "blade_count", "vehicle")
"""Of the table of windows, in order; `HistoryRow` has them as fields."""

_MICROSECONDS = 1_000_000
_LEVELS = {"seconds": 1, "minutes": 60}
"""Tables of means to the seconds of one row."""
_VERSION = 1
_PAGE_BYTES = 4096
_BATCH_S = 1.0
_WAITING = 2000
_FINEST_SPAN_S = 60.0
"""Spans up to this length are answered from single windows."""
_ROWS_A_PAGE = 5000
_OLDEST_ROWS = 20_000
_BUSY_S = 5.0


class HistoryError(EvioError):
    """The history cannot be read at the moment, e.g. because its file was removed."""


@dataclass(frozen=True)
class HistoryParameters(Parameters):
    """Where and how much history is kept."""

    file: str = parameter(
        "",
        read_only=True,
        doc="SQLite file of the history; empty for one in ~/.local/state/evio_ros that is named "
        "after the node, none to keep no history.",
    )
    megabytes: int = parameter(
        500,
        unit="MB",
        minimum=1,
        maximum=1_000_000,
        read_only=True,
        doc="Largest size of the file; beyond it, the oldest windows are dropped.",
    )


class HistoryRow(NamedTuple):
    """One rotor of one window.

    Attributes:
        t_us: Unix time of the window's end in µs.
        rotor: number of the rotor.
        rpm, rpm_std: speed and its standard deviation; None if not finite.
        turns: since it was first seen.
        confidence: probability that rpm is right to 1 %.
        blade_count: 0 for unknown.
        vehicle: group of the rotor, 0 for none.
    """

    t_us: int
    rotor: int
    rpm: float | None
    rpm_std: float | None
    turns: float | None
    confidence: float | None
    blade_count: int
    vehicle: int


class HistoryPoint(NamedTuple):
    """One rotor over some time.

    Attributes:
        rotor: its number.
        t_s: Unix time of the beginning.
        windows: how many are combined here.
        rpm, rpm_min, rpm_max: mean, least and greatest.
        rpm_std, confidence: means.
        turns: the last.
    """

    rotor: int
    t_s: float
    windows: int
    rpm: float | None
    rpm_min: float | None
    rpm_max: float | None
    rpm_std: float | None
    confidence: float | None
    turns: float | None


def rows_of(sample: StateSample) -> list[HistoryRow]:
    """The rows of a window; predictions are left out, they are no measurements."""
    t_us = round(sample.stamp_s * _MICROSECONDS)
    return [
        HistoryRow(
            t_us,
            rotor.estimate.id,
            _finite(rotor.estimate.rpm),
            _finite(rotor.estimate.rpm_std),
            _finite(rotor.estimate.turns),
            _finite(rotor.estimate.confidence),
            rotor.estimate.blade_count,
            rotor.group,
        )
        for rotor in sample.rotors
        if not rotor.is_predicted
    ]


class History:
    """The history in one file; a context manager.

    Args:
        path: the file; created with its folder if it does not exist.
        megabytes: so large it may get.

    Attributes:
        written: rows written since the start.
        dropped: rows that could not be written.
        problem: what is wrong at the moment; empty if nothing is.

    Raises:
        ParameterError: if the file cannot be used, or another process writes to it.
    """

    def __init__(self, path: Path, megabytes: int) -> None:
        self.path = path
        self.written = self.dropped = 0
        self.problem = ""
        self._most_pages = megabytes * 1_000_000 // _PAGE_BYTES
        self._lock = _locked(path)
        try:
            self._prepare()
        except sqlite3.Error as error:
            self._lock.close()
            raise ParameterError(
                f"history.file: {path}: {error}; move it away, or name another"
            ) from None
        self._waiting: queue.Queue[StateSample] = queue.Queue(_WAITING)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._write_all, name="history", daemon=True)
        self._thread.start()

    def __enter__(self) -> History:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Write what waits, and end; may be called twice."""
        self._closing.set()
        self._thread.join()
        self._lock.close()

    def put(self, sample: StateSample) -> None:
        """Queue a window for writing; never waits. If the disk is too slow, it is dropped."""
        try:
            self._waiting.put_nowait(sample)
        except queue.Full:
            self.dropped += len(sample.rotors)

    def bytes(self) -> int:
        """Size of the file and its log."""
        names = (self.path, Path(f"{self.path}-wal"))
        return sum(name.stat().st_size for name in names if name.exists())

    def points(
        self, since_s: float, until_s: float, most: int, rotor: int | None = None
    ) -> tuple[float, list[HistoryPoint]]:
        """The history of a span of Unix time, decimated.

        Args:
            since_s, until_s: the span, the end not included.
            most: most points of one rotor.
            rotor: only this one; None for all.

        Returns:
            seconds of one point, and the points, by rotor and time.

        Raises:
            HistoryError: if the file cannot be read.
        """
        span_s = until_s - since_s
        step_s = max(span_s / most, 1e-6)
        with self._reading() as connection:
            if span_s <= _FINEST_SPAN_S:
                step_us = max(1, round(step_s * _MICROSECONDS))
                return step_us / _MICROSECONDS, _fine(connection, since_s, until_s, step_us, rotor)
            table = "minutes" if step_s >= _LEVELS["minutes"] else "seconds"
            unit_s = _LEVELS[table]
            step = -(-step_s // unit_s) * unit_s
            return step, _coarse(connection, table, since_s, until_s, int(step), rotor)

    def rows(self, since_s: float, until_s: float) -> Iterator[list[HistoryRow]]:
        """All windows of a span, oldest first, in pages; what is written meanwhile may be in.

        Raises:
            HistoryError: if the file cannot be read.
        """
        place = (round(since_s * _MICROSECONDS), -1)
        end_us = round(until_s * _MICROSECONDS)
        while True:
            with self._reading() as connection:
                found = connection.execute(
                    f"SELECT {', '.join(COLUMNS)} FROM windows "
                    "WHERE (t_us, rotor) > (?, ?) AND t_us < ? ORDER BY t_us, rotor LIMIT ?",
                    (*place, end_us, _ROWS_A_PAGE),
                ).fetchall()
            if not found:
                return
            yield [HistoryRow(*row) for row in found]
            place = (found[-1][0], found[-1][1])

    def _prepare(self) -> None:
        """Find out whether the file can be used."""
        with closing(self._connected()) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version not in (0, _VERSION):
                raise sqlite3.DatabaseError(f"written by another version, {version}")
            _make_tables(connection)

    def _connected(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=_BUSY_S, isolation_level=None)
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA journal_size_limit = {1000 * _PAGE_BYTES}")
        return connection

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        uri = f"{self.path.absolute().as_uri()}?mode=ro"
        try:
            with closing(sqlite3.connect(uri, timeout=_BUSY_S, uri=True)) as connection:
                yield connection
        except sqlite3.Error as error:
            raise HistoryError(f"the history cannot be read: {error}") from None

    def _write_all(self) -> None:
        """Write what waits once a second until the end."""
        while True:
            is_last = self._closing.wait(_BATCH_S)
            rows = [row for sample in _taken(self._waiting) for row in rows_of(sample)]
            try:
                if rows:
                    self._write(rows)
            except (sqlite3.Error, OSError) as error:
                self.dropped += len(rows)
                self.problem = f"history: {error}"
            else:
                self.written += len(rows)
                self.problem = "" if rows else self.problem
            if is_last:
                return

    def _write(self, rows: list[HistoryRow]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with closing(self._connected()) as connection:
            if connection.execute("PRAGMA user_version").fetchone() != (_VERSION,):
                # The file has been taken away: a new one begins.
                _make_tables(connection)
            connection.execute("BEGIN IMMEDIATE")
            with connection:
                self._make_room(connection)
                connection.executemany(
                    f"INSERT OR REPLACE INTO windows VALUES ({', '.join('?' * len(COLUMNS))})", rows
                )
                first_s = min(row.t_us for row in rows) // _MICROSECONDS
                last_s = max(row.t_us for row in rows) // _MICROSECONDS
                _summarise(connection, first_s, last_s)

    def _make_room(self, connection: sqlite3.Connection) -> None:
        """Drop the oldest rows if the file has reached its limit."""
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        (free,) = connection.execute("PRAGMA freelist_count").fetchone()
        if pages - free < self._most_pages:
            return
        for table, column in (("windows", "t_us"), ("seconds", "t_s"), ("minutes", "t_s")):
            dropped = connection.execute(
                f"DELETE FROM {table} WHERE {column} < "
                f"(SELECT {column} FROM {table} ORDER BY {column} LIMIT 1 OFFSET ?)",
                (_OLDEST_ROWS,),
            ).rowcount
            if dropped:
                return


def _locked(path: Path) -> IO[str]:
    """Take the lock beside a file, which the system gives back when the process ends.

    Raises:
        ParameterError: if another process has it, or the folder cannot be written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = open(f"{path}.lock", "w", encoding="ascii")  # noqa: SIM115 - held until the end
    except OSError as error:
        raise ParameterError(f"history.file: {path}: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise ParameterError(
            f"history.file: {path} is in use by another dashboard; name another, or none"
        ) from None
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock


def _make_tables(connection: sqlite3.Connection) -> None:
    """Create the tables if they are missing."""
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(_SCHEMA + f"PRAGMA user_version = {_VERSION};")


def _taken(waiting: queue.Queue[StateSample]) -> list[StateSample]:
    """All that waits."""
    taken = []
    while True:
        try:
            taken.append(waiting.get_nowait())
        except queue.Empty:
            return taken


def _summarise(connection: sqlite3.Connection, first_s: int, last_s: int) -> None:
    """Compute the means of a span again; the same windows twice give the same means."""
    connection.execute(
        "INSERT OR REPLACE INTO seconds SELECT t_us / 1000000, rotor, count(*), avg(rpm), "
        "min(rpm), max(rpm), avg(rpm_std), avg(confidence), max(turns) FROM windows "
        "WHERE t_us >= ? AND t_us < ? GROUP BY t_us / 1000000, rotor",
        (first_s * _MICROSECONDS, (last_s + 1) * _MICROSECONDS),
    )
    first_minute = first_s // 60 * 60
    connection.execute(
        "INSERT OR REPLACE INTO minutes SELECT t_s / 60 * 60, rotor, sum(windows), "
        "sum(rpm * windows) / sum(windows), min(rpm_min), max(rpm_max), avg(rpm_std), "
        "avg(confidence), max(turns) FROM seconds "
        "WHERE t_s >= ? AND t_s < ? GROUP BY t_s / 60, rotor",
        (first_minute, last_s + 60),
    )


def _fine(
    connection: sqlite3.Connection, since_s: float, until_s: float, step_us: int, rotor: int | None
) -> list[HistoryPoint]:
    """Points from single windows."""
    since_us = round(since_s * _MICROSECONDS)
    found = connection.execute(
        "SELECT rotor, (t_us - ?1) / ?3 AS place, count(*), avg(rpm), min(rpm), max(rpm), "
        "avg(rpm_std), avg(confidence), max(turns) FROM windows "
        "WHERE t_us >= ?1 AND t_us < ?2 AND (?4 IS NULL OR rotor = ?4) "
        "GROUP BY rotor, place ORDER BY rotor, place",
        (since_us, round(until_s * _MICROSECONDS), step_us, rotor),
    )
    return [
        HistoryPoint(number, (since_us + place * step_us) / _MICROSECONDS, *rest)
        for number, place, *rest in found
    ]


def _coarse(
    connection: sqlite3.Connection,
    table: str,
    since_s: float,
    until_s: float,
    step_s: int,
    rotor: int | None,
) -> list[HistoryPoint]:
    """Points from a table of means."""
    found = connection.execute(
        "SELECT rotor, t_s / ?3 * ?3 AS place, sum(windows), sum(rpm * windows) / sum(windows), "
        f"min(rpm_min), max(rpm_max), avg(rpm_std), avg(confidence), max(turns) FROM {table} "
        "WHERE t_s >= ?1 AND t_s < ?2 AND (?4 IS NULL OR rotor = ?4) "
        "GROUP BY rotor, place ORDER BY rotor, place",
        (since_s // step_s * step_s, until_s, step_s, rotor),
    )
    return [HistoryPoint(number, float(place), *rest) for number, place, *rest in found]


def _finite(value: float) -> float | None:
    return value if abs(value) < float("inf") else None


_SUMMARY = """(
    t_s INTEGER, rotor INTEGER, windows INTEGER, rpm REAL, rpm_min REAL, rpm_max REAL,
    rpm_std REAL, confidence REAL, turns REAL, PRIMARY KEY (t_s, rotor)
) WITHOUT ROWID;
"""
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS windows (
    t_us INTEGER, rotor INTEGER, rpm REAL, rpm_std REAL, turns REAL, confidence REAL,
    blade_count INTEGER, vehicle INTEGER, PRIMARY KEY (t_us, rotor)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS seconds {_SUMMARY}
CREATE TABLE IF NOT EXISTS minutes {_SUMMARY}
"""
