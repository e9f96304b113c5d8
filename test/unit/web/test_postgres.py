from __future__ import annotations

import datetime

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
