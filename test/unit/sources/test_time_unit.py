"""Units of time columns are guessed correctly for cameras, whatever the column's type."""

from __future__ import annotations

import numpy as np
import pytest

from evio_ros.sources.time_unit import TIME_UNITS, guess_time_unit, to_microseconds

PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def times_us(rate_hz: float, duration_s: float, seed: int = 0) -> np.ndarray:
    """Random whole microseconds at a given event rate; the first 50,000 of them."""
    count = min(int(rate_hz * duration_s), 50_000)
    steps_us = np.random.default_rng(seed).exponential(1e6 / rate_hz, count)
    return 1000 + np.cumsum(steps_us).astype(np.int64)


def in_unit(t_us: np.ndarray, unit: str, kind: type) -> np.ndarray:
    if kind is np.int64:
        return t_us * PER_SECOND[unit] // 10**6
    return (t_us / (10**6 / PER_SECOND[unit])).astype(kind)


@pytest.mark.parametrize("rate_hz", [2e3, 5e4, 1e6])
@pytest.mark.parametrize("duration_s", [0.1, 1.0, 20.0])
@pytest.mark.parametrize(
    ("unit", "kind"),
    [
        *(("us", kind) for kind in (np.int64, np.float64)),
        *(("ns", kind) for kind in (np.int64, np.float64)),
        *(("ms", kind) for kind in (np.float64,)),
        *(("s", kind) for kind in (np.float64,)),
    ],
)
def test_what_cameras_record_is_told(rate_hz, duration_s, unit, kind):
    t_us = times_us(rate_hz, duration_s)
    found, reason = guess_time_unit(in_unit(t_us, unit, kind))
    assert found == unit, reason
    assert reason.startswith(f"times are read as {unit}: ")


@pytest.mark.parametrize(("unit", "kind"), [("us", float), ("s", float), ("ns", np.int64)])
def test_events_at_even_steps(unit, kind):
    t_us = 1000 + 20 * np.arange(5000)
    assert guess_time_unit(in_unit(t_us, unit, kind))[0] == unit


def test_float_us_are_no_days():
    unit, reason = guess_time_unit(1000.0 + 20.0 * np.arange(5000))
    assert unit == "us"
    assert "0.1 s" in reason


def test_float_us_with_fractions_are_no_days():
    unit, reason = guess_time_unit(1000.5 + 20.25 * np.arange(5000))
    assert unit == "us"
    assert "as is usual for fractions, it would be 5000 events in 28.1 h" in reason


def test_a_simulator_of_whole_milliseconds_keeps_its_us():
    ticks = np.repeat(np.arange(10_000) * 1000, 30)
    assert guess_time_unit(ticks)[0] == "us"


@pytest.mark.parametrize("rate_hz", [5.0, 10.0, 30.0, 300.0])
@pytest.mark.parametrize(("unit", "kind"), [("us", np.int64), ("us", float), ("s", float)])
def test_a_quiet_scene_keeps_its_unit(rate_hz, unit, kind):
    t = in_unit(times_us(rate_hz, 60.0), unit, kind)
    found, reason = guess_time_unit(t)
    assert found == unit, reason


def test_a_simulators_parts_of_us_stay_ns():
    t_ns = np.random.default_rng(0).integers(0, 60 * 10**9, 50_000)
    assert guess_time_unit(np.sort(t_ns))[0] == "ns"


@pytest.mark.parametrize(
    ("frames_a_second", "duration_s", "rate_hz"),
    [(25, 20, 5e3), (50, 12, 5e3), (100, 15, 8e3), (200, 60, 3e3), (25, 4, 5e4), (1000, 10, 9e3)],
)
@pytest.mark.parametrize(("unit", "kind"), [("us", np.int64), ("us", float), ("s", float)])
def test_events_made_from_a_videos_frames(frames_a_second, duration_s, rate_hz, unit, kind):
    frames = np.random.default_rng(0).integers(
        1, frames_a_second * duration_s, int(rate_hz * duration_s)
    )
    t_us = np.sort(frames) * (10**6 // frames_a_second)
    found, reason = guess_time_unit(in_unit(t_us, unit, kind))
    assert found == unit, reason


@pytest.mark.parametrize("rate_hz", [5e3, 1e5])
def test_frames_in_ns_are_told_by_how_long_they_last(rate_hz):
    frames = np.sort(np.random.default_rng(0).integers(1, 500, int(20 * rate_hz)))
    assert guess_time_unit(frames[: 1 << 18] * 40_000_000)[0] == "ns"


def test_coarse_single_precision_seconds_stay_seconds():
    t = (times_us(1e5, 10.0) * 1e-6).astype(np.float32)
    assert guess_time_unit(t)[0] == "s"


@pytest.mark.parametrize(("unit", "factor"), [("us", 10**6), ("ns", 10**9)])
def test_times_of_the_unix_epoch_decide(unit, factor):
    t = 1_573_195_687 * factor + np.arange(10) * 7
    assert guess_time_unit(t)[0] == unit


def test_seconds_of_the_unix_epoch():
    t = 1_573_195_687.65 + times_us(1e5, 1.0) * 1e-6
    assert guess_time_unit(t)[0] == "s"


@pytest.mark.parametrize(("kind", "unit"), [(np.int64, "us"), (np.float64, "us")])
def test_a_few_whole_numbers_stay_as_convention_has_them(kind, unit):
    assert guess_time_unit(np.array([0, 300_000, 900_000], kind))[0] == unit


@pytest.mark.parametrize(
    "t", [np.empty(0), np.array([0.5]), np.full(100, 0.25), np.full(9, np.nan)]
)
def test_columns_that_say_nothing_are_no_error(t):
    unit, reason = guess_time_unit(t)
    assert unit in TIME_UNITS
    assert reason


def test_outliers_change_nothing():
    t = 1000 + 20 * np.arange(5000)
    t[:20] += 3_264_000_000
    t[2500] = 1 << 40
    assert guess_time_unit(t)[0] == "us"


def test_whole_us_come_out_exactly():
    assert to_microseconds(np.array([1_999, -1], np.int64), "ns").tolist() == [1, -1]
    assert to_microseconds(np.array([7], np.uint32), "s").tolist() == [7_000_000]
    assert to_microseconds(np.array([7], np.uint16), "ms").tolist() == [7_000]
    assert to_microseconds(np.array([0.1, 2e-05]), "s").tolist() == [100_000, 20]
    t_us = 1_573_195_687_650_000 + np.arange(1000)
    assert np.array_equal(to_microseconds(t_us * 1e-6, "s"), t_us)
    assert np.array_equal(to_microseconds(t_us, "us"), t_us)


def test_no_numbers_become_the_least_time():
    least = np.iinfo(np.int64).min
    assert to_microseconds(np.array([np.nan, np.inf, 1e300]), "s").tolist() == [least] * 3


@pytest.mark.parametrize("last", [1e306, 1.7e308, 1e-306])
def test_times_of_a_damaged_file_have_a_unit_all_the_same(last):
    times = np.concatenate((np.linspace(0, 1e-307, 500), np.full(500, last)))
    assert guess_time_unit(times)[0] == "s"
