from __future__ import annotations

import datetime
from contextlib import ExitStack

import pytest
from postgres_server import PostgresServer, postgres_binaries
from web_desk import rotor, sample, wait_until

from evio_ros.errors import EvioError
from evio_ros.web.postgres import PostgresParameters, PostgresSink

psycopg = pytest.importorskip("psycopg", reason="pip install 'evio_ros[postgres]'")

BEGIN_S = 1_700_000_000.25


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    if postgres_binaries() is None:
        pytest.skip("PostgreSQL is not installed: apt install postgresql")
    with PostgresServer(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture
def server(database):
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS rotation_states")
    return database


def rows_in(server) -> list[tuple]:
    with psycopg.connect(server.url) as connection:
        return connection.execute("SELECT * FROM rotation_states ORDER BY time, rotor").fetchall()


def test_windows_are_rows_of_a_table_with_an_index_over_time(server):
    with PostgresSink(PostgresParameters(url=server.url), "/cam1/dashboard") as sink:
        sink.put(sample(0, rotor(1, 1200.5), rotor(2, -3.0), stamp_s=BEGIN_S))
        wait_until(lambda: sink.written == 2)
        assert (sink.problem, sink.waiting, sink.dropped) == ("", 0, 0)
    time = datetime.datetime.fromtimestamp(BEGIN_S, datetime.UTC)
    assert rows_in(server) == [
        (time, "/cam1/dashboard", 1, 1200.5, 0.5, 7.5, 0.9, 2, 0),
        (time, "/cam1/dashboard", 2, -3.0, 0.5, 7.5, 0.9, 2, 0),
    ]
    with psycopg.connect(server.url) as connection:
        index = connection.execute("SELECT indexdef FROM pg_indexes WHERE indexname LIKE '%time'")
        assert "USING brin" in index.fetchone()[0]


def test_what_comes_while_the_server_is_away_is_written_when_it_is_back(server):
    with PostgresSink(PostgresParameters(url=server.url), "a") as sink:
        sink.put(sample(0, rotor(1), stamp_s=BEGIN_S))
        wait_until(lambda: sink.written == 1)
        server.stop()
        try:
            for number in range(1, 6):
                sink.put(sample(number, rotor(1), stamp_s=BEGIN_S + number))
            wait_until(lambda: sink.problem != "")
            assert sink.problem.startswith("postgres: ")
            assert sink.waiting == 5
        finally:
            server.start()
        wait_until(lambda: sink.written == 6, timeout_s=40.0)
        assert sink.problem == ""
    assert len(rows_in(server)) == 6


def test_the_oldest_rows_are_dropped_when_too_many_wait():
    parameters = PostgresParameters(url="postgresql://evio@127.0.0.1:1/none", waiting_rows=10)
    with PostgresSink(parameters, "a") as sink:
        for number in range(25):
            sink.put(sample(number, rotor(1), stamp_s=BEGIN_S + number))
        assert (sink.waiting, sink.dropped) == (10, 15)
        wait_until(lambda: "refused" in sink.problem)


def test_the_end_writes_what_waits(server):
    with PostgresSink(PostgresParameters(url=server.url), "a") as sink:
        wait_until(lambda: table_exists(server))
        sink.put(sample(0, rotor(1), stamp_s=BEGIN_S))
    assert len(rows_in(server)) == 1


def table_exists(server) -> bool:
    with psycopg.connect(server.url) as connection:
        return connection.execute("SELECT to_regclass('rotation_states')").fetchone()[0] is not None


def test_an_address_that_is_none_is_refused():
    with pytest.raises(EvioError, match=r"postgres\.url"):
        PostgresSink(PostgresParameters(url="postgresql://[bad"), "a")


def test_several_that_begin_at_once_make_one_table(server):
    parameters = PostgresParameters(url=server.url)
    with ExitStack() as stack:
        sinks = [stack.enter_context(PostgresSink(parameters, f"/{n}")) for n in range(6)]
        for sink in sinks:
            sink.put(sample(0, rotor(1), stamp_s=BEGIN_S))
        wait_until(lambda: all(sink.written or sink.problem for sink in sinks))
        assert [sink.problem for sink in sinks] == [""] * 6
    assert len(rows_in(server)) == 6


def test_a_user_who_may_insert_only_writes_to_a_table_that_is_there(server):
    with PostgresSink(PostgresParameters(url=server.url), "a"):
        wait_until(lambda: table_exists(server))
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS writer")
        connection.execute("CREATE ROLE writer LOGIN")
        connection.execute("GRANT INSERT ON rotation_states TO writer")
        writers = PostgresParameters(url=server.url.replace("evio@", "writer@"))
        with PostgresSink(writers, "b") as sink:
            sink.put(sample(0, rotor(1), stamp_s=BEGIN_S))
            wait_until(lambda: sink.written or sink.problem)
            assert sink.problem == ""
        connection.execute("DROP OWNED BY writer")
    assert len(rows_in(server)) == 1


@pytest.fixture(scope="module")
def timescale(database, tmp_path_factory):
    if not asked(database, "SELECT 1 FROM pg_available_extensions WHERE name = 'timescaledb'"):
        pytest.skip("TimescaleDB is not installed; EVIO_POSTGRES may name binaries that have it")
    with PostgresServer(tmp_path_factory.mktemp("timescale"), "timescaledb") as server:
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("CREATE EXTENSION timescaledb")
        yield server


def asked(server, query: str) -> list[tuple]:
    with psycopg.connect(server.url, autocommit=True) as connection:
        return connection.execute(query).fetchall()


def test_with_timescale_the_table_is_a_hypertable_over_restarts(timescale):
    """Thirty days are chunks of a week, of which the oldest are dropped as its users do it."""
    days = 30
    for begin in (0, days // 2):
        with PostgresSink(PostgresParameters(url=timescale.url), "a") as sink:
            for day in range(begin, begin + days // 2):
                sink.put(sample(day, rotor(1, 1000.0 + day), stamp_s=BEGIN_S + 86_400 * day))
            if begin:
                wait_until(lambda: sink.written > 0)
                timescale.stop()
                timescale.start()
                sink.put(sample(days, rotor(1, 1000.0 + days), stamp_s=BEGIN_S + 86_400 * days))
            wait_until(lambda: not sink.waiting, timeout_s=40.0)
            assert (sink.problem, sink.dropped) == ("", 0)
    ((name, chunks),) = asked(
        timescale,
        "SELECT hypertable_name, num_chunks FROM timescaledb_information.hypertables",
    )
    assert name == "rotation_states"
    assert 5 <= chunks <= 6
    speeds = "SELECT time_bucket('10 days', time) AS days, rpm FROM rotation_states ORDER BY time"
    found = asked(timescale, speeds)
    assert [rpm for _, rpm in found] == [1000.0 + day for day in range(days + 1)]
    assert 4 <= len({bucket for bucket, _ in found}) <= 5
    before = f"to_timestamp({BEGIN_S + 86_400 * 15})"
    dropped = asked(timescale, f"SELECT drop_chunks('rotation_states', {before})")
    ((left, oldest),) = asked(timescale, "SELECT count(*), min(rpm) FROM rotation_states")
    assert len(dropped) >= 1
    assert left == days + 1 - (oldest - 1000.0)
    assert 1000.0 < oldest <= 1015.0
