from __future__ import annotations

import csv
import http.client
import io
import time

import pytest
from web_desk import TIMEOUT_S, Desk, ask, rotor, sample, served, wait_until

from evio_ros.web.api import create_app
from evio_ros.web.history import History
from evio_ros.web.web_parameters import WebParameters

BEGIN_S = 1_700_000_040
COUNT = 900
NAMES = ["t_us", "rotor", "rpm", "rpm_std", "turns", "confidence", "blade_count", "vehicle"]


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    path = tmp_path_factory.mktemp("history") / "history.sqlite"
    with History(path, 10) as history:
        for number in range(COUNT):
            rotors = rotor(1, 100.0 + number), rotor(2, 0.1)
            history.put(sample(number, *rotors, stamp_s=BEGIN_S + 0.01 * number))
        wait_until(lambda: history.written == 2 * COUNT)
        parameters = WebParameters(port=0, requests_a_second=1000.0)
        with served(create_app(Desk(), parameters, history), parameters) as server:
            yield server.port


def test_history_is_decimated_by_rotor(port):
    query = f"since={BEGIN_S}&until={BEGIN_S + 9}&points=9"
    status, body, _ = ask(port, f"/api/history?{query}")
    assert (status, body["step_s"]) == (200, 1.0)
    first, second = body["rotors"]
    assert (first["id"], first["t_s"]) == (1, [BEGIN_S + n for n in range(9)])
    assert first["windows"] == [100] * 9
    assert first["rpm"] == pytest.approx([149.5 + 100 * n for n in range(9)])
    assert (second["id"], second["rpm_max"]) == (2, [0.1] * 9)
    only = ask(port, f"/api/history?{query}&rotor=2")[1]["rotors"]
    assert only == [second]
    assert ask(port, f"/api/history?{query}&rotor=77")[1]["rotors"] == []


def test_the_last_ten_minutes_are_the_default(port):
    body = ask(port, "/api/history")[1]
    assert body["until_s"] == pytest.approx(time.time(), abs=60)
    assert body["until_s"] - body["since_s"] == pytest.approx(600)
    assert body["rotors"] == []


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("since=10&until=5", 400),
        ("since=nan", 422),
        ("until=inf", 422),
        ("since=-1", 422),
        ("since=1e300", 422),
        ("points=0", 422),
        ("points=1000000", 422),
        ("rotor=-3", 422),
        ("rotor=99999999999999", 422),
        ("since=0&until=100000000000", 200),
        ("since=5&until=5", 200),
    ],
)
def test_spans_that_make_no_sense_are_refused_and_giant_ones_answered(port, query, status):
    assert ask(port, f"/api/history?{query}")[0] == status
    if "points" not in query and "rotor" not in query:
        assert ask(port, f"/api/export.csv?{query}")[0] == status


@pytest.mark.parametrize("path", ["history", "export.csv", "export.parquet"])
def test_a_history_that_is_taken_away_is_unavailable(tmp_path, path):
    with (
        History(tmp_path / "history.sqlite", 10) as history,
        served(create_app(Desk(), WebParameters(port=0), history)) as server,
    ):
        history.path.unlink()
        status, body, _ = ask(server.port, f"/api/{path}")
        assert status == 503
        assert "cannot be read" in body["detail"]


def test_csv_holds_every_window(port):
    status, body, headers = ask(port, f"/api/export.csv?since=0&until={BEGIN_S + 100}")
    assert (status, headers["content-type"]) == (200, "text/csv; charset=utf-8")
    assert headers["content-disposition"] == 'attachment; filename="rotors.csv"'
    rows = list(csv.reader(io.StringIO(body.decode())))
    assert (rows[0], len(rows)) == (NAMES, 1 + 2 * COUNT)
    assert rows[1] == [str(BEGIN_S * 1_000_000), "1", "100.0", "0.5", "7.5", "0.9", "2", "0"]
    assert float(rows[-2][2]) == 100.0 + COUNT - 1


def test_parquet_holds_the_same(port):
    parquet = pytest.importorskip("pyarrow.parquet", reason="Parquet needs pyarrow")
    status, body, _ = ask(port, f"/api/export.parquet?since=0&until={BEGIN_S + 100}")
    assert status == 200
    table = parquet.read_table(io.BytesIO(body))
    assert (table.column_names, table.num_rows) == (NAMES, 2 * COUNT)
    assert table.column("rpm").to_pylist()[::2] == [100.0 + n for n in range(COUNT)]
    assert ask(port, "/api/export.parquet?since=1&until=2")[1][:4] == b"PAR1"


def test_exports_that_are_left_unread_are_few_and_make_room_again(port):
    opened = []
    for _ in range(6):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
        connection.request("GET", f"/api/export.csv?since=0&until={BEGIN_S + 100}")
        opened.append(connection)
    statuses = [connection.getresponse().status for connection in opened]
    for connection in opened:
        connection.close()
    assert set(statuses) <= {200, 503}
    wait_until(lambda: ask(port, "/api/export.csv?since=1&until=2")[0] == 200)
