from __future__ import annotations

import numpy as np
from web_desk import rotor, sample

from evio_ros.events import EventBatch, SensorSize
from evio_ros.web.live_view import EventSample, LiveView, NodeReport


def events(start_us: int, size: SensorSize | None = None) -> EventSample:
    """One event in 10 ms."""
    t, place = np.array([start_us]), np.zeros(1, np.uint16)
    batch = EventBatch(size or SensorSize(8, 8), t, place, place, np.ones(1, bool))
    return EventSample(batch, start_us, start_us + 10_000, 1.0)


def starts(view: LiveView) -> list[int]:
    return [one.start_us for one in view.samples_after(-(1 << 62))]


def test_of_events_the_last_second_is_kept():
    view = LiveView()
    for start_us in range(0, 3_000_000, 10_000):
        view.put_events(events(start_us))
    assert (starts(view)[0], starts(view)[-1]) == (1_990_000, 2_990_000)
    assert [one.start_us for one in view.samples_after(2_980_000)] == [2_980_000, 2_990_000]
    assert view.newest_events_us() == 3_000_000


def test_events_from_before_or_of_another_sensor_begin_anew():
    view = LiveView()
    for start_us in (500_000, 510_000, 100_000):
        view.put_events(events(start_us))
    assert starts(view) == [100_000]
    view.put_events(events(110_000, SensorSize(9, 9)))
    assert starts(view) == [110_000]


def test_a_publisher_whose_time_stands_still_fills_no_memory():
    view = LiveView()
    for _ in range(100):
        view.put_events(events(0))
    assert len(starts(view)) == 1


def test_windows_are_told_once():
    view = LiveView()
    seen, fresh = view.states_after(0)
    assert (seen, fresh, view.state, view.state_age_s()) == (0, [], None, None)
    for t_us in range(700):
        view.put_state(sample(t_us, rotor()))
    seen, fresh = view.states_after(seen)
    assert (seen, [one.t_us for one in fresh]) == (700, list(range(200, 700)))
    assert view.states_after(seen) == (700, [])
    assert view.states_after(698)[1] == fresh[-2:]


def test_a_rotor_that_has_gone_is_known_for_two_seconds(monkeypatch):
    view = LiveView()
    clock = {"s": 100.0}
    monkeypatch.setattr("time.monotonic", lambda: clock["s"])
    view.put_state(sample(0, rotor(1), rotor(2)))
    clock["s"] += 1.5
    view.put_state(sample(1, rotor(2, 77.0)))
    assert view.recent_estimate(1).id == 1
    clock["s"] += 1.0
    assert view.recent_estimate(1) is None
    clock["s"] += 60.0  # a replay that stands still
    assert view.recent_estimate(2).rpm == 77.0
    view.put_state(sample(2))
    assert view.recent_estimate(2) is None


def test_the_event_rate_is_of_sensor_time_whatever_the_pace(monkeypatch):
    view = LiveView()
    clock = {"s": 100.0}
    monkeypatch.setattr("time.monotonic", lambda: clock["s"])
    assert view.event_rate_hz() is None
    for number in range(4):  # 1000 events in 10 ms, shown ten times as slowly
        view.put_state(sample(10_000 * number))
        clock["s"] += 0.1
    assert view.event_rate_hz() == 100_000.0
    view.put_state(sample(0))  # from the beginning
    assert view.event_rate_hz() is None
    view.put_state(sample(20_000))
    assert view.event_rate_hz() == 50_000.0
    clock["s"] += 60.0
    assert view.event_rate_hz() is None


def test_the_newest_report_of_each_node_counts():
    view = LiveView()
    for name, message in (("/b: x", "1"), ("/a: y", "2"), ("/b: x", "3")):
        view.put_report(NodeReport(name, "ok", message))
    assert [(one.name, one.message) for one in view.reports()] == [("/a: y", "2"), ("/b: x", "3")]


def test_a_node_that_reports_no_more_is_stale_and_later_gone(monkeypatch):
    view = LiveView()
    clock = {"s": 100.0}
    monkeypatch.setattr("time.monotonic", lambda: clock["s"])
    view.put_report(NodeReport("/a: x", "error", "no such file", received_s=100.0))
    view.age_reports()
    assert [one.level for one in view.reports()] == ["error"]
    clock["s"] += 11.0
    for _ in range(2):
        view.age_reports()
    (report,) = view.reports()
    assert report.level == "stale"
    assert report.message == "has stopped reporting; the last was: error, no such file"
    clock["s"] += 300.0
    view.age_reports()
    assert view.reports() == []


def test_reports_without_end_fill_no_memory_and_the_newest_stay():
    view = LiveView()
    for number in range(1000):
        view.put_report(NodeReport("/steady: x", "ok", str(number)))
        view.put_report(NodeReport(f"/{number}: x", "ok", ""))
    names = {one.name for one in view.reports()}
    assert len(names) < 500
    assert {"/steady: x", "/999: x"} <= names


def test_what_is_wanted_is_told_while_somebody_looks():
    view = LiveView()
    assert not view.is_wanted("events")
    with view.watching("events"), view.watching("events"):
        assert view.is_wanted("events")
        assert not view.is_wanted("picture")
    assert not view.is_wanted("events")
    view.ask("picture")
    assert view.is_wanted("picture")
