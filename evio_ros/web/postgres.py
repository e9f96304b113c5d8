"""The history in PostgreSQL as well, if a file is not enough.

One thread writes waiting rows by COPY. While the server is unreachable it tries again, less and
less often, and keeps up to a limit of new rows. The table has a BRIN index over time, which costs
next to nothing for rows that come in time order; if the database has TimescaleDB, it is created as
a hypertable. An existing table is used as it is.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

from evio_ros.errors import EvioError
from evio_ros.parameters import Parameters, parameter
from evio_ros.web.history import HistoryRow, rows_of
from evio_ros.web.live_view import StateSample

__all__ = ["PostgresParameters", "PostgresSink"]

_BATCH_S = 1.0
_LONGEST_PAUSE_S = 30.0
_CONNECT_S = 5
_STATEMENT_MS = 10_000
_ROWS_A_COPY = 10_000
_COLUMNS = "time, source, rotor, rpm, rpm_std, turns, confidence, blade_count, vehicle"
_SCHEMA = """
CREATE TABLE rotation_states (
    time timestamptz NOT NULL,
    source text NOT NULL,
    rotor bigint NOT NULL,
    rpm double precision,
    rpm_std double precision,
    turns double precision,
    confidence double precision,
    blade_count smallint NOT NULL,
    vehicle bigint NOT NULL
)
"""
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('rotation_states'))"
"""Held by the one that creates the table, if several dashboards start at once."""
_HAS_TABLE = "SELECT to_regclass('rotation_states') IS NOT NULL"
_HAS_TIMESCALE = "SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'"
_HYPERTABLE = "SELECT create_hypertable('rotation_states', 'time')"
_INDEX = "CREATE INDEX rotation_states_time ON rotation_states USING brin (time)"


@dataclass(frozen=True)
class PostgresParameters(Parameters):
    """A PostgreSQL server that the history is also written to."""

    url: str = parameter(
        "",
        read_only=True,
        doc="PostgreSQL connection to write to, in libpq's notation: "
        "postgresql://user@host/database. Better keep the password in ~/.pgpass or "
        "PGPASSWORD. Empty for none.",
    )
    waiting_rows: int = parameter(
        200_000,
        minimum=1,
        maximum=100_000_000,
        read_only=True,
        doc="Rows that are kept while the server is unreachable; beyond that, the oldest are "
        "dropped.",
    )


class PostgresSink:
    """Writes windows to a server; a context manager.

    Args:
        parameters: which server.
        source: what the rows are of, in their column `source`.

    Attributes:
        written: rows written since the start.
        dropped: rows that were dropped because too many waited.
        problem: what is wrong at the moment; empty if nothing is.

    Raises:
        EvioError: if psycopg is not installed, or the URL cannot be read.
    """

    def __init__(self, parameters: PostgresParameters, source: str) -> None:
        try:
            import psycopg
        except ImportError:
            raise EvioError(
                "postgres.url needs psycopg: pip install 'evio_ros[postgres]'"
            ) from None
        try:
            psycopg.conninfo.conninfo_to_dict(parameters.url)
        except psycopg.ProgrammingError as error:
            raise EvioError(f"postgres.url: {str(error).strip()}") from None
        self.written = self.dropped = 0
        self.problem = ""
        self._psycopg = psycopg
        self._url = parameters.url
        self._source = source
        self._waiting: deque[HistoryRow] = deque()
        self._most = parameters.waiting_rows
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="postgres", daemon=True)
        self._thread.start()

    def __enter__(self) -> PostgresSink:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def waiting(self) -> int:
        """Rows that wait."""
        return len(self._waiting)

    def close(self) -> None:
        """Write what waits if the server answers at once, and end; may be called twice."""
        self._closing.set()
        self._thread.join(_CONNECT_S)

    def put(self, sample: StateSample) -> None:
        """Have a window written; never waits."""
        with self._lock:
            self._waiting.extend(rows_of(sample))
            while len(self._waiting) > self._most:
                self._waiting.popleft()
                self.dropped += 1

    def _run(self) -> None:
        """Connect, and reconnect if the connection is lost, until the end."""
        pause_s = _BATCH_S
        while True:
            try:
                with self._connected() as connection:
                    pause_s = _BATCH_S
                    self.problem = ""
                    self._write_all(connection)
                return
            except (self._psycopg.Error, OSError) as error:
                first, _, _ = str(error).strip().partition("\n")
                self.problem = f"postgres: {first}"
            if self._closing.wait(pause_s):
                return
            pause_s = min(2.0 * pause_s, _LONGEST_PAUSE_S)

    def _connected(self) -> Any:
        """A connection to a database with the table."""
        options = f"-c statement_timeout={_STATEMENT_MS}"
        connection = self._psycopg.connect(
            self._url, autocommit=True, connect_timeout=_CONNECT_S, options=options
        )
        try:
            with connection.transaction():
                _make_table(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _write_all(self, connection: Any) -> None:
        """Write what waits once a second until the end."""
        while True:
            is_last = self._closing.wait(_BATCH_S)
            while self._waiting:
                self._write_some(connection)
            if is_last:
                return

    def _write_some(self, connection: Any) -> None:
        """Write the oldest rows; they keep waiting if that fails."""
        with self._lock:
            rows = [self._waiting[i] for i in range(min(len(self._waiting), _ROWS_A_COPY))]
            dropped = self.dropped
        with (
            connection.transaction(),
            connection.cursor() as cursor,
            cursor.copy(f"COPY rotation_states ({_COLUMNS}) FROM STDIN") as copy,
        ):
            for row in rows:
                copy.write_row((_time(row.t_us), self._source, *row[1:]))
        with self._lock:
            # What was dropped meanwhile was the oldest, and is written now.
            for _ in range(max(0, len(rows) - (self.dropped - dropped))):
                self._waiting.popleft()
        self.written += len(rows)


def _make_table(connection: Any) -> None:
    """Create the table if it is missing; an existing one needs only the right to insert."""
    # Asked before, the server would remember the answer past the wait for the lock.
    connection.execute(_LOCK)
    if connection.execute(_HAS_TABLE).fetchone()[0]:
        return
    connection.execute(_SCHEMA)
    is_timescale = connection.execute(_HAS_TIMESCALE).fetchone() is not None
    connection.execute(_HYPERTABLE if is_timescale else _INDEX)


def _time(t_us: int) -> str:
    """A time as PostgreSQL reads it, exact to the microsecond."""
    seconds, micros = divmod(t_us, 1_000_000)
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds)) + f".{micros:06d}+00"
